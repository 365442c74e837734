package import Conversion
internal import Formats
internal import Models
package import Parts
package import Passes
package import Platform
internal import Reference

/// `fathom imatrix` divided among runs: each measures consecutive sequences with about as many tokens.
///
/// A part leaves its sums as they are, in twice F64's precision, so that adding them up gives what one
/// run has: see `DoubleSum` for how surely.
package struct ImatrixParts {
  private let files: ModelFiles
  private let request: ImatrixRequest
  /// The files of the parts.
  package let results: PartResults

  /// Divides the sequences.
  ///
  /// - Throws: `.malformed` where there are none, or one has an id that the model does not have.
  package init(_ files: ModelFiles, _ request: ImatrixRequest) throws(Fault) {
    _ = try TokenBatch(request.sequences, vocabSize: files.config.vocabSize)
    (self.files, self.request) = (files, request)
    var options = ["--mtp \(request.mtp ? "keep" : "drop")"]
    if request.output { options.append("--process-output") }
    results = PartResults(
      of: "imatrix", models: [(files.inventory, files.checkpoint.config, files.checkpoint.folder)],
      sequences: request.sequences, options: options)
  }

  /// What a part is asked to measure.
  private func request(of part: PartChoice) -> ImatrixRequest {
    var own = request
    own.sequences = Array(request.sequences[part.items(of: request.sequences.map(\.count))])
    // A part goes on when it is run again, as a conversion's does.
    (own.isPart, own.resumes) = (true, true)
    return own
  }

  /// Measures the sequences of a part and writes the sums. A part without any leaves nothing to add.
  ///
  /// - Parameters:
  ///   - numbers: where the sums go; a scratch file lies beside it for a while.
  ///   - destination: where the part's file goes.
  ///   - announce: called before a pass that takes long.
  ///   - progress: called with the layers done and all layers.
  /// - Returns: sequences and tokens that were run.
  /// - Throws: what `ImatrixRun` throws.
  package func run(
    _ part: PartChoice, numbers: OutputPath, to destination: OutputPath,
    announce: (ImatrixRun) -> Void = { _ in }, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> (sequences: Int, tokens: Int) {
    let own = request(of: part)
    let values: [JSONValue]
    if own.sequences.isEmpty {
      var nothing = try NumbersSink([], at: numbers)
      values = try nothing.finish()
    } else {
      let run = try ImatrixRun(files, own, merging: ImportanceMerge(paths: []))
      announce(run)
      values = try run.measure(beside: numbers, progress: progress) { _ throws(Fault) in
        try NumbersSink(run.tensors, at: numbers)
      }
      for shard in files.inventory.shards { try shard.file.requireUnchanged() }
    }
    try results.write(values, of: part, to: destination)
    return (own.sequences.count, own.sequences.reduce(0) { $0 + $1.count })
  }

  /// Adds up what all parts have measured and writes it as one run would.
  ///
  /// - Throws: as `PartResults.allNumbers(in:)` does, `.malformed` where a part has measured other
  ///   tensors, and what writing throws.
  package func finish(
    in folder: String, merging merge: ImportanceMerge, to destination: OutputPath
  ) throws(Fault) -> ImatrixReport {
    let readers = try results.allNumbers(in: folder)
    var parts: [(reader: PartNumbers.Reader, lists: [ExactText: Int])] = []
    for (part, reader) in zip(PartChoice.all(of: readers.count), readers) {
      let own = request(of: part)
      let names = own.sequences.isEmpty ? [] : own.tensors(of: files.config).map(\.entry.name)
      guard names.count == reader.counts.count else {
        throw reader.fault(
          "does not hold sums of each tensor", expected: "\(names.count)",
          found: "\(reader.counts.count)")
      }
      parts.append(
        (reader, Dictionary(uniqueKeysWithValues: zip(names, names.indices))))
    }
    let all = request.tensors(of: files.config)
    var writer = try ImatrixWriter(
      all, merge, tokens: request.sequences.reduce(0) { $0 + $1.count }, request, to: destination)
    for tensor in all {
      var measured = MeasuredImportance(tensor.entry)
      for part in parts {
        guard let list = part.lists[tensor.entry.name] else { continue }
        guard measured.add(try part.reader.read(list)) else {
          throw part.reader.fault(
            "does not hold a sum of each column and the tokens of \(tensor.entry.name)")
        }
      }
      try writer.write(measured)
    }
    return try writer.finish()
  }
}

/// Writes the numbers that a part leaves.
private struct NumbersSink: ImportanceSink {
  private var writer: PartNumbers.Writer

  init(_ tensors: [ImportanceTensor], at numbers: OutputPath) throws(Fault) {
    let count = tensors.reduce(0) { $0 + $1.entry.numberCount }
    try numbers.requireSpace(PartNumbers.byteCount(of: count))
    writer = try PartNumbers.Writer(at: numbers)
  }

  mutating func write(_ measured: MeasuredImportance) throws(Fault) {
    try measured.requireFinite()
    try writer.append(measured.numbers)
  }

  mutating func finish() throws(Fault) -> [JSONValue] { try writer.commit() }
}
