internal import Reference

/// What is known of two models' difference after some of the sequences: groups of sequences that go
/// through the models one after the other add up to the very numbers that all together give.
struct ComparisonSums {
  var embedding = SquaredError()
  /// By layer, MTP layers behind the others.
  var layers: [LayerSums]
  /// Positions of the main model, then of each MTP layer.
  var heads: [[PositionSums]]

  init(layers: Int, mtpLayers: Int, isolates: Bool) {
    self.layers = (0..<layers + mtpLayers).map { _ in LayerSums(own: isolates ? OwnSums() : nil) }
    heads = (0...mtpLayers).map { _ in [] }
  }
}

/// Σ (candidate − reference)² and Σ reference².
struct SquaredError {
  private(set) var error = 0.0
  private(set) var energy = 0.0

  /// Takes states (tokens, hidden) of both models.
  mutating func add(_ states: (reference: Activations, candidate: Activations)) {
    let (a, b) = (states.reference.values, states.candidate.values)
    precondition(a.count == b.count)
    for place in 0..<a.count {
      let difference = Double(b[place]) - Double(a[place])
      error += difference * difference
      energy += Double(a[place]) * Double(a[place])
    }
  }

  /// Their quotient; 0 where nothing differs, NaN where something is not finite.
  var nmse: Double { error == 0 ? 0 : error / energy }
}

/// How two routers' choices differ.
struct RouterSums {
  private var choices = 0
  private var common = 0
  private var tokens = 0
  private var difference = 0.0

  /// Takes both routers' choices; nothing where one of the layers is dense or they choose other
  /// numbers of experts.
  mutating func add(_ routing: (reference: Routing?, candidate: Routing?)) {
    guard let reference = routing.reference, let candidate = routing.candidate,
      reference.choices == candidate.choices
    else { return }
    choices += reference.experts.count
    common += candidate.common(with: reference)
    tokens += reference.experts.count / max(1, reference.choices)
    reference.addWeightDifferences(to: candidate, onto: &difference)
  }

  /// Share of experts in common; nil without a choice.
  var agreement: Double? { choices > 0 ? Double(common) / Double(choices) : nil }
  /// See `LogitsComparison.Layer.routerWeightDifference`.
  var weightDifference: Double? { choices > 0 ? difference / Double(tokens) : nil }
}

/// How far the keys that two models' queries see are the same.
struct KeySums {
  private var common = 0
  private var all = 0
  /// Queries of either model for which a key was left out that scored as one that was chosen.
  private(set) var ties = 0

  /// Takes the keys that travel with states; nothing where both see all.
  mutating func add(
    _ states: (reference: Activations, candidate: Activations), lengths: [Int]
  ) {
    let keys = (states.reference.chosenKeys, states.candidate.chosenKeys)
    guard
      let found = KeySets.overlap(reference: keys.0, candidate: keys.1, lengths: lengths)
    else { return }
    common += found.common
    all += found.all
    ties += (keys.0?.ties ?? 0) + (keys.1?.ties ?? 0)
  }

  /// Share of the reference's keys that the candidate sees too; nil without a choice.
  var agreement: Double? { all > 0 ? Double(common) / Double(all) : nil }
}

/// How many tokens each expert gets.
struct ExpertCounts {
  private var counts: [Int: (uses: Int, candidateUses: Int)] = [:]

  /// Takes the choices of both models.
  mutating func add(_ reference: [Int], _ candidate: [Int]) {
    for expert in reference { counts[expert, default: (0, 0)].uses += 1 }
    for expert in candidate { counts[expert, default: (0, 0)].candidateUses += 1 }
  }

  /// What was counted, in the order of the experts.
  var all: [LogitsComparison.ExpertCount] {
    counts.sorted { $0.key < $1.key }.map {
      LogitsComparison.ExpertCount(
        index: $0.key, uses: $0.value.uses, candidateUses: $0.value.candidateUses)
    }
  }
}

/// One layer of both models.
struct LayerSums {
  var states = SquaredError()
  var router = RouterSums()
  var keys = KeySums()
  var experts = ExpertCounts()
  /// Nil where the layers are not isolated.
  var own: OwnSums?

  init(own: OwnSums?) { self.own = own }

  /// Takes states (tokens, hidden) and choices after the layer, the reference's first.
  ///
  /// - Parameter own: what the candidate's layer makes of the reference's states.
  mutating func add(
    _ states: (Activations, Activations), _ routing: (Routing?, Routing?),
    own output: (states: Activations, routing: Routing?)?, lengths: [Int]
  ) {
    if let output {
      own?.add((states.0, output.states), (routing.0, output.routing), lengths: lengths)
    }
    self.states.add(states)
    keys.add(states, lengths: lengths)
    router.add(routing)
    experts.add(routing.0?.experts ?? [], routing.1?.experts ?? [])
  }
}

/// One layer of both models that was fed with the reference's states.
struct OwnSums {
  private(set) var states = SquaredError()
  private(set) var router = RouterSums()
  private(set) var keys = KeySums()
  /// By token Σ (candidate − reference)² and Σ reference².
  private(set) var tokens: [SquaredError] = []
  /// Choices of both for all tokens; nil for a dense layer.
  private(set) var choices: (reference: Routing, candidate: Routing)?

  /// Takes outputs (tokens, hidden) and choices.
  mutating func add(
    _ output: (Activations, Activations), _ routing: (Routing?, Routing?), lengths: [Int]
  ) {
    states.add(output)
    keys.add(output, lengths: lengths)
    router.add(routing)
    guard let reference = routing.0, let candidate = routing.1,
      reference.choices == candidate.choices
    else { return }
    for token in 0..<output.0.rows {
      var sum = SquaredError()
      sum.add((output.0.rows(token..<token + 1), output.1.rows(token..<token + 1)))
      tokens.append(sum)
    }
    choices =
      choices.map {
        ($0.reference.appending(reference), $0.candidate.appending(candidate))
      } ?? (reference, candidate)
  }
}
