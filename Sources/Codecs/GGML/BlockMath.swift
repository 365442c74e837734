/// The arithmetic that all block types share, where every rounding counts.
enum BlockMath {
  /// Below this magnitude a sub-block counts as all zero.
  static let tiny: Float = 1e-15

  /// The nearest integer, ties to even, for |x| ≤ 4194303, by adding 1.5 · 2²³.
  ///
  /// Beyond that the low bits are arbitrary, yet the same on every machine: files contain them.
  @inline(__always)
  static func nearest(_ x: Float) -> Int32 {
    Int32(bitPattern: (x + 12_582_912).bitPattern & 0x007F_FFFF) &- 0x0040_0000
  }

  /// `nearest` within bounds.
  @inline(__always)
  static func nearest(_ x: Float, _ low: Int32, _ high: Int32) -> Int32 {
    max(low, min(high, nearest(x)))
  }

  /// x without its fraction, as x86-64 converts: NaN and whatever does not fit give −2³¹.
  @inline(__always)
  static func truncated(_ x: Float) -> Int32 {
    x >= -2_147_483_648 && x < 2_147_483_648 ? Int32(x) : .min
  }

  /// The low byte of an integer.
  @inline(__always)
  static func byte(_ value: Int32) -> UInt8 { UInt8(truncatingIfNeeded: value) }

  /// 1/x, or 0 for zero.
  @inline(__always)
  static func inverse(_ x: Float) -> Float { x == 0 ? 0 : 1 / x }

  /// The first of the elements with the largest magnitude; 0 where all are zero.
  static func extreme(_ x: UnsafePointer<Float>, count: Int) -> Float {
    var (largest, extreme): (Float, Float) = (0, 0)
    for index in 0..<count where x[index].magnitude > largest {
      largest = x[index].magnitude
      extreme = x[index]
    }
    return extreme
  }

  /// Σ x², in order.
  static func sumOfSquares(_ x: UnsafePointer<Float>, count: Int) -> Float {
    var sum: Float = 0
    for index in 0..<count { sum += x[index] * x[index] }
    return sum
  }

  /// The bits of x as F16, to nearest, ties to even; NaN has one pattern for each sign.
  static func half(_ x: Float) -> UInt16 {
    guard !x.isNaN else { return x.sign == .minus ? 0xFE00 : 0x7E00 }
    return Float16(x).bitPattern
  }

  /// Stores x as F16 and returns what that holds.
  @discardableResult
  static func storeHalf(_ x: Float, _ bytes: UnsafeMutablePointer<UInt8>) -> Float {
    let bits = half(x)
    bytes[0] = UInt8(truncatingIfNeeded: bits)
    bytes[1] = UInt8(truncatingIfNeeded: bits >> 8)
    return Float(Float16(bitPattern: bits))
  }

  /// The F16 that is stored there.
  @inline(__always)
  static func loadHalf(_ bytes: UnsafePointer<UInt8>) -> Float {
    Float(Float16(bitPattern: load16(bytes)))
  }

  /// The little-endian number that is stored there.
  @inline(__always)
  static func load16(_ bytes: UnsafePointer<UInt8>) -> UInt16 {
    UInt16(bytes[0]) | UInt16(bytes[1]) << 8
  }

  /// The little-endian number that is stored there.
  @inline(__always)
  static func load32(_ bytes: UnsafePointer<UInt8>) -> UInt32 {
    UInt32(load16(bytes)) | UInt32(load16(bytes + 2)) << 16
  }

  /// Stores a number, little-endian.
  @inline(__always)
  static func store16(_ value: UInt16, _ bytes: UnsafeMutablePointer<UInt8>) {
    (bytes[0], bytes[1]) = (UInt8(truncatingIfNeeded: value), UInt8(value >> 8))
  }

  /// Stores a number, little-endian.
  @inline(__always)
  static func store32(_ value: UInt32, _ bytes: UnsafeMutablePointer<UInt8>) {
    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
  }
}

/// Memory for the search of one block, on the stack.
struct BlockScratch {
  /// Codes of up to 256 elements.
  let codes: UnsafeMutablePointer<UInt8>
  /// Codes of the candidate under trial.
  let trial: UnsafeMutablePointer<UInt8>
  /// Weights of the elements of a sub-block.
  let weights: UnsafeMutablePointer<Float>
  /// Scale of each sub-block.
  let scales: UnsafeMutablePointer<Float>
  /// Minimum of each sub-block, negated.
  let minima: UnsafeMutablePointer<Float>
  /// Sum of the weights of each sub-block.
  let sums: UnsafeMutablePointer<Float>
  /// Code of each sub-block's scale.
  let scaleCodes: UnsafeMutablePointer<UInt8>
  /// Code of each sub-block's minimum.
  let minimumCodes: UnsafeMutablePointer<UInt8>

  static func with(_ body: (BlockScratch) -> Void) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 80) { floats in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 320) { bytes in
        bytes.initialize(repeating: 0)
        let (f, b) = (floats.baseAddress!, bytes.baseAddress!)
        body(
          BlockScratch(
            codes: b, trial: b + 256, weights: f, scales: f + 32, minima: f + 48, sums: f + 64,
            scaleCodes: b + 288, minimumCodes: b + 304))
      }
    }
  }
}
