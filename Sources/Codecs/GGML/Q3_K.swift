internal import Tensors

extension BlockCodec {
  /// 16 sub-blocks of 16: 32 bytes of high bits, 64 bytes of 2-bit codes, 12 bytes of 6-bit scales,
  /// F16 scale of the scales; value = scale · (scaleCode − 32) · (code − 4).
  static let q3K = BlockCodec(.q3K) { bytes, values in
    let scale = BlockMath.loadHalf(bytes + 108)
    for block in 0..<16 {
      let step = scale * Float(Q3K.scaleCode(bytes + 96, block) - 32)
      for index in 16 * block..<16 * block + 16 {
        let high = bytes[index % 32] >> UInt8(index / 32) & 1
        let code = Int32(TwoBits.load(bytes + 32, index) | high << 2)
        values[index] = step * Float(code - 4)
      }
    }
  } encode: { x, importance, bytes in
    BlockScratch.with { scratch in
      let scale =
        importance.map { Q3K.weighted(x, $0, scratch, bytes + 96) }
        ?? Q3K.plain(x, scratch, bytes + 96)
      let stored = BlockMath.storeHalf(scale, bytes + 108)
      for block in 0..<16 {
        let step = stored * Float(Q3K.scaleCode(bytes + 96, block) - 32)
        guard step != 0 else { continue }
        for index in 16 * block..<16 * block + 16 {
          scratch.codes[index] = BlockMath.byte(BlockMath.nearest(x[index] / step, -4, 3) + 4)
        }
      }
      for index in 0..<32 {
        var mask: UInt8 = 0
        for bit in 0..<8 {
          mask |= (scratch.codes[32 * bit + index] >> 2) << UInt8(bit)
          scratch.codes[32 * bit + index] &= 3
        }
        bytes[index] = mask
      }
      TwoBits.store(scratch.codes, bytes + 32)
    }
  }
}

/// How Q3_K finds the scales of a block and packs their codes.
private enum Q3K {
  static func scaleCode(_ bytes: UnsafePointer<UInt8>, _ block: Int) -> Int32 {
    let low = block < 8 ? bytes[block] & 15 : bytes[block - 8] >> 4
    return Int32(low | (bytes[8 + block % 4] >> UInt8(block / 4 * 2) & 3) << 4)
  }

  /// Adds the code of a scale, 0 to 63, to bytes that were zero.
  static func add(_ code: UInt8, _ block: Int, to bytes: UnsafeMutablePointer<UInt8>) {
    bytes[block % 8] |= (code & 15) << (block < 8 ? 0 : 4)
    bytes[8 + block % 4] |= (code >> 4) << UInt8(block / 4 * 2)
  }

  /// The scales' codes follow from the largest.
  static func plain(
    _ x: UnsafePointer<Float>, _ scratch: BlockScratch, _ bytes: UnsafeMutablePointer<UInt8>
  ) -> Float {
    for block in 0..<16 {
      scratch.scales[block] = ScaleSearch.refined(
        x + 16 * block, count: 16, limit: 4, codes: scratch.codes + 16 * block)
    }
    let extreme = BlockMath.extreme(scratch.scales, count: 16)
    bytes.update(repeating: 0, count: 12)
    guard extreme != 0 else { return 0 }
    let inverse = -32 / extreme
    for block in 0..<16 {
      // The integer is cut to a byte before it is bounded.
      let code = Int8(truncatingIfNeeded: BlockMath.nearest(inverse * scratch.scales[block]))
      add(UInt8(max(-32, min(31, code)) + 32), block, to: bytes)
    }
    return 1 / inverse
  }

  /// Weighs with the importance; the scales are searched for too.
  static func weighted(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance, _ scratch: BlockScratch,
    _ bytes: UnsafeMutablePointer<UInt8>
  ) -> Float {
    let meanSquare = 2 * BlockMath.sumOfSquares(x, count: 256) / 256
    for block in 0..<16 {
      let part = x + 16 * block
      var sum: Float = 0
      for index in 0..<16 {
        let weight = importance.weight(16 * block + index, part[index], meanSquare: meanSquare)
        scratch.weights[index] = weight
        sum += weight
      }
      scratch.sums[block] = sum
      scratch.scales[block] = ScaleSearch.symmetric(
        part, scratch.weights, count: 16, limit: 4, codes: scratch.codes + 16 * block)
    }
    let scale = ScaleSearch.symmetric(
      scratch.scales, scratch.sums, count: 16, limit: 32, codes: scratch.scaleCodes)
    bytes.update(repeating: 0, count: 12)
    for block in 0..<16 { add(scratch.scaleCodes[block], block, to: bytes) }
    return scale
  }
}
