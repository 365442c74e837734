internal import Formats
internal import Platform
internal import Tensors

/// Hashes stretches of stored tensors, on any thread and in any order.
struct StretchHasher: Sendable {
  let inventory: Inventory
  let stretchBytes: Int
  /// Memory of each worker.
  let scratch: [ByteBuffer]

  /// Bytes that are read and hashed at a time, while they are in the processor's cache.
  private static let readBytes = 4 * BLAKE3Stream.partBytes

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
    var count = 0
    for position in stride(from: start, to: end, by: step) {
      let piece = UnsafeMutableRawBufferPointer(rebasing: memory[..<min(step, end - position)])
      try inventory.read(stored, from: position, into: piece)
      count += BLAKE3Stream.hash(
        UnsafeRawBufferPointer(piece), from: position, of: stored.byteCount,
        into: UnsafeMutableRawBufferPointer(rebasing: values[count...]))
    }
    return count
  }
}
