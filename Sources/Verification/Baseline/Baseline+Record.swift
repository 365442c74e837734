internal import Formats
package import Models
package import Passes
package import Platform
internal import Reference
internal import Reports

/// What `fathom verify --record` is asked to do.
package struct RecordRequest: Sendable {
  /// Path of the model.
  package var reference: String
  /// What it is run on.
  package var input: ModelInput
  /// Tokens whose logits are kept for each position, on average.
  package var keep = 64
  /// Whether to run MTP layers too.
  package var mtp = true
  /// Threads to compute with; the file does not depend on it.
  package var threads = Workers.available
  /// Whether to leave out what may belong to the network and is not known.
  package var ignoresUnknown = false
  /// Bytes that the process may have in memory; nil for 1 GB, or for more where that does not do.
  package var memory: Int?

  /// Asks for a baseline; everything else has a default.
  package init(reference: String, input: ModelInput) {
    self.reference = reference
    self.input = input
  }
}

extension Baseline {
  /// Runs a model and keeps what candidates can be measured against.
  ///
  /// - Parameters:
  ///   - forecast: called before a pass that takes long.
  ///   - progress: called with the layers done and all layers.
  /// - Throws: what opening the model, reading the tokens and the forward pass throw; `.malformed`
  ///   where a logit is not finite; `.usage` with the least memory that does, where the limit cannot
  ///   be kept.
  package init(
    _ request: RecordRequest, forecast: (Forecast) -> Void = { _ in },
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    let model = try ModelFiles(
      path: request.reference, threads: request.threads, ignoresUnknown: request.ignoresUnknown)
    let mtpLayers = request.mtp ? model.config.mtpLayers : 0
    let sequences = try request.input.read(for: model).sequences
    let batch = try TokenBatch(sequences, vocabSize: model.config.vocabSize)
    let run = try BaselineRun(
      model, batch: batch, mtpLayers: mtpLayers, keep: request.keep, threads: request.threads,
      memory: request.memory)
    if let expected = run.forecast { forecast(expected) }
    let network = run.network
    var states = try network.embed(batch)
    let embedding = StateSketch(states)
    var layers: [BaselineLayer] = []
    for index in 0..<model.config.layers {
      progress(index, model.config.layers + mtpLayers)
      let routing = try network.layer(index, hidden: states, batch: batch)
      layers.append(BaselineLayer(states, routing))
    }
    states = try network.finalNorm(states)
    var heads: [BaselineHead] = []
    func record(depth: Int) throws(Fault) {
      heads.append(
        try BaselineHead(
          network, normed: states, targets: batch.ids(depth: depth, distance: depth + 1),
          keep: request.keep, threads: run.threads))
    }
    try record(depth: 0)
    for index in 0..<mtpLayers {
      progress(model.config.layers + index, model.config.layers + mtpLayers)
      guard batch.rows(depth: index + 1) > 0 else {
        heads.append(BaselineHead())
        layers.append(BaselineLayer(state: StateSketch(), choices: 0, experts: []))
        continue
      }
      let (hidden, routing) = try network.predictor(index, previous: states, batch: batch)
      states = hidden
      layers.append(BaselineLayer(states, routing))
      states = try network.finalNorm(states, depth: index + 1)
      try record(depth: index + 1)
    }
    self.init(
      reference: Folder.name(of: request.reference).text,
      config: model.checkpoint.config, network: model.config, sequences: sequences, heads: heads,
      embedding: embedding, layers: layers, measured: try MeasuredFiles.json(model))
  }

  /// Collects what was kept elsewhere; the heads say how many MTP layers there are.
  package init(
    reference: String, config: JSONValue, network: ModelConfig, sequences: [[Int]],
    heads: [BaselineHead], embedding: StateSketch, layers: [BaselineLayer], measured: JSONValue
  ) {
    self.heads = heads
    self.embedding = embedding
    self.layers = layers
    self.sequences = sequences
    header = Header(
      reference: reference, config: config, network: network, mtpLayers: heads.count - 1,
      lengths: sequences.map(\.count), entries: heads.map(\.ids.count),
      choices: layers.map(\.choices), measured: measured)
  }

  /// Writes the file, complete or not at all.
  ///
  /// - Returns: its size in bytes.
  /// - Throws: `.cannotCreate` or `.inputOutput`; `.malformed` for more tokens than it can hold.
  package func write(to destination: OutputPath) throws(Fault) -> Int {
    let bytes = try encoded()
    let output = try AtomicFile(at: destination)
    try output.file.append(bytes)
    try output.commit()
    return bytes.count
  }

  /// What was kept, in a line.
  package var summary: String {
    let positions = heads.reduce(0) { $0 + $1.positions }
    let entries = header.entries.reduce(0, +)
    let tail = heads.flatMap(\.tailMasses).reduce(0, +) / Double(max(1, positions))
    return "\(Quantity.plural(header.rows(depth: 0), "token")), "
      + "\(Quantity.count(entries)) logits of \(Quantity.plural(positions, "position")), "
      + "\(Quantity.percent(1 - tail)) of the probability"
  }
}

extension BaselineHead {
  /// Keeps what a network predicts from normed states (rows, hidden), block after block.
  init(
    _ network: Network, normed: Activations, targets: [Int?], keep: Int, threads: Int
  ) throws(Fault) {
    var head = BaselineHead()
    var sketch = StateSketch()
    for start in stride(from: 0, to: targets.count, by: BaselineHead.block) {
      let rows = start..<min(start + BaselineHead.block, targets.count)
      let recorder = BaselineHeadRecorder(
        LogitsSource(network, normed: normed, rows: rows), targets: Array(targets[rows]),
        first: start, keep: keep, threads: threads)
      head.append(try recorder.record(into: &sketch))
    }
    head.sketch = sketch
    self = head
  }

  /// Compares it with what a network predicts from normed states (rows, hidden).
  func metrics(
    _ network: Network, normed: Activations, targets: [Int?], threads: Int
  ) throws(Fault) -> LogitsMetrics {
    var comparison = BaselineHeadComparison(self, targets: targets, threads: threads)
    for start in stride(from: 0, to: targets.count, by: BaselineHead.block) {
      let rows = start..<min(start + BaselineHead.block, targets.count)
      try comparison.add(LogitsSource(network, normed: normed, rows: rows))
    }
    return comparison.metrics
  }
}
