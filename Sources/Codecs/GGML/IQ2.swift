internal import Tensors

extension BlockCodec {
  /// F16 scale, then for each 32 elements 4 bytes of grid indices and 32 bits: 4 × 7 of signs, 4 of
  /// scale.
  static let iq2XXS = BlockCodec(.iq2XXS) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for block in 0..<8 {
      let part = bytes + 2 + 8 * block
      let bits = BlockMath.load32(part + 4)
      let step = scale * (0.5 + Float(bits >> 28)) * 0.25
      for group in 0..<4 {
        Grid.store(
          BlockGrid.iq2xxs, Int(part[group]), signs: Grid.signs(bits >> UInt32(7 * group)), step,
          values + 32 * block + 8 * group)
      }
    }
  }

  /// F16 scale, 32 × 16 bits of grid index (9) and signs (7), 8 bytes of two 4-bit scales.
  static let iq2XS = BlockCodec(.iq2XS) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for group in 0..<32 {
      let bits = BlockMath.load16(bytes + 2 + 2 * group)
      let code = bytes[66 + group / 4] >> UInt8(group / 2 % 2 * 4) & 15
      Grid.store(
        BlockGrid.iq2xs, Int(bits & 511), signs: Grid.signs(UInt32(bits >> 9)),
        scale * (0.5 + Float(code)) * 0.25, values + 8 * group)
    }
  }

  /// F16 scale, 32 bytes of grid indices, 32 of signs, 8 of the indices' two high bits, 8 of two
  /// 4-bit scales.
  static let iq2S = BlockCodec(.iq2S) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for group in 0..<32 {
      let high = Int(bytes[66 + group / 4] >> UInt8(group % 4 * 2) & 3)
      let code = bytes[74 + group / 4] >> UInt8(group / 2 % 2 * 4) & 15
      Grid.store(
        BlockGrid.iq2s, Int(bytes[2 + group]) | high << 8, signs: bytes[34 + group],
        scale * (0.5 + Float(code)) * 0.25, values + 8 * group)
    }
  }
}

/// How the types with grids store a group of 8 elements.
enum Grid {
  /// Seven signs as they are stored, and the eighth that makes their number even.
  @inline(__always)
  static func signs(_ bits: UInt32) -> UInt8 {
    let seven = UInt8(bits & 127)
    return seven | UInt8(seven.nonzeroBitCount & 1) << 7
  }

  /// values = step · grid value, negated where the bit of the element is set.
  @inline(__always)
  static func store(
    _ grid: BlockGrid, _ index: Int, signs: UInt8, _ step: Float, count: Int = 8,
    _ values: UnsafeMutablePointer<Float>
  ) {
    for element in 0..<count {
      let value = step * grid.values[index * count + element]
      values[element] = signs >> UInt8(element) & 1 == 0 ? value : -value
    }
  }
}
