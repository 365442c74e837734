internal import Platform

/// What a template may still use up, so that it comes to an end within bounded memory: steps, levels
/// and bytes that are made or looked at.
struct TemplateBudget {
  /// Steps that a template may take: one message needs some hundred. They also bound how deep lists
  /// can lie in lists.
  private static let stepLimit = 50_000
  /// Bytes that it may make or look at, beside those for each byte of the message.
  private static let byteLimit = 16 << 20
  private static let bytesPerByte = 64
  /// Bodies and expressions that may be within each other.
  private static let depthLimit = 400
  /// What an item of a list takes.
  static let itemSize = 64

  private var steps = TemplateBudget.stepLimit
  private var bytes: Int
  private var depth = 0

  /// - Parameter size: bytes of the texts that the template is given.
  init(size: Int) {
    bytes = TemplateBudget.byteLimit + TemplateBudget.bytesPerByte * min(size, 1 << 40)
  }

  mutating func step() throws(Fault) {
    steps -= 1
    if steps < 0 {
      throw Fault(
        .malformed, "does not come to an end",
        expected: "at most \(TemplateBudget.stepLimit) steps")
    }
  }

  /// Takes what making or looking at so many bytes costs.
  mutating func spend(_ count: Int) throws(Fault) {
    bytes -= count
    if bytes < 0 {
      throw Fault(
        .malformed, "makes a text that is too long, or too many of them",
        expected: "at most \(TemplateBudget.byteLimit) bytes for a short message")
    }
  }

  /// Takes what a list of so many items costs.
  mutating func spend(items count: Int) throws(Fault) {
    try spend(count * TemplateBudget.itemSize)
  }

  /// One level down; `leave` is its counterpart.
  mutating func enter() throws(Fault) {
    depth += 1
    if depth > TemplateBudget.depthLimit {
      throw Fault(
        .malformed, "is nested too deeply", expected: "at most \(TemplateBudget.depthLimit) levels")
    }
  }

  mutating func leave() { depth -= 1 }
}
