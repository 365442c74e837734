/// A block of memory with an owner: what a reader fills and a codec reads.
///
/// It is aligned to 64 bytes, so that vector loads and typed views are always legal. The owner
/// that fills it does so before it shares it; from then on it is only read, hence `@unchecked`.
package final class ByteBuffer: @unchecked Sendable {
  /// The memory itself; valid as long as this object lives.
  package let bytes: UnsafeMutableRawBufferPointer
  private let capacity: Int

  /// Allocates `count` bytes without initializing them.
  package init(count: Int) {
    precondition(count >= 0)
    capacity = BufferReserve.capacity(for: count)
    bytes = UnsafeMutableRawBufferPointer(
      start: BufferReserve.take(capacity), count: count)
  }

  /// Copies an array.
  package convenience init(_ array: [UInt8]) {
    self.init(count: array.count)
    bytes.copyBytes(from: array)
  }

  /// Bytes held.
  package var count: Int { bytes.count }

  deinit {
    guard let start = bytes.baseAddress else { return }
    BufferReserve.giveBack(start, capacity)
  }
}
