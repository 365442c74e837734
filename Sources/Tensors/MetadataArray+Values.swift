extension MetadataArray {
  /// Makes an array of values; nil where one is of another type than `kind`.
  package init?(_ kind: MetadataValue.Kind, _ values: [MetadataValue]) {
    guard values.allSatisfy({ $0.kind == kind }) else { return nil }
    switch kind {
    case .string: self.init(.strings(values.compactMap(\.text)))
    case .array: self.init(.arrays(values.compactMap(\.array)))
    default: self.init(.fixed(kind, values.flatMap(\.bytes)))
    }
  }
}

extension MetadataValue {
  /// The bytes of a number or a truth value, little-endian.
  fileprivate var bytes: [UInt8] {
    let bits: UInt64 =
      switch self {
      case .uint8(let value): UInt64(value)
      case .int8(let value): UInt64(truncatingIfNeeded: value)
      case .uint16(let value): UInt64(value)
      case .int16(let value): UInt64(truncatingIfNeeded: value)
      case .uint32(let value): UInt64(value)
      case .int32(let value): UInt64(truncatingIfNeeded: value)
      case .float32(let value): UInt64(value.bitPattern)
      case .bool(let value): value ? 1 : 0
      case .uint64(let value): value
      case .int64(let value): UInt64(bitPattern: value)
      case .float64(let value): value.bitPattern
      case .string, .array: 0
      }
    return (0..<(kind.byteCount ?? 0)).map { UInt8(truncatingIfNeeded: bits >> UInt64(8 * $0)) }
  }
}
