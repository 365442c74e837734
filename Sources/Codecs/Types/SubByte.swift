internal import Tensors

extension Codec {
  /// FP4 E2M1, two to a byte, the lower half first (torch's `float4_e2m1fn_x2`).
  static let f4 = packed(.f4, .e2m1)

  /// The FP6 formats, four to three bytes: an unbroken stream of bits, lowest first.
  static let fp6 = [packed(.f6E2M3, .e2m3), packed(.f6E3M2, .e3m2)]

  private static func packed(_ type: ElementType, _ format: SmallFloat) -> Codec {
    let table = (0..<UInt32(1 << format.bits)).map { format.decode($0) }
    let (bits, mask) = (format.bits, (1 << format.bits) - 1)
    return Codec(type) { bytes, values, _ in
      for index in 0..<values.count {
        let (byte, shift) = (index * bits).quotientAndRemainder(dividingBy: 8)
        let next = shift + bits > 8 ? Int(bytes[byte + 1]) << 8 : 0
        values[index] = table[(Int(bytes[byte]) | next) >> shift & mask]
      }
    }
  }
}
