internal import Tensors

extension Codec {
  /// FP4 E2M1, two to a byte, the lower half first (torch's `float4_e2m1fn_x2`).
  static let f4 = packed(.f4, .e2m1)

  /// The FP6 formats, four to three bytes: an unbroken stream of bits, lowest first.
  static let fp6 = [packed(.f6E2M3, .e2m3), packed(.f6E3M2, .e3m2)]

  private static func packed(_ type: ElementType, _ format: SmallFloat) -> Codec {
    let table = (0..<UInt32(1 << format.bits)).map { format.decode($0) }
    return Codec(type) { bytes, values, _ in
      BitStream.unpack(bytes, bits: format.bits, count: values.count) { index, code in
        values[index] = table[Int(code)]
      }
    }
  }
}
