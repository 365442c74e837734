internal import Tensors

extension Codec {
  /// Integers and truth values. Beyond 2²⁴ the value is rounded to nearest. Those that tables of
  /// indices are made of are written too, NaN as 0.
  static let integers = [
    integer(.bool, UInt8.self), integer(.u8, UInt8.self), integer(.i8, Int8.self),
    integer(.u16, UInt16.self), integer(.i16, Int16.self), integer(.u32, UInt32.self),
    integer(.i32, Int32.self, encode: encoding(Int32.self)), integer(.u64, UInt64.self),
    integer(.i64, Int64.self, encode: encoding(Int64.self)),
  ]

  private static func integer<Value: FixedWidthInteger & BitwiseCopyable & Sendable>(
    _ type: ElementType, _: Value.Type, encode: Encode? = nil
  ) -> Codec {
    let size = MemoryLayout<Value>.size
    return Codec(
      type, isExact: size < 4,
      decode: { bytes, values, _ in
        for index in 0..<values.count {
          values[index] = Float(bytes.loadUnaligned(fromByteOffset: size * index, as: Value.self))
        }
      }, encode: encode)
  }

  private static func encoding<Value: FixedWidthInteger & BitwiseCopyable & Sendable>(
    _: Value.Type
  ) -> Encode {
    { values, bytes, _ in
      for index in 0..<values.count {
        let rounded = values[index].rounded(.toNearestOrEven)
        let nearest = rounded.isNaN ? 0 : rounded < 0 ? Value.min : Value.max
        bytes.storeBytes(
          of: Value(exactly: rounded) ?? nearest, toByteOffset: MemoryLayout<Value>.size * index,
          as: Value.self)
      }
    }
  }
}
