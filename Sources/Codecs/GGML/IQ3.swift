internal import Tensors

extension BlockCodec {
  /// F16 scale, 64 bytes of grid indices for 4 elements each, 8 × 32 bits: 4 × 7 of signs, 4 of scale.
  static let iq3XXS = BlockCodec(.iq3XXS) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for group in 0..<32 {
      let bits = BlockMath.load32(bytes + 66 + group / 4 * 4)
      let signs = Grid.signs(bits >> UInt32(group % 4 * 7))
      let step = scale * (0.5 + Float(bits >> 28)) * 0.5
      for half in 0..<2 {
        Grid.store(
          BlockGrid.iq3xxs, Int(bytes[2 + 2 * group + half]), signs: signs >> UInt8(4 * half), step,
          count: 4, values + 8 * group + 4 * half)
      }
    }
  }

  /// F16 scale, 64 bytes of grid indices for 4 elements each, 8 of their high bits, 32 of signs, 4 of
  /// two 4-bit scales.
  static let iq3S = BlockCodec(.iq3S) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for group in 0..<64 {
      let high = Int(bytes[66 + group / 8] >> UInt8(group % 8) & 1)
      let code = bytes[106 + group / 16] >> UInt8(group / 8 % 2 * 4) & 15
      Grid.store(
        BlockGrid.iq3s, Int(bytes[2 + group]) | high << 8,
        signs: bytes[74 + group / 2] >> UInt8(group % 2 * 4), scale * Float(1 + 2 * code), count: 4,
        values + 4 * group)
    }
  }
}
