package import Platform

/// Progress of long work on standard error: how much is done, how fast, and the time left.
package struct ProgressLine {
  /// When progress is shown.
  package enum Mode: String, Sendable, CaseIterable {
    /// On a terminal.
    case auto
    /// Always: a line a second where standard error is no terminal.
    case always
    /// Never.
    case never
  }

  /// What the work is counted in.
  package enum Unit: Sendable {
    /// Bytes, shown with their rate.
    case bytes
    /// Layers of a network.
    case layers
  }

  private let unit: Unit
  private let label: OutputText
  private let isShown: Bool
  private let isTerminal = Console.messagesAreOnTerminal
  private let start = ContinuousClock.now
  private var last: ContinuousClock.Instant
  /// How far the work was when that was told last.
  private var reached: (done: Int, total: Int)?

  /// Starts the clock.
  ///
  /// - Parameter label: stands before the numbers, where there is more than one kind of work.
  package init(_ mode: Mode, unit: Unit = .bytes, label: OutputText = "") {
    self.unit = unit
    self.label = label.text.isEmpty ? "" : label + "  "
    isShown = mode == .always || (mode == .auto && isTerminal && !Console.isQuiet)
    last = start
  }

  /// Shows how far the work is, not more often than a person can read.
  package mutating func show(_ done: Int, of total: Int) {
    reached = (done, total)
    let now = ContinuousClock.now
    guard isShown, now - last >= (isTerminal ? .milliseconds(100) : .seconds(1)) else { return }
    last = now
    let seconds = Double((now - start) / .milliseconds(1)) / 1000
    let rate = Double(done) / max(seconds, 0.001)
    let left = rate > 0 ? Int(Double(total - done) / rate) : 0
    let percent = total > 0 ? done * 100 / total : 100
    let amount: OutputText =
      switch unit {
      case .bytes:
        "\(done / 1_000_000) of \(total / 1_000_000) MB  \(Int(rate / 1e6)) MB/s"
      case .layers: "\(done) of \(total) layers"
      }
    let line: OutputText = "\(label)\(percent) %  \(amount)  \(ProgressLine.time(left)) left"
    guard isTerminal else { return Console.message(line) }
    // A line that goes on in the next one would stay there.
    let columns = Console.columns(ofMessages: true) ?? .max
    Console.draw(line.cut(to: columns - 1))
  }

  /// Seconds in the largest unit that they reach and the next smaller one: `12 s`, `3 min 5 s`.
  private static func time(_ seconds: Int) -> OutputText {
    switch seconds {
    case ..<60: "\(seconds) s"
    case ..<3600: "\(seconds / 60) min \(seconds % 60) s"
    default: "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }
  }

  /// Takes the line away, and says where every step is said how far the work came.
  package mutating func clear() {
    if isShown && isTerminal { Console.draw("") }
    guard let reached = reached.take() else { return }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let time = Quantity.fixed(seconds, digits: 2)
    switch unit {
    case .bytes:
      let rate = Quantity.fixed(Double(reached.done) / max(seconds, 1e-3) / 1e6, digits: 0)
      Console.step(
        "went through \(Quantity.bytes(reached.done)) of \(Quantity.bytes(reached.total)) in "
          + "\(time) s, \(rate) MB/s")
    case .layers:
      // Work on a layer is told when it begins.
      let layers = min(reached.done + 1, reached.total)
      Console.step("went through \(layers) of \(reached.total) layers in \(time) s")
    }
  }
}
