/// What went wrong, as facts: which file, which tensor, at which byte, what was expected and found.
///
/// Thrown by every room; a fault *of a checkpoint* that `validate` looks for is a finding instead.
public struct Fault: Error, Hashable, Sendable {
  /// The kinds that a caller can tell apart; each has one exit code in the contract.
  public enum Kind: Hashable, Sendable {
    /// The command was called wrongly.
    case usage
    /// The input breaks its format, or uses a part of it that is not supported.
    case malformed
    /// The input is not there.
    case notFound
    /// The output cannot be created: it exists, or there is no space or permission.
    case cannotCreate
    /// Reading or writing failed on the way.
    case inputOutput
    /// The user asked to stop.
    case interrupted
  }

  /// What kind of fault it is.
  public let kind: Kind
  /// One sentence without the file's name: `header is not a JSON object`.
  public let message: String
  /// The file, as the user named it or below the folder that the user named.
  public var file: String?
  /// The tensor concerned.
  public var tensor: ExactText?
  /// Byte offset in the file.
  public var offset: UInt64?
  /// What should have been there.
  public var expected: String?
  /// What was there.
  public var found: String?
  /// What the user can do about it, as a sentence of its own.
  public var advice: String?

  /// Makes a fault; all but kind and message may be absent.
  public init(
    _ kind: Kind, _ message: String, file: String? = nil, tensor: ExactText? = nil,
    offset: UInt64? = nil, expected: String? = nil, found: String? = nil
  ) {
    self.kind = kind
    self.message = message
    self.file = file
    self.tensor = tensor
    self.offset = offset
    self.expected = expected
    self.found = found
  }
}

extension Fault: CustomStringConvertible {
  /// One line: `file: tensor "x": message at byte 8: expected …, found …`.
  public var description: String {
    var line = ""
    if let file { line += "\(file.printable): " }
    if let tensor { line += "tensor \"\(tensor.printable)\": " }
    line += message.printable
    if let offset { line += " at byte \(offset)" }
    switch (expected, found) {
    case (let expected?, let found?):
      line += ": expected \(expected.printable), found \(found.printable)"
    case (let expected?, nil): line += ": expected \(expected.printable)"
    case (nil, let found?): line += ": found \(found.printable)"
    case (nil, nil): break
    }
    return line
  }
}

extension String {
  /// The text with control characters escaped and its length bounded, so that a name from a file
  /// can neither move the cursor of a terminal nor fill it.
  public var printable: String {
    var result = ""
    for scalar in unicodeScalars.prefix(400) {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      // No character at all, and forbidden in XML.
      case .unassigned where scalar.properties.isNoncharacterCodePoint:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return unicodeScalars.count > 400 ? result + "…" : result
  }
}
