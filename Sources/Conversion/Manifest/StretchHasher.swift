internal import Formats
internal import Platform
internal import Synchronization
internal import Tensors
internal import Weights

/// Hashes stretches of stored tensors, on any thread and in any order.
final class StretchHasher: Sendable {
  private let inventory: Inventory
  private let stretchBytes: Int
  /// Memory of each worker.
  private let scratch: [ByteBuffer]
  /// What tiles have hashed already; nil where they do not.
  private let seen: SeenParts?
  private let read = Atomic<Int>(0)

  /// Bytes that are read and hashed at a time, while they are in the processor's cache.
  private static let readBytes = 4 * BLAKE3Stream.partBytes

  init(inventory: Inventory, stretchBytes: Int, scratch: [ByteBuffer], seen: SeenParts?) {
    (self.inventory, self.stretchBytes) = (inventory, stretchBytes)
    (self.scratch, self.seen) = (scratch, seen)
  }

  /// Bytes read from the source so far.
  var bytesRead: Int { read.load(ordering: .relaxed) }

  /// Stores the values of a stretch's parts; returns their bytes.
  ///
  /// - Throws: `.inputOutput` with file, tensor and offset where the source cannot be read.
  func hash(
    tensor: Int, number: Int, worker: Int, into values: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    try Interruption.check()
    let stored = inventory.tensors[tensor]
    let start = number * stretchBytes
    let end = min(stored.byteCount, start + stretchBytes)
    let memory = scratch[worker].bytes
    let step =
      min(StretchHasher.readBytes, memory.count / BLAKE3Stream.partBytes * BLAKE3Stream.partBytes)
    let known = seen?.take(tensor: tensor, number: number)
    func value(at position: Int) -> ArraySlice<UInt8>? {
      known?[(position - start) / BLAKE3Stream.partBytes]
    }
    var (count, position) = (0, start)
    while position < end {
      if let value = value(at: position) {
        UnsafeMutableRawBufferPointer(rebasing: values[count..<count + value.count])
          .copyBytes(from: value)
        (count, position) = (count + value.count, position + BLAKE3Stream.partBytes)
        continue
      }
      var next = position
      while next < min(end, position + step), value(at: next) == nil {
        next += BLAKE3Stream.partBytes
      }
      let piece = UnsafeMutableRawBufferPointer(rebasing: memory[..<(min(next, end) - position)])
      try inventory.read(stored, from: position, into: piece)
      read.wrappingAdd(piece.count, ordering: .relaxed)
      count += BLAKE3Stream.hash(
        UnsafeRawBufferPointer(piece), from: position, of: stored.byteCount,
        into: UnsafeMutableRawBufferPointer(rebasing: values[count...]))
      position = next
    }
    return count
  }
}
