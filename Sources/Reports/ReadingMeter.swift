internal import Locks
internal import Platform

/// How far the reading of weights is, for a line of progress: told by whatever thread reads, shown
/// where a command has asked for it.
package enum ReadingMeter {
  private struct State {
    var line: ProgressLine
    var total = 0
    var done = 0
  }

  private static let state = Guarded<State?>(nil)

  /// Shows progress from now on until `clear`.
  package static func show(_ mode: ProgressLine.Mode) {
    state.withLock { $0 = State(line: ProgressLine(mode)) }
  }

  /// Takes the line away.
  package static func clear() {
    state.withLock { state in
      state?.line.clear()
      state = nil
    }
  }

  /// Tells that so many bytes are going to be read.
  package static func expect(_ bytes: Int) { state.withLock { $0?.total += bytes } }

  /// Tells that so many of them were.
  package static func add(_ bytes: Int) {
    state.withLock { state in
      guard var now = state else { return }
      now.done += bytes
      now.line.show(now.done, of: max(now.total, now.done))
      state = now
    }
  }
}
