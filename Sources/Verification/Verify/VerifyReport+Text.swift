package import Platform
internal import Reports

extension VerifyReport {
  /// Layers that the text names; the JSON has all.
  private static let shownLayers = 12
  /// Positions that the text names of each head, and rows of the blame.
  private static let shownRows = 5

  /// The report for people, on one screen, the verdict last.
  package var text: OutputText {
    var lines: [OutputText] = notes.map { "note: \($0)" }
    lines += configDifferences.map {
      "config: \($0.name) is \($0.candidate), the reference's \($0.reference)"
    }
    lines += logitsTable + sizeLines + draftLines + [""] + layerTable + [""] + positionTable
    if let blame { lines += [""] + VerifyReport.blameTable(blame) }
    lines.append("")
    for outcome in outcomes {
      let name = outcome.name
      let limit = Quantity.significant(outcome.limit)
      lines.append(
        "\(outcome.holds ? "holds" : VerifyReport.fails): \(name) \(limit), measured \(outcome.shownValue)"
      )
    }
    for head in heads where head.metrics.nonFinite > 0 {
      let name = head.name == "main" ? "" : " of \(head.name)"
      lines.append(
        "\(VerifyReport.fails): \(Quantity.plural(head.metrics.nonFinite, "logit"))\(name) not finite"
      )
    }
    lines.append(
      verdict == .measured
        ? "measured, \(limitsText): \(candidate) against \(reference)"
        : "\(verdict.painted): \(candidate) against \(reference) (\(limitsText))")
    return lines.joined(separator: "\n") + "\n"
  }

  /// What a line about a limit that does not hold begins with.
  static var fails: OutputText { ("FAILS" as OutputText).painted(.red) }

  private var logitsTable: [OutputText] {
    var table = TextTable([("logits", .left)] + heads.map { ($0.name, .right) })
    for (title, value) in measures { table.add([title] + heads.map { value($0.metrics) }) }
    return table.lines
  }

  /// What both models take.
  package var sizeFacts: [(name: String, text: String)] {
    [("size of the reference", sizes.reference), ("size of the candidate", sizes.candidate)]
      .compactMap { name, size in
        guard let size else { return nil }
        let bits = Quantity.fixed(size.bitsPerWeight, digits: 2)
        return (name, "\(Quantity.bytes(size.bytes)), \(bits) bits per weight")
      }
  }

  private var sizeLines: [OutputText] { sizeFacts.map { "\($0.name): \($0.text)" } }

  /// How often drafts are kept, a line for each depth.
  var draftLines: [OutputText] {
    drafts.enumerated().map { index, draft in
      "drafts of MTP layer \(index + 1) that the main model would choose: "
        + "\(Quantity.attained(draft.candidate)), the reference's "
        + "\(Quantity.attained(draft.reference)) of \(Quantity.count(draft.positions))"
    }
  }

  /// What is said of logits, row by row, for all forms of report.
  package var measures: [(title: String, value: (LogitsMetrics) -> String)] {
    var rows: [(title: String, value: (LogitsMetrics) -> String)] = [
      ("positions", { Quantity.count($0.tokens) }),
      (
        "KL divergence, mean (nats)",
        { VerifyReport.measured($0.klMean, $0.interval == nil ? $0.statistics.klError : .nan) }
      ),
      (
        "  median, 90, 99, 99.9 %",
        { metrics in
          metrics.statistics.klPercentiles.filter { ["50", "90", "99", "99.9"].contains($0.name) }
            .map { Quantity.significant($0.value) }.joined(separator: ", ")
        }
      ),
      ("KL divergence, largest", { Quantity.significant($0.klMax) }),
      (
        "same top token",
        { metrics in
          let error = metrics.statistics.top1Error
          return Quantity.attained(metrics.top1Agreement)
            + (error.isNaN ? "" : " ± \(Quantity.percent(error))")
        }
      ),
      ("NMSE", { Quantity.significant($0.nmse) }),
      ("largest difference", { Quantity.significant($0.maxAbsDifference) }),
      ("perplexity of the reference", { Quantity.significant($0.perplexityReference) }),
      ("perplexity of the candidate", { Quantity.significant($0.perplexityCandidate) }),
      (
        "  over the reference's",
        { VerifyReport.measured($0.perplexityRatio, $0.statistics.perplexityRatioError) }
      ),
      (
        "change of the right token's p, RMS",
        { metrics in
          let (value, error) = (
            metrics.statistics.probabilityRms, metrics.statistics.probabilityRmsError
          )
          return value.isNaN
            ? Quantity.significant(value)
            : Quantity.percent(value) + (error.isNaN ? "" : " ± \(Quantity.percent(error))")
        }
      ),
      ("correlation of losses", { Quantity.significant($0.statistics.lossCorrelation) }),
    ]
    if comparison.main.interval != nil {
      rows[3..<3] = [
        ("  standard error of the mean", { Quantity.significant($0.interval?.standardError ?? 0) }),
        ("  the mean is certainly from", { $0.interval.map(VerifyReport.bounds) ?? "none" }),
      ]
    }
    return rows
  }

  /// `2.4e-3 ± 1e-4`; without an error where there is none.
  static func measured(_ value: Double, _ error: Double) -> String {
    Quantity.significant(value) + (error.isNaN ? "" : " ± \(Quantity.significant(error))")
  }

  private static func bounds(_ interval: LogitsMetrics.Interval) -> String {
    "\(Quantity.significant(interval.lower)) to \(Quantity.significant(interval.upper))"
  }

  private var layerTable: [OutputText] {
    let all = comparison.layers
    let isolated = all.contains { $0.own != nil }
    var columns: [(title: String, alignment: TextTable.Alignment)] = [
      ("layer", .right), ("hidden-state NMSE", .right), ("same experts", .right),
      ("weights off by", .right),
    ]
    let chooses = all.contains { $0.keyAgreement != nil }
    if chooses { columns.append(("same keys", .right)) }
    if isolated { columns += [("own NMSE", .right), ("own experts", .right)] }
    if isolated, chooses { columns.append(("own keys", .right)) }
    var table = TextTable(columns)
    func badness(_ layer: LogitsComparison.Layer) -> Double {
      max(layer.hiddenNmse.badness, layer.own?.nmse.badness ?? 0)
    }
    func share(_ value: Double?) -> String { value.map(Quantity.attained) ?? "–" }
    let worst = all.sorted {
      (badness($0), $1.index) > (badness($1), $0.index)
    }.prefix(VerifyReport.shownLayers)
    for layer in worst.sorted(by: { $0.index < $1.index }) {
      var cells = [
        "\(layer.index)", Quantity.significant(layer.hiddenNmse), share(layer.routerAgreement),
        layer.routerWeightDifference.map(Quantity.percent) ?? "–",
      ]
      if chooses { cells.append(share(layer.keyAgreement)) }
      if isolated {
        cells += [
          layer.own.map { Quantity.significant($0.nmse) } ?? "–", share(layer.own?.routerAgreement),
        ]
        if chooses { cells.append(share(layer.own?.keyAgreement)) }
      }
      table.add(cells)
    }
    let ties = all.reduce(0) { $0 + ($1.keyTies ?? 0) }
    let settled: [OutputText] =
      ties == 0
      ? []
      : ["(\(Quantity.plural(ties, "choice")) between keys of equal scores went by their places)"]
    guard all.count > worst.count else { return table.lines + settled }
    return table.lines + settled + [
      "(the \(worst.count) with the largest NMSE of \(all.count) layers)"
    ]
  }

  private var positionTable: [OutputText] {
    var table = TextTable([
      ("worst positions", .left), ("KL", .right), ("token", .right), ("next", .right),
      ("top of reference", .right), ("of candidate", .right),
    ])
    func word(_ token: Int?) -> String {
      guard let token else { return "–" }
      guard let text = tokenText?([token]) else { return "\(token)" }
      return "\(token) \"\(text.prefix(16))\""
    }
    for worst in worstPositions(VerifyReport.shownRows) where worst.measures.divergence != 0 {
      let sequence = sequences.count > 1 ? "\(worst.sequence):" : ""
      table.add([
        "\(worst.head) \(sequence)\(worst.position)",
        Quantity.significant(worst.measures.divergence), word(worst.token), word(worst.next),
        word(worst.measures.topReference), word(worst.measures.topCandidate),
      ])
    }
    return table.lines.count > 1 ? table.lines : ["no position differs"]
  }

  private static func blameTable(_ blame: [Blame]) -> [OutputText] {
    guard !blame.isEmpty else { return ["blame: no tensor and no key of the config differs"] }
    var table = TextTable(
      [
        ("blame: the reference with the candidate's", .left), ("KL, mean", .right),
        ("logits NMSE", .right), ("weights NMSE", .right),
      ], namesFirst: true)
    for entry in blame {
      table.add([
        entry.name, Quantity.significant(entry.klMean),
        Quantity.significant(entry.logitsNmse),
        entry.weightNmse.map(Quantity.significant) ?? "–",
      ])
    }
    return table.lines + blame.compactMap(\.hint).map { "(\($0))" }
  }
}

extension VerifyReport.Verdict {
  /// The word, in its colour where results have colours.
  var painted: OutputText {
    switch self {
    case .pass: ("pass" as OutputText).painted(.green)
    case .fail: ("fail" as OutputText).painted(.red)
    case .measured: "measured"
    }
  }
}
