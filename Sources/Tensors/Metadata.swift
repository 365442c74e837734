/// A value beside the tensors, of one of the types that GGUF files know.
package enum MetadataValue: Sendable, Hashable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case float32(Float)
  case bool(Bool)
  case string(String)
  case array(MetadataArray)
  case uint64(UInt64)
  case int64(Int64)
  case float64(Double)

  /// The types, by the numbers that GGUF files use.
  package enum Kind: UInt32, Sendable, Hashable, CaseIterable {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64
    case float64

    /// Bytes of a value; nil for strings and arrays, which say how long they are.
    package var byteCount: Int? { MetadataValue.Kind.sizes[self] }

    private static let sizes: [Kind: Int] = [
      .uint8: 1, .int8: 1, .bool: 1, .uint16: 2, .int16: 2, .uint32: 4, .int32: 4, .float32: 4,
      .uint64: 8, .int64: 8, .float64: 8,
    ]
  }

  /// The type of the value.
  package var kind: Kind {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .uint32: .uint32
    case .int32: .int32
    case .float32: .float32
    case .bool: .bool
    case .string: .string
    case .array: .array
    case .uint64: .uint64
    case .int64: .int64
    case .float64: .float64
    }
  }

  /// The value of any integer type; nil for other types, and where it does not fit.
  package var integer: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(value)
    default: nil
    }
  }

  /// The value of a floating-point or integer type; nil for other types.
  package var number: Double? {
    switch self {
    case .float32(let value): Double(value)
    case .float64(let value): value
    default: integer.map { Double($0) }
    }
  }

  /// The text of a string; nil for other types.
  package var text: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// The elements of an array; nil for other types.
  package var array: MetadataArray? {
    if case .array(let array) = self { array } else { nil }
  }
}

/// An array of metadata values of one type.
///
/// Elements of fixed size stay bytes: a vocabulary's token types would take ten times their size as
/// values.
package struct MetadataArray: Sendable, Hashable {
  /// How elements are held.
  package enum Elements: Sendable, Hashable {
    /// Numbers and truth values, little-endian, without gaps.
    case fixed(MetadataValue.Kind, [UInt8])
    /// Strings.
    case strings([String])
    /// Arrays of any types.
    case arrays([MetadataArray])
  }

  /// The elements.
  package let elements: Elements

  /// Wraps elements; the bytes of `fixed` ones are a whole number of them.
  package init(_ elements: Elements) {
    if case .fixed(let kind, let bytes) = elements {
      precondition(kind.byteCount.map { bytes.count % $0 == 0 } ?? false)
    }
    self.elements = elements
  }

  /// Makes an array of 32-bit integers.
  package init(int32 values: [Int32]) {
    self.init(.int32, words: values.lazy.map { UInt32(bitPattern: $0) })
  }

  /// Makes an array of F32 numbers.
  package init(float32 values: [Float]) {
    self.init(.float32, words: values.lazy.map(\.bitPattern))
  }

  private init(_ kind: MetadataValue.Kind, words: some Collection<UInt32>) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(words.count * 4)
    for word in words {
      for shift in stride(from: 0, to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(shift)))
      }
    }
    elements = .fixed(kind, bytes)
  }

  /// The type of the elements.
  package var kind: MetadataValue.Kind {
    switch elements {
    case .fixed(let kind, _): kind
    case .strings: .string
    case .arrays: .array
    }
  }

  /// Number of elements.
  package var count: Int {
    switch elements {
    case .fixed(let kind, let bytes): bytes.count / (kind.byteCount ?? 1)
    case .strings(let values): values.count
    case .arrays(let values): values.count
    }
  }

  /// The elements as strings; nil where they are of another type.
  package var strings: [String]? {
    if case .strings(let values) = elements { values } else { nil }
  }

  /// The elements of an integer type; nil where they are of another type or one does not fit.
  package var integers: [Int]? {
    guard case .fixed(let kind, let bytes) = elements, let size = kind.byteCount else { return nil }
    let signed: Set<MetadataValue.Kind> = [.int8, .int16, .int32, .int64]
    guard signed.contains(kind) || [.uint8, .uint16, .uint32, .uint64].contains(kind) else {
      return nil
    }
    var values: [Int] = []
    values.reserveCapacity(count)
    for start in stride(from: 0, to: bytes.count, by: size) {
      var bits: UInt64 = 0
      for place in 0..<size { bits |= UInt64(bytes[start + place]) << UInt64(8 * place) }
      let unused = UInt64(64 - 8 * size)
      if signed.contains(kind) {
        values.append(Int(Int64(bitPattern: bits << unused) >> Int64(unused)))
      } else {
        guard let value = Int(exactly: bits) else { return nil }
        values.append(value)
      }
    }
    return values
  }
}

/// Metadata of a file: keys with values in the order in which they stand there.
package struct Metadata: Sendable, Hashable {
  /// Keys in order; none stands twice.
  package private(set) var keys: [String] = []
  private var values: [String: MetadataValue] = [:]

  /// Makes empty metadata.
  package init() {}

  /// Reads, replaces in place, appends (a new key) or removes (nil) a value.
  package subscript(key: String) -> MetadataValue? {
    get { values[key] }
    set {
      guard let newValue else {
        if values.removeValue(forKey: key) != nil { keys.removeAll { $0 == key } }
        return
      }
      if values.updateValue(newValue, forKey: key) == nil { keys.append(key) }
    }
  }

  /// Sets the values of others, where they stand or behind.
  package mutating func merge(_ others: Metadata) {
    for key in others.keys { self[key] = others[key] }
  }

  /// Sets a value and moves its key to the end, as GGML's setters do.
  package mutating func setLast(_ key: String, _ value: MetadataValue) {
    self[key] = nil
    self[key] = value
  }
}
