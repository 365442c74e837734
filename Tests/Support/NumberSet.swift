/// Numbers that quantizers find hard, reproducible anywhere: every step is exact in F32, or one
/// division. `scripts/make ggml-fixtures` makes the same ones.
package enum NumberSet: String, CaseIterable, Sendable {
  case normal, cauchy, sparse, constant, denormal, huge, bits, ties, zeros, infinities
  case above, below, scaled, outliers, nans, adjacent, mixed

  /// The first `count` numbers of the set.
  package func values(count: Int, seed: UInt64 = 0) -> [Float] {
    var random = SplitMix64(state: seed)
    var held: Float = 0
    return (0..<count).map { index in
      if self == .constant && index % 48 == 0 { held = NumberSet.bell(random.next()) }
      // A scale for each sub-block, from the smallest numbers to the largest.
      if self == .mixed && index % 16 == 0 {
        held = Float(bitPattern: UInt32(1 + random.next() % 250) << 23)
      }
      return self == .constant ? held : self == .mixed ? held * value(&random) : value(&random)
    }
  }

  private func value(_ random: inout SplitMix64) -> Float {
    let bits = random.next()
    let bell = NumberSet.bell(bits)
    switch self {
    case .normal: return bell
    case .cauchy:
      return Float(Int32(bits >> 8 & 0xFFFF) - 0x8000) / Float(1 + Int32(bits >> 32 & 0xFFFF))
    case .sparse: return random.next() & 15 == 0 ? bell : bits & 1 == 0 ? 0 : -0.0
    case .constant, .mixed: return bell
    case .denormal: return Float(bitPattern: UInt32(truncatingIfNeeded: bits) & 0x807F_FFFF)
    case .huge: return bell * 0x1p127
    case .bits:
      let pattern = UInt32(truncatingIfNeeded: bits)
      return Float(bitPattern: pattern >> 23 & 255 == 255 ? pattern & ~0x4000_0000 : pattern)
    case .ties: return Float(Int32(bits >> 20 & 31) - 16) * 0.5
    case .zeros: return bits & 1 == 0 ? 0 : -0.0
    case .infinities:
      let chance = random.next() & 255
      return chance == 0 ? .infinity : chance == 1 ? -.infinity : bell
    case .above: return 1 + bell * 0x1p-20
    case .below: return -1 + bell * 0x1p-12
    case .scaled:
      return bell * Float(sign: .plus, exponent: -Int(random.next() & 63), significand: 1)
    case .outliers: return random.next() & 31 == 0 ? bell * 64 : bell
    case .adjacent: return Float(bitPattern: 0xBF80_0000 | UInt32(bits >> 9 & 3))
    case .nans: return random.next() & 127 == 0 ? .nan : bell
    }
  }

  /// A sum of four uniform numbers, from −0.5 to 0.5.
  private static func bell(_ bits: UInt64) -> Float {
    var sum: Int32 = -131_070
    for field in 0..<4 { sum += Int32(bits >> UInt64(16 * field) & 0xFFFF) }
    return Float(sum) * 0x1p-18
  }

  /// Weights as an importance matrix has them: some large, a few zero.
  package static func importance(count: Int, seed: UInt64 = 0) -> [Float] {
    var random = SplitMix64(state: seed)
    return (0..<count).map { _ in
      let bits = random.next()
      let root = Float(Int32(bits & 0xFFFF)) * 0x1p-14
      return bits >> 60 == 0 ? 0 : root * root
    }
  }
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
package struct SplitMix64: Sendable {
  private var state: UInt64

  /// Starts from a state.
  package init(state: UInt64) { self.state = state }

  /// The next 64 bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// FNV-1a of 64 bits, for known answers that need no security.
package func fnv1a(_ bytes: some Sequence<UInt8>) -> UInt64 {
  bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
