internal import Tensors

extension BlockCodec {
  /// 8 sub-blocks of 32: F16 scale of the scales, F16 scale of the minima, 12 bytes of 6-bit codes
  /// of both, 128 bytes of 4-bit codes; value = scale · code − minimum.
  static let q4K = BlockCodec(.q4K) { bytes, values in
    let (scale, low) = (BlockMath.loadHalf(bytes), BlockMath.loadHalf(bytes + 2))
    for block in 0..<8 {
      let (scaleCode, lowCode) = SixBits.load(bytes + 4, block)
      let (step, offset) = (scale * Float(scaleCode), low * Float(lowCode))
      let (source, target) = (bytes + 16 + block / 2 * 32, values + 32 * block)
      let shift = UInt8(block % 2 * 4)
      for index in 0..<32 { target[index] = step * Float(source[index] >> shift & 15) - offset }
    }
  } encode: { x, importance, bytes in
    BlockScratch.with { scratch in
      OffsetBlock.encode(
        x, importance, scratch, bytes,
        .init(limit: 15, start: -1, step: 0.1, last: 20, absolute: false))
      for pair in 0..<4 {
        let (low, high) = (scratch.codes + 64 * pair, scratch.codes + 64 * pair + 32)
        for index in 0..<32 { bytes[16 + 32 * pair + index] = low[index] | high[index] << 4 }
      }
    }
  }
}

/// Eight 6-bit codes of scales and eight of minima in 12 bytes.
enum SixBits {
  @inline(__always)
  static func load(_ bytes: UnsafePointer<UInt8>, _ block: Int) -> (scale: UInt8, low: UInt8) {
    if block < 4 { return (bytes[block] & 63, bytes[block + 4] & 63) }
    return (
      bytes[block + 4] & 15 | (bytes[block - 4] >> 6) << 4,
      bytes[block + 4] >> 4 | (bytes[block] >> 6) << 4
    )
  }

  /// Stores the codes of sub-block 0, then of 1, up to 7.
  static func store(
    scale: UInt8, low: UInt8, _ block: Int, _ bytes: UnsafeMutablePointer<UInt8>
  ) {
    if block < 4 {
      bytes[block] = scale
      bytes[block + 4] = low
    } else {
      bytes[block + 4] = scale & 15 | low << 4
      bytes[block - 4] |= (scale >> 4) << 6
      bytes[block] |= (low >> 4) << 6
    }
  }
}

/// What Q4_K and Q5_K share: finding scales and minima, and the codes that belong to them.
enum OffsetBlock {
  /// Stores the first 16 bytes of a block and leaves its codes in the scratch memory.
  static func encode(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance?, _ scratch: BlockScratch,
    _ bytes: UnsafeMutablePointer<UInt8>, _ offsets: ScaleSearch.Offsets
  ) {
    if let importance {
      weighted(x, importance, scratch, bytes, limit: offsets.limit)
    } else {
      plain(x, scratch, bytes, offsets)
    }
    let (scale, low) = (BlockMath.loadHalf(bytes), BlockMath.loadHalf(bytes + 2))
    for block in 0..<8 {
      let (scaleCode, lowCode) = SixBits.load(bytes + 4, block)
      let step = scale * Float(scaleCode)
      guard step != 0 else { continue }
      let offset = low * Float(lowCode)
      for index in 32 * block..<32 * block + 32 {
        scratch.codes[index] = BlockMath.byte(
          BlockMath.nearest((x[index] + offset) / step, 0, offsets.limit))
      }
    }
  }

  /// Weighs with √(mean x²) + |x|; the scales' codes follow from the largest.
  private static func plain(
    _ x: UnsafePointer<Float>, _ scratch: BlockScratch, _ bytes: UnsafeMutablePointer<UInt8>,
    _ offsets: ScaleSearch.Offsets
  ) {
    var (largest, lowest): (Float, Float) = (0, 0)
    for block in 0..<8 {
      let part = x + 32 * block
      let mean = (BlockMath.sumOfSquares(part, count: 32) / 32).squareRoot()
      for index in 0..<32 { scratch.weights[index] = mean + part[index].magnitude }
      let (scale, negated) = ScaleSearch.offset(
        part, scratch.weights, count: 32, offsets, codes: scratch.codes + 32 * block,
        trial: scratch.trial)
      (scratch.scales[block], scratch.minima[block]) = (scale, negated)
      if scale > largest { largest = scale }
      if negated > lowest { lowest = negated }
    }
    let inverse = largest > 0 ? 63 / largest : 0
    let inverseLow = lowest > 0 ? 63 / lowest : 0
    for block in 0..<8 {
      let scale = BlockMath.byte(BlockMath.nearest(inverse * scratch.scales[block]))
      let low = BlockMath.byte(BlockMath.nearest(inverseLow * scratch.minima[block]))
      SixBits.store(scale: min(63, scale), low: min(63, low), block, bytes + 4)
    }
    BlockMath.storeHalf(largest / 63, bytes)
    BlockMath.storeHalf(lowest / 63, bytes + 2)
  }

  /// Weighs with the importance; the scales are searched for too.
  private static func weighted(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance, _ scratch: BlockScratch,
    _ bytes: UnsafeMutablePointer<UInt8>, limit: Int32
  ) {
    let meanSquare = 2 * BlockMath.sumOfSquares(x, count: 256) / 256
    for block in 0..<8 {
      let part = x + 32 * block
      var sum: Float = 0
      for index in 0..<32 {
        let weight = importance.weight(32 * block + index, part[index], meanSquare: meanSquare)
        scratch.weights[index] = weight
        sum += weight
      }
      scratch.sums[block] = sum
      (scratch.scales[block], scratch.minima[block]) = ScaleSearch.offset(
        part, scratch.weights, count: 32, .weighted(limit: limit),
        codes: scratch.codes + 32 * block, trial: scratch.trial)
    }
    let scale = ScaleSearch.positive(
      scratch.scales, scratch.sums, count: 8, limit: 63, codes: scratch.scaleCodes)
    let low = ScaleSearch.positive(
      scratch.minima, scratch.sums, count: 8, limit: 63, codes: scratch.minimumCodes)
    for block in 0..<8 {
      // Q5_K bounds the codes that wrapped around, Q4_K stores them as they are.
      let bound: UInt8 = limit == 31 ? 63 : 255
      SixBits.store(
        scale: min(bound, scratch.scaleCodes[block]), low: min(bound, scratch.minimumCodes[block]),
        block, bytes + 4)
    }
    BlockMath.storeHalf(scale, bytes)
    BlockMath.storeHalf(low, bytes + 2)
  }
}
