internal import Tensors

extension BlockCodec {
  /// F16 scale, 32 bytes of grid indices, 8 × 16 bits: 4 × 3 high bits of the indices, 3 of scale, 1
  /// for the sign of the shift by ⅛.
  static let iq1S = BlockCodec(.iq1S) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for group in 0..<32 {
      let bits = BlockMath.load16(bytes + 34 + group / 4 * 2)
      let high = Int(bits >> UInt16(group % 4 * 3) & 7)
      IQ1.store(
        Int(bytes[2 + group]) | high << 8, step: scale * Float(2 * (bits >> 12 & 7) + 1),
        isLower: bits & 0x8000 != 0, values + 8 * group)
    }
  }

  /// 32 bytes of grid indices, 16 of two times 3 high bits and 1 for the sign of the shift, 4 × 16
  /// bits: 4 × 3 of scale, and 4 of the F16 scale of the scales.
  static let iq1M = BlockCodec(.iq1M) { bytes, values in
    var half: UInt16 = 0
    for index in 0..<4 {
      half |= (BlockMath.load16(bytes + 48 + 2 * index) >> 12) << UInt16(4 * index)
    }
    let scale = Float(Float16(bitPattern: half))
    for group in 0..<32 {
      let bits = bytes[32 + group / 2] >> UInt8(group % 2 * 4)
      let code = BlockMath.load16(bytes + 48 + group / 8 * 2) >> UInt16(group / 2 % 4 * 3) & 7
      IQ1.store(
        Int(bytes[group]) | Int(bits & 7) << 8, step: scale * Float(2 * code + 1),
        isLower: bits & 8 != 0, values + 8 * group)
    }
  }
}

private enum IQ1 {
  /// values = step · (grid value ± ⅛)
  @inline(__always)
  static func store(
    _ index: Int, step: Float, isLower: Bool, _ values: UnsafeMutablePointer<Float>
  ) {
    let shift: Float = isLower ? -0.125 : 0.125
    for element in 0..<8 {
      values[element] = step * (BlockGrid.iq1.values[8 * index + element] + shift)
    }
  }
}
