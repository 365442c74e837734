internal import Models
public import Platform
internal import Reference

extension VerifyReport {
  /// Tokens of the sequence that is used where none is given.
  public static let defaultTokens = 64

  /// Opens two models, compares them and applies thresholds.
  ///
  /// - Parameters:
  ///   - reference: path of the model that is the measure.
  ///   - candidate: path of the model that is measured.
  ///   - input: what both are run on, a text by the reference's tokenizer; nil for a fixed random
  ///     sequence.
  ///   - thresholds: limits on what is measured.
  ///   - mtp: whether to compare MTP layers, as far as both models have them.
  ///   - threads: threads to compute with.
  ///   - progress: called with the layers done and all layers.
  /// - Throws: what opening the models, reading the input and the forward pass throw.
  public init(
    reference: String, candidate: String, input: ModelInput?, thresholds: [Threshold],
    mtp: Bool, threads: Int, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    let first = try ModelFiles(path: reference, threads: threads)
    let second = try ModelFiles(path: candidate, threads: threads)
    let (a, b) = (first.config.mtpLayers, second.config.mtpLayers)
    let mtpLayers = mtp ? min(a, b) : 0
    var notes: [String] = []
    if mtp, a != b {
      notes.append(
        "the reference has \(Quantity.plural(a, "MTP layer")), the candidate \(b): "
          + (mtpLayers == 0 ? "only the main model is compared" : "the first are compared"))
    }
    notes += StorageNote.lines(reference: first, candidate: second)
    let sequences: [[Int]]
    if let input {
      let read = try input.read(for: first)
      sequences = read.sequences
      notes += read.notes
    } else {
      let ids = TokenInput.sequence(
        count: VerifyReport.defaultTokens, vocabSize: first.config.vocabSize)
      sequences = [ids]
      notes.append("neither tokens nor text given: \(ids.count) ids of a fixed random sequence")
    }
    let networks = (
      try first.network(mtp: mtpLayers > 0, threads: threads),
      try second.network(mtp: mtpLayers > 0, threads: threads)
    )
    let comparison = try LogitsComparison(
      reference: networks.0, candidate: networks.1,
      batch: TokenBatch(sequences, vocabSize: first.config.vocabSize), mtpLayers: mtpLayers,
      threads: threads, progress: progress)
    self.init(
      reference: reference, candidate: candidate, comparison: comparison, thresholds: thresholds,
      notes: notes)
  }
}
