internal import Locks
internal import Models
package import Platform
package import Reference

/// Two networks compared over the same tokens, after every layer and at the head.
///
/// They run in lock step. Neither all hidden states nor all logits are ever held: a layer's are
/// compared and replaced by the next one's, and the vocabulary passes by in tiles. Sums over positions
/// are taken in their order and those over states in twice F64's precision, so that neither threads nor
/// memory nor parts of a run show in them.
package struct LogitsComparison: Sendable {
  /// The main model's logits.
  package let main: LogitsMetrics
  /// Those of the MTP layers that both models have, in order.
  package let mtp: [LogitsMetrics]
  /// NMSE of the token embeddings, before the first layer.
  package let embeddingNmse: Double
  /// Layers in order.
  package let layers: [Layer]

  /// Collects measurements that were made elsewhere.
  package init(
    main: LogitsMetrics, mtp: [LogitsMetrics], embeddingNmse: Double, layers: [Layer]
  ) {
    self.main = main
    self.mtp = mtp
    self.embeddingNmse = embeddingNmse
    self.layers = layers
  }

  /// A network that is measured.
  package struct Candidate {
    /// The network.
    package let network: Network
    /// How many MTP layers to compare; both networks must have them.
    package let mtpLayers: Int

    /// Names a network.
    package init(_ network: Network, mtpLayers: Int) {
      (self.network, self.mtpLayers) = (network, mtpLayers)
    }
  }

  /// Runs a reference and all candidates, the reference once for all of them.
  ///
  /// - Parameters:
  ///   - batches: sequences, those of a batch together and the batches one after the other, each
  ///     through all weights; how they are divided does not show in the result.
  ///   - isolates: whether to feed the reference's hidden states into the candidates' layers too,
  ///     which takes another pass of each candidate over weights that are read once for both.
  ///   - progress: called with the layers done and all layers, a head counting as one.
  /// - Returns: a comparison for each candidate.
  /// - Throws: `.malformed` where the networks do not have the same layers and vocabulary, and what
  ///   the forward pass throws.
  package static func all(
    reference: Network, candidates: [Candidate], batches: [TokenBatch], isolates: Bool = false,
    threads: Int, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(Fault) -> [LogitsComparison] {
    try sums(
      reference: reference, candidates: candidates, batches: batches, isolates: isolates,
      threads: threads, progress: progress
    ).map { LogitsComparison($0, layers: reference.config.layers) }
  }

  /// The same as sums, to which further sequences can be added.
  ///
  /// - Throws: as `all` does.
  static func sums(
    reference: Network, candidates: [Candidate], batches: [TokenBatch], isolates: Bool,
    threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [ComparisonSums] {
    for candidate in candidates { try requireLikeness(reference.config, candidate.network.config) }
    let layers = reference.config.layers
    var sums = candidates.map {
      ComparisonSums(layers: layers, mtpLayers: $0.mtpLayers, isolates: isolates)
    }
    let mtpLayers = candidates.map(\.mtpLayers).max() ?? 0
    let total = batches.count * (layers + 1 + 2 * mtpLayers)
    var done = 0
    for batch in batches {
      let group = NetworkGroup(
        reference: reference, candidates: candidates, batch: batch, threads: threads)
      try group.run(into: &sums) {
        progress(done, total)
        done += 1
      }
    }
    return sums
  }

  /// What sums over all sequences come to.
  package init(_ sums: ComparisonSums, layers: Int) {
    main = LogitsMetrics(sums.heads[0])
    mtp = sums.heads.dropFirst().filter { !$0.isEmpty }.map { LogitsMetrics($0) }
    embeddingNmse = sums.embedding.nmse
    self.layers = sums.layers.prefix(layers + mtp.count).enumerated().map { Layer($0, $1) }
  }

  /// Only models of one shape can be compared position by position and layer by layer.
  static func requireLikeness(
    _ a: ModelConfig, _ b: ModelConfig
  ) throws(Fault) {
    let sizes = [
      ("vocab_size", a.vocabSize, b.vocabSize), ("hidden_size", a.hiddenSize, b.hiddenSize),
      ("num_hidden_layers", a.layers, b.layers),
      ("hc_mult", a.v4?.streams ?? 1, b.v4?.streams ?? 1),
    ]
    for (name, expected, found) in sizes where expected != found {
      throw Fault(
        .malformed, "the candidate's \(name) is not the reference's", expected: "\(expected)",
        found: "\(found)")
    }
  }

  /// Compares logits of normed states (tokens, hidden) of a reference with those of candidates,
  /// position by position.
  ///
  /// - Returns: for each candidate the sums of all positions.
  static func heads(
    _ reference: (network: Network, normed: Activations),
    _ candidates: [(network: Network, normed: Activations)], targets: [Int?], threads: Int
  ) throws(Fault) -> [[PositionSums]] {
    var sums = candidates.map { _ in [PositionSums]() }
    let most = candidates.map(\.network.tileRows).reduce(reference.network.tileRows, min)
    for start in stride(from: 0, to: targets.count, by: most) {
      let rows = start..<min(start + most, targets.count)
      let states = candidates.map { _ in Guarded(targets[rows].map { PositionSums(target: $0) }) }
      for tile in reference.network.vocabularyTiles {
        let a = Activations(unwrittenRows: rows.count, columns: tile.count)
        let b = Activations(unwrittenRows: rows.count, columns: tile.count)
        try reference.network.logits(of: reference.normed, rows: rows, vocabulary: tile, into: a)
        for (candidate, states) in zip(candidates, states) {
          try candidate.network.logits(of: candidate.normed, rows: rows, vocabulary: tile, into: b)
          try Workers.run(threads: threads, count: rows.count) { _, row throws(Fault) in
            var state = states.withLock { $0[row] }
            state.add(a[row], b[row], vocabulary: tile)
            let result = state
            states.withLock { $0[row] = result }
          }
        }
      }
      for index in sums.indices { sums[index] += states[index].withLock { $0 } }
    }
    return sums
  }
}

/// All networks on the sequences of a batch, in lock step.
private struct NetworkGroup {
  let reference: Network
  let candidates: [LogitsComparison.Candidate]
  let batch: TokenBatch
  let threads: Int

  /// Residual streams (tokens, hidden).
  private struct States {
    var reference: Activations
    var candidates: [Activations]
  }

  /// Runs everything; `step` is called before each layer and each head.
  func run(into sums: inout [ComparisonSums], _ step: () -> Void) throws(Fault) {
    let layers = reference.config.layers
    var states = States(reference: try reference.embed(batch), candidates: [])
    for (index, candidate) in candidates.enumerated() {
      states.candidates.append(try candidate.network.embed(batch))
      sums[index].embedding.add((states.reference, states.candidates[index]))
    }
    for index in 0..<layers {
      step()
      try layer(index, &states, into: &sums)
    }
    step()
    states.reference = try reference.finalNorm(states.reference)
    for (place, candidate) in candidates.enumerated() {
      states.candidates[place] = try candidate.network.finalNorm(states.candidates[place])
    }
    try addHeads(states, depth: 0, to: &sums)
    let mtpLayers = candidates.map(\.mtpLayers).max() ?? 0
    for index in 0..<mtpLayers where batch.rows(depth: index + 1) > 0 {
      step()
      try predictor(index, &states, into: &sums)
      states.reference = try reference.finalNorm(states.reference, depth: index + 1)
      for place in taking(index) {
        states.candidates[place] = try candidates[place].network.finalNorm(
          states.candidates[place], depth: index + 1)
      }
      step()
      try addHeads(states, depth: index + 1, to: &sums)
    }
  }

  /// The candidates whose MTP layer `index` is compared.
  private func taking(_ index: Int) -> [Int] {
    candidates.indices.filter { candidates[$0].mtpLayers > index }
  }

  private func addHeads(
    _ normed: States, depth: Int, to sums: inout [ComparisonSums]
  ) throws(Fault) {
    let places = depth == 0 ? Array(candidates.indices) : taking(depth - 1)
    let found = try LogitsComparison.heads(
      (reference, normed.reference),
      places.map { (candidates[$0].network, normed.candidates[$0]) },
      targets: batch.ids(depth: depth, distance: depth + 1), threads: threads)
    for (place, head) in zip(places, found) { sums[place].heads[depth] += head }
  }

  /// What a layer of a candidate gives: its own stream, and what it makes of the reference's.
  private struct Output {
    let states: Activations
    let routing: Routing?
    var own: (states: Activations, routing: Routing?)?

    /// Where `isJoined`, the reference's rows are behind the candidate's.
    init(_ states: Activations, _ routing: Routing?, isJoined: Bool) {
      guard isJoined else {
        (self.states, self.routing) = (states, routing)
        return
      }
      let (parts, routings) = (states.split(2), routing?.split(2))
      (self.states, self.routing) = (parts[0], routings?[0])
      own = (parts[1], routings?[1])
    }
  }

  /// Decoder layer `index` of all on their own streams (tokens, hidden), which it replaces.
  private func layer(
    _ index: Int, _ states: inout States, into sums: inout [ComparisonSums]
  ) throws(Fault) {
    var outputs: [Output] = []
    for (place, candidate) in candidates.enumerated() {
      let isolates = sums[place].layers[index].own != nil
      // The candidate's stream beside the reference's: each weight is read once for both.
      let input =
        isolates
        ? Activations(joining: [states.candidates[place], states.reference])
        : states.candidates[place]
      let routing = try candidate.network.layer(
        index, hidden: input, batch: try batch.times(isolates ? 2 : 1))
      outputs.append(Output(input, routing, isJoined: isolates))
      states.candidates[place] = outputs[place].states
    }
    let routing = try reference.layer(index, hidden: states.reference, batch: batch)
    for (place, output) in outputs.enumerated() {
      sums[place].layers[index].add(
        (states.reference, output.states), (routing, output.routing), own: output.own,
        lengths: batch.lengths())
    }
  }

  /// MTP layer `index` of all on their own normed states (rows, hidden), which its output replaces.
  private func predictor(
    _ index: Int, _ states: inout States, into sums: inout [ComparisonSums]
  ) throws(Fault) {
    let layer = reference.config.layers + index
    let previous = states.reference
    let expected = try reference.predictor(index, previous: previous, batch: batch)
    states.reference = expected.hidden
    for place in taking(index) {
      let isolates = sums[place].layers[layer].own != nil
      let input =
        isolates
        ? Activations(joining: [states.candidates[place], previous]) : states.candidates[place]
      let found = try candidates[place].network.predictor(
        index, previous: input, batch: try batch.times(isolates ? 2 : 1))
      let output = Output(found.hidden, found.routing, isJoined: isolates)
      states.candidates[place] = output.states
      sums[place].layers[layer].add(
        (states.reference, output.states), (expected.routing, output.routing), own: output.own,
        lengths: batch.lengths(depth: index + 1))
    }
  }
}
