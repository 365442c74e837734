internal import Tensors

extension BlockCodec {
  /// F16 scale, 128 bits, the lowest of each byte first; value = scale where the bit is set, else
  /// −scale.
  static let q10 = BlockCodec(.q10) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for index in 0..<128 {
      let isSet = bytes[2 + index / 8] >> UInt8(index % 8) & 1 == 1
      values[index] = isSet ? scale : -scale
    }
  }

  /// F16 scale, 64 codes of 2 bits, the lowest of each byte first; value = (code − 1) · scale.
  static let q20 = BlockCodec(.q20) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for index in 0..<64 {
      let code = bytes[2 + index / 4] >> UInt8(2 * (index % 4)) & 3
      values[index] = Float(Int32(code) - 1) * scale
    }
  }
}
