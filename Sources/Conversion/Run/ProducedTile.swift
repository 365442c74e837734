internal import Platform

/// A tile in its slot, with what was computed about it while it was in the processor's cache and
/// its thread would have waited for the disk otherwise.
///
/// Behind its bytes stand the values of the parts of its tensor that lie in it, then how many bytes
/// it has and their checksum.
struct ProducedTile {
  /// Its bytes.
  let bytes: UnsafeRawBufferPointer
  /// Values of the parts of its tensor that lie within it.
  let hashes: UnsafeRawBufferPointer
  /// Of its bytes.
  let sum: CRC32C

  private static let trailer = MemoryLayout<Int>.size + MemoryLayout<UInt32>.size

  /// Most bytes behind a tile of so many.
  static func overhead(of tileBytes: Int) -> Int {
    BLAKE3Stream.valueBytes(of: tileBytes) + trailer
  }

  /// Sums a tile that fills the first `count` bytes of a slot, and hashes it.
  ///
  /// - Parameters:
  ///   - start: where it begins in its tensor of `byteCount` bytes; nil where it is not hashed.
  /// - Returns: the bytes of the slot that count.
  static func finish(
    _ slot: UnsafeMutableRawBufferPointer, count: Int, hashedFrom start: Int?, of byteCount: Int
  ) -> Int {
    let tile = UnsafeRawBufferPointer(rebasing: slot[..<count])
    var end = count
    if let start {
      end += BLAKE3Stream.hash(
        tile, from: start, of: byteCount,
        into: UnsafeMutableRawBufferPointer(rebasing: slot[count...]))
    }
    slot.storeBytes(of: count, toByteOffset: end, as: Int.self)
    slot.storeBytes(
      of: CRC32C(tile).value, toByteOffset: end + MemoryLayout<Int>.size, as: UInt32.self)
    return end + trailer
  }

  /// Reads what `finish` left.
  init(_ slot: UnsafeRawBufferPointer) {
    let end = slot.count - ProducedTile.trailer
    let count = slot.loadUnaligned(fromByteOffset: end, as: Int.self)
    bytes = UnsafeRawBufferPointer(rebasing: slot[..<count])
    hashes = UnsafeRawBufferPointer(rebasing: slot[count..<end])
    sum = CRC32C(
      value: slot.loadUnaligned(fromByteOffset: end + MemoryLayout<Int>.size, as: UInt32.self),
      count: count)
  }
}
