/// A limit that the user sets on a comparison.
public struct Threshold: Sendable, Hashable {
  /// What can be limited; the raw value is the option without its dashes.
  public enum Measure: String, Sendable, CaseIterable {
    /// Mean KL divergence, at most.
    case maxKL = "max-kl"
    /// Share of equal top tokens, at least.
    case minTop1 = "min-top1"
    /// NMSE of the logits, at most.
    case maxNMSE = "max-nmse"
    /// Candidate's perplexity over the reference's, at most.
    case maxPerplexityRatio = "max-perplexity-ratio"
  }

  /// What is limited.
  public let measure: Measure
  /// The limit itself still holds.
  public let limit: Double

  /// Makes a limit; it is a number.
  public init(_ measure: Measure, limit: Double) {
    precondition(!limit.isNaN)
    self.measure = measure
    self.limit = limit
  }

  /// A threshold applied to what was measured.
  public struct Outcome: Sendable, Hashable {
    /// The option's name; with `mtp-` before it, the same limit on an MTP layer's logits.
    public let name: String
    /// The limit.
    public let limit: Double
    /// What was measured; NaN where it does not exist.
    public let value: Double
    /// Whether the value exists and keeps to the limit.
    public let holds: Bool
  }

  func outcome(_ metrics: LogitsMetrics, prefix: String = "") -> Outcome {
    let value =
      switch measure {
      case .maxKL: metrics.klMean
      case .minTop1: metrics.top1Agreement
      case .maxNMSE: metrics.nmse
      case .maxPerplexityRatio: metrics.perplexityRatio
      }
    // Both comparisons are false for NaN, which so never passes.
    let holds = measure == .minTop1 ? value >= limit : value <= limit
    return Outcome(name: prefix + measure.rawValue, limit: limit, value: value, holds: holds)
  }
}
