internal import Codecs
internal import Formats
internal import Locks
package import Models
package import Platform
internal import Reference
package import Reports
internal import Synchronization
internal import Tensors

/// One forward pass whose logits go to a file.
///
/// Sequences run in groups whose activations fit the memory that is given; each group reads all
/// weights once. Logits are written where they belong as they are computed and never held.
package struct LogitsRun {
  private let network: Network
  private let finiteness: FinitenessCheck
  private let sequences: [[Int]]
  private let mtpLayers: Int
  /// Sequences of a group.
  private let together: Int
  private let threads: Int
  private let profile: PassProfile?
  /// How long it will take; nil where that is not long.
  package let forecast: Forecast?

  /// Checks the tokens and divides the memory.
  ///
  /// - Parameters:
  ///   - sequences: token ids, all of one length, as the file's tensors have to be rectangular.
  ///   - mtp: whether to run the MTP layers.
  ///   - memory: bytes that the process may have in memory; nil for 1 GB, or for more where that
  ///     does not do.
  ///   - runtime: whose rounding is imitated; nil for none.
  ///   - isProfiled: whether to take note of where the time goes.
  /// - Throws: `.malformed` for ids outside the vocabulary, for ragged sequences and for weights
  ///   that are missing or wrong; `.usage` with the least memory that does, where the limit cannot
  ///   be kept.
  package init(
    _ files: ModelFiles, sequences: [[Int]], mtp: Bool, threads: Int, memory: Int?,
    runtime: RuntimeArithmetic? = nil, isProfiled: Bool = false
  ) throws(Fault) {
    try files.requireReadable(by: runtime)
    let config = files.config
    _ = try TokenBatch(sequences, vocabSize: config.vocabSize)
    let length = sequences[0].count
    if let odd = sequences.firstIndex(where: { $0.count != length }) {
      throw Fault(
        .malformed, "sequence \(odd) of the input is not as long as the first",
        expected: "\(length) tokens, as logits are one tensor", found: "\(sequences[odd].count)")
    }
    let weights = try CheckpointWeights(files.weights, config: config, mtp: mtp)
    let mtpLayers = mtp ? config.mtpLayers : 0
    let budget = try MemoryBudget(
      limit: memory, threads: threads, sequences: sequences.count, isDivisible: true
    ) { together, plan, threads in
      Network.bytes(
        rows: together * length, longest: length, config: config, mtpLayers: mtpLayers,
        threads: threads, plan: plan, rounds: runtime != nil)
    }
    profile = isProfiled ? PassProfile() : nil
    network = Network(
      config: config, weights: weights, threads: budget.threads, plan: budget.plan,
      runtime: runtime, profile: profile)
    finiteness = FinitenessCheck(files.weights)
    self.sequences = sequences
    self.mtpLayers = mtpLayers
    together = budget.together
    self.threads = budget.threads
    forecast = try Forecast(
      files, lengths: sequences.map(\.count),
      passes: (sequences.count + together - 1) / together, mtpLayers: mtpLayers,
      threads: budget.threads)
  }

  /// Tensors to be written: `logits` (batch, tokens, vocab), then `mtp_logits` (batch, tokens − 1,
  /// vocab), `mtp_logits_2` (batch, tokens − 2, vocab) and so on.
  private func layout() throws(Fault) -> SafetensorsWriterLayout {
    var entries: [SafetensorsWriterLayout.Entry] = []
    for depth in 0...mtpLayers {
      let name =
        depth == 0 ? "logits" : depth == 1 ? "mtp_logits" : "mtp_logits_\(depth)"
      let length = max(0, sequences[0].count - depth)
      guard let shape = Shape([sequences.count, length, network.config.vocabSize]),
        let entry = SafetensorsWriterLayout.Entry(name: ExactText(name), type: .f32, shape: shape)
      else { throw Fault(.malformed, "the logits of so many tokens have an impossible size") }
      entries.append(entry)
    }
    return try SafetensorsWriterLayout(entries, shardLimit: .max)
  }

  /// Runs the network and writes the file, complete or not at all.
  ///
  /// - Parameter progress: called with the layers done and all layers.
  /// - Returns: what was written, and what was seen of it.
  /// - Throws: what the forward pass and the writing throw.
  package func write(
    to destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> Written {
    let layout = try layout()
    let file = layout.files[0]
    try destination.requireSpace(file.byteCount)
    let output = try AtomicFile(at: destination)
    try output.file.append(file.header)
    let places = try output.file.placed(size: file.byteCount)
    var starts = [Int](repeating: 0, count: file.tensors.count)
    for (tensor, offset) in zip(file.tensors, file.offsets) { starts[tensor] = offset }
    let tops = try run(into: places, starts: starts, progress)
    try output.commit()
    profile?.close()
    return Written(
      tensors: layout.entries.map { ($0.name.text, $0.shape.dimensions) },
      drafts: Drafts.kept(lengths: sequences.map(\.count), tops: tops),
      profile: profile?.table(threads: threads))
  }

  /// What a run has written.
  package struct Written: Sendable {
    /// Names and shapes, in the order of depth.
    package let tensors: [(name: String, shape: [Int])]
    /// How many of each MTP layer's first choices are the main model's.
    package let drafts: [(positions: Int, kept: Int)]
    /// Where the time went; nil where nobody asked.
    package let profile: TextTable?
  }

  /// The largest logit of a row and its token, the lower one of equals.
  private struct Top: Sendable {
    var token = Int.max
    var logit = -Float.infinity

    init() {}

    init(_ logits: UnsafeBufferPointer<Float>, from first: Int) {
      logit = VectorMath.largest(logits)
      token = logits.firstIndex(of: logit).map { first + $0 } ?? .max
    }
  }

  /// Runs all groups; `starts` is where the tensor of each depth begins in the file.
  ///
  /// - Returns: for each depth the most likely token of each row.
  private func run(
    into file: PlacedOutput, starts: [Int], _ progress: (Int, Int) -> Void
  ) throws(Fault) -> [[Int]] {
    var tops = starts.map { _ in [Int]() }
    let groups = stride(from: 0, to: sequences.count, by: together).map {
      $0..<min($0 + together, sequences.count)
    }
    // The head counts as a layer: it often has more weights than one.
    let steps = groups.count * (network.config.layers + 1 + 2 * mtpLayers)
    var done = 0
    func step() {
      progress(done, steps)
      done += 1
    }
    for group in groups {
      let batch = try TokenBatch(Array(sequences[group]), vocabSize: network.config.vocabSize)
      var states = try states(of: batch, step)
      step()
      tops[0] += try write(states, depth: 0, from: group.lowerBound, at: starts[0], to: file)
      for index in 0..<mtpLayers where batch.rows(depth: index + 1) > 0 {
        step()
        states = try network.predictor(index, previous: states, batch: batch).hidden
        states = try network.finalNorm(states, depth: index + 1)
        try finiteness.require(states, ofLayer: network.config.layers + index)
        step()
        tops[index + 1] += try write(
          states, depth: index + 1, from: group.lowerBound, at: starts[index + 1], to: file)
      }
    }
    return tops
  }

  /// Hidden states after the final norm.
  private func states(of batch: TokenBatch, _ step: () -> Void) throws(Fault) -> Activations {
    let hidden = try network.embed(batch)
    try finiteness.require(hidden, "the embedding", ["model.embed_tokens.weight"])
    for layer in 0..<network.config.layers {
      step()
      _ = try network.layer(layer, hidden: hidden, batch: batch)
      try finiteness.require(hidden, ofLayer: layer)
    }
    let normed = try network.finalNorm(hidden)
    try finiteness.require(normed, "the last norm", ["model.norm.weight"])
    return normed
  }

  /// How often rows that are filled piece by piece are sent to the disk meanwhile: seldom, since the
  /// page between two pieces goes there twice.
  private static let flushes = 4

  /// Writes the logits of normed (tokens, hidden), whose first row is that of a sequence's start.
  ///
  /// - Returns: the most likely token of each row.
  private func write(
    _ normed: Activations, depth: Int, from sequence: Int, at start: Int, to file: PlacedOutput
  ) throws(Fault) -> [Int] {
    let tops = Guarded([Top](repeating: Top(), count: normed.rows))
    let rowBytes = network.config.vocabSize * MemoryLayout<Float>.stride
    let base = start + sequence * (sequences[0].count - depth) * rowBytes
    var last: Range<Int>?
    for first in stride(from: 0, to: normed.rows, by: network.logitsRows) {
      let rows = first..<min(first + network.logitsRows, normed.rows)
      let place = base + rows.lowerBound * rowBytes..<base + rows.upperBound * rowBytes
      let finiteness = finiteness
      let written = Atomic<Int>(0)
      let flushing = Guarded<BackgroundJob?>(nil)
      let stretch = max(1, place.count / LogitsRun.flushes)
      try network.eachLogits(of: normed, rows: rows) { row, id, logits throws(Fault) in
        try finiteness.require(logits: logits)
        let own = Top(logits, from: id)
        tops.withLock { tops in
          let best = tops[row]
          let wins = own.logit > best.logit || own.logit == best.logit && own.token < best.token
          if wins { tops[row] = own }
        }
        let bytes = UnsafeRawBufferPointer(logits)
        try file.write(bytes, at: base + row * rowBytes + id * MemoryLayout<Float>.stride)
        let now = written.wrappingAdd(bytes.count, ordering: .relaxed).newValue
        if now / stretch > (now - bytes.count) / stretch {
          // The system takes its time over it; whoever replaces or drops the job waits for it.
          flushing.withLock { $0 = BackgroundJob { file.startFlushing(place) } }
        }
      }
      if let last { try file.settle(last) }
      last = place
    }
    return tops.withLock { $0.map(\.token) }
  }
}
