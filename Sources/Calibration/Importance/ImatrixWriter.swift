internal import Formats
package import Platform

/// Writes what was measured, tensor by tensor, with what other files hold.
struct ImatrixWriter: ImportanceSink {
  private let output: ImportanceOutput
  private let entries: [ExactText: ImportanceOutput.Entry]
  private let merge: ImportanceMerge
  private let chunkSize: Int
  private var written: Set<ExactText> = []
  private var report: ImatrixReport

  init(
    _ tensors: [ImportanceTensor], _ merge: ImportanceMerge, tokens: Int,
    _ request: ImatrixRequest, to destination: OutputPath, shownAs path: String? = nil
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
      output: path ?? destination.path, tokens: tokens, source: source, entries: all.count,
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
