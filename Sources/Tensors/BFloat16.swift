/// BF16: the upper half of an F32. Swift has no such type, so codes are `UInt16`.
package enum BFloat16 {
  /// The value of a code, exactly; a NaN keeps its bits.
  package static func decode(_ code: UInt16) -> Float {
    Float(bitPattern: UInt32(code) << 16)
  }

  /// The code nearest to a value, ties to even.
  ///
  /// Every NaN becomes 0xFFFF: that is what torch's vector code for x86-64 stores, and Fathom
  /// promises torch's bytes.
  package static func encode(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if bits & 0x7FFF_FFFF > 0x7F80_0000 { return 0xFFFF }
    return UInt16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
  }
}

/// E8M0 of OCP microscaling 1.0: a power of two from 2⁻¹²⁷ to 2¹²⁷, used for scales.
package enum PowerOfTwo {
  /// The value of a code, 2^(code − 127); 0xFF is NaN.
  package static func decode(_ code: UInt8) -> Float {
    switch code {
    case 0: Float(bitPattern: 0x0040_0000)
    case 0xFF: .nan
    default: Float(bitPattern: UInt32(code) << 23)
    }
  }

  /// The code nearest to the magnitude of a value, halfway upwards, as torch 2.13 converts to
  /// `float8_e8m0fnu`; zero becomes the smallest power, infinity and NaN become 0xFF.
  package static func encode(_ value: Float) -> UInt8 {
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    let exponent = UInt8(magnitude >> 23)
    if exponent == 0xFF { return 0xFF }
    // 2⁻¹²⁷ is itself subnormal in F32 and must not be rounded up.
    if exponent == 0 { return magnitude & 0x007F_FFFF > 0x0040_0000 ? 1 : 0 }
    return exponent + UInt8(magnitude >> 22 & 1)
  }

  /// The smallest power of two that is not below a positive, finite value.
  package static func roundingUp(_ value: Float) -> Float {
    precondition(value > 0 && value.isFinite)
    let bits = value.bitPattern
    if bits <= 0x0040_0000 { return Float(bitPattern: 0x0040_0000) }
    if bits < 0x0080_0000 { return Float(bitPattern: 0x0080_0000) }
    return Float(bitPattern: bits & 0x7F80_0000 + (bits & 0x007F_FFFF == 0 ? 0 : 0x0080_0000))
  }
}
