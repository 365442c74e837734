/// eˣ within 2 units in the last place (1 for a result that is subnormal), from −∞ to ∞.
///
/// x = n · ln 2 + r with |r| ≤ ln 2 / 2; the polynomial for eʳ is that of Cephes' `expf` (Moshier).
/// Written out rather than taken from the C library, so that every level computes the same steps.
func exp(_ x: Float) -> Float {
  let clamped = x > 89 ? 89 : x < -104 ? -104 : x
  // Adding 1.5 · 2²³ leaves the nearest integer in the lowest bits.
  let shifted = clamped * 1.442_695_04 + 12_582_912
  let n = shifted - 12_582_912
  let r = (clamped - n * 0.693_359_375) + n * 2.121_944_4e-4
  var sum: Float = 1.987_569_15e-4
  for coefficient in exponentialCoefficients { sum = sum * r + coefficient }
  let result = (sum * (r * r) + r) + 1
  // 2ⁿ in two factors, because one alone would leave the range of F32 at its ends.
  let power = Int32(bitPattern: shifted.bitPattern &- 0x4B40_0000)
  let half = power >> 1
  return result * powerOfTwo(half) * powerOfTwo(power &- half)
}

private let exponentialCoefficients: [Float] = [
  1.398_199_95e-3, 8.333_451_9e-3, 4.166_579_6e-2, 1.666_666_55e-1, 5.000_000_1e-1,
]

private func powerOfTwo(_ exponent: Int32) -> Float {
  Float(bitPattern: UInt32(bitPattern: exponent &+ 127) << 23)
}
