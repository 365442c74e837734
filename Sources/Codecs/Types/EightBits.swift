internal import CKernels
internal import Tensors

extension Codec {
  /// FP8 E4M3, see `SmallFloat.e4m3`.
  static let e4m3 = Codec(.f8E4M3) { bytes, values, level in
    if let kernels = level.kernels {
      kernels.pointee.decode_e4m3(bytes.baseAddress!, values.baseAddress!, values.count)
      return
    }
    decode(bytes, values, e4m3Values)
  } encode: { values, bytes, level in
    if let kernels = level.kernels {
      kernels.pointee.encode_e4m3(values.baseAddress!, bytes.baseAddress!, values.count)
      return
    }
    encode(values, bytes, .e4m3)
  }

  /// FP8 E5M2, see `SmallFloat.e5m2`.
  static let e5m2 = Codec(.f8E5M2) { bytes, values, _ in
    decode(bytes, values, e5m2Values)
  } encode: { values, bytes, _ in
    encode(values, bytes, .e5m2)
  }

  /// The FP8 formats of AMD's MI300, which are only read.
  static let fnuz = [
    Codec(.f8E4M3FNUZ) { bytes, values, _ in decode(bytes, values, e4m3fnuzValues) },
    Codec(.f8E5M2FNUZ) { bytes, values, _ in decode(bytes, values, e5m2fnuzValues) },
  ]

  private static let e4m3Values = (0..<256).map { SmallFloat.e4m3.decode($0) }
  private static let e5m2Values = (0..<256).map { SmallFloat.e5m2.decode($0) }
  private static let e4m3fnuzValues = (0..<256).map { SmallFloat.e4m3fnuz.decode($0) }
  private static let e5m2fnuzValues = (0..<256).map { SmallFloat.e5m2fnuz.decode($0) }

  private static func decode(
    _ bytes: UnsafeRawBufferPointer, _ values: UnsafeMutableBufferPointer<Float>, _ table: [Float]
  ) {
    for index in 0..<values.count { values[index] = table[Int(bytes[index])] }
  }

  private static func encode(
    _ values: UnsafeBufferPointer<Float>, _ bytes: UnsafeMutableRawBufferPointer,
    _ format: SmallFloat
  ) {
    for index in 0..<values.count {
      bytes[index] = UInt8(truncatingIfNeeded: format.encode(values[index]))
    }
  }

  /// E8M0 scales, see `PowerOfTwo`.
  static let e8m0 = Codec(.f8E8M0) { bytes, values, _ in
    for index in 0..<values.count { values[index] = PowerOfTwo.decode(bytes[index]) }
  } encode: { values, bytes, _ in
    for index in 0..<values.count { bytes[index] = PowerOfTwo.encode(values[index]) }
  }
}
