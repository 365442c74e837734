internal import Tensors

extension BlockCodec {
  /// 16 sub-blocks of 16: a byte each with the code of the scale low and of the minimum high, 64
  /// bytes of 2-bit codes, F16 scale of the scales, F16 scale of the minima.
  static let q2K = BlockCodec(.q2K) { bytes, values in
    let (scale, low) = (BlockMath.loadHalf(bytes + 80), BlockMath.loadHalf(bytes + 82))
    for block in 0..<16 {
      let code = bytes[block]
      let (step, offset) = (scale * Float(code & 15), low * Float(code >> 4))
      for index in 16 * block..<16 * block + 16 {
        values[index] = step * Float(TwoBits.load(bytes + 16, index)) - offset
      }
    }
  } encode: { x, importance, bytes in
    BlockScratch.with { scratch in
      let (scale, low) =
        importance.map { Q2K.weighted(x, $0, scratch, bytes) } ?? Q2K.plain(x, scratch, bytes)
      for block in 0..<16 {
        let step = scale * Float(bytes[block] & 15)
        guard step != 0 else { continue }
        let offset = low * Float(bytes[block] >> 4)
        for index in 16 * block..<16 * block + 16 {
          scratch.codes[index] = BlockMath.byte(
            BlockMath.nearest((x[index] + offset) / step, 0, 3))
        }
      }
      TwoBits.store(scratch.codes, bytes + 16)
    }
  }
}

/// 256 codes of two bits in 64 bytes: byte i of a half holds codes i, i + 32, i + 64, i + 96.
enum TwoBits {
  @inline(__always)
  static func load(_ bytes: UnsafePointer<UInt8>, _ index: Int) -> UInt8 {
    bytes[index / 128 * 32 + index % 32] >> UInt8(index % 128 / 32 * 2) & 3
  }

  static func store(_ codes: UnsafePointer<UInt8>, _ bytes: UnsafeMutablePointer<UInt8>) {
    for half in 0..<2 {
      let source = codes + 128 * half
      for index in 0..<32 {
        bytes[32 * half + index] =
          source[index] | source[index + 32] << 2 | source[index + 64] << 4
          | source[index + 96] << 6
      }
    }
  }
}

/// How Q2_K finds the scales of a block; stores their codes and the two scales of the scales.
private enum Q2K {
  /// Weighs with |x|; the scales' codes follow from the largest.
  static func plain(
    _ x: UnsafePointer<Float>, _ scratch: BlockScratch, _ bytes: UnsafeMutablePointer<UInt8>
  ) -> (scale: Float, low: Float) {
    let offsets = ScaleSearch.Offsets(limit: 3, start: -0.5, step: 0.1, last: 15, absolute: true)
    var (largest, lowest): (Float, Float) = (0, 0)
    for block in 0..<16 {
      let part = x + 16 * block
      for index in 0..<16 { scratch.weights[index] = part[index].magnitude }
      let (scale, negated) = ScaleSearch.offset(
        part, scratch.weights, count: 16, offsets, codes: scratch.codes + 16 * block,
        trial: scratch.trial)
      (scratch.scales[block], scratch.minima[block]) = (scale, negated)
      if scale > largest { largest = scale }
      if negated > lowest { lowest = negated }
    }
    let inverse = largest > 0 ? 15 / largest : 0
    let inverseLow = lowest > 0 ? 15 / lowest : 0
    for block in 0..<16 {
      var code: Int32 = 0
      if largest > 0 { code = BlockMath.nearest(inverse * scratch.scales[block]) }
      if lowest > 0 { code |= BlockMath.nearest(inverseLow * scratch.minima[block]) << 4 }
      bytes[block] = BlockMath.byte(code)
    }
    return (
      BlockMath.storeHalf(largest > 0 ? largest / 15 : 0, bytes + 80),
      BlockMath.storeHalf(lowest > 0 ? lowest / 15 : 0, bytes + 82)
    )
  }

  /// Weighs with the importance; the scales are searched for too.
  static func weighted(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance, _ scratch: BlockScratch,
    _ bytes: UnsafeMutablePointer<UInt8>
  ) -> (scale: Float, low: Float) {
    let meanSquare = BlockMath.sumOfSquares(x, count: 256) / 256
    for block in 0..<16 {
      let part = x + 16 * block
      var sum: Float = 0
      for index in 0..<16 {
        let weight = importance.weight(16 * block + index, part[index], meanSquare: meanSquare)
        scratch.weights[index] = weight
        sum += weight
      }
      scratch.sums[block] = sum
      (scratch.scales[block], scratch.minima[block]) = ScaleSearch.offset(
        part, scratch.weights, count: 16, .weighted(limit: 3),
        codes: scratch.codes + 16 * block, trial: scratch.trial)
    }
    let scale = ScaleSearch.positive(
      scratch.scales, scratch.sums, count: 16, limit: 15, codes: scratch.scaleCodes)
    let low = ScaleSearch.positive(
      scratch.minima, scratch.sums, count: 16, limit: 15, codes: scratch.minimumCodes)
    for block in 0..<16 {
      bytes[block] = scratch.scaleCodes[block] | scratch.minimumCodes[block] << 4
    }
    return (BlockMath.storeHalf(scale, bytes + 80), BlockMath.storeHalf(low, bytes + 82))
  }
}
