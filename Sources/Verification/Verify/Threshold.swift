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

  /// Whose logits are limited.
  public enum Scope: Sendable, CaseIterable {
    /// The main model's.
    case main
    /// Those of every MTP layer that was compared.
    case mtp
  }

  /// What is limited.
  public let measure: Measure
  /// Whose.
  public let scope: Scope
  /// A value that is equal to the limit holds.
  public let limit: Double

  /// Makes a limit; one that is no number never holds.
  public init(_ measure: Measure, _ scope: Scope, limit: Double) {
    self.measure = measure
    self.scope = scope
    self.limit = limit
  }

  /// A threshold applied to what was measured.
  public struct Outcome: Sendable, Hashable {
    /// The option's name without its dashes.
    public let name: String
    /// The limit.
    public let limit: Double
    /// What was measured, by the worst MTP layer where there are several; NaN where there is none.
    public let value: Double
    /// Whether the value exists and keeps to the limit.
    public let holds: Bool
  }

  /// The option that sets the limit: `max-kl`, `mtp-max-kl`.
  private var name: String { (scope == .main ? "" : "mtp-") + measure.rawValue }

  func outcome(_ comparison: LogitsComparison) -> Outcome {
    let values = (scope == .main ? [comparison.main] : comparison.mtp).map(value)
    let isSound = !values.isEmpty && !values.contains(where: \.isNaN)
    let worst = (measure == .minTop1 ? values.min() : values.max()) ?? .nan
    let value = isSound ? worst : .nan
    // Both comparisons are false for NaN, which so never passes.
    let holds = measure == .minTop1 ? value >= limit : value <= limit
    return Outcome(name: name, limit: limit, value: value, holds: holds)
  }

  private func value(_ metrics: LogitsMetrics) -> Double {
    switch measure {
    case .maxKL: metrics.klMean
    case .minTop1: metrics.top1Agreement
    case .maxNMSE: metrics.nmse
    case .maxPerplexityRatio: metrics.perplexityRatio
    }
  }
}
