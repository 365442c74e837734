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
  } encode: { x, importance, bytes in
    let search = TernarySearch(count: 32, tiny: 1e-12)
    // Of each sub-block, and stored only where the block has a scale.
    var lower: UInt8 = 0
    search.encode(x, importance, bytes, size: 50) { block, s in
      var high: UInt16 = 0
      for group in 0..<4 {
        let index = PointGrid.iq1.indices[Int(s.words[group])]
        bytes[2 + 4 * block + group] = UInt8(truncatingIfNeeded: index)
        high |= (index >> 8) << UInt16(3 * group)
      }
      BlockMath.store16(high, bytes + 34 + 2 * block)
      if s.shift == 1 { lower |= 1 << UInt8(block) }
    } finish: { most, scales in
      guard !most.isNaN else {
        BlockMath.storeHalf(.nan, bytes)
        return
      }
      let scale = most / 15
      BlockMath.storeHalf(scale * 1.125, bytes)
      for block in 0..<8 {
        let code = BlockMath.nearest(0.5 * (1 / scale * scales[block] - 1), 0, 7)
        let sign = (lower >> UInt8(block)) << 7
        bytes[35 + 2 * block] |= BlockMath.byte(code) << 4 | sign
      }
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
  } encode: { x, importance, bytes in
    let search = TernarySearch(count: 16, tiny: 1e-7)
    // Of each sub-block, four bits, and stored only where the block has a scale.
    var shifts: UInt64 = 0
    search.encode(x, importance, bytes, size: 56) { block, s in
      let (one, other) = (
        PointGrid.iq1.indices[Int(s.words[0])], PointGrid.iq1.indices[Int(s.words[1])]
      )
      bytes[2 * block] = UInt8(truncatingIfNeeded: one)
      bytes[2 * block + 1] = UInt8(truncatingIfNeeded: other)
      bytes[32 + block] = UInt8(one >> 8 | (other >> 8) << 4)
      shifts |= UInt64(s.shift) << UInt64(4 * block)
    } finish: { most, scales in
      var half: UInt16 = 0x7E00
      if !most.isNaN {
        for block in 0..<16 {
          let shift = shifts >> UInt64(4 * block)
          bytes[32 + block] |= UInt8(shift & 1) << 7 | UInt8(shift >> 1 & 1) << 3
        }
        half = BlockMath.half(
          search.finalScale(x, importance, bytes, most / 15, scales) * 1.1125)
      }
      for word in 0..<4 {
        bytes[49 + 2 * word] |= UInt8(half >> UInt16(4 * word) & 15) << 4
      }
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
