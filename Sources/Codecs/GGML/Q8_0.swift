internal import Tensors

extension BlockCodec {
  /// F16 scale, 32 signed bytes; value = code · scale.
  static let q80 = BlockCodec(.q80) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for index in 0..<32 {
      values[index] = Float(Int8(bitPattern: bytes[2 + index])) * scale
    }
  } encode: { x, _, bytes in
    var largest: Float = 0
    for index in 0..<32 {
      largest = largest > x[index].magnitude ? largest : x[index].magnitude
    }
    let scale = largest / 127
    let inverse = BlockMath.inverse(scale)
    BlockMath.storeHalf(scale, bytes)
    for index in 0..<32 {
      let code = (x[index] * inverse).rounded(.toNearestOrAwayFromZero)
      bytes[2 + index] = BlockMath.byte(BlockMath.truncated(code))
    }
  }
}
