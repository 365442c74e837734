internal import Tensors

extension BlockCodec {
  /// F16 scale, 16 bytes as Q4_0 with codes of `NonLinear.values`; value = scale · values[code].
  static let iq4NL = BlockCodec(.iq4NL) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    NonLinear.load(bytes + 2, values, scale)
  } encode: { x, importance, bytes in
    let meanSquare =
      importance == nil ? 0 : BlockMath.sumOfSquares(x, count: 32) * (2.0 / 32)
    let scale = NonLinear.scale(x, importance, start: 0, meanSquare: meanSquare)
    BlockMath.storeHalf(scale, bytes)
    let inverse = BlockMath.inverse(scale)
    storeNibbles(bytes + 2) { NonLinear.nearest(inverse * x[$0]) }
  }

  /// 8 sub-blocks of 32: F16 scale of the scales, high 2 bits of the scales' codes, low 4 bits, 128
  /// bytes as IQ4_NL; value = scale · (scaleCode − 32) · values[code].
  static let iq4XS = BlockCodec(.iq4XS) { bytes, values in
    let (scale, high) = (BlockMath.loadHalf(bytes), BlockMath.load16(bytes + 2))
    for block in 0..<8 {
      let low = bytes[4 + block / 2] >> UInt8(block % 2 * 4) & 15
      let code = Int32(low) | Int32(high >> UInt16(2 * block) & 3) << 4
      NonLinear.load(bytes + 8 + 16 * block, values + 32 * block, scale * Float(code - 32))
    }
  } encode: { x, importance, bytes in
    let meanSquare =
      importance == nil ? 0 : BlockMath.sumOfSquares(x, count: 256) * (2.0 / 256)
    BlockScratch.with { scratch in
      for block in 0..<8 {
        scratch.scales[block] = NonLinear.scale(
          x + 32 * block, importance, start: 32 * block, meanSquare: meanSquare)
      }
      let scale = -BlockMath.extreme(scratch.scales, count: 8) / 32
      BlockMath.storeHalf(scale, bytes)
      bytes.advanced(by: 2).update(repeating: 0, count: 6)
      let inverse = BlockMath.inverse(scale)
      var high: UInt16 = 0
      for block in 0..<8 {
        let code = BlockMath.nearest(inverse * scratch.scales[block], -32, 31)
        let step = BlockMath.inverse(scale * Float(code))
        let part = x + 32 * block
        storeNibbles(bytes + 8 + 16 * block) { NonLinear.nearest(step * part[$0]) }
        bytes[4 + block / 2] |= (BlockMath.byte(code + 32) & 15) << UInt8(block % 2 * 4)
        high |= UInt16(BlockMath.byte(code + 32) >> 4) << UInt16(2 * block)
      }
      (bytes[2], bytes[3]) = (UInt8(truncatingIfNeeded: high), UInt8(high >> 8))
    }
  }
}

/// What the types with a table of 16 unevenly spaced values share.
enum NonLinear {
  /// The values of the codes; denser around zero.
  static let values: [Float] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
  ]

  static func load(
    _ bytes: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ scale: Float
  ) {
    for index in 0..<16 {
      target[index] = scale * values[Int(bytes[index] & 15)]
      target[index + 16] = scale * values[Int(bytes[index] >> 4)]
    }
  }

  /// The code whose value is nearest; of two as near, the higher.
  static func nearest(_ x: Float) -> UInt8 {
    if x <= values[0] { return 0 }
    if x >= values[15] { return 15 }
    var (low, high) = (0, 15)
    while high - low > 1 {
      let middle = (low + high) / 2
      if x < values[middle] { high = middle } else { low = middle }
    }
    return UInt8(x - values[high - 1] < values[high] - x ? high - 1 : high)
  }

  /// The best of 16 scales for a sub-block of 32 that starts at `start` in its block.
  static func scale(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance?, start: Int, meanSquare: Float
  ) -> Float {
    let extreme = BlockMath.extreme(x, count: 32)
    guard !(extreme.magnitude < BlockMath.tiny) else { return 0 }
    func sums(_ inverse: Float) -> (product: Float, square: Float) {
      var (product, square): (Float, Float) = (0, 0)
      for index in 0..<32 {
        let value = values[Int(nearest(inverse * x[index]))]
        let weight =
          importance?.weight(start + index, x[index], meanSquare: meanSquare)
          ?? x[index] * x[index]
        product += weight * value * x[index]
        square += weight * value * value
      }
      return (product, square)
    }
    var (product, square) = sums(1 / (-extreme / values[0]))
    var scale = square > 0 ? product / square : 0
    var best = scale * product
    for step in -7...7 {
      (product, square) = sums((Float(step) + values[0]) / extreme)
      if square > 0 && product * product > best * square {
        scale = product / square
        best = scale * product
      }
    }
    return scale
  }
}
