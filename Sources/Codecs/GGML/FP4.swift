internal import Tensors

extension BlockCodec {
  /// E8M0 scale, 16 bytes as Q4_0 with E2M1 codes.
  static let mxfp4 = BlockCodec(.mxfp4) { bytes, values in
    let scale = FP4.halfPower(bytes[0])
    for index in 0..<16 {
      values[index] = FP4.doubled[Int(bytes[1 + index] & 15)] * scale
      values[index + 16] = FP4.doubled[Int(bytes[1 + index] >> 4)] * scale
    }
  } encode: { x, _, bytes in
    let largest = BlockMath.extreme(x, count: 32).magnitude
    // 2 less than the exponent: the largest code, 6, has exponent 2. An infinity has none.
    let hasExponent = largest > 0 && largest < .infinity
    bytes[0] = hasExponent ? BlockMath.byte(FP4.floorLog2(largest) + 125) : 0
    let scale = FP4.halfPower(bytes[0])
    storeNibbles(bytes + 1) { FP4.nearest(x[$0], scale) }
  }

  /// 4 sub-blocks of 16: an E4M3 scale each, then 8 bytes each, element i low, i + 8 high, of E2M1.
  static let nvfp4 = BlockCodec(.nvfp4) { bytes, values in
    for block in 0..<4 {
      let scale = FP4.halfE4M3(bytes[block])
      for index in 0..<8 {
        let code = bytes[4 + 8 * block + index]
        values[16 * block + index] = FP4.doubled[Int(code & 15)] * scale
        values[16 * block + index + 8] = FP4.doubled[Int(code >> 4)] * scale
      }
    }
  } encode: { x, _, bytes in
    for block in 0..<4 {
      let part = x + 16 * block
      let largest = BlockMath.extreme(part, count: 16).magnitude
      bytes[block] = FP4.e4m3(largest / 6)
      let scale = FP4.halfE4M3(bytes[block])
      for index in 0..<8 {
        bytes[4 + 8 * block + index] =
          FP4.nearest(part[index], scale) | FP4.nearest(part[index + 8], scale) << 4
      }
    }
  }
}

/// What the types with E2M1 codes share; scales are halved, as the values are doubled to integers.
enum FP4 {
  /// Twice the values of the codes; negative zero counts as zero.
  static let doubled: [Float] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

  /// The code with the least error; of two as near, the first.
  static func nearest(_ x: Float, _ scale: Float) -> UInt8 {
    var (best, least) = (0, (doubled[0] * scale - x).magnitude)
    for code in 1..<16 {
      let error = (doubled[code] * scale - x).magnitude
      if error < least { (best, least) = (code, error) }
    }
    return UInt8(best)
  }

  /// Half the value of an E8M0 code.
  static func halfPower(_ code: UInt8) -> Float {
    Float(bitPattern: code < 2 ? 0x0020_0000 << UInt32(code) : UInt32(code - 1) << 23)
  }

  /// Half the value of an E4M3 code without sign; the code for NaN counts as zero.
  static func halfE4M3(_ code: UInt8) -> Float {
    guard code != 0 && code != 0x7F else { return 0 }
    let (exponent, mantissa) = (Int(code >> 3 & 15), Float(code & 7))
    let value =
      exponent == 0
      ? mantissa * 0x1p-9
      : (1 + mantissa / 8) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
    return value * 0.5
  }

  /// The E4M3 code for a number that is not negative: rounded by the first bit that is cut, so that
  /// ties go up. From 248 on it is the code of 448, as llama.cpp has it, not the nearest.
  static func e4m3(_ x: Float) -> UInt8 {
    guard x > 0 else { return 0 }
    let bits = min(x, 448).bitPattern
    let exponent = Int32(bits >> 23) - 120
    if exponent <= 0 { return BlockMath.byte(min(7, Int32(x * 512 + 0.5))) }
    let code = UInt32(exponent) << 3 + (bits >> 20 & 7) + (bits >> 19 & 1)
    return code < 15 << 3 ? UInt8(code) : 0x7E
  }

  /// ⌊log2f(x)⌋ for a positive finite x, where log2f rounds to nearest: just below a power of two
  /// the logarithm rounds up to a whole number.
  static func floorLog2(_ x: Float) -> Int32 {
    let floor = Int32(x.exponent)
    let (next, power) = (floor + 1, Double(sign: .plus, exponent: Int(floor + 1), significand: 1))
    let gap = (power - Double(x)) / power
    guard next != 0, gap < 0x1p-12 else { return floor }
    // −log₂(1 − gap), and half the distance between numbers just below `next`.
    let distance = (gap + gap * gap / 2) * 1.442_695_040_888_963_4
    let neighbour = next > 0 ? Float(next).nextDown : Float(next)
    return distance < Double(neighbour.ulp) / 2 ? next : floor
  }
}
