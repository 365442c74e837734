/// The BLAKE3 hash of a message of known size whose bytes come in order, but whose parts may have
/// been hashed before, by other threads.
package struct BLAKE3Stream: Sendable {
  /// Bytes of a part: small enough that little of a tile lies outside of whole parts, and a multiple
  /// of what the widest kernel hashes at once.
  package static let partBytes = 64 << 10

  /// Bytes of the message.
  package let byteCount: Int
  /// Bytes that have been taken.
  package private(set) var position = 0
  /// The chaining values of the parts so far, one behind the other.
  package private(set) var values: [UInt8] = []
  /// The beginning of a part that is not whole yet.
  private var rest: [UInt8] = []

  /// Begins a message of so many bytes, or a stretch of it from the beginning of a part on: its parts
  /// have values, and the message no hash.
  package init(byteCount: Int, from start: Int = 0) {
    precondition(start % BLAKE3Stream.partBytes == 0 || start == byteCount)
    self.byteCount = byteCount
    position = start
  }

  /// Whether all bytes have been taken.
  package var isComplete: Bool { position == byteCount }

  /// Most bytes of the values of parts within a piece of so many bytes.
  package static func valueBytes(of count: Int) -> Int {
    (count / partBytes + 1) * BLAKE3Value.byteCount
  }

  /// The parts that lie wholly within a piece of a message; the last one may be shorter.
  private static func parts(in piece: Range<Int>, of byteCount: Int) -> Range<Int> {
    let first = (piece.lowerBound + partBytes - 1) / partBytes
    let end =
      piece.upperBound == byteCount
      ? (byteCount + partBytes - 1) / partBytes : piece.upperBound / partBytes
    return first..<max(first, end)
  }

  private static func range(ofPart part: Int, of byteCount: Int) -> Range<Int> {
    part * partBytes..<min((part + 1) * partBytes, byteCount)
  }

  /// Hashes the parts that lie wholly within a piece, on any thread.
  ///
  /// - Parameters:
  ///   - start: where the piece begins in the message of `byteCount` bytes.
  ///   - values: takes `valueBytes(of:)` bytes at most.
  /// - Returns: the number of bytes that were stored there.
  package static func hash(
    _ bytes: UnsafeRawBufferPointer, from start: Int, of byteCount: Int,
    into values: UnsafeMutableRawBufferPointer
  ) -> Int {
    let parts = parts(in: start..<start + bytes.count, of: byteCount)
    for (index, part) in parts.enumerated() {
      let range = range(ofPart: part, of: byteCount)
      let place = index * BLAKE3Value.byteCount
      BLAKE3.hash(
        part: UnsafeRawBufferPointer(
          rebasing: bytes[range.lowerBound - start..<range.upperBound - start]),
        from: range.lowerBound, isWhole: range.count == byteCount,
        into: UnsafeMutableRawBufferPointer(
          rebasing: values[place..<place + BLAKE3Value.byteCount]))
    }
    return parts.count * BLAKE3Value.byteCount
  }

  /// Takes the next bytes, whose whole parts were hashed already.
  ///
  /// - Parameter known: what `hash` stored about the same piece.
  package mutating func append(_ bytes: UnsafeRawBufferPointer, known: UnsafeRawBufferPointer) {
    let start = position
    let parts = BLAKE3Stream.parts(in: start..<start + bytes.count, of: byteCount)
    precondition(known.count == parts.count * BLAKE3Value.byteCount)
    guard !parts.isEmpty else { return append(bytes) }
    let first = parts.lowerBound * BLAKE3Stream.partBytes - start
    append(UnsafeRawBufferPointer(rebasing: bytes[..<first]))
    appendParts(known)
    append(UnsafeRawBufferPointer(rebasing: bytes[(position - start)...]))
  }

  /// Takes the values of the next parts, where none has begun yet.
  package mutating func appendParts(_ known: UnsafeRawBufferPointer) {
    precondition(rest.isEmpty && position % BLAKE3Stream.partBytes == 0)
    values += known
    position = min(
      byteCount, position + known.count / BLAKE3Value.byteCount * BLAKE3Stream.partBytes)
  }

  /// Takes the next bytes.
  package mutating func append(_ bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count <= byteCount - position)
    var bytes = bytes
    while !bytes.isEmpty {
      let part = BLAKE3Stream.range(ofPart: position / BLAKE3Stream.partBytes, of: byteCount)
      let count = min(bytes.count, part.upperBound - position)
      let next = UnsafeRawBufferPointer(rebasing: bytes[..<count])
      position += count
      bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
      guard position == part.upperBound else {
        rest += next
        continue
      }
      if count == part.count {
        hash(next, of: part)
      } else {
        rest += next
        rest.withUnsafeBytes { hash($0, of: part) }
        rest.removeAll(keepingCapacity: true)
      }
    }
  }

  private mutating func hash(_ bytes: UnsafeRawBufferPointer, of part: Range<Int>) {
    withUnsafeTemporaryAllocation(byteCount: BLAKE3Value.byteCount, alignment: 16) { value in
      BLAKE3.hash(part: bytes, from: part.lowerBound, isWhole: part.count == byteCount, into: value)
      values += UnsafeRawBufferPointer(value)
    }
  }

  /// The hash of all bytes, which have been taken.
  package func value() -> BLAKE3Value {
    precondition(isComplete)
    guard byteCount > 0 else { return BLAKE3.hash([]) }
    var values = values
    return values.withUnsafeMutableBytes { BLAKE3.join($0) }
  }
}

extension BLAKE3Stream {
  /// The hash of a file, read piece by piece.
  ///
  /// - Throws: `.inputOutput` where reading fails, `.interrupted`.
  package static func hash(of file: InputFile) throws(Fault) -> BLAKE3Value {
    var stream = BLAKE3Stream(byteCount: file.size)
    while !stream.isComplete {
      try Interruption.check()
      let piece = try file.read(
        at: stream.position, count: min(1 << 20, stream.byteCount - stream.position))
      piece.withUnsafeBytes { stream.append($0) }
    }
    return stream.value()
  }
}
