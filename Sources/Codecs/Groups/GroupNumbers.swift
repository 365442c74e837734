internal import Tensors

/// What the codes of a group depend on, and what is stored of it.
struct GroupNumbers {
  /// What values are divided by.
  var divisor: Float
  /// What is stored as the scale, before it is rounded to the type of the scales.
  var scale: Float
  /// MLX' bias, which is subtracted before the division, or compressed-tensors' zero point, which
  /// is added after it.
  var offset: Float = 0
}

/// The plain twin of the kernels: one group's numbers and one value's code by each method.
struct GroupArithmetic {
  let scheme: GroupScheme
  let precision: Precision
  let globalScale: Float

  /// The largest code of an integer type.
  var most: Float { Float(1 << scheme.code.bits - 1) }
  /// Half the codes, which lie below zero.
  var half: Float { Float(1 << (scheme.code.bits - 1)) }
  /// The largest number that a code of a floating-point type stands for.
  var largestCode: Float { scheme.code == .f4 ? 6 : 448 }

  /// values of a group → its numbers
  func numbers(_ values: UnsafeBufferPointer<Float>) -> GroupNumbers {
    var (low, high) = (Float.infinity, -Float.infinity)
    for value in values {
      low = value < low ? value : low
      high = value > high ? value : high
    }
    let largest = max(low.magnitude, high.magnitude)
    switch scheme.method {
    case .mlxAffine: return mlxAffine(low, high)
    case .symmetric: return symmetric(largest: largest)
    case .asymmetric: return asymmetric(min(low, 0), max(high, 0))
    case .mlxPowerOfTwo: return mlxPowerOfTwo(largest: largest)
    case .mlxE4M3: return mlxE4M3(largest: largest)
    case .powerOfTwo: return powerOfTwo(largest: largest)
    case .e4m3: return e4m3(largest: largest)
    case .modelOpt: return modelOpt(largest: largest)
    }
  }

  /// The code of a value of a group with these numbers.
  func code(_ value: Float, _ numbers: GroupNumbers) -> UInt8 {
    let ratio = value / numbers.divisor
    switch scheme.method {
    case .mlxAffine:
      return integer((value - numbers.offset) / numbers.divisor, from: 0, to: most)
    case .symmetric:
      return integer(precision.round(ratio), from: -half, to: half - 1)
    case .asymmetric:
      return integer(
        precision.round(precision.round(ratio) + numbers.offset), from: -half, to: half - 1)
    case .mlxPowerOfTwo where scheme.code == .f8E4M3:
      return UInt8(SmallFloat.e4m3.encode(precision.round(ratio)))
    case .mlxPowerOfTwo, .mlxE4M3: return E2M1.first(precision.round(ratio))
    case .powerOfTwo: return E2M1.even(precision.round(ratio))
    case .e4m3, .modelOpt: return E2M1.even(ratio)
    }
  }

  /// The code of a whole number: the nearest, ties to even, NaN as zero.
  private func integer(_ value: Float, from low: Float, to high: Float) -> UInt8 {
    let bounded = value > low ? (value < high ? value : high) : low
    return UInt8(bounded.rounded(.toNearestOrEven) - low)
  }
}
