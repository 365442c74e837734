package import Codecs
package import Models
internal import Platform

/// Which experts each token uses and with which weight.
package struct Routing: Sendable, Hashable {
  /// Experts of a token.
  package let choices: Int
  /// Chosen experts, best first: (tokens, choices).
  package let experts: [Int]
  /// Their weights: (tokens, choices).
  package let weights: [Float]

  /// Wraps a choice: experts and weights (tokens, choices).
  package init(choices: Int, experts: [Int], weights: [Float]) {
    precondition(experts.count == weights.count && experts.count % max(1, choices) == 0)
    self.choices = choices
    self.experts = experts
    self.weights = weights
  }

  /// Share of the experts of `other` that are chosen here too, over all tokens; 1 where there are
  /// no tokens.
  package func agreement(with other: Routing) -> Double {
    experts.isEmpty ? 1 : Double(common(with: other)) / Double(experts.count)
  }

  /// How many of the choices of `other` are made here too, for the same token.
  package func common(with other: Routing) -> Int {
    precondition(other.experts.count == experts.count && other.choices == choices)
    var common = 0
    for start in stride(from: 0, to: experts.count, by: choices) {
      let mine = Set(experts[start..<start + choices])
      common += other.experts[start..<start + choices].count { mine.contains($0) }
    }
    return common
  }

  /// These choices and then those of further tokens.
  package func appending(_ other: Routing) -> Routing {
    precondition(other.choices == choices)
    return Routing(
      choices: choices, experts: experts + other.experts, weights: weights + other.weights)
  }
}

/// The choice among experts, in the order of transformers 5.23's `DeepseekV3TopkRouter`: scores are
/// sigmoids; the correction bias counts in the choice and not in the weight; a group is as good as
/// its two best experts; experts of groups that are not chosen are out, whatever the sign of the
/// others' scores. `DeepseekV2TopkRouter` has a softmax, no bias, groups that are as good as their
/// best expert, and never divides by the sum.
///
/// Ties go to the lower index (torch leaves that open). A group of one expert counts it alone,
/// where transformers refuses the config.
package struct Router: Sendable {
  let groups: Int
  let chosenGroups: Int
  let choices: Int
  let normalizes: Bool
  let factor: Float
  let scoring: ModelConfig.Scoring
  let selection: Architecture.Selection

  /// Takes the rule from a config.
  package init(_ config: ModelConfig) {
    groups = config.expertGroups
    chosenGroups = config.chosenGroups
    choices = config.expertsPerToken
    normalizes = config.normalizeExpertWeights
    factor = config.routedScalingFactor
    scoring = config.scoring
    selection = config.selection
  }

  /// logits (tokens, experts), which become scores in place · bias (experts, 0 where the network has
  /// none) → the choice.
  ///
  /// - Parameter given: the experts of each token, where scores do not choose them.
  package func route(
    _ logits: Activations, bias: [Float], chosen given: [Int]? = nil, level: KernelLevel
  ) -> Routing {
    switch scoring {
    case .sigmoid: VectorMath.sigmoid(logits.values, level: level)
    case .softmax:
      for token in 0..<logits.rows { VectorMath.softmax(logits[token], level: level) }
    case .sqrtSoftplus:
      for index in logits.values.indices {
        logits.values[index] = Router.sqrtSoftplus(logits.values[index])
      }
    }
    var experts: [Int] = []
    var weights: [Float] = []
    experts.reserveCapacity(logits.rows * choices)
    weights.reserveCapacity(logits.rows * choices)
    for token in 0..<logits.rows {
      let scores = logits[token]
      let chosen =
        given.map { Array($0[token * choices..<(token + 1) * choices]) }
        ?? choose(zip(scores, bias).map { $0 + $1 })
      // The sum is taken in double precision so that no order of the choices matters.
      let sum = normalizes ? chosen.reduce(0.0) { $0 + Double(scores[$1]) } : 1
      let divisor = normalizes ? Float(sum) + 1e-20 : 1
      experts += chosen
      weights += chosen.map { scores[$0] / divisor * factor }
    }
    return Routing(choices: choices, experts: experts, weights: weights)
  }

  /// √(ln(1 + eˣ)), the logarithm being x itself from 20 on, as torch has it.
  private static func sqrtSoftplus(_ x: Float) -> Float {
    guard x <= 20 else { return x.squareRoot() }
    let power = Mathematics.exp(Double(x))
    // For small powers the logarithm is the power but for its square.
    let softplus = power < 1e-8 ? power : Mathematics.log(1 + power)
    return Float(softplus.squareRoot())
  }

  /// Experts of a group whose scores make the group's.
  private var representatives: Int { selection == .groupsByTwoBest ? 2 : 1 }

  private func choose(_ scores: [Float]) -> [Int] {
    let size = scores.count / groups
    let groupScores = (0..<groups).map { group in
      let members = Array(scores[group * size..<(group + 1) * size])
      return best(members, min(representatives, size)).reduce(Float(0)) { $0 + members[$1] }
    }
    let candidates = best(groupScores, chosenGroups).sorted().flatMap {
      $0 * size..<($0 + 1) * size
    }
    return best(candidates.map { scores[$0] }, choices).map { candidates[$0] }
  }

  /// Indices of the `count` largest values, largest first; NaN never beats a number.
  private func best(_ values: [Float], _ count: Int) -> [Int] {
    var taken: [Int] = []
    var isFree = [Bool](repeating: true, count: values.count)
    for _ in 0..<count {
      var top: Int?
      for index in values.indices where isFree[index] {
        guard let current = top else {
          top = index
          continue
        }
        if values[index] > values[current] || (values[current].isNaN && !values[index].isNaN) {
          top = index
        }
      }
      guard let top else { break }
      isFree[top] = false
      taken.append(top)
    }
    return taken
  }
}
