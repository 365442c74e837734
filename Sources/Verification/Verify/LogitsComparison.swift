internal import Locks
internal import Models
public import Platform
public import Reference

/// Two networks compared over the same tokens, after every layer and at the head.
///
/// They run in lock step. Neither all hidden states nor all logits are ever held: a layer's are
/// compared and replaced by the next one's, and the vocabulary passes by in tiles. Sums are taken in
/// the order of the tokens, so that neither threads nor memory show in them.
public struct LogitsComparison: Sendable {
  /// The main model's logits.
  public let main: LogitsMetrics
  /// Those of the MTP layers that both models have, in order.
  public let mtp: [LogitsMetrics]
  /// NMSE of the token embeddings, before the first layer.
  public let embeddingNmse: Double
  /// Layers in order.
  public let layers: [Layer]

  /// Collects measurements that were made elsewhere.
  package init(
    main: LogitsMetrics, mtp: [LogitsMetrics], embeddingNmse: Double, layers: [Layer]
  ) {
    self.main = main
    self.mtp = mtp
    self.embeddingNmse = embeddingNmse
    self.layers = layers
  }

  /// Runs both networks.
  ///
  /// - Parameters:
  ///   - batches: sequences, those of a batch together and the batches one after the other, each
  ///     through all weights; how they are divided does not show in the result.
  ///   - mtpLayers: how many MTP layers to compare; both networks must have them.
  ///   - isolates: whether to feed the reference's hidden states into the candidate's layers too,
  ///     which takes another pass of the candidate over weights that are read once for both.
  ///   - progress: called with the layers done and all layers, a head counting as one.
  /// - Throws: `.malformed` where the networks do not have the same layers and vocabulary, and what
  ///   the forward pass throws.
  public init(
    reference: Network, candidate: Network, batches: [TokenBatch], mtpLayers: Int,
    isolates: Bool = false, threads: Int,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(Fault) {
    try LogitsComparison.requireLikeness(reference.config, candidate.config)
    let layers = reference.config.layers
    var sums = ComparisonSums(layers: layers, mtpLayers: mtpLayers, isolates: isolates)
    let total = batches.count * (layers + 1 + 2 * mtpLayers)
    var done = 0
    for batch in batches {
      let pair = NetworkPair(
        reference: reference, candidate: candidate, batch: batch, mtpLayers: mtpLayers,
        threads: threads)
      try pair.run(into: &sums) {
        progress(done, total)
        done += 1
      }
    }
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
    ]
    for (name, expected, found) in sizes where expected != found {
      throw Fault(
        .malformed, "the candidate's \(name) is not the reference's", expected: "\(expected)",
        found: "\(found)")
    }
  }

  /// Compares logits of normed states (tokens, hidden) of both, position by position.
  static func head(
    _ reference: Network, _ candidate: Network, _ normed: (Activations, Activations),
    targets: [Int?], threads: Int
  ) throws(Fault) -> [PositionSums] {
    var sums: [PositionSums] = []
    let most = min(reference.tileRows, candidate.tileRows)
    for start in stride(from: 0, to: targets.count, by: most) {
      let rows = start..<min(start + most, targets.count)
      let states = Guarded(targets[rows].map { PositionSums(target: $0) })
      for tile in reference.vocabularyTiles {
        let a = Activations(unwrittenRows: rows.count, columns: tile.count)
        let b = Activations(unwrittenRows: rows.count, columns: tile.count)
        try reference.logits(of: normed.0, rows: rows, vocabulary: tile, into: a)
        try candidate.logits(of: normed.1, rows: rows, vocabulary: tile, into: b)
        try Workers.run(threads: threads, count: rows.count) { _, row throws(Fault) in
          var state = states.withLock { $0[row] }
          state.add(a[row], b[row], vocabulary: tile)
          let result = state
          states.withLock { $0[row] = result }
        }
      }
      sums += states.withLock { $0 }
    }
    return sums
  }
}

/// Both networks on the sequences of a batch, in lock step.
private struct NetworkPair {
  let reference: Network
  let candidate: Network
  let batch: TokenBatch
  let mtpLayers: Int
  let threads: Int

  /// Runs everything; `step` is called before each layer and each head.
  func run(into sums: inout ComparisonSums, _ step: () -> Void) throws(Fault) {
    let layers = reference.config.layers
    var states = (try reference.embed(batch), try candidate.embed(batch))
    sums.embedding.add(states)
    for index in 0..<layers {
      step()
      try layer(index, &states, into: &sums.layers[index])
    }
    step()
    try reference.finalNorm(states.0)
    try candidate.finalNorm(states.1)
    sums.heads[0] += try head(states, depth: 0)
    for index in 0..<mtpLayers where batch.rows(depth: index + 1) > 0 {
      step()
      try predictor(index, &states, into: &sums.layers[layers + index])
      try reference.finalNorm(states.0, depth: index + 1)
      try candidate.finalNorm(states.1, depth: index + 1)
      step()
      sums.heads[index + 1] += try head(states, depth: index + 1)
    }
  }

  private func head(
    _ normed: (Activations, Activations), depth: Int
  ) throws(Fault) -> [PositionSums] {
    try LogitsComparison.head(
      reference, candidate, normed, targets: batch.ids(depth: depth, distance: depth + 1),
      threads: threads)
  }

  /// Decoder layer `index` of both on their own streams (tokens, hidden), which it replaces.
  private func layer(
    _ index: Int, _ states: inout (Activations, Activations), into sums: inout LayerSums
  ) throws(Fault) {
    guard sums.own != nil else {
      let routing = (
        try reference.layer(index, hidden: states.0, batch: batch),
        try candidate.layer(index, hidden: states.1, batch: batch)
      )
      return sums.add(states, routing, lengths: batch.lengths())
    }
    // The candidate's stream beside the reference's: each weight is read once for both.
    states.1 = Activations(joining: [states.1, states.0])
    let routings = try candidate.layer(
      index, hidden: states.1, batch: try batch.times(2))?.split(2)
    let routing = try reference.layer(index, hidden: states.0, batch: batch)
    let outputs = states.1.split(2)
    states.1 = outputs[0]
    sums.add(states, (routing, routings?[0]), lengths: batch.lengths())
    sums.own?.add((states.0, outputs[1]), (routing, routings?[1]), lengths: batch.lengths())
  }

  /// MTP layer `index` of both on their own normed states (rows, hidden), which its output replaces.
  private func predictor(
    _ index: Int, _ states: inout (Activations, Activations), into sums: inout LayerSums
  ) throws(Fault) {
    let isolates = sums.own != nil
    let lengths = batch.lengths(depth: index + 1)
    if isolates { states.1 = Activations(joining: [states.1, states.0]) }
    let expected = try reference.predictor(index, previous: states.0, batch: batch)
    states.0 = expected.hidden
    let found = try candidate.predictor(
      index, previous: states.1, batch: try batch.times(isolates ? 2 : 1))
    guard isolates else {
      states.1 = found.hidden
      return sums.add(states, (expected.routing, found.routing), lengths: lengths)
    }
    let (outputs, routings) = (found.hidden.split(2), found.routing?.split(2))
    states.1 = outputs[0]
    sums.add(states, (expected.routing, routings?[0]), lengths: lengths)
    sums.own?.add((states.0, outputs[1]), (expected.routing, routings?[1]), lengths: lengths)
  }
}
