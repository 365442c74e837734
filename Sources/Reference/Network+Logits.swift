internal import Codecs
internal import Models
package import Platform
internal import Tensors

/// The end of a pass: logits from normed hidden states.
extension Network {
  /// Ranges of the vocabulary whose logits are worth computing together: the same whatever threads
  /// and memory there are, so that what is summed tile by tile depends on neither.
  package var vocabularyTiles: [Range<Int>] {
    stride(from: 0, to: config.vocabSize, by: Network.vocabularyTile).map {
      $0..<min($0 + Network.vocabularyTile, config.vocabSize)
    }
  }

  /// Tokens of such a range.
  package static let vocabularyTile = 1024

  /// Rows whose logits of a tile are worth computing together, as memory allows.
  package var tileRows: Int { linear.plan.tileLogits / Network.vocabularyTile }

  /// Logits of part of the vocabulary for some rows of normed (tokens, hidden), all without `rows`:
  /// (rows.count, vocabulary.count).
  ///
  /// - Throws: as `layer` does.
  package func logits(
    of normed: Activations, rows: Range<Int>? = nil, vocabulary: Range<Int>,
    into result: Activations
  ) throws(Fault) {
    let name = Network.headName(config)
    try linear.weights.require(name, rows: config.vocabSize, columns: config.hiddenSize)
    let rows = rows ?? 0..<normed.rows
    try linear.profile.measure(.head) { () throws(Fault) in
      try linear.project(
        normed.view(rows), name, rows: vocabulary,
        into: result.mutableView(0..<rows.count, columns: 0..<vocabulary.count))
    }
  }

  /// Takes note of normed (tokens, hidden) as what the head is multiplied with, where `inputs` were
  /// given.
  ///
  /// - Throws: `.interrupted`.
  package func noteHeadInputs(_ normed: Activations) throws(Fault) {
    try linear.note(normed.view, for: [Network.headName(config)])
  }

  /// Rows whose logits are computed together by `eachLogits`.
  package var logitsRows: Int { MemoryUse.logitsRows(linear.plan) }

  /// Computes the logits of some rows, all of the vocabulary, and hands them on in pieces: one row
  /// and the logits from id `first` on. `body` is called by several threads at once.
  ///
  /// - Throws: as `layer` and `body` do.
  package func eachLogits(
    of normed: Activations, rows: Range<Int>,
    _ body:
      @Sendable (
        _ row: Int, _ first: Int, _ logits: UnsafeBufferPointer<Float>
      ) throws(Fault) -> Void
  ) throws(Fault) {
    let name = Network.headName(config)
    try linear.weights.require(name, rows: config.vocabSize, columns: config.hiddenSize)
    let (linear, vocabSize) = (linear, config.vocabSize)
    let most = max(Linear.panel, linear.plan.tileLogits / max(1, rows.count))
    let rounds = (vocabSize + most * linear.threads - 1) / (most * linear.threads)
    let share = (vocabSize + rounds * linear.threads - 1) / (rounds * linear.threads)
    let size = (share + Linear.panel - 1) / Linear.panel * Linear.panel
    let count = (vocabSize + size - 1) / size
    try linear.profile.measure(.head) { () throws(Fault) in
      try Workers.run(threads: linear.threads, count: count) { worker, item throws(Fault) in
        try Interruption.check()
        let part = item * size..<min((item + 1) * size, vocabSize)
        let tile = Activations(unwrittenRows: rows.count, columns: part.count)
        try linear.projectAlone(
          normed.view(rows), name, rows: part, into: tile.mutableView, worker: worker)
        try linear.scratch(of: worker).timed(\.handing) { () throws(Fault) in
          for row in 0..<rows.count {
            try body(
              rows.lowerBound + row, part.lowerBound, UnsafeBufferPointer(tile[row]))
          }
        }
      }
    }
  }
}
