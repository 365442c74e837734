/// Numbers or bytes that do not fit a type.
public struct CodecError: Error, Hashable, Sendable {
  /// The name of the type concerned.
  public let type: String
  /// One sentence without it: `has no whole number of blocks in so many elements`.
  public let message: String
  /// What should have been given.
  public let expected: String?
  /// What was given.
  public let found: String?

  init(_ type: String, _ message: String, expected: String? = nil, found: String? = nil) {
    self.type = type
    self.message = message
    self.expected = expected
    self.found = found
  }
}

extension CodecError: CustomStringConvertible {
  /// One line: `Q4_K: is given the wrong number of bytes: expected 144, found 143`.
  public var description: String {
    let facts = [expected.map { "expected \($0)" }, found.map { "found \($0)" }]
      .compactMap { $0 }.joined(separator: ", ")
    return "\(type): \(message)" + (facts.isEmpty ? "" : ": \(facts)")
  }
}
