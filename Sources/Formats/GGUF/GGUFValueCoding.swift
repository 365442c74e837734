internal import Platform
internal import Tensors

extension GGUFCursor {
  /// Levels of arrays in arrays that are read; llama.cpp reads one.
  private static let nestingLimit = 4
  /// Arrays that a header may have, those in arrays among them; each takes more memory than it has
  /// bytes.
  private static let arrayLimit = 1 << 17

  /// The next value of a type.
  mutating func value(_ kind: MetadataValue.Kind) throws(Fault) -> MetadataValue {
    switch kind {
    case .string: return .string(try string("string"))
    case .array: return .array(try array(depth: 1))
    case .bool: return .bool(try flag())
    default:
      guard let value = MetadataValue(kind, bits: try unsigned(kind.byteCount ?? 0)) else {
        preconditionFailure("\(kind) is no number")
      }
      return value
    }
  }

  /// The next type of a value.
  mutating func kind() throws(Fault) -> MetadataValue.Kind {
    let start = position
    let number = try word()
    guard let kind = MetadataValue.Kind(rawValue: number) else {
      throw fault(
        "has an unknown type of value", at: start, expected: "0 to 12", found: "\(number)")
    }
    return kind
  }

  private mutating func flag() throws(Fault) -> Bool {
    let start = position
    let byte = try unsigned(1)
    guard byte <= 1 else {
      throw fault("has a truth value that is neither 0 nor 1", at: start, found: "\(byte)")
    }
    return byte == 1
  }

  private mutating func array(depth: Int) throws(Fault) -> MetadataArray {
    guard depth <= GGUFCursor.nestingLimit else {
      throw fault(
        "has arrays that are nested too deeply",
        expected: "at most \(GGUFCursor.nestingLimit) levels")
    }
    arrays += 1
    guard arrays <= GGUFCursor.arrayLimit else {
      throw fault("has too many arrays", expected: "at most \(GGUFCursor.arrayLimit)")
    }
    let kind = try kind()
    switch kind {
    case .string:
      let count = try count(of: "strings in an array", size: 8)
      var strings: [String] = []
      strings.reserveCapacity(count)
      for _ in 0..<count { strings.append(try string("string")) }
      return MetadataArray(.strings(strings))
    case .array:
      let count = try count(of: "arrays in an array", size: 12)
      var arrays: [MetadataArray] = []
      for _ in 0..<count { arrays.append(try array(depth: depth + 1)) }
      return MetadataArray(.arrays(arrays))
    default:
      let size = kind.byteCount ?? 1
      let count = try count(of: "values in an array", size: size)
      let start = position
      let elements = try bytes(count * size)
      if kind == .bool, elements.contains(where: { $0 > 1 }) {
        throw fault("has a truth value that is neither 0 nor 1", at: start)
      }
      return MetadataArray(.fixed(kind, Array(elements)))
    }
  }
}

extension Metadata {
  /// The keys and values as they stand in a file.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for key in keys {
      guard let value = self[key] else { continue }
      bytes.appendString(key)
      bytes.appendWord(value.kind.rawValue)
      bytes.append(value)
    }
    return bytes
  }
}

extension [UInt8] {
  /// Puts the lowest bytes of a number behind the others, little-endian.
  package mutating func appendUnsigned(_ value: UInt64, size: Int) {
    for place in 0..<size { append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place))) }
  }

  /// The same of a number of 32 bits.
  package mutating func appendWord(_ value: UInt32) { appendUnsigned(UInt64(value), size: 4) }

  mutating func appendString(_ text: String) {
    appendUnsigned(UInt64(text.utf8.count), size: 8)
    append(contentsOf: text.utf8)
  }

  fileprivate mutating func append(_ value: MetadataValue) {
    switch value {
    case .uint8(let value): append(value)
    case .int8(let value): append(UInt8(bitPattern: value))
    case .uint16(let value): appendUnsigned(UInt64(value), size: 2)
    case .int16(let value): appendUnsigned(UInt64(UInt16(bitPattern: value)), size: 2)
    case .uint32(let value): appendWord(value)
    case .int32(let value): appendWord(UInt32(bitPattern: value))
    case .float32(let value): appendWord(value.bitPattern)
    case .bool(let value): append(value ? 1 : 0)
    case .string(let text): appendString(text)
    case .array(let array): append(array)
    case .uint64(let value): appendUnsigned(value, size: 8)
    case .int64(let value): appendUnsigned(UInt64(bitPattern: value), size: 8)
    case .float64(let value): appendUnsigned(value.bitPattern, size: 8)
    }
  }

  private mutating func append(_ array: MetadataArray) {
    appendWord(array.kind.rawValue)
    appendUnsigned(UInt64(array.count), size: 8)
    switch array.elements {
    case .fixed(_, let bytes): append(contentsOf: bytes)
    case .strings(let strings): for text in strings { appendString(text) }
    case .arrays(let arrays): for array in arrays { append(array) }
    }
  }
}
