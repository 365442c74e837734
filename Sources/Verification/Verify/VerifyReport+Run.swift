internal import Models
public import Platform
internal import Reference
internal import Reports
internal import Text

/// What `fathom verify` is asked to do.
public struct VerifyRequest: Sendable {
  /// Path of the model or fixture that is the measure.
  public var reference: String
  /// Path of the model that is measured.
  public var candidate: String
  /// What both are run on, a text by the reference's tokenizer; nil for a fixed random sequence, or
  /// the tokens of the fixture.
  public var input: ModelInput?
  /// Limits on what is measured.
  public var thresholds: [Threshold] = []
  /// Whether to compare MTP layers, as far as both models have them.
  public var mtp = true
  /// Whether to feed the reference's hidden states into the candidate's layers too.
  public var isolates = false
  /// The same where the reference is a model; a fixture does without.
  public var isolatesModels = false
  /// Rows of the blame; nil to blame nothing.
  public var blameCount: Int?
  /// Whether to leave out what may belong to a network and is not known.
  public var ignoresUnknown = false
  /// Bytes that the process may have in memory; nil for 1 GB, or for more where that does not do.
  public var memory: Int?
  /// Threads to compute with.
  public var threads = Workers.available
  /// The text of some token ids, where there is a tokenizer.
  public var tokenText: (@Sendable ([Int]) -> String?)?

  /// Asks for a comparison of two models; everything else has a default.
  public init(reference: String, candidate: String) {
    self.reference = reference
    self.candidate = candidate
  }
}

extension VerifyReport {
  /// Tokens of the sequence that is used where none is given.
  public static let defaultTokens = 64

  /// Opens two models, compares them and applies thresholds.
  ///
  /// - Parameters:
  ///   - forecast: called before a comparison that takes long.
  ///   - progress: called with the layers done and all layers.
  /// - Throws: what opening the models, reading the tokens and the forward pass throw; `.usage` for
  ///   what cannot be asked of a fixture, and with the least memory that does, where the limit
  ///   cannot be kept.
  public init(
    _ request: VerifyRequest, forecast: (Forecast) -> Void = { _ in },
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    if try VerifyFixture.isFixture(request.reference) {
      try self.init(fixture: request, forecast: forecast, progress: progress)
      return
    }
    let threads = request.threads
    let first = try ModelFiles(
      path: request.reference, threads: threads, ignoresUnknown: request.ignoresUnknown)
    let second = try ModelFiles(
      path: request.candidate, threads: threads, ignoresUnknown: request.ignoresUnknown)
    let mtpLayers = request.mtp ? min(first.config.mtpLayers, second.config.mtpLayers) : 0
    var notes =
      first.notes.map { "reference: \($0)" } + second.notes.map { "candidate: \($0)" }
    if request.mtp {
      notes += VerifyReport.mtpNote(first.config.mtpLayers, second.config.mtpLayers)
    }
    notes += StorageNote.lines(reference: first, candidate: second)
    let sequences = try VerifyReport.sequences(
      request.input, for: first, notes: &notes)
    let batch = try TokenBatch(sequences, vocabSize: first.config.vocabSize)
    let run = try ComparisonRun(first, second, batch: batch, mtpLayers: mtpLayers, request)
    if let expected = run.forecast { forecast(expected) }
    let comparison = try run.compare(progress: progress)
    let differences = ConfigDifference.all(reference: first.config, candidate: second)
    let blame = try request.blameCount.map { count throws(Fault) in
      try run.blame(comparison, differences: differences, count: count, progress: progress)
    }
    self.init(
      reference: request.reference, candidate: request.candidate, sequences: sequences,
      comparison: comparison, routedExperts: second.config.routedExperts,
      candidateTypes: TypeMap(second.inventory), thresholds: request.thresholds, notes: notes,
      configDifferences: differences, blame: blame,
      tokenText: request.tokenText ?? VerifyReport.tokenText(of: first))
  }

  /// The texts of ids, where the model has a tokenizer that can be read.
  static func tokenText(of model: ModelFiles) -> (@Sendable ([Int]) -> String?)? {
    guard let tokenizer = try? model.tokenizer() else { return nil }
    return { ids in tokenizer.decode(ids).map { String(decoding: $0, as: UTF8.self) } }
  }

  /// What to say where the models do not have equally many MTP layers.
  static func mtpNote(_ reference: Int, _ candidate: Int) -> [String] {
    guard reference != candidate else { return [] }
    return [
      "the reference has \(Quantity.plural(reference, "MTP layer")), the candidate \(candidate): "
        + (min(reference, candidate) == 0
          ? "only the main model is compared" : "the first are compared")
    ]
  }

  private static func sequences(
    _ input: ModelInput?, for model: ModelFiles, notes: inout [String]
  ) throws(Fault) -> [[Int]] {
    if let input {
      let read = try input.read(for: model)
      notes += read.notes
      return read.sequences
    }
    let ids = TokenInput.sequence(count: defaultTokens, vocabSize: model.config.vocabSize)
    notes.append("neither tokens nor text given: \(ids.count) ids of a fixed random sequence")
    return [ids]
  }
}
