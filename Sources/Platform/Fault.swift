/// What went wrong, as facts: which file, which tensor, at which byte, what was expected and found.
///
/// Thrown by every room; a fault *of a checkpoint* that `validate` looks for is a finding instead.
package struct Fault: Error, Hashable, Sendable {
  /// The kinds that a caller can tell apart; each has one exit code in the contract.
  package enum Kind: Hashable, Sendable {
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
  package let kind: Kind
  /// One sentence without the file's name: `header is not a JSON object`. Names in it, as in all
  /// other facts, are as they are: they are made printable where the fault is printed.
  package let message: String
  /// The file, as the user named it or below the folder that the user named.
  package var file: String?
  /// The tensor concerned.
  package var tensor: ExactText?
  /// Byte offset in the file.
  package var offset: UInt64?
  /// What should have been there.
  package var expected: String?
  /// What was there.
  package var found: String?
  /// What the user can do about it, as a sentence of its own.
  package var advice: String?

  /// Makes a fault; all but kind and message may be absent.
  package init(
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
  package var line: OutputText {
    var line: OutputText = ""
    if let file { line += "\(file): " }
    if let tensor { line += "tensor \"\(tensor)\": " }
    line += "\(message)"
    if let offset { line += " at byte \(offset)" }
    switch (expected, found) {
    case (let expected?, let found?): line += ": expected \(expected), found \(found)"
    case (let expected?, nil): line += ": expected \(expected)"
    case (nil, let found?): line += ": found \(found)"
    case (nil, nil): break
    }
    return line
  }

  /// The line's characters.
  package var description: String { line.text }
}
