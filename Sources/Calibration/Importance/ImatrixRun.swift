package import Formats
internal import Models
package import Passes
package import Platform
internal import Reference

/// What is measured, and how.
package struct ImatrixRequest: Sendable {
  /// Token sequences.
  package var sequences: [[Int]]
  /// Tokens of a chunk, as the file will say.
  package var chunkSize: Int
  /// What the text is called in the file; nil for token ids.
  package var dataset: String?
  /// Whether the MTP layers are measured.
  package var mtp = true
  /// Whether the head is measured.
  package var output = false
  /// Threads to work with.
  package var threads = Workers.available
  /// Bytes that the process may take; nil for the customary limit.
  package var memory: Int?
  /// The file's format.
  package var format = ImportanceOutput.Format.gguf
  /// Whether to go on with what an earlier run left.
  package var resumes = false
  /// Layers after which what was measured is kept for a later run; 0 for never, nil for as often as
  /// costs little, and for never where the pass is short.
  package var keepEvery: Int?
  /// The arguments of the command that asks for it, by which a person can go on later.
  package var command: [String] = []
  /// Whether it is one of several runs that share the sequences.
  var isPart = false

  /// Asks for sequences to be measured.
  package init(sequences: [[Int]], chunkSize: Int) {
    (self.sequences, self.chunkSize) = (sequences, chunkSize)
  }

  /// MTP layers that are asked for and can be measured, whether or not a sequence reaches them.
  fileprivate func possibleMTPLayers(of config: ModelConfig) -> Int {
    mtp && config.v4 == nil ? config.mtpLayers : 0
  }

  /// What is left out of a model, a line each.
  package func notes(of files: ModelFiles) -> [String] {
    let left = files.config.mtpLayers - possibleMTPLayers(of: files.config)
    guard mtp, left > 0 else { return [] }
    return [
      "MTP layers are not measured: GGUF has DeepSeek-V4's in a file of their own, for which "
        + "llama.cpp measures nothing either"
    ]
  }

  /// MTP layers that are measured: those that the longest sequence reaches.
  func mtpLayers(of config: ModelConfig) -> Int {
    let longest = sequences.map(\.count).max() ?? 0
    return min(possibleMTPLayers(of: config), max(0, longest - 1))
  }

  /// The tensors that are measured, in the order in which a run hands them out.
  func tensors(of config: ModelConfig) -> [ImportanceTensor] {
    let all = ImportanceTensor.all(of: config, mtpLayers: mtpLayers(of: config), output: output)
    // Swift's sort is stable.
    return all.sorted { $0.layer ?? config.layers - 1 < $1.layer ?? config.layers - 1 }
  }
}

/// A pass whose weights' inputs are measured and written as an importance matrix.
///
/// Layer after layer meets all tokens: where their hidden states do not fit into memory they wait in a
/// scratch file, group by group, so that the disk is read once however many tokens there are, as long as
/// a layer fits into the system's cache.
package struct ImatrixRun {
  /// How long it will take; nil where that is not long.
  package let forecast: Forecast?
  let request: ImatrixRequest
  let files: ModelFiles
  private let merge: ImportanceMerge
  let network: Network
  private let weights: CheckpointWeights
  private let inputs = InputSums()
  private let finiteness: FinitenessCheck
  let batches: [TokenBatch]
  let longest: Int
  private let mtpLayers: Int
  /// The tensors that are measured, in the order in which they are handed out.
  let tensors: [ImportanceTensor]

  /// Checks tokens and weights and divides the memory.
  ///
  /// - Throws: as `LogitsRun` does.
  package init(
    _ files: ModelFiles, _ request: ImatrixRequest, merging merge: ImportanceMerge
  ) throws(Fault) {
    let config = files.config
    let all = try TokenBatch(request.sequences, vocabSize: config.vocabSize)
    let mtpLayers = request.possibleMTPLayers(of: config)
    let longest = all.longest
    weights = try CheckpointWeights(files.weights, config: config, mtp: mtpLayers > 0)
    let budget = try MemoryBudget(
      limit: request.memory, threads: request.threads, sequences: all.sequences.count,
      isDivisible: true
    ) { together, plan, threads in
      Network.bytes(
        rows: all.mostRows(together: together), longest: longest, config: config,
        mtpLayers: mtpLayers, threads: threads, plan: plan, notesInputs: true)
    }
    network = Network(
      config: config, weights: weights, threads: budget.threads, plan: budget.plan, inputs: inputs)
    finiteness = FinitenessCheck(files.weights)
    batches = try all.groups(of: budget.together)
    forecast = try Forecast(
      files, lengths: all.lengths(), passes: 1, mtpLayers: mtpLayers, threads: budget.threads)
    (self.request, self.files, self.merge, self.longest) = (request, files, merge, longest)
    self.mtpLayers = request.mtpLayers(of: config)
    tensors = request.tensors(of: config)
  }

  /// Runs the network and writes the file, complete or not at all.
  ///
  /// - Parameter progress: called with the layers done and all layers.
  /// - Throws: what the forward pass and the writing throw.
  package func write(
    to destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> ImatrixReport {
    let tokens = batches.reduce(0) { $0 + $1.rows() }
    // What cannot be added is refused before hours of work.
    _ = try merge.entries(tensors.map(\.entry))
    return try measure(beside: destination, progress: progress) { place throws(Fault) in
      try ImatrixWriter(
        tensors, merge, tokens: tokens, request, to: place, shownAs: destination.path)
    }
  }

  /// Layers of the network, those of MTP included.
  var layers: Int { network.config.layers + mtpLayers }

  /// What is measured in a layer; the head's with the last one of the main model.
  private func tensors(in layer: Int) -> [ImportanceTensor] {
    tensors.filter { $0.layer ?? network.config.layers - 1 == layer }
  }

  /// Runs the layers from `first` on and hands each tensor out once its sums are complete.
  ///
  /// - Parameters:
  ///   - first: layers that an earlier run has done.
  ///   - kept: the states behind them; nil where there are none.
  ///   - done: called behind each layer, with the number of layers that are done.
  func run(
    from first: Int, _ kept: StateStore?, beside destination: OutputPath,
    progress: (_ done: Int, _ total: Int) -> Void,
    _ take: (MeasuredImportance) throws(Fault) -> Void,
    _ done: (_ layers: Int, _ states: StateStore) throws(Fault) -> Void
  ) throws(Fault) {
    guard first < layers else { return }
    var states: StateStore
    if let kept { states = kept } else { states = try embedded(beside: destination) }
    for layer in first..<layers {
      progress(layer, layers)
      if layer < network.config.layers {
        try step(layer, &states)
      } else {
        try predict(layer - network.config.layers, &states, beside: destination)
      }
      let sums = inputs.take()
      for tensor in tensors(in: layer) { try take(tensor.measured(sums)) }
      try done(layer + 1, states)
    }
  }

  private func embedded(beside destination: OutputPath) throws(Fault) -> StateStore {
    var states = try store(behind: 0, beside: destination)
    for (group, batch) in batches.enumerated() {
      let hidden = try network.embed(batch)
      try finiteness.require(hidden, "the embedding", ["model.embed_tokens.weight"])
      try states.put(hidden, group)
    }
    return states
  }

  private func step(_ layer: Int, _ states: inout StateStore) throws(Fault) {
    try eachGroup { group, batch throws(Fault) in
      let hidden = try states.take(group)
      _ = try network.layer(layer, hidden: hidden, batch: batch)
      try finiteness.require(hidden, ofLayer: layer)
      if layer == network.config.layers - 1 {
        let normed = try network.finalNorm(hidden)
        try finiteness.require(normed, "the last norm", ["model.norm.weight"])
        if request.output { try network.noteHeadInputs(normed) }
        hidden.chosenKeys = nil
      }
      try states.put(hidden, group)
    }
  }

  private func predict(
    _ index: Int, _ states: inout StateStore, beside destination: OutputPath
  ) throws(Fault) {
    let config = network.config
    var next = try store(behind: config.layers + index + 1, beside: destination)
    try eachGroup { group, batch throws(Fault) in
      let previous = try states.take(group)
      guard batch.rows(depth: index + 1) > 0 else {
        return try next.put(Activations(rows: 0, columns: config.hiddenSize), group)
      }
      let hidden = try network.predictor(index, previous: previous, batch: batch).hidden
      _ = try network.finalNorm(hidden, depth: index + 1)
      try finiteness.require(hidden, ofLayer: config.layers + index)
      hidden.chosenKeys = nil
      try next.put(hidden, group)
    }
    states = next
  }

  /// Room for the states behind so many layers.
  func store(behind layers: Int, beside destination: OutputPath) throws(Fault) -> StateStore {
    let depth = max(0, layers - network.config.layers)
    return try StateStore(
      rows: batches.map { $0.rows(depth: depth) }, columns: Network.stateColumns(network.config),
      longest: longest, beside: destination)
  }

  /// Runs groups one after the other over the same weights, which wait in the system's cache for the
  /// last of them.
  private func eachGroup(
    _ body: (_ group: Int, _ batch: TokenBatch) throws(Fault) -> Void
  ) throws(Fault) {
    for (group, batch) in batches.enumerated() {
      weights.keepCached(group + 1 < batches.count)
      try body(group, batch)
    }
  }
}
