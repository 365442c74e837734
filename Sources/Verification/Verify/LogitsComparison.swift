internal import Models
public import Platform
public import Reference
internal import Synchronization

/// Two networks compared over the same tokens, after every layer and at the head.
///
/// They run in lock step. Neither all hidden states nor all logits are ever held: a layer's are
/// compared and replaced by the next one's, and the vocabulary passes by in tiles.
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
  ///   - mtpLayers: how many MTP layers to compare; both networks must have them.
  ///   - isolates: whether to feed the reference's hidden states into the candidate's layers too,
  ///     which takes another pass of the candidate over weights that are read once for both.
  ///   - progress: called with the layers done and all layers.
  /// - Throws: `.malformed` where the networks do not have the same layers and vocabulary, and what
  ///   the forward pass throws.
  public init(
    reference: Network, candidate: Network, batch: TokenBatch, mtpLayers: Int,
    isolates: Bool = false, threads: Int,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(Fault) {
    try LogitsComparison.requireLikeness(reference.config, candidate.config)
    let pair = NetworkPair(
      reference: reference, candidate: candidate, batch: batch, isolates: isolates)
    var layers: [Layer] = []
    let total = reference.config.layers + mtpLayers
    var hidden = (try reference.embed(batch), try candidate.embed(batch))
    embeddingNmse = hidden.1.nmse(against: hidden.0)
    for index in 0..<reference.config.layers {
      progress(index, total)
      layers.append(try pair.layer(index, hidden: &hidden))
    }
    var normed = (try reference.finalNorm(hidden.0), try candidate.finalNorm(hidden.1))
    main = try LogitsComparison.head(
      reference, candidate, normed, targets: batch.ids(depth: 0, distance: 1), threads: threads)
    var mtp: [LogitsMetrics] = []
    for index in 0..<mtpLayers where batch.rows(depth: index + 1) > 0 {
      progress(reference.config.layers + index, total)
      layers.append(try pair.predictor(index, normed: &normed))
      mtp.append(
        try LogitsComparison.head(
          reference, candidate, normed,
          targets: batch.ids(depth: index + 1, distance: index + 2), threads: threads))
    }
    self.layers = layers
    self.mtp = mtp
  }

  /// Only models of one shape can be compared position by position and layer by layer.
  static func requireLikeness(
    _ a: DeepSeekV3Config, _ b: DeepSeekV3Config
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

  /// Compares logits tile by tile of the vocabulary: normed (tokens, hidden) of both.
  static func head(
    _ reference: Network, _ candidate: Network, _ normed: (Activations, Activations),
    targets: [Int?], threads: Int
  ) throws(Fault) -> LogitsMetrics {
    let states = Mutex(targets.map { PositionSums(target: $0) })
    for tile in reference.vocabularyTiles {
      let a = Activations(unwrittenRows: targets.count, columns: tile.count)
      let b = Activations(unwrittenRows: targets.count, columns: tile.count)
      try reference.logits(of: normed.0, vocabulary: tile, into: a)
      try candidate.logits(of: normed.1, vocabulary: tile, into: b)
      try Workers.run(threads: threads, count: targets.count) { _, row throws(Fault) in
        var state = states.withLock { $0[row] }
        state.add(a[row], b[row], vocabulary: tile)
        let result = state
        states.withLock { $0[row] = result }
      }
    }
    return LogitsMetrics(states.withLock { $0 })
  }
}

/// One layer at a time of both networks.
private struct NetworkPair {
  let reference: Network
  let candidate: Network
  let batch: TokenBatch
  let isolates: Bool

  /// Decoder layer `index` of both on their own streams (tokens, hidden), which it replaces.
  func layer(
    _ index: Int, hidden: inout (Activations, Activations)
  ) throws(Fault) -> LogitsComparison.Layer {
    guard isolates else {
      let routing = (
        try reference.layer(index, hidden: hidden.0, batch: batch),
        try candidate.layer(index, hidden: hidden.1, batch: batch)
      )
      return LogitsComparison.Layer(index, hidden, routing, own: nil)
    }
    // The candidate's stream beside the reference's: each weight is read once for both.
    let both = Activations(joining: [hidden.1, hidden.0])
    let routings = try candidate.layer(index, hidden: both, batch: try batch.times(2))?.split(2)
    let routing = try reference.layer(index, hidden: hidden.0, batch: batch)
    let outputs = both.split(2)
    hidden.1 = outputs[0]
    return LogitsComparison.Layer(
      index, hidden, (routing, routings?[0]),
      own: LogitsComparison.Own((hidden.0, outputs[1]), (routing, routings?[1])))
  }

  /// MTP layer `index` of both on their own normed states (rows, hidden), which it replaces.
  func predictor(
    _ index: Int, normed: inout (Activations, Activations)
  ) throws(Fault) -> LogitsComparison.Layer {
    let number = reference.config.layers + index
    let expected = try reference.predictor(index, previous: normed.0, batch: batch)
    guard isolates else {
      let found = try candidate.predictor(index, previous: normed.1, batch: batch)
      normed = (expected.normed, found.normed)
      return LogitsComparison.Layer(
        number, (expected.hidden, found.hidden), (expected.routing, found.routing), own: nil)
    }
    let found = try candidate.predictor(
      index, previous: Activations(joining: [normed.1, normed.0]), batch: try batch.times(2))
    let (hidden, routings) = (found.hidden.split(2), found.routing?.split(2))
    normed = (expected.normed, found.normed.split(2)[0])
    return LogitsComparison.Layer(
      number, (expected.hidden, hidden[0]), (expected.routing, routings?[0]),
      own: LogitsComparison.Own((expected.hidden, hidden[1]), (expected.routing, routings?[1])))
  }
}
