internal import Tensors

extension GroupArithmetic {
  /// mlx 0.32, `quantize` of backend/cpu/quantized.cpp.
  func mlxAffine(_ low: Float, _ high: Float) -> GroupNumbers {
    let isNegative = low.magnitude > high.magnitude
    let step = (high - low) / most
    var scale: Float = step < 1e-7 ? 1e-7 : step
    if !isNegative { scale = -scale }
    let edge = isNegative ? low : high
    let code = (edge / scale).rounded(.toNearestOrEven)
    guard code != 0 else { return GroupNumbers(divisor: scale, scale: scale) }
    return GroupNumbers(divisor: edge / code, scale: edge / code, offset: edge)
  }

  /// compressed-tensors 0.20, `calculate_qparams` of quantization/utils/helpers.py.
  func symmetric(largest: Float) -> GroupNumbers {
    let scale = precision.round(largest / (most / 2))
    let divisor = scale == 0 ? precision.epsilon : scale
    return GroupNumbers(divisor: divisor, scale: divisor)
  }

  /// The same with a zero point; a range without length has zero in the middle.
  func asymmetric(_ low: Float, _ high: Float) -> GroupNumbers {
    let scale = precision.round(precision.round(high - low) / most)
    let zero = precision.round(-half - precision.round(low / scale))
    let bounded = min(max(zero, -half), half - 1).rounded(.toNearestOrEven)
    let divisor = scale == 0 ? precision.epsilon : scale
    return GroupNumbers(divisor: divisor, scale: divisor, offset: zero.isNaN ? 0 : bounded)
  }

  /// mlx 0.32.4, `fp_quantize` of ops.cpp, whose steps are operations on arrays of the weight's type:
  /// the smallest power of two from largest magnitude / largest code up, and 1 where that is zero.
  ///
  /// A power below 2⁻¹²⁷ becomes 2⁻¹²⁷ here, where mlx wraps the exponent around and loses the group:
  /// largest magnitudes below 448 · 2⁻¹²⁸ (MXFP8) or 6 · 2⁻¹²⁸ (MXFP4).
  func mlxPowerOfTwo(largest: Float) -> GroupNumbers {
    let ratio = precision.round(largest / largestCode)
    let scale = ratio > 0 && ratio.isFinite ? PowerOfTwo.roundingUp(ratio) : 1
    return GroupNumbers(divisor: scale, scale: scale)
  }

  /// The same; a group whose scale is too small for E4M3 has the scale 0 and codes of zero.
  func mlxE4M3(largest: Float) -> GroupNumbers {
    let code = SmallFloat.e4m3.encode(precision.round(largest / largestCode))
    let scale = SmallFloat.e4m3.decode(code)
    return GroupNumbers(divisor: scale, scale: scale)
  }

  /// compressed-tensors 0.20, `generate_mx_scales` of quantization/utils/mxfp_utils.py: the largest
  /// magnitude rounded to a power of two, up from 1.75 on, divided by 4.
  ///
  /// What is rounded up beyond the weight's type makes the scale infinite there and the group zero;
  /// here it is not rounded up: largest magnitudes from 1.75 · 2¹⁵ on for F16 and 1.75 · 2¹²⁷ for BF16
  /// and F32, whose codes end at 6.
  func powerOfTwo(largest: Float) -> GroupNumbers {
    let least = Float(sign: .plus, exponent: precision.leastExponent, significand: 1)
    // Subnormal numbers of the type have no exponent of their own: they count as zero, or round up.
    guard largest >= 0.75 * least else {
      let scale: Float = precision == .f16 ? 1 : 0x1p-127
      return GroupNumbers(divisor: scale, scale: scale)
    }
    let exponent = Int(max(largest, least).bitPattern >> 23)
    let isUpper = largest >= least && largest.bitPattern & 0x0060_0000 == 0x0060_0000
    let roundsUp = isUpper && exponent < precision.largestExponent + 127
    let scale = PowerOfTwo.decode(UInt8(min(max(exponent + (roundsUp ? 1 : 0) - 2, 0), 254)))
    return GroupNumbers(divisor: scale, scale: scale)
  }

  /// compressed-tensors 0.20, `calculate_qparams` with a global scale.
  func e4m3(largest: Float) -> GroupNumbers {
    let scaled = globalScale * precision.round(largest / largestCode)
    let rounded = SmallFloat.e4m3.decode(SmallFloat.e4m3.encode(min(scaled, 448)))
    // What takes the place of zero there.
    let scale = rounded == 0 ? 0.125 : rounded
    return GroupNumbers(divisor: scale / globalScale, scale: scale)
  }

  /// ModelOpt 0.47, `NVFP4QTensor.get_weights_scaling_factor`: a group of zeros has a scale of one.
  func modelOpt(largest: Float) -> GroupNumbers {
    let ratio = largest / (largestCode * globalScale)
    let bounded = min(max(ratio, 0x1p-9), 448)
    let scale = ratio == 0 ? 1 : SmallFloat.e4m3.decode(SmallFloat.e4m3.encode(bounded))
    return GroupNumbers(divisor: scale * globalScale, scale: scale)
  }

  /// What ModelOpt's scales are multiplied by: `get_weights_scaling_factor_2`. Weights so small that
  /// nothing is left of it become zero here, and NaN there.
  static func modelOptGlobalScale(largest: Float) -> Float {
    let scale = largest / (6 * 448)
    return scale > 0 ? scale : 1
  }

  /// What compressed-tensors' scales are divided by: version 0.20, `generate_gparam`, where torch
  /// divides a number by a tensor as the number times the reciprocal.
  static func globalScale(largest: Float, _ precision: Precision) -> Float {
    let least = Float(sign: .plus, exponent: precision.leastExponent, significand: 1)
    let scale = precision.round(448 * 6 * precision.round(1 / max(largest, least)))
    return scale.isFinite ? scale : 1
  }
}

/// Codes of E2M1: sign, two bits of exponent, one of mantissa.
enum E2M1 {
  /// The magnitudes of the codes.
  static let magnitudes: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]

  /// The code of the nearest number, ties to the even code, as compressed-tensors rounds: zero keeps
  /// the sign of a number that is not zero.
  static func even(_ value: Float) -> UInt8 {
    let size = value.magnitude
    var code: UInt8 = 0
    for index in 0..<7 {
      let middle = (magnitudes[index] + magnitudes[index + 1]) / 2
      if index % 2 == 0 ? size > middle : size >= middle { code += 1 }
    }
    return value < 0 ? code | 8 : code
  }

  /// The first code whose number is nearest, as mlx takes the least difference in F32: ties towards
  /// zero, which has no sign, and zero for numbers so large that all differences are alike.
  static func first(_ value: Float) -> UInt8 {
    var (best, least) = (UInt8(0), value.magnitude)
    for code in UInt8(1)..<16 {
      let number = code < 8 ? magnitudes[Int(code)] : -magnitudes[Int(code) - 8]
      let difference = (value - number).magnitude
      if difference < least { (best, least) = (code, difference) }
    }
    return best
  }
}
