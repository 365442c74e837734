/// SHA-256 of a run of bytes (FIPS 180-4), for comparing with hashes that a peer made.
package enum SHA256 {
  /// The first 16 hexadecimal digits, as the fixtures hold them.
  package static func digits(_ bytes: some Collection<UInt8>) -> String {
    let words = hash(Array(bytes))
    return words.prefix(2).map { word in
      let text = String(word, radix: 16)
      return String(repeating: "0", count: 8 - text.count) + text
    }.joined()
  }

  /// Fractional parts of the cube roots of the first 64 primes.
  private static let rounds: [UInt32] = primes(64).map { fraction($0, root: 3) }
  /// Fractional parts of the square roots of the first 8 primes.
  private static let start: [UInt32] = primes(8).map { fraction($0, root: 2) }

  private static func primes(_ count: Int) -> [UInt64] {
    var found: [UInt64] = []
    var candidate: UInt64 = 2
    while found.count < count {
      if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
      candidate += 1
    }
    return found
  }

  /// The largest x with xʳ ≤ prime · 2³²ʳ, without its whole part: an exact integer root.
  private static func fraction(_ prime: UInt64, root: Int) -> UInt32 {
    var low: UInt64 = 0
    var high: UInt64 = 1 << 37
    while high - low > 1 {
      let middle = (low + high) / 2
      let square = middle.multipliedFullWidth(by: middle)
      let isBelow: Bool
      if root == 2 {
        isBelow = square.high < prime || (square.high == prime && square.low == 0)
      } else {
        // middle³ against prime · 2⁹⁶: the product of three numbers below 2³⁷ has 111 bits.
        let cube =
          UInt128(square.high) << 64 | UInt128(square.low)
        isBelow = cube * UInt128(middle) <= UInt128(prime) << 96
      }
      if isBelow { low = middle } else { high = middle }
    }
    return UInt32(truncatingIfNeeded: low)
  }

  private static func hash(_ message: [UInt8]) -> [UInt32] {
    var padded = message + [0x80]
    padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
    padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
    var state = start
    var schedule = [UInt32](repeating: 0, count: 64)
    padded.withUnsafeBytes { bytes in
      for block in stride(from: 0, to: bytes.count, by: 64) {
        for index in 0..<16 {
          schedule[index] = UInt32(
            bigEndian: bytes.loadUnaligned(fromByteOffset: block + 4 * index, as: UInt32.self))
        }
        for index in 16..<64 {
          let (a, b) = (schedule[index - 15], schedule[index - 2])
          let low = turn(a, 7) ^ turn(a, 18) ^ a >> 3
          let high = turn(b, 17) ^ turn(b, 19) ^ b >> 10
          schedule[index] = schedule[index - 16] &+ low &+ schedule[index - 7] &+ high
        }
        mix(&state, schedule)
      }
    }
    return state
  }

  private static func mix(_ state: inout [UInt32], _ schedule: [UInt32]) {
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let choice = (e & f) ^ (~e & g)
      let first =
        h &+ (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) &+ choice &+ rounds[index] &+ schedule[index]
      let majority = (a & b) ^ (a & c) ^ (b & c)
      let second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) &+ majority
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ second)
    }
    for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= value }
  }

  private static func turn(_ value: UInt32, _ count: UInt32) -> UInt32 {
    value >> count | value << (32 - count)
  }
}
