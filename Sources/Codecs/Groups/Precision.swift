internal import Tensors

/// A type whose arithmetic a peer uses: each step is computed in F32 and rounded to it.
enum Precision: Int32 {
  case f32 = 0
  case f16 = 1
  case bf16 = 2

  /// nil for types that no peer quantizes.
  init?(_ type: ElementType) {
    switch type {
    case .f32: self = .f32
    case .f16: self = .f16
    case .bf16: self = .bf16
    default: return nil
    }
  }

  /// The nearest number of the type, ties to even.
  func round(_ value: Float) -> Float {
    switch self {
    case .f32: value
    case .f16: SmallFloat.f16.decode(SmallFloat.f16.encode(value))
    case .bf16: BFloat16.decode(BFloat16.encode(value))
    }
  }

  /// The distance from 1 to the next number: what torch calls `eps`, and compressed-tensors puts in
  /// the place of a scale that is zero.
  var epsilon: Float {
    switch self {
    case .f32: 0x1p-23
    case .f16: 0x1p-10
    case .bf16: 0x1p-7
    }
  }

  /// The exponent of the smallest normal number.
  var leastExponent: Int {
    switch self {
    case .f32, .bf16: -126
    case .f16: -14
    }
  }

  /// The exponent of the largest number.
  var largestExponent: Int {
    switch self {
    case .f32, .bf16: 127
    case .f16: 15
    }
  }
}
