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
}

/// A pass whose weights' inputs are measured and written as an importance matrix.
///
/// Layer after layer meets all tokens: where their hidden states do not fit into memory they wait in a
/// scratch file, group by group, so that the disk is read once however many tokens there are, as long as
/// a layer fits into the system's cache.
package struct ImatrixRun {
  /// How long it will take; nil where that is not long.
  package let forecast: Forecast?
  private let request: ImatrixRequest
  private let merge: ImportanceMerge
  private let network: Network
  private let weights: CheckpointWeights
  private let inputs = InputSums()
  private let finiteness: FinitenessCheck
  private let batches: [TokenBatch]
  private let longest: Int
  private let mtpLayers: Int

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
    (self.request, self.merge, self.longest) = (request, merge, longest)
    self.mtpLayers = request.mtpLayers(of: config)
  }

  /// Runs the network and writes the file, complete or not at all.
  ///
  /// - Parameter progress: called with the layers done and all layers.
  /// - Throws: what the forward pass and the writing throw.
  package func write(
    to destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> ImatrixReport {
    let tokens = batches.reduce(0) { $0 + $1.rows() }
    var writer = try ImatrixWriter(tensors, merge, tokens: tokens, request, to: destination)
    try measure(beside: destination, progress: progress) { measured throws(Fault) in
      try writer.write(measured)
    }
    return try writer.finish()
  }

  /// The tensors that are measured.
  var tensors: [ImportanceTensor] {
    ImportanceTensor.all(of: network.config, mtpLayers: mtpLayers, output: request.output)
  }

  /// Runs the network and hands each tensor out once its sums are complete, in the order of `tensors`.
  func measure(
    beside destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void,
    _ take: (MeasuredImportance) throws(Fault) -> Void
  ) throws(Fault) {
    let (config, tensors) = (network.config, tensors)
    func handOut(_ layers: [Int?]) throws(Fault) {
      let sums = inputs.take()
      for tensor in tensors where layers.contains(tensor.layer) { try take(tensor.measured(sums)) }
    }
    var states = try store(depth: 0, beside: destination)
    for (group, batch) in batches.enumerated() {
      let hidden = try network.embed(batch)
      try finiteness.require(hidden, "the embedding", ["model.embed_tokens.weight"])
      try states.put(hidden, group)
    }
    let steps = config.layers + mtpLayers
    for layer in 0..<config.layers {
      progress(layer, steps)
      try eachGroup { group, batch throws(Fault) in
        let hidden = try states.take(group)
        _ = try network.layer(layer, hidden: hidden, batch: batch)
        try finiteness.require(hidden, ofLayer: layer)
        if layer == config.layers - 1 {
          let normed = try network.finalNorm(hidden)
          try finiteness.require(normed, "the last norm", ["model.norm.weight"])
          if request.output { try network.noteHeadInputs(normed) }
          hidden.chosenKeys = nil
        }
        try states.put(hidden, group)
      }
      try handOut(layer == config.layers - 1 ? [layer, nil] : [layer])
    }
    for index in 0..<mtpLayers {
      progress(config.layers + index, steps)
      var next = try store(depth: index + 1, beside: destination)
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
      try handOut([config.layers + index])
    }
  }

  private func store(depth: Int, beside destination: OutputPath) throws(Fault) -> StateStore {
    try StateStore(
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

/// Writes what was measured, tensor by tensor, with what other files hold.
struct ImatrixWriter {
  private let output: ImportanceOutput
  private let entries: [ExactText: ImportanceOutput.Entry]
  private let merge: ImportanceMerge
  private let chunkSize: Int
  private var written: Set<ExactText> = []
  private var report: ImatrixReport

  init(
    _ tensors: [ImportanceTensor], _ merge: ImportanceMerge, tokens: Int,
    _ request: ImatrixRequest, to destination: OutputPath
  ) throws(Fault) {
    (self.merge, chunkSize) = (merge, request.chunkSize)
    let all = try merge.entries(tensors.map(\.entry))
    guard !all.isEmpty else { throw Fault(.usage, "there is nothing to measure or to merge") }
    entries = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    let seen = tokens + merge.tokens(chunkSize: chunkSize)
    let source = ImportanceOutput.Source(
      datasets: merge.datasets + [request.dataset].compactMap(\.self), chunks: seen / chunkSize,
      chunkSize: chunkSize)
    output = try ImportanceOutput(at: destination, all, source: source, format: request.format)
    report = ImatrixReport(
      output: destination.path, tokens: tokens, source: source, entries: all.count,
      merged: merge.files.map(\.path), bytes: output.byteCount)
  }

  /// Writes one of the tensors.
  mutating func write(_ measured: MeasuredImportance) throws(Fault) {
    guard let entry = entries[measured.entry.name] else { return }
    try finish(measured.withParts(of: entry))
  }

  /// Adds what other files hold of a tensor, and writes it.
  private mutating func finish(_ own: MeasuredImportance) throws(Fault) {
    var measured = own
    for file in merge.files { try measured.add(file, chunkSize: chunkSize) }
    try measured.requireFinite()
    try measured.write(to: output)
    written.insert(measured.entry.name)
    report.note(measured)
  }

  /// Writes what is in the merged files alone, and ends the file.
  mutating func finish() throws(Fault) -> ImatrixReport {
    for (name, entry) in entries.sorted(by: { $0.key < $1.key }) where !written.contains(name) {
      try finish(MeasuredImportance(entry))
    }
    try output.commit()
    return report
  }
}

extension MeasuredImportance {
  /// The same with a count for each part of a stack that another file counts so.
  func withParts(of other: ImportanceOutput.Entry) -> MeasuredImportance {
    guard other.parts != entry.parts else { return self }
    var result = MeasuredImportance(other)
    result.sums = sums
    result.tokens = result.tokens.map { _ in tokens[0] }
    return result
  }
}

extension ImportanceMerge {
  /// Adds the files to each other alone.
  ///
  /// - Throws: what reading and writing throw.
  package func write(
    _ request: ImatrixRequest, to destination: OutputPath
  ) throws(Fault) -> ImatrixReport {
    var writer = try ImatrixWriter([], self, tokens: 0, request, to: destination)
    return try writer.finish()
  }

  /// Tokens of a chunk, where the files say so.
  package var chunkSize: Int? { files.compactMap(\.chunkSize).first }
}
