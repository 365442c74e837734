internal import Tensors

extension Codec {
  /// Integers and truth values, only read. Beyond 2²⁴ the value is rounded to nearest.
  static let integers = [
    integer(.bool, UInt8.self), integer(.u8, UInt8.self), integer(.i8, Int8.self),
    integer(.u16, UInt16.self), integer(.i16, Int16.self), integer(.u32, UInt32.self),
    integer(.i32, Int32.self), integer(.u64, UInt64.self), integer(.i64, Int64.self),
  ]

  private static func integer<Value: FixedWidthInteger & BitwiseCopyable & Sendable>(
    _ type: ElementType, _: Value.Type
  ) -> Codec {
    let size = MemoryLayout<Value>.size
    return Codec(type, isExact: size < 4) { bytes, values, _ in
      for index in 0..<values.count {
        values[index] = Float(bytes.loadUnaligned(fromByteOffset: size * index, as: Value.self))
      }
    }
  }
}
