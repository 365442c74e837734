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
  } encode: { x, importance, bytes in
    GridSearch.iq3XXS.encode(x, importance, bytes, size: 98, clears: 96) { block, s in
      for group in 0..<8 {
        bytes[2 + 8 * block + group] = UInt8(PointGrid.iq3XXS.indices[Int(s.words[group])])
      }
      BlockMath.store32(s.packedSigns, bytes + 66 + 4 * block)
    } storeScale: { block, code in
      bytes[69 + 4 * block] |= code << 4
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
  } encode: { x, importance, bytes in
    // As llama.cpp has it, indices and signs are stored without a gap for a sub-block of zeros, so
    // that the ones behind it are read in its place; high bits and scales are stored where they belong.
    var stored = 0
    GridSearch.iq3S.encode(x, importance, bytes, size: 110, clears: 0) { block, s in
      for group in 0..<8 {
        let index = PointGrid.iq3S.indices[Int(s.words[group])]
        bytes[2 + 8 * stored + group] = UInt8(truncatingIfNeeded: index)
        bytes[66 + block] |= UInt8(index >> 8) << UInt8(group)
      }
      for group in 0..<4 { bytes[74 + 4 * stored + group] = s.signs[group] }
      stored += 1
    } storeScale: { block, code in
      bytes[106 + block / 2] |= code << UInt8(block % 2 * 4)
    }
  }
}

extension GridSearch {
  fileprivate static let iq3XXS = GridSearch(
    grid: .iq3XXS, count: 32, last: 15, step: 0.2, renewal: .moved, tiny: 1e-8, spread: 2,
    stretch: 1.0125)
  // Zero alone is tiny.
  fileprivate static let iq3S = GridSearch(
    grid: .iq3S, count: 32, last: 9, step: 0.2, renewal: .everyIfOneWasMoved, isEven: false,
    tiny: .leastNonzeroMagnitude, spread: 2, stretch: 1.033)
}

extension Codec {
  /// Whether ggml's encoder, and so this one, puts codes where no reader looks for them: IQ3_S keeps
  /// 32 zeros without a code, and the codes of the numbers behind them in the block move up.
  ///
  /// - Parameter values: whole blocks.
  package func movesCodes(of values: UnsafeBufferPointer<Float>) -> Bool {
    guard type == .iq3S else { return false }
    return stride(from: 0, to: values.count, by: type.blockElements).contains { start in
      var wasZero = false
      for first in stride(from: start, to: start + type.blockElements, by: 32) {
        let isZero = values[first..<first + 32].allSatisfy { $0 == 0 }
        if wasZero, !isZero { return true }
        wasZero = wasZero || isZero
      }
      return false
    }
  }
}
