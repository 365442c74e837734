internal import Models
internal import Platform
internal import Reference
internal import Reports

/// Two models, one of which lends parts to the other.
struct BlameModels {
  let reference: ModelConfig
  let candidate: ModelConfig
  let referenceWeights: any WeightSource
  let candidateWeights: any WeightSource
  /// Tensors that only the candidate has, for keys that make the network ask for them.
  let additional: Set<String>
  let mtpLayers: Int
  let threads: Int
  /// How networks divide their work to fit into memory.
  let plan: MemoryPlan

  /// The reference with a part of the candidate; the reference itself without one.
  func network(_ part: BlamePart? = nil) -> Network {
    var config = reference
    part?.config?.apply(&config)
    let weights = SwappedWeights(
      base: referenceWeights, other: part?.weights ?? candidateWeights,
      names: additional.union(part?.tensors ?? []))
    return Network(config: config, weights: weights, threads: threads, plan: plan)
  }
}

/// One pass of the reference over all layers, with variants of it beside it: each is the reference
/// with one part exchanged.
///
/// A variant does not exist before the first step that its part touches. It takes such steps with
/// weights of its own; all others together with the reference, as further sequences of one batch,
/// so that the reference's weights are read once for all variants.
struct BlameSweep {
  let models: BlameModels
  let parts: [BlamePart]
  let batch: TokenBatch
  let plain: Network
  /// The reference's state: (rows, hidden).
  private var state: Activations
  /// The variants' states; nil where one is the reference's.
  private var states: [Activations?]
  /// By variant the mean KL divergence and NMSE of the head where they are worst.
  private(set) var results: [(kl: Double, nmse: Double)]

  init(_ models: BlameModels, parts: [BlamePart], batch: TokenBatch) throws(Fault) {
    self.models = models
    self.parts = parts
    self.batch = batch
    plain = models.network()
    state = try plain.embed(batch)
    states = []
    results = parts.map { _ in (0, 0) }
    for part in parts {
      states.append(touches(part, .embedding) ? try models.network(part).embed(batch) : nil)
    }
  }

  private func touches(_ part: BlamePart, _ stage: BlameStage) -> Bool {
    part.touches(stage, layers: models.reference.layers, isTied: models.reference.tiedEmbeddings)
  }

  /// The first decoder layer that a variant needs.
  private var firstLayer: Int {
    parts.map { $0.kind == .config || $0.layer == nil ? 0 : $0.layer ?? 0 }.min() ?? 0
  }

  /// Runs everything.
  ///
  /// - Parameters:
  ///   - snapshots: the reference's states before layers, from earlier sweeps over the same tokens;
  ///     this one starts at the first layer that it needs, and adds the states before layers of
  ///     `keep`.
  mutating func run(
    snapshots: inout [Int: Activations], keep: Set<Int>,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    let layers = models.reference.layers
    var start = 0
    if let (layer, stored) = snapshots.filter({ $0.key <= firstLayer }).max(by: { $0.key < $1.key })
    {
      (start, state) = (layer, stored.copy)
    }
    for index in start..<layers {
      progress(index, layers + models.mtpLayers)
      if keep.contains(index), snapshots[index] == nil { snapshots[index] = state.copy }
      try advance(.layer(index)) { network, input, batch throws(Fault) in
        _ = try network.layer(index, hidden: input, batch: batch)
        return input
      }
    }
    try advance(.finalNorm) { network, input, _ throws(Fault) in
      return try network.finalNorm(input)
    }
    try measure(depth: 0)
    for index in 0..<models.mtpLayers where batch.rows(depth: index + 1) > 0 {
      progress(layers + index, layers + models.mtpLayers)
      try advance(.layer(layers + index)) { network, input, batch throws(Fault) in
        let hidden = try network.predictor(index, previous: input, batch: batch).hidden
        return try network.finalNorm(hidden, depth: index + 1)
      }
      try measure(depth: index + 1)
    }
  }

  /// Takes a step with the reference and all variants; `step` may change its input.
  private mutating func advance(
    _ stage: BlameStage,
    _ step: (Network, Activations, TokenBatch) throws(Fault) -> Activations
  ) throws(Fault) {
    var own: [Int: Activations] = [:]
    var shared: [Int] = []
    for (index, part) in parts.enumerated() {
      if touches(part, stage) {
        own[index] = try step(models.network(part), (states[index] ?? state).copy, batch)
      } else if states[index] != nil {
        shared.append(index)
      }
    }
    let inputs = [state] + shared.compactMap { states[$0] }
    let outputs = try step(
      plain, Activations(joining: inputs), try batch.times(inputs.count)
    ).split(inputs.count)
    state = outputs[0]
    for (place, index) in shared.enumerated() { own[index] = outputs[place + 1] }
    // A variant that is equal to the reference again will stay so until its part comes.
    for (index, output) in own { states[index] = output.equals(state) ? nil : output }
  }

  private mutating func measure(depth: Int) throws(Fault) {
    let targets = batch.ids(depth: depth, distance: depth + 1)
    for (index, part) in parts.enumerated() {
      let hasOwnHead = touches(part, .head)
      guard states[index] != nil || hasOwnHead else { continue }
      let metrics = LogitsMetrics(
        try LogitsComparison.heads(
          (plain, state),
          [(hasOwnHead ? models.network(part) : plain, states[index] ?? state)],
          targets: targets, threads: models.threads)[0])
      if metrics.klMean.badness > results[index].kl.badness || results[index].nmse == 0 {
        results[index] = (metrics.klMean, metrics.nmse)
      }
    }
  }
}

extension Activations {
  /// Whether all values are the same numbers, and the same keys are seen.
  func equals(_ other: Activations) -> Bool {
    let sameKeys =
      switch (chosenKeys, other.chosenKeys) {
      case (nil, nil): true
      case (let one?, let two?): one.equals(two)
      default: false
      }
    return sameKeys && rows == other.rows && columns == other.columns
      && values.elementsEqual(other.values)
  }
}
