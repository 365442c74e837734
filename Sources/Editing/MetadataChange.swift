package import Platform
package import Tensors

/// A change of a file's metadata, as the user asks for it.
package struct MetadataChange: Sendable, Hashable {
  /// The key.
  package let key: String
  /// Its new value; nil where the key is taken away.
  package let value: MetadataValue?

  /// Takes a key away.
  package init(removing key: String) throws(Fault) {
    try Self.require(key, in: key)
    self.key = key
    value = nil
  }

  /// Sets a key to a text.
  package init(_ key: String, text: String) throws(Fault) {
    try Self.require(key, in: key)
    self.key = key
    value = .string(text)
  }

  /// Reads `KEY=TYPE:VALUE`: the types of GGUF, `u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 bool str`, or
  /// one in brackets with a list in JSON, as in `general.tags=[str]:["moe", "mla"]`.
  ///
  /// - Throws: `.usage` for anything else, and for a value that the type does not hold.
  package init(parsing text: String) throws(Fault) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let words = parts.last?.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let words, words.count == 2 else {
      throw Fault(.usage, "is not understood", expected: "KEY=TYPE:VALUE", found: text)
    }
    try Self.require(String(parts[0]), in: text)
    key = String(parts[0])
    value = try Self.value(String(words[0]), String(words[1]), in: text)
  }

  private static func require(_ key: String, in text: String) throws(Fault) {
    guard (1...65_535).contains(key.utf8.count) else {
      throw Fault(.usage, "names no key", expected: "a key of 1 to 65,535 bytes", found: text)
    }
  }

  private static let kinds: [String: MetadataValue.Kind] = [
    "u8": .uint8, "i8": .int8, "u16": .uint16, "i16": .int16, "u32": .uint32, "i32": .int32,
    "u64": .uint64, "i64": .int64, "f32": .float32, "f64": .float64, "bool": .bool, "str": .string,
  ]

  /// The names of the types, as they are written.
  package static let typeNames = kinds.sorted { $0.value.rawValue < $1.value.rawValue }.map(\.key)

  private static func value(
    _ type: String, _ value: String, in text: String
  ) throws(Fault) -> MetadataValue {
    let isList = type.utf8.first == UInt8(ascii: "[") && type.utf8.last == UInt8(ascii: "]")
    let name = isList ? String(type.dropFirst().dropLast()) : type
    guard let kind = kinds[name] else {
      throw Fault(
        .usage, "has a type that GGUF has not",
        expected: typeNames.joined(separator: ", ")
          + ", or one of them in brackets", found: text)
    }
    guard isList else { return try scalar(kind, name, value, in: text) }
    guard case .array(let elements)? = try? JSONValue(parsing: Array(value.utf8), file: "") else {
      throw Fault(.usage, "has a list that is no JSON", expected: "[…]", found: text)
    }
    var values: [MetadataValue] = []
    for element in elements {
      let word: String
      switch element {
      case .string(let text) where kind == .string: word = text
      case .bool(let flag) where kind == .bool: word = flag ? "true" : "false"
      case .integer(let number) where kind != .bool && kind != .string: word = "\(number)"
      case .number(_, let literal) where kind != .bool && kind != .string: word = literal
      default:
        throw Fault(.usage, "has an element of another type", expected: name, found: text)
      }
      values.append(try scalar(kind, name, word, in: text))
    }
    guard let array = MetadataArray(kind, values) else {
      preconditionFailure("every element was read as \(name)")
    }
    return .array(array)
  }

  private static func scalar(
    _ kind: MetadataValue.Kind, _ name: String, _ word: String, in text: String
  ) throws(Fault) -> MetadataValue {
    let value: MetadataValue? =
      switch kind {
      case .uint8: UInt8(word).map { .uint8($0) }
      case .int8: Int8(word).map { .int8($0) }
      case .uint16: UInt16(word).map { .uint16($0) }
      case .int16: Int16(word).map { .int16($0) }
      case .uint32: UInt32(word).map { .uint32($0) }
      case .int32: Int32(word).map { .int32($0) }
      case .uint64: UInt64(word).map { .uint64($0) }
      case .int64: Int64(word).map { .int64($0) }
      case .float32: Float(word).flatMap { $0.isFinite ? .float32($0) : nil }
      case .float64: Double(word).flatMap { $0.isFinite ? .float64($0) : nil }
      case .bool: Bool(word).map { .bool($0) }
      case .string: .string(word)
      case .array: nil
      }
    guard let value else {
      throw Fault(.usage, "has a value that its type does not hold", expected: name, found: text)
    }
    return value
  }
}
