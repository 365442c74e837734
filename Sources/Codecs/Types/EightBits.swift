internal import Tensors

extension Codec {
  /// The FP8 formats. The `fnuz` ones occur in files made for AMD's MI300 and are only read.
  static let fp8 = [
    fp8(.f8E4M3, .e4m3, isWritable: true), fp8(.f8E5M2, .e5m2, isWritable: true),
    fp8(.f8E4M3FNUZ, .e4m3fnuz, isWritable: false),
    fp8(.f8E5M2FNUZ, .e5m2fnuz, isWritable: false),
  ]

  private static func fp8(
    _ type: ElementType, _ format: SmallFloat, isWritable: Bool
  ) -> Codec {
    let table = (0..<256).map { format.decode($0) }
    let encode: Encode = { values, bytes, _ in
      for index in 0..<values.count {
        bytes[index] = UInt8(truncatingIfNeeded: format.encode(values[index]))
      }
    }
    return Codec(
      type,
      decode: { bytes, values, _ in
        for index in 0..<values.count { values[index] = table[Int(bytes[index])] }
      }, encode: isWritable ? encode : nil)
  }

  /// E8M0 scales, see `PowerOfTwo`.
  static let e8m0 = Codec(.f8E8M0) { bytes, values, _ in
    for index in 0..<values.count { values[index] = PowerOfTwo.decode(bytes[index]) }
  } encode: { values, bytes, _ in
    for index in 0..<values.count { bytes[index] = PowerOfTwo.encode(values[index]) }
  }
}
