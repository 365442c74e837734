internal import Tensors

extension BlockCodec {
  /// F16 scale, 16 bytes with element i low and element i + 16 high; value = scale · (code − 8).
  static let q40 = BlockCodec(.q40) { bytes, values in
    let scale = BlockMath.loadHalf(bytes)
    for index in 0..<16 {
      let code = Int32(bytes[2 + index])
      values[index] = Float((code & 15) - 8) * scale
      values[index + 16] = Float((code >> 4) - 8) * scale
    }
  } encode: { x, importance, bytes in
    guard let importance else {
      let scale = BlockMath.extreme(x, count: 32) / -8
      let inverse = BlockMath.inverse(scale)
      BlockMath.storeHalf(scale, bytes)
      storeNibbles(bytes + 2) { index in
        Legacy.code(x[index] * inverse + 8.5, limit: 15)
      }
      return
    }
    Legacy.symmetric(x, importance, limit: 8) { scale, codes in
      BlockMath.storeHalf(scale, bytes)
      storeNibbles(bytes + 2) { codes[$0] }
    }
  }

  /// F16 scale, F16 minimum, then as Q4_0; value = scale · code + minimum.
  static let q41 = BlockCodec(.q41) { bytes, values in
    let (scale, low) = (BlockMath.loadHalf(bytes), BlockMath.loadHalf(bytes + 2))
    for index in 0..<16 {
      let code = Int32(bytes[4 + index])
      values[index] = Float(code & 15) * scale + low
      values[index + 16] = Float(code >> 4) * scale + low
    }
  } encode: { x, importance, bytes in
    guard let importance else {
      let (scale, low) = Legacy.range(x, steps: 15)
      let inverse = BlockMath.inverse(scale)
      BlockMath.storeHalf(scale, bytes)
      BlockMath.storeHalf(low, bytes + 2)
      storeNibbles(bytes + 4) { index in
        Legacy.code((x[index] - low) * inverse + 0.5, limit: 15)
      }
      return
    }
    Legacy.offset(x, importance, limit: 15) { scale, low, codes in
      BlockMath.storeHalf(scale, bytes)
      BlockMath.storeHalf(low, bytes + 2)
      storeNibbles(bytes + 4) { codes[$0] }
    }
  }

  /// Stores 32 codes in 16 bytes: code i low, code i + 16 high.
  @inline(__always)
  static func storeNibbles(_ bytes: UnsafeMutablePointer<UInt8>, _ code: (Int) -> UInt8) {
    for index in 0..<16 { bytes[index] = code(index) | code(index + 16) << 4 }
  }
}

/// What the four oldest block types share.
enum Legacy {
  /// The integer part of a number that is at most a little above `limit`, as a byte.
  @inline(__always)
  static func code(_ x: Float, limit: Int32) -> UInt8 {
    let byte = Int8(truncatingIfNeeded: BlockMath.truncated(x))
    return BlockMath.byte(min(limit, Int32(byte)))
  }

  /// The scale that spreads the elements over so many steps, and the least element.
  static func range(_ x: UnsafePointer<Float>, steps: Float) -> (scale: Float, low: Float) {
    var low = Float.greatestFiniteMagnitude
    var high = -low
    for index in 0..<32 {
      if x[index] < low { low = x[index] }
      if x[index] > high { high = x[index] }
    }
    return ((high - low) / steps, low)
  }

  static func symmetric(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance, limit: Int32,
    _ body: (_ scale: Float, _ codes: UnsafePointer<UInt8>) -> Void
  ) {
    BlockScratch.with { scratch in
      for index in 0..<32 {
        scratch.weights[index] = importance.weight(
          index, x[index], meanSquare: importance.rowMeanSquare)
      }
      let scale = ScaleSearch.symmetric(
        x, scratch.weights, count: 32, limit: limit, codes: scratch.codes)
      body(scale, scratch.codes)
    }
  }

  static func offset(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance, limit: Int32,
    _ body: (_ scale: Float, _ low: Float, _ codes: UnsafePointer<UInt8>) -> Void
  ) {
    BlockScratch.with { scratch in
      for index in 0..<32 {
        scratch.weights[index] = importance.weight(
          index, x[index], meanSquare: importance.rowMeanSquare)
      }
      let (scale, negated) = ScaleSearch.offset(
        x, scratch.weights, count: 32, .weighted(limit: limit), codes: scratch.codes,
        trial: scratch.trial)
      body(scale, -negated, scratch.codes)
    }
  }
}
