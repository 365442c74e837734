internal import Compression
internal import Formats
internal import Platform
internal import Tensors

/// Packs the chunks of one file. A tile is a few adjacent chunks; every tile is a function of the
/// file alone.
struct ChunkPacker: Sendable {
  /// Bytes of the original in a tile at most: a piece of its hash begins in each at most once.
  static let tileBytes = BLAKE3.pieceBytes
  /// Chunks of a tile at most, where they are those of small tensors.
  static let tileChunks = 64
  /// Bytes of a record: a chunk's checksum and the stored sizes of up to four planes.
  private static let recordBytes = 20
  private static let headBytes = 4
  /// Frames that save less than this part of a plane are not worth restoring.
  private static let least = 32

  /// Memory of one thread.
  struct Scratch: Sendable {
    let coder: EntropyCoder
    let chunk: ByteBuffer
    let planes: ByteBuffer
    let piece: ByteBuffer

    init() throws(Fault) {
      coder = try EntropyCoder()
      chunk = ByteBuffer(count: PackedIndex.usualChunkBytes)
      planes = ByteBuffer(count: PackedIndex.usualChunkBytes)
      piece = ByteBuffer(count: BLAKE3.pieceBytes)
    }
  }

  /// What a tile became.
  struct Tile {
    let bytes: UnsafeRawBufferPointer
    let chunks: [PackedIndex.Chunk]
    /// Parts of the original's hash that begin in the tile.
    let hashes: UnsafeRawBufferPointer
  }

  private let weights: PackableModel.Weights
  private let scratch: [Scratch]
  /// Each chunk's part and place in the original.
  private let chunks: [(part: Int, range: Range<Int>)]
  /// The first chunk of each tile, and the number of all at the end.
  private let tiles: [Int]

  init(_ weights: PackableModel.Weights, scratch: [Scratch]) {
    self.weights = weights
    self.scratch = scratch
    var chunks: [(part: Int, range: Range<Int>)] = []
    var tiles = [0]
    var (start, tileStart) = (0, 0)
    for (number, part) in weights.parts.enumerated() {
      for first in stride(from: 0, to: part.byteCount, by: PackedIndex.usualChunkBytes) {
        let end = min(part.byteCount, first + PackedIndex.usualChunkBytes)
        let range = start + first..<start + end
        if range.upperBound - tileStart > ChunkPacker.tileBytes
          || chunks.count - tiles[tiles.count - 1] == ChunkPacker.tileChunks
        {
          tiles.append(chunks.count)
          tileStart = range.lowerBound
        }
        chunks.append((number, range))
      }
      start += part.byteCount
    }
    (self.chunks, self.tiles) = (chunks, tiles + [chunks.count])
  }

  /// Number of tiles.
  var count: Int { tiles.count - 1 }

  /// Bytes of a tile at most, with all that is noted of it.
  static var slotBytes: Int {
    headBytes + tileBytes + tileChunks * recordBytes + BLAKE3Value.byteCount
  }

  /// The parts of a tile's chunks, in their order.
  func parts(ofTile item: Int) -> [Int] { chunks[tiles[item]..<tiles[item + 1]].map(\.part) }

  /// Bytes of the original in a tile.
  func byteCount(ofTile item: Int) -> Int {
    chunks[tiles[item]..<tiles[item + 1]].reduce(0) { $0 + $1.range.count }
  }

  /// Packs a tile: number of stored bytes, these, a record for each chunk, parts of the hash.
  func produce(
    _ item: Int, worker: Int, into slot: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    try Interruption.check()
    let memory = scratch[worker]
    let group = chunks[tiles[item]..<tiles[item + 1]]
    var records: [UInt32] = []
    var end = ChunkPacker.headBytes
    for (part, range) in group {
      let original = UnsafeMutableRawBufferPointer(rebasing: memory.chunk.bytes[..<range.count])
      do throws(Fault) { try weights.file.read(at: range.lowerBound, into: original) } catch {
        var fault = error
        fault.tensor = weights.names[part]
        throw fault
      }
      records.append(CRC32C(UnsafeRawBufferPointer(original)).value)
      let kind = weights.parts[part].planes
      let planes = UnsafeMutableRawBufferPointer(rebasing: memory.planes.bytes[..<range.count])
      kind.split(UnsafeRawBufferPointer(original), into: planes)
      var from = 0
      for size in kind.sizes(of: range.count) {
        let plane = UnsafeRawBufferPointer(rebasing: planes[from..<from + size])
        let room = UnsafeMutableRawBufferPointer(rebasing: slot[end..<end + size])
        let stored = try ChunkPacker.store(plane, with: memory.coder, into: room)
        records.append(UInt32(stored))
        (from, end) = (from + size, end + stored)
      }
    }
    slot.storeBytes(of: UInt32(end - ChunkPacker.headBytes), as: UInt32.self)
    for record in records {
      slot.storeBytes(of: record, toByteOffset: end, as: UInt32.self)
      end += 4
    }
    guard let first = group.first?.range.lowerBound, let last = group.last?.range.upperBound
    else { return end }
    let step = BLAKE3.pieceBytes
    for start in stride(from: (first + step - 1) / step * step, to: last, by: step) {
      let count = min(step, weights.file.size - start)
      let piece = UnsafeMutableRawBufferPointer(rebasing: memory.piece.bytes[..<count])
      try weights.file.read(at: start, into: piece)
      BLAKE3.hash(
        part: UnsafeRawBufferPointer(piece), from: start, isWhole: count == weights.file.size,
        into: UnsafeMutableRawBufferPointer(rebasing: slot[end..<end + BLAKE3Value.byteCount]))
      end += BLAKE3Value.byteCount
    }
    return end
  }

  /// Stores a plane in the shortest of its forms; returns the bytes that it takes.
  private static func store(
    _ plane: UnsafeRawBufferPointer, with coder: EntropyCoder,
    into room: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    guard plane.count > 64 else {
      room.copyMemory(from: plane)
      return plane.count
    }
    if plane.allEqual {
      room[0] = plane[0]
      return 1
    }
    let most = UnsafeMutableRawBufferPointer(rebasing: room[..<(plane.count - plane.count / least)])
    if let size = try coder.compress(plane, into: most) { return size }
    room.copyMemory(from: plane)
    return plane.count
  }

  /// Takes a tile apart.
  func tile(_ item: Int, _ slot: UnsafeRawBufferPointer) -> Tile {
    let size = Int(slot.loadUnaligned(as: UInt32.self))
    var place = ChunkPacker.headBytes + size
    func word() -> UInt32 {
      defer { place += 4 }
      return slot.loadUnaligned(fromByteOffset: place, as: UInt32.self)
    }
    let chunks = parts(ofTile: item).map { part in
      let sum = word()
      return PackedIndex.Chunk(
        sum: sum, planes: (0..<weights.parts[part].planes.count).map { _ in word() })
    }
    return Tile(
      bytes: UnsafeRawBufferPointer(
        rebasing: slot[ChunkPacker.headBytes..<ChunkPacker.headBytes + size]),
      chunks: chunks, hashes: UnsafeRawBufferPointer(rebasing: slot[place...]))
  }
}

extension UnsafeRawBufferPointer {
  /// Whether all bytes are the same.
  fileprivate var allEqual: Bool {
    guard let first else { return true }
    return self[count / 2] == first && allSatisfy { $0 == first }
  }
}
