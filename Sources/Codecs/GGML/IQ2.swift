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
  } encode: { x, importance, bytes in
    GridSearch.iq2XXS.encode(x, importance, bytes, size: 66, clears: 64) { block, s in
      let part = bytes + 2 + 8 * block
      for group in 0..<4 {
        part[group] = UInt8(PointGrid.iq2XXS.indices[Int(s.words[group])])
      }
      BlockMath.store32(s.packedSigns, part + 4)
    } storeScale: { block, code in
      bytes[9 + 8 * block] |= code << 4
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
  } encode: { x, importance, bytes in
    GridSearch.iq2XS.encode(x, importance, bytes, size: 74, clears: 64) { block, s in
      for group in 0..<2 {
        let index = PointGrid.iq2XS.indices[Int(s.words[group])]
        BlockMath.store16(
          index | UInt16(s.signs[group]) << 9, bytes + 2 + 4 * block + 2 * group)
      }
    } storeScale: { block, code in
      bytes[66 + block / 2] |= code << UInt8(block % 2 * 4)
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
  } encode: { x, importance, bytes in
    GridSearch.iq2S.encode(x, importance, bytes, size: 82, clears: 0) { block, s in
      for group in 0..<2 {
        let (index, place) = (PointGrid.iq2S.indices[Int(s.words[group])], 2 * block + group)
        bytes[2 + place] = UInt8(truncatingIfNeeded: index)
        bytes[34 + place] = s.signs[group]
        bytes[66 + place / 4] |= UInt8(index >> 8) << UInt8(place % 4 * 2)
      }
    } storeScale: { block, code in
      bytes[74 + block / 2] |= code << UInt8(block % 2 * 4)
    }
  }
}

extension GridSearch {
  fileprivate static let iq2XXS = GridSearch(
    grid: .iq2XXS, count: 32, last: 6, step: 0.1, renewal: .every, fitsRange: true)
  fileprivate static let iq2XS = GridSearch(
    grid: .iq2XS, count: 16, last: 9, step: 0.1, renewal: .moved)
  fileprivate static let iq2S = GridSearch(
    grid: .iq2S, count: 16, last: 9, step: 0.1, renewal: .moved, isEven: false, tiny: 1e-8,
    spread: 2, addsMean: true, stretch: 0.9875)
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
