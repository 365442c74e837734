internal import Platform

/// A tile in its slot, with what was computed about it while it was in the processor's cache and
/// its thread would have waited for the disk otherwise.
struct ProducedTile {
  /// Its bytes.
  let bytes: UnsafeRawBufferPointer
  /// Values of the parts of its tensor that lie within it.
  let hashes: UnsafeRawBufferPointer
  /// Of its bytes.
  let sum: CRC32C

  /// What stands at the end of a slot's bytes that count.
  fileprivate struct Trailer {
    /// Bytes of the tile, from the slot's first on.
    let count: Int
    /// Where the values begin.
    let hashes: Int
    /// The checksum.
    let sum: UInt32
  }

  /// Most bytes behind a tile of so many.
  static func overhead(of tileBytes: Int) -> Int {
    BLAKE3Stream.valueBytes(of: tileBytes) + MemoryLayout<Trailer>.size
  }

  /// Reads what `TileDigest` left.
  init(_ slot: UnsafeRawBufferPointer) {
    let end = slot.count - MemoryLayout<Trailer>.size
    let trailer = slot.loadUnaligned(fromByteOffset: end, as: Trailer.self)
    bytes = UnsafeRawBufferPointer(rebasing: slot[..<trailer.count])
    hashes = UnsafeRawBufferPointer(rebasing: slot[trailer.hashes..<end])
    sum = CRC32C(value: trailer.sum, count: trailer.count)
  }
}

/// Hashes and sums a tile piece by piece while it is made, so that each piece is still in the
/// second-level cache.
final class TileDigest {
  private let slot: UnsafeMutableRawBufferPointer
  private let capacity: Int
  private let start: Int
  private let byteCount: Int
  /// Where the values end, which begin behind the slot's capacity for a tile.
  private var valuesEnd: Int
  /// The first byte of the tensor that is in no part that was hashed; nil where nothing is.
  private var position: Int?
  private var sum = CRC32C()

  /// Begins a tile.
  ///
  /// - Parameters:
  ///   - slot: takes the tile from its first byte on, of which it has `capacity`, and what is known of
  ///     it behind them.
  ///   - start: where the tile begins in its tensor of `byteCount` bytes.
  ///   - hashes: whether it is hashed.
  init(
    _ slot: UnsafeMutableRawBufferPointer, capacity: Int, from start: Int, of byteCount: Int,
    hashes: Bool
  ) {
    (self.slot, self.capacity, self.start, self.byteCount) = (slot, capacity, start, byteCount)
    valuesEnd = capacity
    let part = BLAKE3Stream.partBytes
    position = hashes ? (start + part - 1) / part * part : nil
  }

  /// Takes the bytes that have been made since it was last told, which are the first `made` of the tile
  /// together with those before.
  func take(upTo made: Int) {
    sum.append(CRC32C(UnsafeRawBufferPointer(rebasing: slot[sum.count..<made])))
    guard let first = position else { return }
    let end = start + made
    let whole =
      end == byteCount ? end : end / BLAKE3Stream.partBytes * BLAKE3Stream.partBytes
    guard first < whole else { return }
    valuesEnd += BLAKE3Stream.hash(
      UnsafeRawBufferPointer(rebasing: slot[first - start..<whole - start]), from: first,
      of: byteCount, into: UnsafeMutableRawBufferPointer(rebasing: slot[valuesEnd...]))
    position = whole
  }

  /// Takes the rest of a tile of `count` bytes; returns the bytes of the slot that count.
  func finish(_ count: Int) -> Int {
    take(upTo: count)
    slot.storeBytes(
      of: ProducedTile.Trailer(count: count, hashes: capacity, sum: sum.value),
      toByteOffset: valuesEnd, as: ProducedTile.Trailer.self)
    return valuesEnd + MemoryLayout<ProducedTile.Trailer>.size
  }
}
