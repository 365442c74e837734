internal import Platform
internal import Reference

/// A few hundred numbers from which the distance of two large arrays can be told.
///
/// Every element has, by a hash of its place, one of `size` buckets and a sign, and is added to the
/// bucket with the sign (count sketch: Charikar, Chen and Farach-Colton 2002). The sketch of a
/// difference is the difference of sketches, and the expectation of its squared length is the squared
/// length of the array, with a relative variance of at most 2 / size: a standard deviation of 1/16
/// for 512 buckets. NMSE from two sketches is within a quarter of the exact one, four standard
/// deviations, in all but some 10⁻⁴ of cases.
package struct StateSketch: Sendable, Hashable {
  /// Buckets; a power of two.
  static let size = 512
  /// Relative bound that the documents state.
  package static let bound = 0.25
  private static let shift = UInt64(64 - 9)

  /// The buckets; stored as F32.
  private(set) var buckets = [Double](repeating: 0, count: StateSketch.size)
  /// Σ x², exact.
  private(set) var energy = 0.0

  /// A sketch of zeros.
  package init() {}

  /// Takes a sketch as files have it.
  package init(buckets: [Float], energy: Double) {
    self.buckets = buckets.map { Double($0) }
    self.energy = energy
  }

  /// Sketches states (tokens, hidden).
  init(_ states: Activations) {
    for row in 0..<states.rows { add(states[row], at: row * states.columns) }
  }

  /// Adds the elements from place `start` on.
  mutating func add(_ values: UnsafeMutableBufferPointer<Float>, at start: Int) {
    buckets.withUnsafeMutableBufferPointer { buckets in
      for index in 0..<values.count {
        let value = Double(values[index])
        let hash = SplitMix.mix(UInt64(truncatingIfNeeded: start + index))
        buckets[Int(hash >> StateSketch.shift)] += hash & 1 == 0 ? value : -value
        energy += value * value
      }
    }
  }

  /// The buckets as they are stored.
  var stored: [Float] { buckets.map { Float($0) } }

  /// Σ (other − this)² / Σ this², about.
  package func nmse(of other: StateSketch) -> Double {
    let error = zip(stored, other.stored).reduce(0.0) { sum, pair in
      let difference = Double(pair.1) - Double(pair.0)
      return sum + difference * difference
    }
    return error == 0 ? 0 : error / energy
  }
}

/// SplitMix64 (Steele, Lea and Flood 2014) as a hash of a number.
enum SplitMix {
  static func mix(_ value: UInt64) -> UInt64 {
    var mixed = (value &+ 1) &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// From 0 up to 1.
  static func unit(_ value: UInt64) -> Double { Double(mix(value) >> 11) / Double(1 << 53) }
}
