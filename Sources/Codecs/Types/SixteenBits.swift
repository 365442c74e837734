internal import Tensors

extension Codec {
  /// BF16, see `BFloat16`.
  static let bf16 = Codec(.bf16) { bytes, values, _ in
    for index in 0..<values.count {
      values[index] = BFloat16.decode(
        bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
    }
  } encode: { values, bytes, _ in
    for index in 0..<values.count {
      bytes.storeBytes(
        of: BFloat16.encode(values[index]), toByteOffset: 2 * index, as: UInt16.self)
    }
  }

  /// F16, see `SmallFloat.f16`.
  static let f16 = Codec(.f16) { bytes, values, _ in
    for index in 0..<values.count {
      let code = bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
      values[index] = SmallFloat.f16.decode(UInt32(code))
    }
  } encode: { values, bytes, _ in
    for index in 0..<values.count {
      let code = UInt16(truncatingIfNeeded: SmallFloat.f16.encode(values[index]))
      bytes.storeBytes(of: code, toByteOffset: 2 * index, as: UInt16.self)
    }
  }
}
