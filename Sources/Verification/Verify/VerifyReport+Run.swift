package import Models
internal import Naming
package import Passes
package import Platform
internal import Reference
internal import Reports
internal import Text

/// What `fathom verify` is asked to do.
package struct VerifyRequest: Sendable {
  /// Path of the model or baseline that is the measure.
  package var reference: String
  /// Paths of the models that are measured.
  package var candidates: [String]
  /// What both are run on, a text by the reference's tokenizer; nil for a fixed random sequence, or
  /// the tokens of the baseline.
  package var input: ModelInput?
  /// Limits on what is measured.
  package var thresholds: [Threshold] = []
  /// Whether to compare MTP layers, as far as both models have them.
  package var mtp = true
  /// Whether to feed the reference's hidden states into the candidate's layers too.
  package var isolates = false
  /// The same where the reference is a model; a baseline does without.
  package var isolatesModels = false
  /// Rows of the blame; nil to blame nothing.
  package var blameCount: Int?
  /// Whose rounding the candidates' pass imitates; nil for F32 alone.
  package var runtime: RuntimeArithmetic?
  /// Whether to leave out what may belong to a network and is not known.
  package var ignoresUnknown = false
  /// Bytes that the process may have in memory; nil for 1 GB, or for more where that does not do.
  package var memory: Int?
  /// Threads to compute with.
  package var threads = Workers.available
  /// The text of some token ids, where there is a tokenizer.
  package var tokenText: (@Sendable ([Int]) -> String?)?

  /// Asks for a comparison of models with one; everything else has a default.
  package init(reference: String, candidates: [String]) {
    self.reference = reference
    self.candidates = candidates
  }
}

extension VerifyRequest {
  /// What the report says of the runtime that is imitated, and what of it is not.
  func runtimeNotes(_ candidate: ModelConfig) -> [String] {
    guard let runtime else { return [] }
    let limits =
      runtime == .llamaCpp
      ? LoaderLimit.lines(candidate.llamaLimits, for: runtime.reading(candidate)) : []
    return ["the candidate's activations are rounded as \(runtime.rawValue) rounds them"]
      + limits.map { "not imitated: \($0)" }
  }
}

extension VerifyReport {
  /// Tokens of the sequence that is used where none is given.
  package static let defaultTokens = 64

  /// Opens a reference and the models that are measured against it, compares them and applies
  /// thresholds.
  ///
  /// - Parameters:
  ///   - forecast: called before a comparison that takes long.
  ///   - progress: called with the layers done and all layers.
  /// - Returns: a report for each candidate.
  /// - Throws: what opening the models, reading the tokens and the forward pass throw; `.usage` for
  ///   what cannot be asked of a baseline, and with the least memory that does, where the limit
  ///   cannot be kept.
  package static func all(
    _ request: VerifyRequest, forecast: (Forecast) -> Void = { _ in },
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> [VerifyReport] {
    if try Baseline.isBaseline(request.reference) {
      // Nothing of the reference is run.
      var reports: [VerifyReport] = []
      for candidate in request.candidates {
        reports.append(
          try VerifyReport(
            baseline: request, candidate: candidate, forecast: forecast, progress: progress))
      }
      return reports
    }
    let work = try ComparisonWork(request)
    let run = try work.run(work.sequences)
    if let expected = run.forecast { forecast(expected) }
    let comparisons = work.comparisons(try run.sums(progress: progress))
    return try work.reports(comparisons) { place, differences, stored throws(Fault) in
      try request.blameCount.map { count throws(Fault) in
        try run.blame(
          comparisons[place], of: place, differences: differences, stored: stored, count: count,
          progress: progress)
      }
    }
  }

  fileprivate static func notes(
    _ reference: ModelFiles, _ candidate: ModelFiles, _ request: VerifyRequest
  ) -> [String] {
    reference.notes.map { "reference: \($0)" } + candidate.notes.map { "candidate: \($0)" }
      + (request.mtp ? mtpNote(reference.config.mtpLayers, candidate.config.mtpLayers) : [])
      + StorageNote.lines(reference: reference, candidate: candidate)
      + request.runtimeNotes(candidate.config)
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

  fileprivate static func sequences(
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

/// Models that are opened to be compared, and the tokens that they are compared on.
struct ComparisonWork {
  let request: VerifyRequest
  let reference: ModelFiles
  let candidates: [ModelFiles]
  let sequences: [[Int]]
  private let notes: [String]

  /// Opens everything.
  ///
  /// - Throws: what opening the models and reading the tokens throw.
  init(_ request: VerifyRequest) throws(Fault) {
    func open(_ path: String) throws(Fault) -> ModelFiles {
      try ModelFiles(
        path: path, threads: request.threads, ignoresUnknown: request.ignoresUnknown)
    }
    self.request = request
    reference = try open(request.reference)
    var candidates: [ModelFiles] = []
    for path in request.candidates {
      let candidate = try open(path)
      try candidate.requireReadable(by: request.runtime)
      candidates.append(candidate)
    }
    self.candidates = candidates
    var notes: [String] = []
    sequences = try VerifyReport.sequences(request.input, for: reference, notes: &notes)
    self.notes = notes
  }

  /// Some of the sequences checked, and the memory divided.
  func run(_ sequences: [[Int]]) throws(Fault) -> ComparisonRun {
    try ComparisonRun(
      reference, candidates, batch: TokenBatch(sequences, vocabSize: reference.config.vocabSize),
      request)
  }

  /// What sums over all sequences come to, by candidate.
  func comparisons(_ sums: [ComparisonSums]) -> [LogitsComparison] {
    sums.map { LogitsComparison($0, layers: reference.config.layers) }
  }

  /// A report for each candidate.
  func reports(
    _ comparisons: [LogitsComparison],
    blame: (
      _ place: Int, _ differences: [ConfigDifference], _ stored: StoredBytes
    ) throws(Fault) -> [Blame]?
  ) throws(Fault) -> [VerifyReport] {
    let text = request.tokenText ?? VerifyReport.tokenText(of: reference)
    let referenceHash = ModelHash(request.reference, reference)
    var reports: [VerifyReport] = []
    for (place, candidate) in candidates.enumerated() {
      let differences = ConfigDifference.all(reference: reference.config, candidate: candidate)
      let stored = StoredBytes(candidate.weights)
      reports.append(
        VerifyReport(
          reference: request.reference, candidate: request.candidates[place],
          sequences: sequences, comparison: comparisons[place],
          routedExperts: candidate.config.routedExperts,
          candidateTypes: TypeMap(candidate.inventory), thresholds: request.thresholds,
          notes: VerifyReport.notes(reference, candidate, request) + notes,
          configDifferences: differences, blame: try blame(place, differences, stored),
          sizes: (ModelSize(reference), ModelSize(candidate)),
          layerBytes: stored.layers(of: candidate.config),
          hashes: (
            referenceHash, ModelHash(request.candidates[place], candidate)
          ), runtime: request.runtime,
          tokenText: text))
    }
    return reports
  }
}
