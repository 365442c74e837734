/// The searches for the scale of a sub-block, and of the scales themselves.
///
/// Each tries a few scales around the obvious one and keeps the one with the least weighted error.
/// Products are taken in llama.cpp's order, e.g. (w·l)·x here and (w·x)·l there.
enum ScaleSearch {
  /// x ≈ scale · code with −limit ≤ code < limit.
  ///
  /// Weighs with x² where there are no weights. Stores code + limit; an all-zero x stores 0.
  static func symmetric(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>?, count: Int, limit: Int32,
    codes: UnsafeMutablePointer<UInt8>
  ) -> Float {
    let extreme = BlockMath.extreme(x, count: count)
    guard extreme.magnitude >= BlockMath.tiny else {
      codes.update(repeating: 0, count: count)
      return 0
    }
    func sums(_ inverse: Float) -> (product: Float, square: Float) {
      var (product, square): (Float, Float) = (0, 0)
      for index in 0..<count {
        let code = Float(BlockMath.nearest(inverse * x[index], -limit, limit - 1))
        let weight = weights?[index] ?? x[index] * x[index]
        product += weight * x[index] * code
        square += weight * code * code
      }
      return (product, square)
    }
    var inverse = Float(-limit) / extreme
    var (product, square) = sums(inverse)
    var scale = square != 0 ? product / square : 0
    var best = scale * product
    for step in -9...9 where step != 0 {
      let candidate = -(Float(limit) + 0.1 * Float(step)) / extreme
      (product, square) = sums(candidate)
      if square > 0 && product * product > best * square {
        inverse = candidate
        scale = product / square
        best = scale * product
      }
    }
    for index in 0..<count {
      let code = BlockMath.nearest(inverse * x[index], -limit, limit - 1)
      codes[index] = BlockMath.byte(code + limit)
    }
    return scale
  }

  /// x ≈ scale · code with −limit ≤ code < limit, codes improved one by one, weighed with x².
  ///
  /// Stores code + limit; an all-zero x stores 0.
  static func refined(
    _ x: UnsafePointer<Float>, count: Int, limit: Int32, codes: UnsafeMutablePointer<UInt8>
  ) -> Float {
    let extreme = BlockMath.extreme(x, count: count)
    guard extreme.magnitude >= BlockMath.tiny else {
      codes.update(repeating: 0, count: count)
      return 0
    }
    let inverse = Float(-limit) / extreme
    var (product, square): (Float, Float) = (0, 0)
    for index in 0..<count {
      let code = BlockMath.nearest(inverse * x[index], -limit, limit - 1)
      codes[index] = BlockMath.byte(code + limit)
      let weight = x[index] * x[index]
      product += weight * x[index] * Float(code)
      square += weight * Float(code) * Float(code)
    }
    for _ in 0..<5 {
      var changed = false
      for index in 0..<count {
        let (old, weight) = (Int32(codes[index]) - limit, x[index] * x[index])
        var otherProduct = product - weight * x[index] * Float(old)
        guard otherProduct > 0 else { continue }
        var otherSquare = square - weight * Float(old) * Float(old)
        let code = BlockMath.nearest(x[index] * otherSquare / otherProduct, -limit, limit - 1)
        guard code != old else { continue }
        otherProduct += weight * x[index] * Float(code)
        otherSquare += weight * Float(code) * Float(code)
        if otherSquare > 0
          && otherProduct * otherProduct * square > product * product * otherSquare
        {
          codes[index] = BlockMath.byte(code + limit)
          (product, square, changed) = (otherProduct, otherSquare, true)
        }
      }
      if !changed { break }
    }
    return square > 0 ? product / square : 0
  }

  /// What a search for scale and minimum tries: the scales range / (limit + start + step · i).
  struct Offsets {
    /// The largest code.
    let limit: Int32
    /// How far the first candidate is from `limit`.
    let start: Float
    /// Distance between candidates.
    let step: Float
    /// The last i.
    let last: Int
    /// Whether errors count by their magnitude instead of their square.
    let absolute: Bool

    /// The search that an importance matrix asks for.
    static func weighted(limit: Int32) -> Offsets {
      Offsets(limit: limit, start: -0.9, step: 0.05, last: 36, absolute: false)
    }
  }

  /// x ≈ scale · code − negated with 0 ≤ code ≤ limit; `negated` is at least zero.
  ///
  /// A better candidate replaces the minimum that the next candidates start from.
  static func offset(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, count: Int, _ offsets: Offsets,
    codes: UnsafeMutablePointer<UInt8>, trial: UnsafeMutablePointer<UInt8>
  ) -> (scale: Float, negated: Float) {
    var (low, high, weight, weighted) = (x[0], x[0], weights[0], weights[0] * x[0])
    for index in 1..<count {
      if x[index] < low { low = x[index] }
      if x[index] > high { high = x[index] }
      weight += weights[index]
      weighted += weights[index] * x[index]
    }
    if low > 0 { low = 0 }
    guard high != low else {
      codes.update(repeating: 0, count: count)
      return (0, -low)
    }
    func error(_ scale: Float, _ low: Float, _ codes: UnsafePointer<UInt8>) -> Float {
      var error: Float = 0
      for index in 0..<count {
        let difference = scale * Float(codes[index]) + low - x[index]
        error +=
          weights[index] * (offsets.absolute ? difference.magnitude : difference * difference)
      }
      return error
    }
    let limit = offsets.limit
    let inverse = Float(limit) / (high - low)
    var scale = 1 / inverse
    for index in 0..<count {
      codes[index] = BlockMath.byte(BlockMath.nearest(inverse * (x[index] - low), 0, limit))
    }
    var best = error(scale, low, codes)
    for step in 0...offsets.last {
      let inverse = (offsets.start + offsets.step * Float(step) + Float(limit)) / (high - low)
      var (sum, square, product): (Float, Float, Float) = (0, 0, 0)
      for index in 0..<count {
        let code = BlockMath.nearest(inverse * (x[index] - low), 0, limit)
        trial[index] = BlockMath.byte(code)
        let part = weights[index] * Float(code)
        sum += part
        square += part * Float(code)
        product += part * x[index]
      }
      let determinant = weight * square - sum * sum
      guard determinant > 0 else { continue }
      var newScale = (weight * product - weighted * sum) / determinant
      var newLow = (square * weighted - sum * product) / determinant
      if newLow > 0 {
        newLow = 0
        newScale = product / square
      }
      let candidate = error(newScale, newLow, trial)
      if candidate < best {
        codes.update(from: trial, count: count)
        (best, scale, low) = (candidate, newScale, newLow)
      }
    }
    return (scale, -low)
  }

  /// x ≈ scale · code with 0 ≤ code ≤ limit, for the scales of sub-blocks weighed with `weights`.
  ///
  /// Codes are bytes that wrap around, while sums are taken of the code before it wraps.
  static func positive(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, count: Int, limit: Int32,
    codes: UnsafeMutablePointer<UInt8>
  ) -> Float {
    var largest: Float = 0
    for index in 0..<count { largest = largest > x[index] ? largest : x[index] }
    guard !(largest < BlockMath.tiny) else {
      codes.update(repeating: 0, count: count)
      return 0
    }
    let inverse = bestInverse(x, weights, count: count, limit: limit, largest: largest)
    var (product, square): (Float, Float) = (0, 0)
    for index in 0..<count {
      let code = min(limit, BlockMath.nearest(inverse * x[index]))
      codes[index] = BlockMath.byte(code)
      product += weights[index] * x[index] * Float(code)
      square += weights[index] * Float(code) * Float(code)
    }
    for _ in 0..<5 {
      var changed = false
      for index in 0..<count {
        let (old, weight) = (Float(codes[index]), weights[index])
        var otherProduct = product - weight * x[index] * old
        var otherSquare = square - weight * old * old
        guard otherProduct > 0 && otherSquare > 0 else { continue }
        let code = min(limit, BlockMath.nearest(x[index] * otherSquare / otherProduct))
        guard code != Int32(codes[index]) else { continue }
        otherProduct += weight * x[index] * Float(code)
        otherSquare += weight * Float(code) * Float(code)
        if otherProduct * otherProduct * square > product * product * otherSquare {
          codes[index] = BlockMath.byte(code)
          (product, square, changed) = (otherProduct, otherSquare, true)
        }
      }
      if !changed { break }
    }
    return square > 0 ? product / square : 0
  }

  /// The best of nine inverse scales around limit / largest.
  private static func bestInverse(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, count: Int, limit: Int32,
    largest: Float
  ) -> Float {
    var inverse = Float(limit) / largest
    var best: Float = 0
    for index in 0..<count {
      // Here alone codes are not bounded above: they wrap instead.
      let code = BlockMath.byte(BlockMath.nearest(inverse * x[index]))
      let difference = x[index] - 1 / inverse * Float(code)
      best += weights[index] * difference * difference
    }
    for step in -4...4 where step != 0 {
      let candidate = (0.1 * Float(step) + Float(limit)) / largest
      let scale = 1 / candidate
      var error: Float = 0
      for index in 0..<count {
        let code = min(limit, BlockMath.nearest(candidate * x[index]))
        let difference = x[index] - scale * Float(code)
        error += weights[index] * difference * difference
      }
      if error < best {
        best = error
        inverse = candidate
      }
    }
    return inverse
  }
}
