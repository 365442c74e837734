internal import Tensors

extension BlockCodec {
  /// 16 sub-blocks of 16: 128 bytes of low bits, 64 of the two high bits, 16 signed bytes of scales,
  /// F16 scale of the scales; value = scale · scaleCode · (code − 32).
  static let q6K = BlockCodec(.q6K) { bytes, values in
    let scale = BlockMath.loadHalf(bytes + 208)
    for index in 0..<256 {
      let (half, place) = (index / 128, index % 128)
      let low = bytes[64 * half + place % 64] >> (place < 64 ? 0 : 4) & 15
      let high = bytes[128 + 32 * half + place % 32] >> UInt8(place / 32 * 2) & 3
      let step = scale * Float(Int8(bitPattern: bytes[192 + index / 16]))
      values[index] = step * Float(Int32(low | high << 4) - 32)
    }
  } encode: { x, importance, bytes in
    BlockScratch.with { scratch in
      for block in 0..<16 {
        scratch.scales[block] = ScaleSearch.symmetric(
          x + 16 * block, importance.map { $0.weights + 16 * block }, count: 16, limit: 32,
          codes: scratch.codes + 16 * block)
      }
      let extreme = BlockMath.extreme(scratch.scales, count: 16)
      guard !(extreme.magnitude < BlockMath.tiny) else {
        bytes.update(repeating: 0, count: 210)
        return
      }
      let inverse = -128 / extreme
      let scale = BlockMath.storeHalf(1 / inverse, bytes + 208)
      for block in 0..<16 {
        let code = min(127, BlockMath.nearest(inverse * scratch.scales[block]))
        bytes[192 + block] = BlockMath.byte(code)
        let step = scale * Float(Int8(truncatingIfNeeded: code))
        guard step != 0 else { continue }
        for index in 16 * block..<16 * block + 16 {
          scratch.codes[index] = BlockMath.byte(BlockMath.nearest(x[index] / step, -32, 31) + 32)
        }
      }
      Q6K.store(scratch.codes, bytes)
    }
  }
}

private enum Q6K {
  static func store(_ codes: UnsafePointer<UInt8>, _ bytes: UnsafeMutablePointer<UInt8>) {
    for half in 0..<2 {
      let source = codes + 128 * half
      for index in 0..<64 {
        bytes[64 * half + index] = source[index] & 15 | source[index + 64] << 4
      }
      for index in 0..<32 {
        bytes[128 + 32 * half + index] =
          source[index] >> 4 | (source[index + 32] >> 4) << 2 | (source[index + 64] >> 4) << 4
          | (source[index + 96] >> 4) << 6
      }
    }
  }
}
