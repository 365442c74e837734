internal import CKernels
internal import Tensors

extension Codec {
  /// FP4 E2M1, two to a byte, the lower half first (torch's `float4_e2m1fn_x2`).
  static let f4 = packed(.f4, .e2m1, kind: Int32(FATHOM_CODE_F4))

  /// The FP6 formats, four to three bytes: an unbroken stream of bits, lowest first.
  static let fp6 = [packed(.f6E2M3, .e2m3), packed(.f6E3M2, .e3m2)]

  /// - Parameter kind: what the kernels for groups call the codes; nil where they have none.
  private static func packed(
    _ type: ElementType, _ format: SmallFloat, kind: Int32? = nil
  ) -> Codec {
    let table = (0..<UInt32(1 << format.bits)).map { format.decode($0) }
    return Codec(type) { bytes, values, level in
      if let kind, let kernels = fathom_groups_at(level.rawValue) {
        kernels.pointee.decode(bytes, kind, into: values)
        return
      }
      BitStream.unpack(bytes, bits: format.bits, count: values.count) { index, code in
        values[index] = table[Int(code)]
      }
    }
  }
}
