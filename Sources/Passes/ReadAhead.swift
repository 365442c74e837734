internal import Formats
internal import Locks
internal import Platform

/// Has the system fetch weights from the disk while those before them are computed with, and takes
/// them out of its cache afterwards where they could not all stay there.
///
/// Asking costs a walk through the page cache, so it is only done while reads are slow.
final class ReadAhead: Sendable {
  /// Bytes that are asked for before they are read.
  private static let window = 128 << 20
  /// Bytes that are asked for at a time.
  private static let piece = 4 << 20
  /// Bytes a second above which a read came from the page cache.
  private static let cacheRate = 3e9

  private struct Piece {
    let file: InputFile
    let offset: Int
    let count: Int
  }

  private struct State {
    /// What will be read, in order; the first `asked` of them have been asked for.
    var pieces: [Piece] = []
    var asked = 0
    /// Bytes that were asked for, and read since `expect`.
    var askedBytes = 0
    var readBytes = 0
    var isSlow = true
    /// Whether what is read now will be read again soon.
    var keeps = false
  }

  private let state = Guarded(State())
  private let inventory: Inventory
  private let isStreaming: Bool

  init(_ inventory: Inventory) {
    self.inventory = inventory
    let bytes = inventory.shards.reduce(0) { $0 + $1.file.size }
    isStreaming = bytes > Workers.physicalMemory / 2
  }

  /// Says whether what is read from now on will be read again before much else is, so that it had
  /// better stay in the system's cache.
  func keep(_ keeps: Bool) { state.withLock { $0.keeps = keeps } }

  /// Replaces what is expected by these tensors, in the order in which they will be read.
  func expect(_ tensors: [StoredTensor]) {
    guard state.withLock({ $0.isSlow }) else { return }
    let pieces = tensors.flatMap { tensor in
      stride(from: 0, to: tensor.byteCount, by: ReadAhead.piece).map {
        Piece(
          file: inventory.shards[tensor.shard].file, offset: tensor.offset + $0,
          count: min(ReadAhead.piece, tensor.byteCount - $0))
      }
    }
    state.withLock {
      ($0.pieces, $0.asked, $0.askedBytes, $0.readBytes) = (pieces, 0, 0, 0)
    }
    advance()
  }

  /// Takes note of a read and asks for what follows.
  func haveRead(
    _ tensor: StoredTensor, from start: Int, count: Int, in duration: Duration
  ) {
    // Other rows of the same pages are still to come where columns are the file's lines.
    if isStreaming, tensor.arrangement == nil, !state.withLock({ $0.keeps }) {
      inventory.shards[tensor.shard].file.dropCache(at: tensor.offset + start, count: count)
    }
    // What lies elsewhere is quick only as far as it was asked for.
    let isDistant = inventory.shards[tensor.shard].file.isDistant
    // Short reads say nothing about where they came from.
    let isLong = count >= 1 << 18
    state.withLock {
      $0.readBytes += count
      guard isLong, !isDistant else { return }
      $0.isSlow = Double(count) < duration / .seconds(1) * ReadAhead.cacheRate
    }
    advance()
  }

  private func advance() {
    while let piece = next() { piece.file.fetchAhead(at: piece.offset, count: piece.count) }
  }

  private func next() -> Piece? {
    state.withLock { state in
      guard state.isSlow, state.asked < state.pieces.count,
        state.askedBytes < state.readBytes + ReadAhead.window
      else { return nil }
      let piece = state.pieces[state.asked]
      state.asked += 1
      state.askedBytes += piece.count
      return piece
    }
  }
}
