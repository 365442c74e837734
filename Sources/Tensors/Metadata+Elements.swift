extension MetadataValue.Kind {
  /// What gguf-dump calls the type: `UINT32`, `STRING`.
  package var name: String { "\(self)".uppercased() }
}

extension MetadataValue {
  /// What gguf-dump calls the type, that of an array's elements in brackets: `[STRING]`.
  package var typeName: String {
    guard case .array(let array) = self else { return kind.name }
    return array.typeName
  }

  /// Makes a number or a truth value of its bits, those above its size being ignored.
  ///
  /// - Returns: nil for strings and arrays.
  package init?(_ kind: Kind, bits: UInt64) {
    switch kind {
    case .uint8: self = .uint8(UInt8(truncatingIfNeeded: bits))
    case .int8: self = .int8(Int8(truncatingIfNeeded: bits))
    case .uint16: self = .uint16(UInt16(truncatingIfNeeded: bits))
    case .int16: self = .int16(Int16(truncatingIfNeeded: bits))
    case .uint32: self = .uint32(UInt32(truncatingIfNeeded: bits))
    case .int32: self = .int32(Int32(truncatingIfNeeded: bits))
    case .float32: self = .float32(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
    case .bool: self = .bool(bits & 0xFF != 0)
    case .uint64: self = .uint64(bits)
    case .int64: self = .int64(Int64(bitPattern: bits))
    case .float64: self = .float64(Double(bitPattern: bits))
    case .string, .array: return nil
    }
  }
}

extension MetadataArray {
  /// What gguf-dump calls the type: that of the elements in brackets.
  package var typeName: String {
    if case .arrays(let arrays) = elements { return "[\(arrays.first?.typeName ?? "ARRAY")]" }
    return "[\(kind.name)]"
  }

  /// The first elements, so many at the most.
  package func prefix(_ most: Int) -> [MetadataValue] {
    switch elements {
    case .strings(let values): return values.prefix(most).map { .string($0) }
    case .arrays(let values): return values.prefix(most).map { .array($0) }
    case .fixed(let kind, let bytes):
      let size = kind.byteCount ?? 1
      return (0..<min(most, count)).compactMap { index in
        var bits: UInt64 = 0
        for place in 0..<size { bits |= UInt64(bytes[index * size + place]) << UInt64(8 * place) }
        return MetadataValue(kind, bits: bits)
      }
    }
  }
}
