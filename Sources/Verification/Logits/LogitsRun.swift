internal import Formats
internal import Models
public import Platform
public import Reference
internal import Tensors

/// One forward pass whose logits go to a file.
///
/// Sequences run in groups whose activations fit half of the memory that is given, and logits are
/// written in blocks of positions that fit a quarter of it: each group reads all layers once, each
/// block the head. What is kept in between is (tokens, hidden) per head. The weights in use come on
/// top, and a single sequence is run however long it is.
public struct LogitsRun {
  private let network: Network
  private let sequences: [[Int]]
  private let mtpLayers: Int
  private let memory: Int

  /// Checks the tokens.
  ///
  /// - Parameters:
  ///   - sequences: token ids, all of one length, as the file's tensors have to be rectangular.
  ///   - mtpLayers: MTP layers to run, the first ones of the network.
  ///   - memory: bytes, as described above.
  /// - Throws: `.malformed` for ids outside the vocabulary and for ragged sequences.
  public init(
    network: Network, sequences: [[Int]], mtpLayers: Int, memory: Int
  ) throws(Fault) {
    precondition(mtpLayers <= network.config.mtpLayers)
    _ = try TokenBatch(sequences, vocabSize: network.config.vocabSize)
    if let odd = sequences.firstIndex(where: { $0.count != sequences[0].count }) {
      throw Fault(
        .malformed, "sequence \(odd) of the input is not as long as the first",
        expected: "\(sequences[0].count) tokens, as logits are one tensor",
        found: "\(sequences[odd].count)")
    }
    self.network = network
    self.sequences = sequences
    self.mtpLayers = mtpLayers
    self.memory = memory
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
        let entry = SafetensorsWriterLayout.Entry(name: name, type: .f32, shape: shape)
      else { throw Fault(.malformed, "the logits of so many tokens have an impossible size") }
      entries.append(entry)
    }
    return try SafetensorsWriterLayout(entries, shardLimit: .max)
  }

  /// Runs the network and writes the file, complete or not at all.
  ///
  /// - Parameter progress: called with the layers done and all layers.
  /// - Returns: the names and shapes that were written, in the order of depth.
  /// - Throws: what the forward pass and the writing throw.
  public func write(
    to destination: OutputPath, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [(name: String, shape: [Int])] {
    let layout = try layout()
    try destination.requireSpace(layout.files[0].byteCount)
    let output = try AtomicFile(at: destination)
    let states = try run(progress)
    let file = layout.files[0]
    try output.file.append(file.header)
    for depth in file.tensors {
      for state in states[depth] { try append(state, to: output.file) }
    }
    try output.commit()
    return layout.entries.map { ($0.name, $0.shape.dimensions) }
  }

  /// Normed hidden states (tokens of a group, hidden) by depth and group.
  private func run(_ progress: (Int, Int) -> Void) throws(Fault) -> [[Activations]] {
    let perGroup = max(1, memory / 2 / max(1, network.activationBytes(tokens: sequences[0].count)))
    let starts = stride(from: 0, to: sequences.count, by: perGroup)
    let steps = (sequences.count + perGroup - 1) / perGroup * (network.config.layers + mtpLayers)
    var done = 0
    func step() {
      progress(done, steps)
      done += 1
    }
    var states = [[Activations]](repeating: [], count: mtpLayers + 1)
    for start in starts {
      let group = Array(sequences[start..<min(start + perGroup, sequences.count)])
      let batch = try TokenBatch(group, vocabSize: network.config.vocabSize)
      let hidden = try network.embed(batch)
      for layer in 0..<network.config.layers {
        step()
        _ = try network.layer(layer, hidden: hidden, batch: batch)
      }
      var normed = try network.finalNorm(hidden)
      states[0].append(normed)
      for index in 0..<mtpLayers where batch.rows(depth: index + 1) > 0 {
        step()
        normed = try network.predictor(index, previous: normed, batch: batch).normed
        states[index + 1].append(normed)
      }
    }
    return states
  }

  /// Appends the logits of normed (tokens, hidden), position after position.
  private func append(_ normed: Activations, to file: OutputFile) throws(Fault) {
    let vocabSize = network.config.vocabSize
    let size = max(1, memory / 4 / (4 * vocabSize))
    for start in stride(from: 0, to: normed.rows, by: size) {
      let rows = normed.rows(start..<min(start + size, normed.rows))
      let block = Activations(unwrittenRows: rows.rows, columns: vocabSize)
      try network.logits(of: rows, vocabulary: 0..<vocabSize, into: block)
      try withExtendedLifetime(block) { () throws(Fault) in
        try file.append(UnsafeRawBufferPointer(block.values))
      }
    }
  }
}
