/// A floating-point format of at most 16 bits: sign, exponent, mantissa, and what the codes at the
/// top of its range mean.
///
/// One description serves F16, the FP8 family (OCP 8-bit floating point, revision 1.0, and the
/// `fnuz` variants of arXiv:2206.02915) and the FP6 and FP4 elements of OCP microscaling 1.0.
package struct SmallFloat: Sendable {
  /// What the largest codes stand for.
  package enum Specials: Sendable {
    /// As IEEE 754: the top exponent holds infinity (mantissa 0) and NaN.
    case ieee
    /// Finite but for one NaN in each sign: all exponent and mantissa bits set.
    case nanOnly
    /// Finite and without a negative zero, whose code is the one NaN.
    case nanAtNegativeZero
    /// Every code is a finite number.
    case none
  }

  /// Bits of the exponent.
  package let exponentBits: Int
  /// Bits of the mantissa without the hidden one.
  package let mantissaBits: Int
  /// What is subtracted from a stored exponent.
  package let bias: Int
  /// What the largest codes stand for.
  package let specials: Specials

  /// IEEE 754 binary16.
  package static let f16 = SmallFloat(
    exponentBits: 5, mantissaBits: 10, bias: 15, specials: .ieee)
  /// OCP FP8 E4M3 (`float8_e4m3fn`): up to 448, no infinity.
  package static let e4m3 = SmallFloat(
    exponentBits: 4, mantissaBits: 3, bias: 7, specials: .nanOnly)
  /// OCP FP8 E5M2: up to 57344, with infinities.
  package static let e5m2 = SmallFloat(
    exponentBits: 5, mantissaBits: 2, bias: 15, specials: .ieee)
  /// `float8_e4m3fnuz`: up to 240.
  package static let e4m3fnuz = SmallFloat(
    exponentBits: 4, mantissaBits: 3, bias: 8, specials: .nanAtNegativeZero)
  /// `float8_e5m2fnuz`: up to 57344, no infinity.
  package static let e5m2fnuz = SmallFloat(
    exponentBits: 5, mantissaBits: 2, bias: 16, specials: .nanAtNegativeZero)
  /// OCP FP6 E2M3: up to 7.5.
  package static let e2m3 = SmallFloat(exponentBits: 2, mantissaBits: 3, bias: 1, specials: .none)
  /// OCP FP6 E3M2: up to 28.
  package static let e3m2 = SmallFloat(exponentBits: 3, mantissaBits: 2, bias: 3, specials: .none)
  /// OCP FP4 E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
  package static let e2m1 = SmallFloat(exponentBits: 2, mantissaBits: 1, bias: 1, specials: .none)

  /// Bits of a code.
  package var bits: Int { 1 + exponentBits + mantissaBits }

  /// The value of a code, exactly. Bits above `bits` are ignored.
  ///
  /// NaNs come out quiet, with sign and mantissa kept where the format has them, as the processor
  /// (and torch) converts them.
  package func decode(_ code: UInt32) -> Float {
    let sign = code >> UInt32(bits - 1) & 1
    let exponent = Int(code >> UInt32(mantissaBits)) & ((1 << exponentBits) - 1)
    let mantissa = code & ((1 << UInt32(mantissaBits)) - 1)
    if isSpecial(sign: sign, exponent: exponent, mantissa: mantissa) {
      if specials == .nanAtNegativeZero { return .nan }
      let payload = mantissa << UInt32(23 - mantissaBits)
      let quiet: UInt32 = mantissa == 0 ? 0 : 0x0040_0000
      return Float(bitPattern: sign << 31 | 0x7F80_0000 | quiet | payload)
    }
    if exponent == 0 {
      let unit = Float(
        sign: .plus, exponent: 1 - bias - mantissaBits, significand: 1)
      let magnitude = Float(mantissa) * unit
      return sign == 0 ? magnitude : -magnitude
    }
    let biased = UInt32(exponent - bias + 127) << 23
    return Float(bitPattern: sign << 31 | biased | mantissa << UInt32(23 - mantissaBits))
  }

  /// Whether a split code is an infinity or a NaN.
  private func isSpecial(sign: UInt32, exponent: Int, mantissa: UInt32) -> Bool {
    let top = exponent == (1 << exponentBits) - 1
    switch specials {
    case .ieee: return top
    case .nanOnly: return top && mantissa == (1 << UInt32(mantissaBits)) - 1
    case .nanAtNegativeZero: return sign == 1 && exponent == 0 && mantissa == 0
    case .none: return false
    }
  }

  /// The code nearest to a value, ties to even; too large a value becomes infinity in an IEEE
  /// format and the largest finite number in a `nanOnly` one (infinity as well), as torch 2.13
  /// converts to `float8_e4m3fn`. Older versions of torch give NaN there.
  ///
  /// Only for formats that have a NaN in both signs, i.e. those that Fathom writes.
  package func encode(_ value: Float) -> UInt32 {
    precondition(specials == .ieee || specials == .nanOnly)
    let sign = (value.bitPattern >> 31) << UInt32(bits - 1)
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    let infinity = UInt32((1 << exponentBits) - 1) << UInt32(mantissaBits)
    if magnitude > 0x7F80_0000 { return sign | encodeNaN(magnitude) }
    let drop = UInt32(23 - mantissaBits)
    let smallestNormal = UInt32(1 - bias + 127) << 23
    if magnitude < smallestNormal {
      // Adding a number whose last place is the format's smallest step lets the addition round.
      let step = Float(sign: .plus, exponent: 1 - bias - mantissaBits + 23, significand: 1)
      return sign | ((Float(bitPattern: magnitude) + step).bitPattern - step.bitPattern)
    }
    let odd = magnitude >> drop & 1
    let rounded = magnitude + ((1 << (drop - 1)) - 1) + odd - (smallestNormal - (1 << 23))
    let largest = specials == .ieee ? infinity : infinity | ((1 << UInt32(mantissaBits)) - 2)
    return sign | min(rounded >> drop, largest)
  }

  /// The magnitude bits of a NaN: those that fit of its payload in F16, all ones in FP8.
  private func encodeNaN(_ magnitude: UInt32) -> UInt32 {
    let ones = UInt32((1 << (bits - 1)) - 1)
    guard bits == 16 else { return ones }
    return (magnitude >> UInt32(23 - mantissaBits) | 1 << UInt32(mantissaBits - 1)) & ones
  }
}
