internal import Reference

extension LogitsComparison {
  /// A layer's difference; MTP layers follow the decoder layers.
  package struct Layer: Sendable, Hashable {
    /// Index as in `model.layers.N`.
    package let index: Int
    /// Σ (candidate − reference)² / Σ reference² of the residual stream after the layer; NaN where
    /// it is not finite. It holds what the layer inherited from those before it.
    package let hiddenNmse: Double
    /// Share of the reference's expert choices that the candidate makes too; nil for a dense layer.
    package let routerAgreement: Double?
    /// Mean over the tokens of Σ |difference of an expert's weight| / Σ weight, from 0 to 2; nil for
    /// a dense layer, and where the reference is a baseline.
    package let routerWeightDifference: Double?
    /// Share of the keys that the reference's queries see which the candidate's see too; nil where both
    /// see all keys, and where the reference is a baseline.
    package var keyAgreement: Double?
    /// Queries of either model that left out a key with the score of one that they chose, where which
    /// one it is was settled by its place alone; nil as `keyAgreement`.
    package var keyTies: Int?
    /// How often the experts are used, each model on its own hidden states: of the watched tokens
    /// where the reference is a baseline. Empty for a dense layer.
    package let experts: [ExpertCount]
    /// The candidate's layer fed with the reference's hidden states; nil where that was not asked.
    package let own: Own?
  }

  /// How many tokens go to an expert that at least one of the models uses.
  package struct ExpertCount: Sendable, Hashable {
    /// Index as in `experts.N`.
    package let index: Int
    /// Tokens that the reference sends to it.
    package let uses: Int
    /// Tokens that the candidate sends to it.
    package let candidateUses: Int

    /// Makes a count.
    package init(index: Int, uses: Int, candidateUses: Int) {
      (self.index, self.uses, self.candidateUses) = (index, uses, candidateUses)
    }
  }

  /// What a layer does wrong by itself: both models' layers had the reference's hidden states.
  package struct Own: Sendable, Hashable {
    /// Σ (candidate − reference)² / Σ reference² of the residual stream after the layer.
    package let nmse: Double
    /// Share of the reference's expert choices that the candidate makes too; nil for a dense layer.
    package let routerAgreement: Double?
    /// As `Layer.routerWeightDifference`.
    package let routerWeightDifference: Double?
    /// As `Layer.keyAgreement`, by choices from the reference's states.
    package var keyAgreement: Double?
    /// Experts that at least one of the models uses, in order; empty for a dense layer.
    package let experts: [ExpertUse]
  }

  /// An expert of a layer as both models use it on the reference's hidden states.
  package struct ExpertUse: Sendable, Hashable {
    /// Index as in `experts.N`.
    package let index: Int
    /// Tokens that the reference sends to it.
    package let uses: Int
    /// Tokens that the candidate sends to it.
    package let candidateUses: Int
    /// `Own.nmse` over those tokens alone that the reference sends to it: a token's other experts
    /// count too. NaN without such tokens.
    package let ownNmse: Double
    /// The share of the layer's squared error that this expert explains best; the shares of all
    /// experts and of what all tokens go through (attention, shared experts) make 1. See
    /// `ErrorShares`.
    package let errorShare: Double

    /// Makes a record.
    package init(
      index: Int, uses: Int, candidateUses: Int, ownNmse: Double, errorShare: Double
    ) {
      (self.index, self.uses, self.candidateUses) = (index, uses, candidateUses)
      (self.ownNmse, self.errorShare) = (ownNmse, errorShare)
    }
  }
}

extension LogitsComparison.Layer {
  /// Collects measurements that were made elsewhere; a baseline knows no layer's own error.
  package init(
    index: Int, hiddenNmse: Double, routerAgreement: Double?,
    experts: [LogitsComparison.ExpertCount] = [], own: LogitsComparison.Own? = nil
  ) {
    self.index = index
    self.hiddenNmse = hiddenNmse
    self.routerAgreement = routerAgreement
    self.experts = experts
    self.own = own
    routerWeightDifference = nil
  }

  /// What both models' states after a layer add up to.
  init(_ index: Int, _ sums: LayerSums) {
    self.index = index
    hiddenNmse = sums.states.nmse
    routerAgreement = sums.router.agreement
    routerWeightDifference = sums.router.weightDifference
    keyAgreement = sums.keys.agreement
    keyTies = keyAgreement.map { _ in sums.keys.ties }
    experts = sums.experts.all
    own = sums.own.map { LogitsComparison.Own($0) }
  }
}

extension LogitsComparison.ExpertCount {
  /// Counts the choices of both models, in the order of the experts.
  static func all(_ reference: [Int], _ candidate: [Int]) -> [LogitsComparison.ExpertCount] {
    var counts = ExpertCounts()
    counts.add(reference, candidate)
    return counts.all
  }
}

extension LogitsComparison.Own {
  /// Collects measurements that were made elsewhere.
  package init(nmse: Double, routerAgreement: Double?, experts: [LogitsComparison.ExpertUse]) {
    self.nmse = nmse
    self.routerAgreement = routerAgreement
    self.experts = experts
    routerWeightDifference = nil
  }

  /// What the outputs of both models' layers for the same input add up to.
  init(_ sums: OwnSums) {
    nmse = sums.states.nmse
    routerAgreement = sums.router.agreement
    routerWeightDifference = sums.router.weightDifference
    keyAgreement = sums.keys.agreement
    experts = sums.choices.map { LogitsComparison.Own.experts(sums, $0) } ?? []
  }

  private static func experts(
    _ own: OwnSums, _ choices: (reference: Routing, candidate: Routing)
  ) -> [LogitsComparison.ExpertUse] {
    let (reference, candidate) = choices
    var sums: [Int: (uses: Int, candidateUses: Int, error: Double, energy: Double)] = [:]
    for (token, sum) in zip(own.errors, own.energies).enumerated() {
      for place in token * reference.choices..<(token + 1) * reference.choices {
        sums[reference.experts[place], default: (0, 0, 0, 0)].uses += 1
        sums[reference.experts[place]]?.error += sum.0
        sums[reference.experts[place]]?.energy += sum.1
        sums[candidate.experts[place], default: (0, 0, 0, 0)].candidateUses += 1
      }
    }
    let shares = ErrorShares(own.errors, reference)
    return sums.keys.sorted().compactMap { expert in
      sums[expert].map {
        LogitsComparison.ExpertUse(
          index: expert, uses: $0.uses, candidateUses: $0.candidateUses,
          ownNmse: $0.uses > 0 && $0.error == 0 ? 0 : $0.error / $0.energy,
          errorShare: shares.byExpert[expert] ?? 0)
      }
    }
  }
}

/// Shares tokens' squared errors out among the experts that they used.
///
/// The model: an expert e that errs by c(e) adds w² · c(e) to the error of a token that uses it with
/// weight w, and what all tokens go through adds a constant. The c are found by the
/// multiplicative updates of Richardson and Lucy, which keep them positive and raise the likelihood
/// of Poisson counts each time; a hundred of them tell an expert that is broken from those that
/// merely share tokens with it.
private struct ErrorShares {
  private(set) var byExpert: [Int: Double] = [:]
  private static let rounds = 100

  init(_ errors: [Double], _ routing: Routing) {
    let total = errors.reduce(0, +)
    guard total > 0, total.isFinite else { return }
    // The constant is one more expert that every token uses, with a weight like theirs.
    let scale = routing.weights.reduce(0.0) { $0 + Double($1) * Double($1) }
    let constant = (routing.experts.max() ?? 0) + 1
    let typical = scale / Double(max(1, routing.weights.count))
    var rates = [Double](repeating: total / Double(errors.count), count: constant + 1)
    var exposure = [Double](repeating: 0, count: constant + 1)
    let uses = errors.indices.map { token in
      (token * routing.choices..<(token + 1) * routing.choices).map { place in
        (routing.experts[place], Double(routing.weights[place]) * Double(routing.weights[place]))
      } + [(constant, typical)]
    }
    for (expert, weight) in uses.joined() { exposure[expert] += weight }
    for _ in 0..<ErrorShares.rounds {
      var explained = [Double](repeating: 0, count: constant + 1)
      for (token, list) in uses.enumerated() where errors[token] > 0 {
        let expected = list.reduce(0) { $0 + $1.1 * rates[$1.0] }
        guard expected > 0 else { continue }
        for (expert, weight) in list {
          explained[expert] += errors[token] * weight * rates[expert] / expected
        }
      }
      for expert in rates.indices where exposure[expert] > 0 {
        rates[expert] = explained[expert] / exposure[expert]
        byExpert[expert] = explained[expert] / total
      }
    }
  }
}
