internal import Locks

/// Memory of large buffers that are gone, kept for the next ones of about that size.
///
/// The system hands out fresh memory page by page, each cleared at its first touch: for tiles of
/// weights that pass by at gigabytes a second this would cost as much as decoding them.
package enum BufferReserve {
  /// The least that is kept; the allocator has a reserve of its own for smaller pieces.
  private static let smallest = 1 << 16
  static let alignment = 64

  private struct Piece {
    let start: UnsafeMutableRawPointer
    let capacity: Int
  }

  /// The pieces at rest, the one that was given back last at the end; they belong to nobody else,
  /// hence `@unchecked`.
  private struct State: @unchecked Sendable {
    var pieces: [Piece] = []
    var bytes = 0
    var limit = 64 << 20

    /// The oldest pieces beyond the limit, which are no longer kept.
    mutating func removeExcess() -> [Piece] {
      var removed = 0
      while bytes > limit {
        bytes -= pieces[removed].capacity
        removed += 1
      }
      let excess = Array(pieces[..<removed])
      pieces.removeFirst(removed)
      return excess
    }
  }

  private static let state = Guarded(State())

  /// Keeps at most so many bytes from now on.
  package static func limit(to bytes: Int) {
    let excess = state.withLock { state in
      state.limit = bytes
      return Sent(state.removeExcess())
    }
    free(excess.pieces)
  }

  /// Bytes that a buffer really takes: rounded up by an eighth at most, so that buffers of about
  /// one size can follow one another. What is never touched takes no memory.
  static func capacity(for count: Int) -> Int {
    guard count >= smallest else { return count }
    let step = 1 << (Int.bitWidth - count.leadingZeroBitCount - 4)
    return (count + step - 1) / step * step
  }

  static func take(_ capacity: Int) -> UnsafeMutableRawPointer {
    if capacity >= smallest {
      let kept = state.withLock { state -> Sent? in
        guard let place = state.pieces.lastIndex(where: { $0.capacity == capacity }) else {
          return nil
        }
        state.bytes -= capacity
        return Sent([state.pieces.remove(at: place)])
      }
      if let kept { return kept.pieces[0].start }
    }
    return .allocate(byteCount: capacity, alignment: alignment)
  }

  static func giveBack(_ start: UnsafeMutableRawPointer, _ capacity: Int) {
    guard capacity >= smallest else { return start.deallocate() }
    let excess = state.withLock { state in
      state.pieces.append(Piece(start: start, capacity: capacity))
      state.bytes += capacity
      return Sent(state.removeExcess())
    }
    free(excess.pieces)
  }

  private static func free(_ pieces: [Piece]) {
    for piece in pieces { piece.start.deallocate() }
  }

  /// Pieces on their way out of the lock, with one owner.
  private struct Sent: @unchecked Sendable {
    let pieces: [Piece]
    init(_ pieces: [Piece]) { self.pieces = pieces }
  }
}
