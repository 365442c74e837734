internal import Models
public import Platform
public import Reference
internal import Synchronization

/// Runs two networks in lock step over the same tokens and compares them after every layer and at
/// the head.
///
/// Neither all hidden states nor all logits are ever held: a layer's are compared and replaced by
/// the next one's, and the vocabulary passes by in tiles.
public struct LogitsComparison: Sendable {
  /// A layer's difference; MTP layers follow the decoder layers.
  public struct Layer: Sendable, Hashable {
    /// Index as in `model.layers.N`.
    public let index: Int
    /// Σ (candidate − reference)² / Σ reference² of the residual stream after the layer; NaN where
    /// it is not finite.
    public let hiddenNmse: Double
    /// Share of the reference's expert choices that the candidate makes too; nil for a dense layer.
    public let routerAgreement: Double?
  }

  /// The main model's logits.
  public let main: LogitsMetrics
  /// Those of the MTP layers that both models have, in order.
  public let mtp: [LogitsMetrics]
  /// Layers in order.
  public let layers: [Layer]

  /// Runs both networks.
  ///
  /// - Parameters:
  ///   - mtpLayers: how many MTP layers to compare; both networks must have them.
  ///   - progress: called with the layers done and all layers.
  /// - Throws: `.malformed` where the networks do not have the same layers and vocabulary, and what
  ///   the forward pass throws.
  public init(
    reference: Network, candidate: Network, batch: TokenBatch, mtpLayers: Int, threads: Int,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(Fault) {
    try LogitsComparison.requireLikeness(reference, candidate)
    var layers: [Layer] = []
    let hidden = (try reference.embed(batch), try candidate.embed(batch))
    for index in 0..<reference.config.layers {
      progress(index, reference.config.layers + mtpLayers)
      let routing = (
        try reference.layer(index, hidden: hidden.0, batch: batch),
        try candidate.layer(index, hidden: hidden.1, batch: batch)
      )
      layers.append(LogitsComparison.layer(index, hidden, routing))
    }
    var normed = (try reference.finalNorm(hidden.0), try candidate.finalNorm(hidden.1))
    main = try LogitsComparison.head(
      reference, candidate, normed, targets: batch.ids(depth: 0, distance: 1), threads: threads)
    var mtp: [LogitsMetrics] = []
    for index in 0..<mtpLayers where batch.rows(depth: index + 1) > 0 {
      progress(reference.config.layers + index, reference.config.layers + mtpLayers)
      let predictions = (
        try reference.predictor(index, previous: normed.0, batch: batch),
        try candidate.predictor(index, previous: normed.1, batch: batch)
      )
      layers.append(
        LogitsComparison.layer(
          reference.config.layers + index, (predictions.0.hidden, predictions.1.hidden),
          (predictions.0.routing, predictions.1.routing)))
      normed = (predictions.0.normed, predictions.1.normed)
      mtp.append(
        try LogitsComparison.head(
          reference, candidate, normed,
          targets: batch.ids(depth: index + 1, distance: index + 2), threads: threads))
    }
    self.layers = layers
    self.mtp = mtp
  }

  /// Only models of one shape can be compared position by position and layer by layer.
  private static func requireLikeness(
    _ reference: Network, _ candidate: Network
  ) throws(Fault) {
    let (a, b) = (reference.config, candidate.config)
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

  /// hidden (tokens, hidden) of both after a layer → how far they are apart.
  private static func layer(
    _ index: Int, _ hidden: (Activations, Activations), _ routing: (Routing?, Routing?)
  ) -> Layer {
    let (a, b) = (hidden.0.values, hidden.1.values)
    var (error, energy) = (0.0, 0.0)
    for place in 0..<a.count {
      let difference = Double(b[place]) - Double(a[place])
      error += difference * difference
      energy += Double(a[place]) * Double(a[place])
    }
    let nmse = error == 0 ? 0 : error / energy
    var agreement: Double?
    if let reference = routing.0, let candidate = routing.1,
      reference.choices == candidate.choices
    {
      agreement = reference.agreement(with: candidate)
    }
    return Layer(index: index, hiddenNmse: nmse, routerAgreement: agreement)
  }

  /// Compares logits tile by tile of the vocabulary: normed (tokens, hidden) of both.
  private static func head(
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
