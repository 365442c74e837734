internal import Platform

/// What went wrong with a file, as facts: which file, which tensor, at which byte, what was expected
/// and found.
///
/// Names in it are as they stand in the file, so that whoever prints them on a terminal escapes them.
public struct FormatError: Error, Hashable, Sendable {
  /// The kinds that a caller can tell apart.
  public enum Kind: Hashable, Sendable {
    /// The library was called wrongly.
    case invalidArgument
    /// The file breaks its format, or uses a part of it that is not supported.
    case malformed
    /// The file is not there, or is none.
    case notFound
    /// The file cannot be created: it exists, or there is no space or permission.
    case cannotCreate
    /// Reading or writing failed on the way.
    case inputOutput
  }

  /// What kind of fault it is.
  public let kind: Kind
  /// One sentence without the file's name: `overlaps the tensor before it`.
  public let message: String
  /// The file concerned, as it was named or below the folder that was.
  public let file: String?
  /// The tensor concerned.
  public let tensor: String?
  /// Byte offset in the file.
  public let offset: UInt64?
  /// What should have been there.
  public let expected: String?
  /// What was there.
  public let found: String?

  /// Makes an error of one's own, for what hands over the bytes of tensors that are written.
  public init(
    _ kind: Kind, _ message: String, file: String? = nil, tensor: String? = nil,
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

extension FormatError: CustomStringConvertible {
  /// One line: `file: tensor "x": message at byte 8: expected …, found …`.
  public var description: String {
    let place = offset.map { " at byte \($0)" } ?? ""
    let facts = [expected.map { "expected \($0)" }, found.map { "found \($0)" }]
      .compactMap { $0 }.joined(separator: ", ")
    return (file.map { "\($0): " } ?? "") + (tensor.map { "tensor \"\($0)\": " } ?? "")
      + message + place + (facts.isEmpty ? "" : ": \(facts)")
  }
}

extension FormatError {
  /// The same facts as they are known inside.
  init(_ fault: Fault) {
    let kind: Kind =
      switch fault.kind {
      case .usage: .invalidArgument
      case .malformed: .malformed
      case .notFound: .notFound
      case .cannotCreate: .cannotCreate
      // Nothing here listens for signals: what was interrupted is work that has failed.
      case .inputOutput, .interrupted: .inputOutput
      }
    self.init(
      kind, fault.message, file: fault.file, tensor: fault.tensor?.text, offset: fault.offset,
      expected: fault.expected, found: fault.found)
  }

  /// Does something whose faults are those of the modules inside.
  static func wrapping<Result>(
    _ body: () throws(Fault) -> Result
  ) throws(FormatError) -> Result {
    do throws(Fault) { return try body() } catch { throw FormatError(error) }
  }

  /// The facts as the modules inside know them, to cross what throws theirs.
  var fault: Fault {
    let kind: Fault.Kind =
      switch kind {
      case .invalidArgument: .usage
      case .malformed: .malformed
      case .notFound: .notFound
      case .cannotCreate: .cannotCreate
      case .inputOutput: .inputOutput
      }
    return Fault(
      kind, message, file: file, tensor: tensor.map { ExactText($0) }, offset: offset,
      expected: expected, found: found)
  }
}
