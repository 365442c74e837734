// What ArgumentParser takes from FoundationEssentials, and nothing else: an error's description and
// JSON for people. `scripts/release` compiles this file under that module's name, and ArgumentParser
// against it; the program would be five megabytes larger with Foundation's own. If ArgumentParser
// takes more one day, the release does not compile. A test holds the JSON to Foundation's, byte for
// byte.

/// An error that describes itself.
public protocol LocalizedError: Error {
  /// What went wrong.
  var errorDescription: String? { get }
}

extension LocalizedError {
  /// Nothing, where the error does not say.
  public var errorDescription: String? { nil }
}

/// Bytes.
public struct Data {
  /// The bytes.
  public let bytes: [UInt8]
}

extension String {
  /// How text is stored.
  public struct Encoding: Sendable {
    /// As UTF-8, which is all that is asked for.
    public static let utf8 = Encoding()
  }

  /// Reads text that `JSONEncoder` has written.
  public init?(data: Data, encoding: Encoding) {
    self.init(validating: data.bytes, as: UTF8.self)
  }
}

/// Writes values as JSON: texts, booleans, whole numbers, lists and what has named members.
public final class JSONEncoder {
  /// How the document looks. Whatever is asked for, it has lines and sorted keys.
  public struct OutputFormatting: OptionSet, Sendable {
    /// The options, a bit each.
    public let rawValue: UInt
    /// Wraps bits.
    public init(rawValue: UInt) { self.rawValue = rawValue }
    /// A line for each value.
    public static let prettyPrinted = OutputFormatting(rawValue: 1)
    /// Members in the order of their names.
    public static let sortedKeys = OutputFormatting(rawValue: 2)
  }

  /// What was asked for.
  public var outputFormatting: OutputFormatting = []

  /// A writer.
  public init() {}

  /// The document of a value.
  ///
  /// - Throws: `EncodingError` for numbers that are not whole, and what the value throws.
  public func encode<Value: Encodable>(_ value: Value) throws -> Data {
    let node = Node()
    try node.write(value)
    return Data(bytes: Array(node.text(indent: "").utf8))
  }
}

/// A value of the document, which is filled by what is encoded.
private final class Node: Encoder {
  enum Content {
    case scalar(String)
    case list([Node])
    case members([String: Node])
  }

  var content = Content.scalar("null")
  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]

  func write(_ value: some Encodable) throws {
    switch value {
    case let text as String: content = .scalar(Node.quoted(text))
    case let flag as Bool: content = .scalar(flag ? "true" : "false")
    case let number as any BinaryInteger: content = .scalar("\(number)")
    case is any BinaryFloatingPoint:
      let context = EncodingError.Context(codingPath: [], debugDescription: "no whole number")
      throw EncodingError.invalidValue(value, context)
    default: try value.encode(to: self)
    }
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    if case .members = content {} else { content = .members([:]) }
    return KeyedEncodingContainer(Members<Key>(node: self))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    if case .list = content {} else { content = .list([]) }
    return Elements(node: self)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { Single(node: self) }

  func member(_ name: String) -> Node {
    let node = Node()
    guard case .members(var nodes) = content else { return node }
    nodes[name] = node
    content = .members(nodes)
    return node
  }

  func element() -> Node {
    let node = Node()
    guard case .list(let nodes) = content else { return node }
    content = .list(nodes + [node])
    return node
  }

  func text(indent: String) -> String {
    let inner = indent + "  "
    func lines(_ open: String, _ rows: [String], _ close: String) -> String {
      "\(open)\n\(rows.map { inner + $0 }.joined(separator: ",\n"))\n\(indent)\(close)"
    }
    switch content {
    case .scalar(let text): return text
    case .list(let nodes): return lines("[", nodes.map { $0.text(indent: inner) }, "]")
    case .members(let nodes):
      let rows = nodes.sorted { $0.key < $1.key }.map { name, node in
        "\(Node.quoted(name)) : \(node.text(indent: inner))"
      }
      return lines("{", rows, "}")
    }
  }

  private static let escapes: [Unicode.Scalar: String] = [
    "\"": "\\\"", "\\": "\\\\", "/": "\\/", "\u{8}": "\\b", "\u{c}": "\\f", "\n": "\\n",
    "\r": "\\r", "\t": "\\t",
  ]

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      if let escape = escapes[scalar] {
        result += escape
      } else if scalar.value < 0x20 {
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let node: Node
  let codingPath: [any CodingKey] = []

  mutating func encodeNil(forKey key: Key) { _ = node.member(key.stringValue) }

  mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
    try node.member(key.stringValue).write(value)
  }

  mutating func nestedContainer<Inner: CodingKey>(
    keyedBy type: Inner.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Inner> {
    node.member(key.stringValue).container(keyedBy: type)
  }

  mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    node.member(key.stringValue).unkeyedContainer()
  }

  mutating func superEncoder() -> any Encoder { node.member("super") }

  mutating func superEncoder(forKey key: Key) -> any Encoder { node.member(key.stringValue) }
}

private struct Elements: UnkeyedEncodingContainer {
  let node: Node
  let codingPath: [any CodingKey] = []
  var count: Int { if case .list(let nodes) = node.content { nodes.count } else { 0 } }

  mutating func encodeNil() { _ = node.element() }

  mutating func encode<Value: Encodable>(_ value: Value) throws { try node.element().write(value) }

  mutating func nestedContainer<Inner: CodingKey>(
    keyedBy type: Inner.Type
  ) -> KeyedEncodingContainer<Inner> {
    node.element().container(keyedBy: type)
  }

  mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    node.element().unkeyedContainer()
  }

  mutating func superEncoder() -> any Encoder { node.element() }
}

private struct Single: SingleValueEncodingContainer {
  let node: Node
  let codingPath: [any CodingKey] = []

  mutating func encodeNil() { node.content = .scalar("null") }

  mutating func encode<Value: Encodable>(_ value: Value) throws { try node.write(value) }
}
