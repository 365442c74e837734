package import Parts
internal import Reference
internal import Tensors

/// What is known of two models' difference after some of the sequences: groups of sequences that go
/// through the models one after the other, in one run or in several, add up to the very numbers that
/// all together give.
package struct ComparisonSums {
  var embedding = SquaredError()
  /// By layer, MTP layers behind the others.
  var layers: [LayerSums]
  /// Positions of the main model, then of each MTP layer.
  var heads: [[PositionSums]]

  /// Begins with nothing.
  package init(layers: Int, mtpLayers: Int, isolates: Bool) {
    self.layers = (0..<layers + mtpLayers).map { _ in LayerSums(own: isolates ? OwnSums() : nil) }
    heads = (0...mtpLayers).map { _ in [] }
  }

  /// Lists of numbers that they are written as: of the embedding, of each layer, of each head.
  package var lists: Int { 1 + layers.count + heads.count }

  /// Writes one of the lists to a tape, or reads it.
  ///
  /// - Parameter targets: by head the token that each position should predict.
  package mutating func pass(list: Int, _ tape: inout NumberTape, targets: [[Int?]]) {
    guard list > 0 else { return embedding.pass(&tape) }
    guard list > layers.count else { return layers[list - 1].pass(&tape) }
    let head = list - 1 - layers.count
    if heads[head].isEmpty { heads[head] = targets[head].map { PositionSums(target: $0) } }
    for position in heads[head].indices { heads[head][position].pass(&tape) }
  }

  /// Adds what further sequences add up to.
  package mutating func add(_ other: ComparisonSums) {
    embedding.add(other.embedding)
    for layer in layers.indices { layers[layer].add(other.layers[layer]) }
    for head in heads.indices { heads[head] += other.heads[head] }
  }
}

/// Σ (candidate − reference)² and Σ reference².
struct SquaredError {
  private var errors = DoubleSum()
  private var energies = DoubleSum()

  /// Takes states (tokens, hidden) of both models.
  mutating func add(_ states: (reference: Activations, candidate: Activations)) {
    let (a, b) = (states.reference.values, states.candidate.values)
    precondition(a.count == b.count)
    var (errors, energies) = (errors, energies)
    for place in 0..<a.count {
      let difference = Double(b[place]) - Double(a[place])
      errors.add(difference * difference)
      energies.add(Double(a[place]) * Double(a[place]))
    }
    (self.errors, self.energies) = (errors, energies)
  }

  /// Adds what further sequences add up to.
  mutating func add(_ other: SquaredError) {
    errors.add(other.errors)
    energies.add(other.energies)
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape) {
    tape.pass(&errors)
    tape.pass(&energies)
  }

  /// The first sum.
  var error: Double { errors.value }
  /// The second.
  var energy: Double { energies.value }
  /// Their quotient; 0 where nothing differs, NaN where something is not finite.
  var nmse: Double { error == 0 ? 0 : error / energy }
}

/// How two routers' choices differ.
struct RouterSums {
  private var choices = 0
  private var common = 0
  private var tokens = 0
  private var difference = DoubleSum()

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

  /// Adds what further sequences add up to.
  mutating func add(_ other: RouterSums) {
    choices += other.choices
    common += other.common
    tokens += other.tokens
    difference.add(other.difference)
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape) {
    for count in [\RouterSums.choices, \.common, \.tokens] { tape.pass(&self[keyPath: count]) }
    tape.pass(&difference)
  }

  /// Share of experts in common; nil without a choice.
  var agreement: Double? { choices > 0 ? Double(common) / Double(choices) : nil }
  /// See `LogitsComparison.Layer.routerWeightDifference`.
  var weightDifference: Double? { choices > 0 ? difference.value / Double(tokens) : nil }
}

/// How far the keys that two models' queries see are the same.
struct KeySums {
  private var common = 0
  private var all = 0
  /// Queries of either model for which a key was left out that scored as one that was chosen.
  private(set) var ties = 0
  /// Keys of sequences that went through without longer ones: both models' queries see all. They count
  /// as soon as other sequences are chosen from, as where all go through together.
  private var unchosen = 0

  /// Takes the keys that travel with states.
  mutating func add(
    _ states: (reference: Activations, candidate: Activations), lengths: [Int]
  ) {
    let keys = (states.reference.chosenKeys, states.candidate.chosenKeys)
    guard
      let found = KeySets.overlap(reference: keys.0, candidate: keys.1, lengths: lengths)
    else {
      unchosen += lengths.reduce(0) { $0 + $1 * ($1 + 1) / 2 }
      return
    }
    common += found.common
    all += found.all
    ties += (keys.0?.ties ?? 0) + (keys.1?.ties ?? 0)
  }

  /// Adds what further sequences add up to.
  mutating func add(_ other: KeySums) {
    common += other.common
    all += other.all
    ties += other.ties
    unchosen += other.unchosen
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape) {
    for count in [\KeySums.common, \.all, \.ties, \.unchosen] { tape.pass(&self[keyPath: count]) }
  }

  /// Share of the reference's keys that the candidate sees too; nil without a choice.
  var agreement: Double? {
    all > 0 ? Double(common + unchosen) / Double(all + unchosen) : nil
  }
}

/// How many tokens each expert gets.
struct ExpertCounts {
  private var counts: [Int: (uses: Int, candidateUses: Int)] = [:]

  /// Takes the choices of both models.
  mutating func add(_ reference: [Int], _ candidate: [Int]) {
    for expert in reference { counts[expert, default: (0, 0)].uses += 1 }
    for expert in candidate { counts[expert, default: (0, 0)].candidateUses += 1 }
  }

  /// Adds what further sequences add up to.
  mutating func add(_ other: ExpertCounts) {
    for (expert, count) in other.counts {
      counts[expert, default: (0, 0)].uses += count.uses
      counts[expert, default: (0, 0)].candidateUses += count.candidateUses
    }
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape) {
    var experts = counts.keys.sorted()
    tape.pass(experts: &experts)
    for expert in experts {
      var count = counts[expert] ?? (0, 0)
      tape.pass(&count.uses)
      tape.pass(&count.candidateUses)
      counts[expert] = count
    }
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

  /// Adds what further sequences add up to.
  mutating func add(_ other: LayerSums) {
    states.add(other.states)
    router.add(other.router)
    keys.add(other.keys)
    experts.add(other.experts)
    if let own = other.own { self.own?.add(own) }
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape) {
    states.pass(&tape)
    router.pass(&tape)
    keys.pass(&tape)
    experts.pass(&tape)
    own?.pass(&tape)
  }
}

/// One layer of both models that was fed with the reference's states.
struct OwnSums {
  private(set) var states = SquaredError()
  private(set) var router = RouterSums()
  private(set) var keys = KeySums()
  /// By token Σ (candidate − reference)².
  private(set) var errors: [Double] = []
  /// By token Σ reference².
  private(set) var energies: [Double] = []
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
      errors.append(sum.error)
      energies.append(sum.energy)
    }
    append(reference, candidate)
  }

  private mutating func append(_ reference: Routing, _ candidate: Routing) {
    choices =
      choices.map {
        ($0.reference.appending(reference), $0.candidate.appending(candidate))
      } ?? (reference, candidate)
  }

  /// Adds what further sequences add up to.
  mutating func add(_ other: OwnSums) {
    states.add(other.states)
    router.add(other.router)
    keys.add(other.keys)
    errors += other.errors
    energies += other.energies
    if let choices = other.choices { append(choices.reference, choices.candidate) }
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape) {
    states.pass(&tape)
    router.pass(&tape)
    keys.pass(&tape)
    tape.pass(&errors)
    tape.pass(&energies)
    var reference = (choices?.reference.experts ?? [], choices?.reference.weights ?? [])
    var candidate = (choices?.candidate.experts ?? [], choices?.candidate.weights ?? [])
    tape.pass(experts: &reference.0)
    tape.pass(weights: &reference.1)
    tape.pass(experts: &candidate.0)
    tape.pass(weights: &candidate.1)
    let counts = [reference.1.count, candidate.0.count, candidate.1.count]
    let perToken = tape.sizes.choices
    tape.require(
      counts.allSatisfy { $0 == reference.0.count } && errors.count == energies.count
        && reference.0.count == errors.count * perToken)
    guard tape.isSound, !errors.isEmpty else { return }
    choices = (
      Routing(choices: perToken, experts: reference.0, weights: reference.1),
      Routing(choices: perToken, experts: candidate.0, weights: candidate.1)
    )
  }
}
