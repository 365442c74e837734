package import Models
internal import Reports

/// What `fathom verify` says, as a value that every form of report is made from.
package struct VerifyReport: Sendable {
  /// The model or baseline that is the measure, as the user named it.
  package let reference: String
  /// The model that is measured.
  package let candidate: String
  /// The token sequences that both were run on.
  package let sequences: [[Int]]
  /// The measurements.
  package let comparison: LogitsComparison
  /// Routed experts of a layer.
  package let routedExperts: Int
  /// How the candidate is stored.
  package let candidateTypes: TypeMap
  /// Where the two configs differ in what the network computes.
  package let configDifferences: [ConfigDifference]
  /// What adds how much to the difference, the worst first; nil where that was not asked.
  package let blame: [Blame]?
  /// How often each MTP layer's first choice is the main model's, by depth.
  package let drafts: [DraftAcceptance]
  /// Room that both models take; nil for a baseline.
  package let sizes: (reference: ModelSize?, candidate: ModelSize?)
  /// Bytes of the candidate's weights by layer, scales included.
  package let layerBytes: [Int: Int]
  /// What tells which models were compared, where that is known.
  package let hashes: (reference: ModelHash?, candidate: ModelHash?)
  /// Whose rounding the candidate's pass imitates; nil where it is F32 alone.
  package let runtime: RuntimeArithmetic?
  /// The thresholds that were set, and those that follow for MTP layers.
  package let outcomes: [Threshold.Outcome]
  /// What the user should know about how the comparison was made.
  package let notes: [String]
  /// The text of some token ids, where there is a tokenizer.
  package let tokenText: (@Sendable ([Int]) -> String?)?

  /// Applies thresholds to a comparison.
  ///
  /// - Parameter sequences: the tokens that were compared, in the order of the positions.
  package init(
    reference: String, candidate: String, sequences: [[Int]], comparison: LogitsComparison,
    routedExperts: Int, candidateTypes: TypeMap, thresholds: [Threshold], notes: [String],
    configDifferences: [ConfigDifference] = [], blame: [Blame]? = nil,
    sizes: (reference: ModelSize?, candidate: ModelSize?) = (nil, nil),
    layerBytes: [Int: Int] = [:],
    hashes: (reference: ModelHash?, candidate: ModelHash?) = (nil, nil),
    runtime: RuntimeArithmetic? = nil, tokenText: (@Sendable ([Int]) -> String?)? = nil
  ) {
    self.reference = reference
    self.candidate = candidate
    self.sequences = sequences
    self.comparison = comparison
    self.routedExperts = routedExperts
    self.candidateTypes = candidateTypes
    self.notes = notes
    self.configDifferences = configDifferences
    self.blame = blame
    self.tokenText = tokenText
    self.sizes = sizes
    self.layerBytes = layerBytes
    self.hashes = hashes
    self.runtime = runtime
    let drafts = DraftAcceptance.all(
      lengths: sequences.map(\.count),
      heads: ([comparison.main] + comparison.mtp).map(\.positions))
    self.drafts = drafts
    outcomes = VerifyReport.complete(thresholds, mtp: !comparison.mtp.isEmpty).map {
      $0.outcome(comparison, drafts: drafts)
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

  /// What the comparison comes to; raw values are the words of reports.
  package enum Verdict: String, Sendable {
    /// Every threshold holds and every logit is finite.
    case pass
    /// A threshold does not hold, or a logit is not finite.
    case fail
    /// No thresholds were given: the numbers speak for themselves.
    case measured
  }

  /// What the comparison comes to. Without thresholds nothing passes, since nothing was asked; logits
  /// that are not finite fail all the same.
  package var verdict: Verdict {
    guard outcomes.allSatisfy(\.holds), heads.allSatisfy({ $0.metrics.nonFinite == 0 }) else {
      return .fail
    }
    return outcomes.isEmpty ? .measured : .pass
  }

  /// The verdict with what it rests on.
  package var limitsText: String {
    outcomes.isEmpty ? "no limits given" : Quantity.plural(outcomes.count, "limit")
  }

  /// All logits that were compared, under the names of the JSON: `main`, `mtp`, `mtp_2` and so on.
  package var heads: [(name: String, metrics: LogitsMetrics)] {
    [("main", comparison.main)]
      + comparison.mtp.enumerated().map { index, metrics in
        (index == 0 ? "mtp" : "mtp_\(index + 1)", metrics)
      }
  }

  /// A position at which the candidate is far from the reference.
  package struct WorstPosition: Sendable, Hashable {
    /// Whose logits: `main`, `mtp` and so on.
    package let head: String
    /// Index of the sequence.
    package let sequence: Int
    /// Index of the last token of the sequence that the logits of this head have seen.
    package let position: Int
    /// That token.
    package let token: Int
    /// The token that follows; nil at the end.
    package let next: Int?
    /// What was measured there.
    package let measures: LogitsMetrics.Position
  }

  /// The positions with the largest KL divergence, those that are no number first.
  ///
  /// - Parameters:
  ///   - count: at most so many of each head.
  ///   - limit: the number of heads that are looked at.
  package func worstPositions(_ count: Int, heads limit: Int = .max) -> [WorstPosition] {
    heads.prefix(limit).enumerated().flatMap { depth, head in
      let places = sequences.enumerated().flatMap { sequence, ids in
        (0..<max(0, ids.count - depth)).map { (sequence, $0 + depth) }
      }
      let worst = zip(places, head.metrics.positions).sorted {
        let (a, b) = ($0.1.divergence.badness, $1.1.divergence.badness)
        return a == b ? $0.0 < $1.0 : a > b
      }
      return worst.prefix(count).map { place, measures in
        let ids = sequences[place.0]
        return WorstPosition(
          head: head.name, sequence: place.0, position: place.1, token: ids[place.1],
          next: place.1 + 1 < ids.count ? ids[place.1 + 1] : nil, measures: measures)
      }
    }
  }
}
