internal import Tensors

/// Metadata of a GGUF file: keys with values in the order in which they stand there.
public struct GGUFMetadata: Hashable, Sendable {
  /// The same as the modules inside have it.
  private(set) var inner: Metadata

  init(_ inner: Metadata) { self.inner = inner }

  /// Makes empty metadata.
  public init() { inner = Metadata() }

  /// Keys in order; none stands twice.
  public var keys: [String] { inner.keys }

  /// Reads, replaces in place, appends (a new key) or removes (nil) a value.
  public subscript(key: String) -> MetadataValue? {
    get { inner[key].map { MetadataValue($0) } }
    set { inner[key] = newValue?.inner }
  }
}

/// A value of a GGUF file's metadata.
public enum MetadataValue: Hashable, Sendable {
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

  /// The value of any integer type; nil for other types, and where it does not fit.
  public var integer: Int? { inner.integer }

  /// The value of a floating-point or integer type; nil for other types.
  public var number: Double? { inner.number }

  /// The text of a string; nil for other types.
  public var text: String? { inner.text }

  /// The elements of an array; nil for other types.
  public var array: MetadataArray? {
    if case .array(let array) = self { array } else { nil }
  }

  init(_ inner: Tensors.MetadataValue) {
    self =
      switch inner {
      case .uint8(let value): .uint8(value)
      case .int8(let value): .int8(value)
      case .uint16(let value): .uint16(value)
      case .int16(let value): .int16(value)
      case .uint32(let value): .uint32(value)
      case .int32(let value): .int32(value)
      case .float32(let value): .float32(value)
      case .bool(let value): .bool(value)
      case .string(let value): .string(value)
      case .array(let value): .array(MetadataArray(value))
      case .uint64(let value): .uint64(value)
      case .int64(let value): .int64(value)
      case .float64(let value): .float64(value)
      }
  }

  var inner: Tensors.MetadataValue {
    switch self {
    case .uint8(let value): .uint8(value)
    case .int8(let value): .int8(value)
    case .uint16(let value): .uint16(value)
    case .int16(let value): .int16(value)
    case .uint32(let value): .uint32(value)
    case .int32(let value): .int32(value)
    case .float32(let value): .float32(value)
    case .bool(let value): .bool(value)
    case .string(let value): .string(value)
    case .array(let value): .array(value.inner)
    case .uint64(let value): .uint64(value)
    case .int64(let value): .int64(value)
    case .float64(let value): .float64(value)
    }
  }
}

/// An array of a GGUF file's metadata, whose elements are of one type.
///
/// Numbers stay as small as in the file: a vocabulary's token types would take ten times their size
/// as values.
public struct MetadataArray: Hashable, Sendable {
  let inner: Tensors.MetadataArray

  init(_ inner: Tensors.MetadataArray) { self.inner = inner }

  /// Makes an array of strings.
  public init(strings: [String]) { inner = Tensors.MetadataArray(.strings(strings)) }

  /// Makes an array of signed 32-bit integers.
  public init(int32 values: [Int32]) { inner = Tensors.MetadataArray(int32: values) }

  /// Makes an array of F32 numbers.
  public init(float32 values: [Float]) { inner = Tensors.MetadataArray(float32: values) }

  /// Makes an array of values; nil where they are of several types, or there are none, whose type
  /// nobody could tell.
  public init?(_ values: [MetadataValue]) {
    let all = values.map(\.inner)
    guard let kind = all.first?.kind, let array = Tensors.MetadataArray(kind, all) else {
      return nil
    }
    inner = array
  }

  /// Number of elements.
  public var count: Int { inner.count }

  /// What gguf-dump calls its type, that of the elements in brackets: `[STRING]`.
  public var typeName: String { inner.typeName }

  /// The elements as strings; nil where they are of another type.
  public var strings: [String]? { inner.strings }

  /// The elements of an integer type; nil where they are of another type or one does not fit.
  public var integers: [Int]? { inner.integers }

  /// All elements, each a value of its own.
  public var values: [MetadataValue] { inner.prefix(inner.count).map { MetadataValue($0) } }
}
