internal import Tensors

extension BlockCodec {
  /// As Q4_K, with 32 bytes of fifth bits before the 4-bit codes: bit b of byte i belongs to element
  /// i of sub-block b.
  static let q5K = BlockCodec(.q5K) { bytes, values in
    let (scale, low) = (BlockMath.loadHalf(bytes), BlockMath.loadHalf(bytes + 2))
    for block in 0..<8 {
      let (scaleCode, lowCode) = SixBits.load(bytes + 4, block)
      let (step, offset) = (scale * Float(scaleCode), low * Float(lowCode))
      let (source, target) = (bytes + 48 + block / 2 * 32, values + 32 * block)
      let shift = UInt8(block % 2 * 4)
      for index in 0..<32 {
        let high = bytes[16 + index] >> UInt8(block) & 1
        target[index] = step * Float(source[index] >> shift & 15 | high << 4) - offset
      }
    }
  } encode: { x, importance, bytes in
    BlockScratch.with { scratch in
      OffsetBlock.encode(
        x, importance, scratch, bytes,
        .init(limit: 31, start: -0.5, step: 0.1, last: 15, absolute: false))
      for index in 0..<32 {
        var high: UInt8 = 0
        for block in 0..<8 { high |= (scratch.codes[32 * block + index] >> 4) << UInt8(block) }
        bytes[16 + index] = high
      }
      for pair in 0..<4 {
        let (low, high) = (scratch.codes + 64 * pair, scratch.codes + 64 * pair + 32)
        for index in 0..<32 { bytes[48 + 32 * pair + index] = low[index] & 15 | high[index] << 4 }
      }
    }
  }
}
