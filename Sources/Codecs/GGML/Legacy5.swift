internal import Tensors

extension BlockCodec {
  /// F16 scale, 32 high bits, 16 bytes as Q4_0; value = scale · (code − 16).
  static let q50 = BlockCodec(.q50) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    loadFiveBits(bytes + 2) { index, code in values[index] = Float(code - 16) * scale }
  } encode: { x, importance, bytes in
    guard let importance else {
      let scale = BlockMath.extreme(x, count: 32) / -16
      let inverse = BlockMath.inverse(scale)
      BlockMath.storeHalf(scale, bytes)
      storeFiveBits(bytes + 2) { index in
        Legacy.code(x[index] * inverse + 16.5, limit: 31)
      }
      return
    }
    Legacy.symmetric(x, importance, limit: 16) { scale, codes in
      BlockMath.storeHalf(scale, bytes)
      storeFiveBits(bytes + 2) { codes[$0] }
    }
  }

  /// F16 scale, F16 minimum, then as Q5_0; value = scale · code + minimum.
  static let q51 = BlockCodec(.q51) { bytes, values in
    let (scale, low) = (BlockMath.loadHalf(bytes), BlockMath.loadHalf(bytes + 2))
    loadFiveBits(bytes + 4) { index, code in values[index] = Float(code) * scale + low }
  } encode: { x, importance, bytes in
    guard let importance else {
      let (scale, low) = Legacy.range(x, steps: 31)
      let inverse = BlockMath.inverse(scale)
      BlockMath.storeHalf(scale, bytes)
      BlockMath.storeHalf(low, bytes + 2)
      storeFiveBits(bytes + 4) { index in
        // Here the code is not bounded above, as nothing but an infinity could exceed it.
        BlockMath.byte(BlockMath.truncated((x[index] - low) * inverse + 0.5))
      }
      return
    }
    Legacy.offset(x, importance, limit: 31) { scale, low, codes in
      BlockMath.storeHalf(scale, bytes)
      BlockMath.storeHalf(low, bytes + 2)
      storeFiveBits(bytes + 4) { codes[$0] }
    }
  }

  @inline(__always)
  private static func loadFiveBits(
    _ bytes: UnsafePointer<UInt8>, _ body: (_ index: Int, _ code: Int32) -> Void
  ) {
    let high = BlockMath.load32(bytes)
    for index in 0..<16 {
      let low = Int32(bytes[4 + index])
      body(index, low & 15 | Int32(high >> UInt32(index) & 1) << 4)
      body(index + 16, low >> 4 | Int32(high >> UInt32(index + 16) & 1) << 4)
    }
  }

  @inline(__always)
  private static func storeFiveBits(
    _ bytes: UnsafeMutablePointer<UInt8>, _ code: (Int) -> UInt8
  ) {
    var high: UInt32 = 0
    for index in 0..<16 {
      let (first, second) = (code(index), code(index + 16))
      bytes[4 + index] = first & 15 | second << 4
      high |= UInt32(first >> 4 & 1) << UInt32(index)
      high |= UInt32(second >> 4 & 1) << UInt32(index + 16)
    }
    BlockMath.store32(high, bytes)
  }
}
