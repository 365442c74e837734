package import Compression
package import Platform
internal import Tensors

/// What a packed file says of the file that it stands for: its parts, and where their chunks lie.
///
/// Stored at the end of the packed file, as one zstd frame of, little-endian: `FPK1`; bytes of a
/// chunk (u32); the original's size (u64) and BLAKE3 (32 bytes); CRC-32C of the entries' names, each
/// with a line feed (u32); number of parts (u32); for each
/// part its size (u64) and the way its numbers are cut (u8, `NumberPlanes`); then for each part the
/// CRC-32C of each chunk's original bytes (u32), and for each plane its stored size in each chunk
/// (u32): alike numbers beside each other, which compress well.
///
/// A plane is stored as it is where its stored size is its size, as one byte that all of its bytes
/// are equal to where that is 1, and else as a zstd frame. Chunks follow one another without holes.
package struct PackedIndex: Sendable {
  /// A stretch of the original: what precedes the first tensor, or a tensor with what follows it.
  package struct Part: Sendable, Hashable {
    /// Bytes in the original.
    package let byteCount: Int
    /// How its numbers are cut.
    package let planes: NumberPlanes

    /// Names a stretch.
    package init(byteCount: Int, planes: NumberPlanes) {
      self.byteCount = byteCount
      self.planes = planes
    }
  }

  /// What is known of a chunk.
  package struct Chunk: Sendable, Hashable {
    /// CRC-32C of its original bytes.
    package let sum: UInt32
    /// Stored size of each plane.
    package let planes: [UInt32]

    /// Bytes that it takes in the packed file.
    package var byteCount: Int { planes.reduce(0) { $0 + Int($1) } }

    /// Notes what a chunk became.
    package init(sum: UInt32, planes: [UInt32]) {
      self.sum = sum
      self.planes = planes
    }
  }

  /// Original bytes of each chunk, but for the last of a part.
  package let chunkBytes: Int
  /// BLAKE3 of the original.
  package let hash: BLAKE3Value
  /// The original from its start to its end.
  package let parts: [Part]
  /// The chunks of all parts.
  let chunks: ChunkTable

  /// Bytes of the original.
  package var originalSize: Int { chunks.originalSize }

  /// A few blocks of zstd for each plane, so that what is noted of a chunk does not count.
  package static let usualChunkBytes = 1 << 20
  private static let chunkSizes = 1 << 12...1 << 22
  private static let magic = Array("FPK1".utf8)

  /// Bytes that an index has before it is compressed, which are at least as many as afterwards.
  package static func byteCount(_ parts: [Part], chunkBytes: Int = usualChunkBytes) -> Int {
    parts.reduce(56) { sum, part in
      sum + 9 + chunkCount(part, chunkBytes) * 4 * (1 + part.planes.count)
    }
  }

  static func chunkCount(_ part: Part, _ chunkBytes: Int) -> Int {
    part.byteCount / chunkBytes + (part.byteCount % chunkBytes == 0 ? 0 : 1)
  }

  /// The bytes of an index before they are compressed.
  ///
  /// - Parameters:
  ///   - names: of the entries that hold the parts.
  ///   - chunks: of all parts in order.
  package static func encoded(
    _ parts: [Part], names: [ExactText], chunks: [Chunk], hash: BLAKE3Value,
    chunkBytes: Int = usualChunkBytes
  ) -> [UInt8] {
    var bytes = magic
    func add<Word: FixedWidthInteger>(_ word: Word) {
      withUnsafeBytes(of: word.littleEndian) { bytes += $0 }
    }
    add(UInt32(chunkBytes))
    add(UInt64(parts.reduce(0) { $0 + $1.byteCount }))
    bytes += hash.bytes
    add(sum(names))
    add(UInt32(parts.count))
    for part in parts {
      add(UInt64(part.byteCount))
      add(part.planes.rawValue)
    }
    var rest = chunks[...]
    for part in parts {
      let own = rest.prefix(chunkCount(part, chunkBytes))
      for chunk in own { add(chunk.sum) }
      for plane in 0..<part.planes.count {
        for chunk in own { add(chunk.planes[plane]) }
      }
      rest = rest.dropFirst(own.count)
    }
    return bytes
  }

  private static func sum(_ names: [ExactText]) -> UInt32 {
    CRC32C(names.map { $0 + "\n" }.joined()).value
  }

  /// Reads and checks an index.
  ///
  /// - Parameters:
  ///   - entries: what the packed file stores for each part: its name and place.
  ///   - file: for messages.
  /// - Throws: `.malformed` with what does not fit.
  init(_ bytes: [UInt8], entries: ArraySlice<StoredTensor>, file: String) throws(Fault) {
    var cursor = IndexCursor(bytes: bytes, file: file)
    guard try cursor.take(4) == PackedIndex.magic[...] else {
      throw Fault(.malformed, "has an index of packing that is none", file: file)
    }
    chunkBytes = try cursor.count(4)
    guard PackedIndex.chunkSizes.contains(chunkBytes), chunkBytes % 4 == 0 else {
      throw cursor.fault("chunks of an impossible size", "\(chunkBytes)")
    }
    let size = try cursor.count(8)
    hash = BLAKE3Value(try cursor.take(BLAKE3Value.byteCount))
    guard try cursor.word() == PackedIndex.sum(entries.map(\.name)) else {
      throw cursor.fault("entries of other names", "\(entries.count) entries")
    }
    let count = try cursor.count(4)
    guard count == entries.count, count > 0 else {
      throw cursor.fault("\(count) parts", "\(entries.count) entries")
    }
    var parts: [Part] = []
    var end = 0
    for _ in 0..<count {
      let byteCount = try cursor.count(8)
      let planes = NumberPlanes(rawValue: try cursor.take(1).first ?? 0)
      let (sum, overflow) = end.addingReportingOverflow(byteCount)
      guard let planes, !overflow, sum <= size else {
        throw cursor.fault("parts of more than the original", "\(byteCount)")
      }
      end = sum
      parts.append(Part(byteCount: byteCount, planes: planes))
    }
    guard end == size else { throw cursor.fault("parts of \(end) bytes", "\(size)") }
    self.parts = parts
    chunks = try ChunkTable(parts, chunkBytes: chunkBytes, entries: entries, &cursor)
    try cursor.expectEnd()
  }
}

/// Reads the bytes of an index.
struct IndexCursor {
  let bytes: [UInt8]
  let file: String
  private var position = 0

  init(bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// Bytes that are left.
  var rest: Int { bytes.count - position }

  mutating func take(_ count: Int) throws(Fault) -> ArraySlice<UInt8> {
    guard count <= rest else {
      throw fault("an index that ends early", "\(bytes.count) bytes")
    }
    defer { position += count }
    return bytes[position..<position + count]
  }

  /// A number of so many bytes that is no larger than any file.
  mutating func count(_ width: Int) throws(Fault) -> Int {
    let value = try take(width).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard value <= UInt64(ModelBudget.fileBytes) else {
      throw fault("an impossible size", "\(value)")
    }
    return Int(value)
  }

  mutating func word() throws(Fault) -> UInt32 {
    try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  func expectEnd() throws(Fault) {
    if rest > 0 { throw fault("an index that goes on after its end", "\(rest) bytes") }
  }

  func fault(_ what: String, _ found: String) -> Fault {
    Fault(.malformed, "is packed wrongly: \(what)", file: file, found: found)
  }
}
