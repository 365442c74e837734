internal import CKernels
internal import Tensors

extension Codec {
  /// BF16, see `BFloat16`.
  static let bf16 = Codec(.bf16) { bytes, values, level in
    if let kernels = level.kernels {
      kernels.pointee.decode_bf16(bytes.baseAddress!, values.baseAddress!, values.count)
      return
    }
    for index in 0..<values.count {
      values[index] = BFloat16.decode(
        bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
    }
  } encode: { values, bytes, level in
    if let kernels = level.kernels {
      kernels.pointee.encode_bf16(values.baseAddress!, bytes.baseAddress!, values.count)
      return
    }
    for index in 0..<values.count {
      bytes.storeBytes(
        of: BFloat16.encode(values[index]), toByteOffset: 2 * index, as: UInt16.self)
    }
  }

  /// F16, see `SmallFloat.f16`.
  static let f16 = Codec(.f16) { bytes, values, level in
    if let kernels = level.kernels {
      kernels.pointee.decode_f16(bytes.baseAddress!, values.baseAddress!, values.count)
      return
    }
    for index in 0..<values.count {
      let code = bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
      values[index] = SmallFloat.f16.decode(UInt32(code))
    }
  } encode: { values, bytes, level in
    if let kernels = level.kernels {
      kernels.pointee.encode_f16(values.baseAddress!, bytes.baseAddress!, values.count)
      return
    }
    for index in 0..<values.count {
      let code = UInt16(truncatingIfNeeded: SmallFloat.f16.encode(values[index]))
      bytes.storeBytes(of: code, toByteOffset: 2 * index, as: UInt16.self)
    }
  }
}
