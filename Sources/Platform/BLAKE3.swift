internal import CPlatform

/// A BLAKE3 hash, or the chaining value of a part of a message's tree.
package struct BLAKE3Value: Hashable, Sendable {
  /// Bytes of a value.
  package static let byteCount = Int(FATHOM_HASH_VALUE)
  /// The value itself.
  package let bytes: [UInt8]

  /// Takes `byteCount` bytes.
  package init(_ bytes: some Collection<UInt8>) {
    precondition(bytes.count == BLAKE3Value.byteCount)
    self.bytes = Array(bytes)
  }

  /// Reads 64 lower-case hexadecimal digits; nil for anything else.
  package init?(text: some StringProtocol) {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in text.utf8 {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      default: return nil
      }
      if let upper = high { bytes.append(upper << 4 | value) }
      high = high == nil ? value : nil
    }
    guard bytes.count == BLAKE3Value.byteCount, high == nil else { return nil }
    self.bytes = bytes
  }

  /// The value as 64 lower-case hexadecimal digits.
  package var text: String { SHA256Digest.text(bytes) }
}

/// BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020) in its plain mode, 32 bytes of output.
///
/// The hash is a tree over chunks of 1 KiB, so the parts of one long message can be hashed by
/// several threads: *pieces* of 1 MiB are whole subtrees. The kernels hash 4, 8, 16 or 32 chunks
/// at once, one in each lane; on AVX-512 a core takes 13 GB/s, where SHA-256 with the processor's own
/// instructions takes 2.
package enum BLAKE3 {
  /// Instruction sets of the kernels.
  package enum Level: Int32, Sendable, CaseIterable {
    /// Four lanes of what every processor has.
    case plain = 0
    /// Eight lanes.
    case avx2 = 1
    /// Sixteen lanes, and two vectors of them at once.
    case avx512 = 2

    /// The best level that this processor can run.
    package static let best = Level(rawValue: fathom_hash_best_level()) ?? .plain
    /// The levels that this processor can run.
    package static let available = allCases.filter { $0.rawValue <= best.rawValue }
  }

  /// Bytes that a message is cut into for several threads.
  package static let pieceBytes = Int(FATHOM_HASH_CHUNK) * Int(FATHOM_HASH_PIECE_CHUNKS)

  /// Pieces of a message of so many bytes; an empty message is one piece.
  package static func pieces(of byteCount: Int) -> Int {
    max(1, (byteCount + pieceBytes - 1) / pieceBytes)
  }

  /// Hashes one part of a message: bytes from `start` on, where every part but the last one has the
  /// same number of bytes, 1024 times a power of two and at most `pieceBytes`.
  ///
  /// - Parameters:
  ///   - isWhole: whether the part is the whole message; then the result is its hash.
  ///   - value: takes the `BLAKE3Value.byteCount` bytes of the part's chaining value.
  package static func hash(
    part bytes: UnsafeRawBufferPointer, from start: Int, isWhole: Bool, level: Level = .best,
    into value: UnsafeMutableRawBufferPointer
  ) {
    precondition(bytes.count <= pieceBytes && value.count == BLAKE3Value.byteCount)
    precondition(start % Int(FATHOM_HASH_CHUNK) == 0 && (!isWhole || start == 0))
    fathom_hash_piece(
      level.rawValue, bytes.baseAddress, bytes.count, UInt64(start / Int(FATHOM_HASH_CHUNK)),
      isWhole ? 1 : 0, value.baseAddress!.assumingMemoryBound(to: UInt8.self))
  }

  /// The hash of a message from the chaining values of its parts, which are overwritten; of a single
  /// part that was hashed as the whole it is that part's value.
  ///
  /// - Parameter isRoot: whether they are all of the message; else they are a whole subtree of it,
  ///   and the result is its chaining value.
  package static func join(
    _ values: UnsafeMutableRawBufferPointer, isRoot: Bool = true, level: Level = .best
  ) -> BLAKE3Value {
    let count = values.count / BLAKE3Value.byteCount
    precondition(count >= 1 && values.count % BLAKE3Value.byteCount == 0)
    if count > 1 {
      fathom_hash_join(
        level.rawValue, values.baseAddress!.assumingMemoryBound(to: UInt8.self), count,
        isRoot ? 1 : 0)
    }
    return BLAKE3Value(UnsafeRawBufferPointer(rebasing: values[..<BLAKE3Value.byteCount]))
  }

  /// The hash of some bytes.
  package static func hash(_ bytes: UnsafeRawBufferPointer, level: Level = .best) -> BLAKE3Value {
    let count = pieces(of: bytes.count)
    return withUnsafeTemporaryAllocation(
      byteCount: count * BLAKE3Value.byteCount, alignment: 16
    ) { values in
      for piece in 0..<count {
        let start = piece * pieceBytes
        let place = piece * BLAKE3Value.byteCount
        hash(
          part: UnsafeRawBufferPointer(
            rebasing: bytes[start..<min(start + pieceBytes, bytes.count)]),
          from: start, isWhole: count == 1, level: level,
          into: UnsafeMutableRawBufferPointer(
            rebasing: values[place..<place + BLAKE3Value.byteCount]))
      }
      return join(values, level: level)
    }
  }

  /// The hash of some bytes.
  package static func hash(_ bytes: [UInt8], level: Level = .best) -> BLAKE3Value {
    bytes.withUnsafeBytes { hash($0, level: level) }
  }
}
