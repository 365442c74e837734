public import Platform

/// What `fathom verify` says.
public struct VerifyReport: Sendable {
  /// The model that is the measure, as the user named it.
  public let reference: String
  /// The model that is measured.
  public let candidate: String
  /// The measurements.
  public let comparison: LogitsComparison
  /// The thresholds that were set, and those that follow for MTP layers.
  public let outcomes: [Threshold.Outcome]
  /// What the user should know about how the comparison was made.
  public let notes: [String]

  /// Applies thresholds to a comparison.
  public init(
    reference: String, candidate: String, comparison: LogitsComparison, thresholds: [Threshold],
    notes: [String]
  ) {
    self.reference = reference
    self.candidate = candidate
    self.comparison = comparison
    self.notes = notes
    outcomes = VerifyReport.complete(thresholds, mtp: !comparison.mtp.isEmpty).map {
      $0.outcome(comparison)
    }
  }

  /// A limit on the main model holds for MTP layers too, unless they have their own: a broken MTP
  /// layer must not pass because nobody thought of it.
  private static func complete(_ thresholds: [Threshold], mtp: Bool) -> [Threshold] {
    thresholds.flatMap { threshold in
      let isAlone = !thresholds.contains {
        $0.scope == .mtp && $0.measure == threshold.measure
      }
      guard mtp, threshold.scope == .main, isAlone else { return [threshold] }
      return [threshold, Threshold(threshold.measure, .mtp, limit: threshold.limit)]
    }
  }

  /// Whether every threshold holds and every logit is finite. Without thresholds the numbers speak
  /// for themselves, and only logits that are not finite fail.
  public var passes: Bool {
    outcomes.allSatisfy(\.holds)
      && ([comparison.main] + comparison.mtp).allSatisfy { $0.nonFinite == 0 }
  }

  /// `mtp` for the first MTP layer, `mtp_2` for the second: as the logits are named.
  static func name(mtp index: Int) -> String { index == 0 ? "mtp" : "mtp_\(index + 1)" }

  /// The document of schema `fathom.verify/1`; numbers that do not exist are null.
  public var json: JSONValue {
    var document: JSONObject = [
      "schema": .string("fathom.verify/1"), "verdict": .string(passes ? "pass" : "fail"),
      "reference": .string(reference), "candidate": .string(candidate),
      "main": json(comparison.main),
    ]
    for (index, metrics) in comparison.mtp.enumerated() {
      document[VerifyReport.name(mtp: index)] = json(metrics)
    }
    document["layers"] = .array(
      comparison.layers.map { layer in
        var object: JSONObject = [
          "index": .integer(layer.index), "hiddenNmse": .number(layer.hiddenNmse),
        ]
        object["routerAgreement"] = layer.routerAgreement.map { .number($0) }
        return .object(object)
      })
    document["thresholds"] = .array(
      outcomes.map {
        .object([
          "name": .string($0.name), "limit": .number($0.limit), "value": .number($0.value),
          "holds": .bool($0.holds),
        ])
      })
    document["notes"] = .array(notes.map { .string($0) })
    return .object(document)
  }

  private func json(_ metrics: LogitsMetrics) -> JSONValue {
    .object([
      "tokens": .integer(metrics.tokens), "klMean": .number(metrics.klMean),
      "klMax": .number(metrics.klMax), "top1Agreement": .number(metrics.top1Agreement),
      "nmse": .number(metrics.nmse), "maxAbsDifference": .number(metrics.maxAbsDifference),
      "perplexityReference": .number(metrics.perplexityReference),
      "perplexityCandidate": .number(metrics.perplexityCandidate),
      "nonFinite": .integer(metrics.nonFinite),
    ])
  }
}

extension VerifyReport {
  /// Layers that the text names; the JSON has all.
  private static let shownLayers = 12

  /// The report for people, on one screen, the verdict last.
  public var text: String {
    var lines = notes.map { "note: \($0)" }
    lines += logitsTable + [""] + layerTable + [""]
    for outcome in outcomes {
      lines.append(
        "\(outcome.holds ? "holds" : "FAILS"): \(outcome.name) "
          + "\(Quantity.significant(outcome.limit)), measured "
          + "\(Quantity.significant(outcome.value))")
    }
    for (index, metrics) in ([comparison.main] + comparison.mtp).enumerated()
    where metrics.nonFinite > 0 {
      let head = index == 0 ? "" : " of \(VerifyReport.name(mtp: index - 1))"
      lines.append("FAILS: \(Quantity.plural(metrics.nonFinite, "logit"))\(head) not finite")
    }
    let limits = outcomes.isEmpty ? "no thresholds given" : "\(outcomes.count) thresholds"
    lines.append("\(passes ? "pass" : "fail"): \(candidate) against \(reference) (\(limits))")
    return lines.joined(separator: "\n") + "\n"
  }

  private var logitsTable: [String] {
    let heads = [comparison.main] + comparison.mtp
    var table = TextTable(
      [("logits", .left), ("main", .right)]
        + comparison.mtp.indices.map { (VerifyReport.name(mtp: $0), .right) })
    let rows: [(String, (LogitsMetrics) -> String)] = [
      ("positions", { Quantity.count($0.tokens) }),
      ("KL divergence, mean (nats)", { Quantity.significant($0.klMean) }),
      ("KL divergence, largest", { Quantity.significant($0.klMax) }),
      ("same top token", { Quantity.percent($0.top1Agreement) }),
      ("NMSE", { Quantity.significant($0.nmse) }),
      ("largest difference", { Quantity.significant($0.maxAbsDifference) }),
      ("perplexity of the reference", { Quantity.significant($0.perplexityReference) }),
      ("perplexity of the candidate", { Quantity.significant($0.perplexityCandidate) }),
    ]
    for (title, value) in rows { table.add([title] + heads.map(value)) }
    return table.lines
  }

  private var layerTable: [String] {
    var table = TextTable([
      ("layer", .right), ("hidden-state NMSE", .right), ("same experts", .right),
    ])
    let all = comparison.layers
    // NaN is the worst of all.
    func badness(_ layer: LogitsComparison.Layer) -> Double {
      layer.hiddenNmse.isNaN ? .infinity : layer.hiddenNmse
    }
    let worst = all.sorted { badness($0) > badness($1) }.prefix(VerifyReport.shownLayers)
    for layer in worst.sorted(by: { $0.index < $1.index }) {
      table.add([
        "\(layer.index)", Quantity.significant(layer.hiddenNmse),
        layer.routerAgreement.map(Quantity.percent) ?? "–",
      ])
    }
    guard all.count > worst.count else { return table.lines }
    return table.lines + ["(the \(worst.count) with the largest NMSE of \(all.count) layers)"]
  }
}
