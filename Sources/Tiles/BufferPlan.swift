package import Platform

/// Sizes of the buffers that tiles pass through.
///
/// Each thread reads into a scratch buffer of one tile; finished tiles wait in a ring of slots. What
/// is found together with a tile and written behind it waits apart.
package struct BufferPlan: Sendable, Hashable {
  /// Threads that the memory suffices for.
  package let threads: Int
  /// Most bytes that a tile has, before or after its conversion.
  package let tileBytes: Int
  /// Slots of the ring.
  package let slots: Int

  /// Most bytes of scales and offsets that are kept from the tiles of their codes: all that a weight
  /// has, unless memory is short.
  package let keptBytes: Int

  /// Bytes of all buffers.
  package var byteCount: Int { (slots + threads) * tileBytes + keptBytes }

  /// Tiles of this size keep the disk busy and stay in the caches of most processors.
  private static let preferredTile = 4 << 20
  /// Below this the cost per tile shows.
  private static let smallestTile = 64 << 10

  /// Divides the memory.
  ///
  /// - Parameters:
  ///   - most: most threads, and most bytes of all buffers.
  ///   - indivisible: bytes of the largest piece that cannot be cut (a band of blocks that share
  ///     scales).
  ///   - kept: bytes beyond which keeping parts is of no use.
  /// - Throws: `.usage` where even one thread's buffers exceed the memory.
  package init(
    most: (threads: Int, memory: Int), indivisible: (tensor: ExactText, bytes: Int)?, kept: Int
  ) throws(Fault) {
    let least = max(BufferPlan.smallestTile, indivisible?.bytes ?? 0)
    // Two slots a thread and two to spare, and a scratch buffer each.
    let threads = min(most.threads, (most.memory / least - 2) / 3)
    guard threads >= 1 else {
      throw Fault(
        .usage, "needs more memory", tensor: indivisible?.tensor,
        expected: "--memory of at least \(5 * least)", found: "\(most.memory)")
    }
    self.threads = threads
    slots = 2 * threads + 2
    let share = (most.memory - min(kept, most.memory / 2)) / (slots + threads)
    tileBytes = max(least, min(BufferPlan.preferredTile, share / 64 * 64))
    keptBytes = min(kept, max(0, most.memory - (slots + threads) * tileBytes))
  }
}
