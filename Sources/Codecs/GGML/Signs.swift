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
  } encode: { x, _, bytes in
    var sum: Float = 0
    for index in 0..<128 { sum += x[index].magnitude }
    BlockMath.storeHalf(sum / 128, bytes)
    for byte in 0..<16 {
      var bits: UInt8 = 0
      for bit in 0..<8 where x[8 * byte + bit] >= 0 { bits |= 1 << UInt8(bit) }
      bytes[2 + byte] = bits
    }
  }

  /// F16 scale, 64 codes of 2 bits, the lowest of each byte first; value = (code − 1) · scale.
  static let q20 = BlockCodec(.q20) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for index in 0..<64 {
      let code = bytes[2 + index / 4] >> UInt8(2 * (index % 4)) & 3
      values[index] = Float(Int32(code) - 1) * scale
    }
  } encode: { x, _, bytes in
    let scale = BlockMath.extreme(x, count: 64).magnitude
    let inverse = scale > 0 ? 1 / scale : 0
    BlockMath.storeHalf(scale, bytes)
    for byte in 0..<16 {
      var codes: UInt8 = 0
      for index in 0..<4 {
        let rounded = (x[4 * byte + index] * inverse).rounded(.toNearestOrAwayFromZero)
        // What does not fit counts as the lowest code.
        let code = max(0, min(3, BlockMath.truncated(rounded) + 1))
        codes |= UInt8(code) << UInt8(2 * index)
      }
      bytes[2 + byte] = codes
    }
  }
}
