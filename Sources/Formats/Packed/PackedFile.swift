internal import Compression
package import Platform
internal import Tensors

/// A file that `fathom pack` wrote: itself a safetensors file, in which each tensor of the original
/// is one of bytes that hold it compressed.
///
/// Its tensors, in the order of their bytes: `fathom.head`, which holds everything before the first
/// tensor of the original; the original's tensors under their names, each with what follows it in
/// the original; `fathom.index` (see `PackedIndex`). `__metadata__` stands first in the header and
/// says `"fathom.pack": "1"` first, so that the beginning of a file tells.
package struct PackedFile: Sendable {
  /// Name of the document that lists the files of a packed folder.
  package static let listName: ExactText = "fathom-pack.json"

  /// The file with the original's bytes in place of its own.
  package let original: InputFile
  /// What it says of the original.
  package let index: PackedIndex

  /// Name of the entry for what precedes the first tensor.
  package static let headName: ExactText = "fathom.head"
  /// Name of the entry for the index.
  package static let indexName: ExactText = "fathom.index"
  /// The text that follows the header's length.
  package static let mark = #"{"__metadata__":{"fathom.pack":"1""#

  /// What a path leads to.
  package enum Opening: Sendable {
    /// A file that is what it seems.
    case plain(InputFile)
    /// A packed one.
    case packed(PackedFile)
    /// A packed one that ends before its last tensor; it should have so many bytes.
    case cut(InputFile, atLeast: Int)
  }

  /// Looks whether a file is packed.
  ///
  /// - Parameter budget: what the model's files share.
  /// - Throws: `.inputOutput` where it cannot be read; `.malformed` for a packed file whose index is
  ///   wrong.
  package static func opening(
    _ file: InputFile, within budget: ModelBudget = ModelBudget()
  ) throws(Fault) -> Opening {
    guard try isPacked(file) else { return .plain(file) }
    switch try SafetensorsHeader.read(file, shard: 0, within: budget) {
    case .cut(let minimum): return .cut(file, atLeast: minimum)
    case .header(let header):
      guard file.size >= header.expectedSize else {
        return .cut(file, atLeast: header.expectedSize)
      }
      try header.requireSize(of: file)
      return .packed(try PackedFile(file, header, within: budget))
    }
  }

  /// A file as its weights are read: the original's bytes where it is packed.
  ///
  /// - Parameter budget: what the model's files share.
  /// - Throws: as `opening` does; `.malformed` for a packed file that is cut short.
  package static func weights(
    _ file: InputFile, within budget: ModelBudget = ModelBudget()
  ) throws(Fault) -> InputFile {
    switch try opening(file, within: budget) {
    case .plain(let file): file
    case .packed(let packed): packed.original
    case .cut(let file, let minimum):
      throw Fault(
        .malformed, "is packed, and cut short", file: file.path, offset: UInt64(file.size),
        expected: "\(minimum) bytes", found: "\(file.size)")
    }
  }

  /// Whether a file begins as packed ones do.
  static func isPacked(_ file: InputFile) throws(Fault) -> Bool {
    let mark = Array(PackedFile.mark.utf8)
    guard file.size >= 8 + mark.count else { return false }
    return try file.read(at: 8, count: mark.count) == mark
  }

  private init(
    _ file: InputFile, _ header: SafetensorsHeader, within budget: ModelBudget
  ) throws(Fault) {
    let entries = header.tensors
    guard let last = entries.last, last.name == PackedFile.indexName,
      entries[0].name == PackedFile.headName
    else {
      throw Fault(
        .malformed, "is packed, but has no index", file: file.path,
        expected: "\(PackedFile.headName) first and \(PackedFile.indexName) last",
        found: entries.first.map { "\($0.name) to \(entries[entries.count - 1].name)" } ?? "nothing"
      )
    }
    for entry in entries where entry.type != .u8 || entry.shape.dimensions.count != 1 {
      throw Fault(
        .malformed, "is packed, but no row of bytes", file: file.path, tensor: entry.name,
        expected: "U8 [bytes]", found: "\(entry.type.rawValue) \(entry.shape)")
    }
    guard last.byteCount <= PackedFile.mostIndexBytes else {
      throw Fault(
        .malformed, "holds more than it may", file: file.path, tensor: last.name,
        expected: "at most \(PackedFile.mostIndexBytes) bytes", found: "\(last.byteCount)")
    }
    let bytes = try Zstandard.decompress(
      file.read(at: last.offset, count: last.byteCount), limit: PackedFile.mostIndexBytes,
      file: file.path)
    try budget.packedIndexBytes.take(bytes.count, for: file.path)
    index = try PackedIndex(bytes, entries: entries.dropLast(), file: file.path)
    original = try InputFile(
      file, showing: PackedView(file, index.chunks, names: entries.map(\.name)),
      size: index.originalSize)
  }

  /// Throws where a file of so many entries, once it is packed, could not be read.
  ///
  /// - Parameter original: the file that is going to be packed.
  package static func requireReadable(
    names: [ExactText], _ parts: [PackedIndex.Part], original: InputFile
  ) throws(Fault) {
    let header = PackedHeader(names: names + [indexName], most: mostBytes(original.size, parts))
    try SafetensorsHeader.requireReadable(
      header.bytes(sizes: [Int](repeating: 0, count: header.names.count)), file: original.path)
    let indexBytes = PackedIndex.byteCount(parts)
    guard indexBytes <= mostIndexBytes else {
      throw Fault(
        .malformed, "is too large to be packed", file: original.path,
        expected: "an index of at most \(mostIndexBytes) bytes", found: "\(indexBytes)")
    }
  }

  /// As many bytes as the entries of a packed file can have in all.
  package static func mostBytes(_ size: Int, _ parts: [PackedIndex.Part]) -> Int {
    let indexBytes = PackedIndex.byteCount(parts)
    // A frame is larger than what it holds by less than that.
    return size + indexBytes + indexBytes / 128 + 1024
  }

  /// An index has twelve bytes for each chunk of BF16 weights: this is enough for a file of 2 TB, and
  /// what a hole in a file or a frame of zeros claims beyond it is not read.
  private static let mostIndexBytes = 32 << 20
}
