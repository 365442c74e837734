package import Platform
internal import Tensors

/// Writes an importance matrix as `llama-imatrix` does: sums of squares of each tensor's inputs, and of
/// how many tokens they are. Tensors may come in any order; none is held.
///
/// Two formats: GGUF with `NAME.in_sum2` and `NAME.counts` for each tensor, and the older `.dat`, which
/// has means times the number of chunks and no counts of single experts.
package final class ImportanceOutput {
  /// A tensor that the file will speak of.
  package struct Entry: Sendable, Hashable {
    /// Its name in a GGUF file.
    package let name: ExactText
    /// Sums in all.
    package let sums: Int
    /// Matrices that have counts of their own: experts of a stack; 1 for any other tensor, heads
    /// included.
    package let parts: Int

    /// Describes a tensor; `sums` is a multiple of `parts`.
    package init(name: ExactText, sums: Int, parts: Int) {
      precondition(parts > 0 && sums > 0 && sums % parts == 0)
      (self.name, self.sums, self.parts) = (name, sums, parts)
    }
  }

  /// Which of llama-imatrix's formats.
  package enum Format: Sendable {
    /// Sums and counts as tensors.
    case gguf
    /// The older one.
    case dat
  }

  /// What the file says of the text that was measured.
  package struct Source: Sendable {
    /// Names of the texts.
    package var datasets: [String]
    /// Chunks of all texts.
    package var chunks: Int
    /// Tokens of a chunk.
    package var chunkSize: Int

    /// Describes texts.
    package init(datasets: [String], chunks: Int, chunkSize: Int) {
      (self.datasets, self.chunks, self.chunkSize) = (datasets, chunks, chunkSize)
    }
  }

  static let chunkCountKey = "imatrix.chunk_count"

  /// Bytes of the file.
  package let byteCount: Int
  private let output: AtomicFile
  private let places: PlacedOutput
  private let format: Format
  private let source: Source
  /// Where a tensor's sums and its counts begin; in `.dat` where its entry does.
  private var starts: [ExactText: (sums: Int, counts: Int)] = [:]
  private var missing: Set<ExactText>

  /// Lays the file out and makes it under a temporary name.
  ///
  /// - Throws: `.cannotCreate` where the file cannot be made or there is no space for it;
  ///   `.malformed` where it would be too large to be read again.
  package init(
    at destination: OutputPath, _ entries: [Entry], source: Source, format: Format
  ) throws(Fault) {
    self.format = format
    self.source = source
    let entries = entries.sorted { $0.name < $1.name }
    missing = Set(entries.map(\.name))
    let header: [UInt8]
    switch format {
    case .gguf:
      let file = try ImportanceOutput.layout(entries, source)
      for (index, entry) in entries.enumerated() {
        starts[entry.name] = (file.offsets[2 * index], file.offsets[2 * index + 1])
      }
      (header, byteCount) = (file.header, file.byteCount)
    case .dat:
      var bytes: [UInt8] = []
      bytes.appendWord(UInt32(clamping: entries.count))
      header = bytes
      var offset = bytes.count
      for entry in entries {
        starts[entry.name] = (offset, offset)
        offset += 12 + entry.name.utf8.count + 4 * entry.sums
      }
      starts["" as ExactText] = (offset, offset)
      byteCount = offset + 8 + (source.datasets.last ?? "").utf8.count
    }
    try destination.requireSpace(byteCount)
    output = try AtomicFile(at: destination)
    try output.file.append(header)
    places = try output.file.placed(size: byteCount)
  }

  private static func layout(
    _ entries: [Entry], _ source: Source
  ) throws(Fault) -> OutputLayout.File {
    var metadata = Metadata()
    metadata["general.type"] = .string("imatrix")
    metadata["imatrix.datasets"] = .array(MetadataArray(.strings(source.datasets)))
    metadata[chunkCountKey] = .uint32(UInt32(clamping: source.chunks))
    metadata["imatrix.chunk_size"] = .uint32(UInt32(clamping: source.chunkSize))
    var tensors: [OutputLayout.Entry] = []
    for entry in entries {
      for (suffix, columns) in [(".in_sum2", entry.sums / entry.parts), (".counts", 1)] {
        guard let shape = Shape([entry.parts, columns]),
          let tensor = OutputLayout.Entry(
            name: entry.name + ExactText(suffix), type: .f32, shape: shape)
        else { throw Fault(.malformed, "has an impossible size", tensor: entry.name) }
        tensors.append(tensor)
      }
    }
    let layout = try GGUFWriterLayout.layout(
      tensors, metadata: metadata, name: "imatrix.gguf", division: .limit(.max))
    try layout.requireReadable()
    return layout.files[0]
  }

  /// Writes a tensor's numbers, once for each.
  ///
  /// - Parameters:
  ///   - sums: as many as its entry says.
  ///   - tokens: of how many tokens the sums of each part are.
  /// - Throws: what writing throws.
  package func write(_ entry: Entry, sums: [Float], tokens: [Int]) throws(Fault) {
    precondition(sums.count == entry.sums && tokens.count == entry.parts)
    let isNew = missing.remove(entry.name) != nil
    guard isNew, let start = starts[entry.name] else {
      preconditionFailure("a tensor of the layout is written once")
    }
    switch format {
    case .gguf:
      try write(sums, at: start.sums)
      try write(tokens.map { Float($0) }, at: start.counts)
    case .dat:
      // Rounded up, so that a few tokens are not none.
      let most = tokens.max() ?? 0
      let chunks = (most + source.chunkSize - 1) / source.chunkSize
      var bytes: [UInt8] = []
      bytes.appendWord(UInt32(clamping: entry.name.utf8.count))
      bytes += entry.name.utf8
      bytes.appendWord(UInt32(clamping: max(1, chunks)))
      bytes.appendWord(UInt32(clamping: entry.sums))
      try places.write(bytes, at: start.sums)
      let part = entry.sums / entry.parts
      let means = sums.enumerated().map { index, sum in
        // What no token has reached weighs as much as anything else.
        let count = tokens[index / part]
        return (count == 0 ? 1 : sum / Float(count)) * Float(max(1, chunks))
      }
      try write(means, at: start.sums + bytes.count)
    }
  }

  private func write(_ numbers: [Float], at offset: Int) throws(Fault) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4 * numbers.count)
    for number in numbers { bytes.appendWord(number.bitPattern) }
    try places.write(bytes, at: offset)
  }

  /// Gives the file its name, once every tensor of the layout has been written.
  ///
  /// - Throws: what flushing and renaming throw.
  package func commit() throws(Fault) {
    precondition(missing.isEmpty, "tensors of the layout are missing")
    if format == .dat, let end = starts["" as ExactText]?.sums {
      let name = source.datasets.last ?? ""
      var bytes: [UInt8] = []
      bytes.appendWord(UInt32(clamping: source.chunks))
      bytes.appendWord(UInt32(clamping: name.utf8.count))
      bytes += name.utf8
      try places.write(bytes, at: end)
    }
    try output.commit()
  }
}
