internal import Reports

/// A limit that the user sets on a comparison.
package struct Threshold: Sendable, Hashable {
  /// What can be limited; the raw value is the option without its dashes.
  package enum Measure: String, Sendable, CaseIterable {
    /// Mean KL divergence, at most.
    case maxKL = "max-kl"
    /// Share of equal top tokens, at least.
    case minTop1 = "min-top1"
    /// NMSE of the logits, at most.
    case maxNMSE = "max-nmse"
    /// Candidate's perplexity over the reference's, at most.
    case maxPerplexityRatio = "max-perplexity-ratio"
    /// NMSE of the hidden states after each layer, at most.
    case maxLayerNMSE = "max-layer-nmse"
    /// NMSE of what each layer makes of the reference's hidden states, at most.
    case maxLayerOwnNMSE = "max-layer-own-nmse"
    /// Share of expert choices in common in each layer, at least.
    case minRouterAgreement = "min-router-agreement"
    /// Share of the candidate's MTP layers' first choices that its main model shares, at least.
    case minMTPAcceptance = "min-mtp-acceptance"

    /// Whether values must not be below the limit, rather than not above it.
    var isLeast: Bool {
      self == .minTop1 || self == .minRouterAgreement || self == .minMTPAcceptance
    }

    /// Whether layers are limited, rather than logits.
    package var isOfLayers: Bool {
      self == .maxLayerNMSE || self == .maxLayerOwnNMSE || self == .minRouterAgreement
    }
  }

  /// What a limit has to be, in words; nil where a number can be one. All that is measured is 0 or
  /// more, so that a limit below it, or one that is no number, says nothing.
  package static func objection(to limit: Double) -> String? {
    limit >= 0 && limit.isFinite ? nil : "a finite number from 0 on"
  }

  /// Whose logits or layers are limited.
  package enum Scope: Sendable, CaseIterable {
    /// The main model's logits.
    case main
    /// Those of every MTP layer that was compared.
    case mtp
    /// Every layer, MTP layers included.
    case layers
    /// Every MTP layer beside the main model, as speculative decoding uses them.
    case drafts
  }

  /// What is limited.
  package let measure: Measure
  /// Whose.
  package let scope: Scope
  /// A value that is equal to the limit holds.
  package let limit: Double

  /// Makes a limit; one that is no number never holds. Measures of layers go with their scope alone.
  package init(_ measure: Measure, _ scope: Scope, limit: Double) {
    precondition(measure.isOfLayers == (scope == .layers))
    precondition((measure == .minMTPAcceptance) == (scope == .drafts))
    self.measure = measure
    self.scope = scope
    self.limit = limit
  }

  /// A threshold applied to what was measured.
  package struct Outcome: Sendable, Hashable {
    /// The option's name without its dashes.
    package let name: String
    /// The limit.
    package let limit: Double
    /// What was measured, by the worst layer where there are several; NaN where there is none.
    package let value: Double
    /// Whether the value must not be below the limit, rather than not above it.
    package let isLeast: Bool
    /// Whether the value exists and keeps to the limit.
    package let holds: Bool

    /// The value as it is printed: of one that must not be below its limit, a limit that it keeps to.
    package var shownValue: String {
      isLeast ? Quantity.attainedShare(value) : Quantity.significant(value)
    }
  }

  /// The option that sets the limit: `max-kl`, `mtp-max-kl`.
  package var name: String { (scope == .mtp ? "mtp-" : "") + measure.rawValue }

  func outcome(_ comparison: LogitsComparison, drafts: [DraftAcceptance]) -> Outcome {
    let values = measure == .minMTPAcceptance ? drafts.map(\.candidate) : values(comparison)
    let isSound = !values.isEmpty && !values.contains(where: \.isNaN)
    let worst = (measure.isLeast ? values.min() : values.max()) ?? .nan
    let value = isSound ? worst : .nan
    // Both comparisons are false for NaN, which so never passes.
    let holds = measure.isLeast ? value >= limit : value <= limit
    return Outcome(
      name: name, limit: limit, value: value, isLeast: measure.isLeast, holds: holds)
  }

  private func values(_ comparison: LogitsComparison) -> [Double] {
    let heads = scope == .main ? [comparison.main] : comparison.mtp
    let layers = comparison.layers
    return switch measure {
    case .maxKL: heads.map(\.klMean)
    case .minTop1: heads.map(\.top1Agreement)
    case .maxNMSE: heads.map(\.nmse)
    case .maxPerplexityRatio: heads.map(\.perplexityRatio)
    case .maxLayerNMSE: layers.map(\.hiddenNmse)
    case .maxLayerOwnNMSE: layers.compactMap { $0.own?.nmse }
    case .minRouterAgreement: layers.compactMap(\.routerAgreement)
    case .minMTPAcceptance: []
    }
  }
}

extension Threshold {
  /// Limits with others in the place of those of the same measure and scope.
  package static func merged(_ base: [Threshold], overriddenBy others: [Threshold]) -> [Threshold] {
    base.filter { old in
      !others.contains { $0.measure == old.measure && $0.scope == old.scope }
    } + others
  }
}
