import Locks
import Platform
import Reference
import Verification

/// Logits of some positions as a function of position and token: probabilities that fall with a
/// power of the rank, as those of text do, with ranks that are drawn for each position and token. The
/// candidate's have noise on them.
struct SyntheticLogits: Sendable {
  let rows: Int
  let vocabSize: Int
  /// Standard deviation of the candidate's noise, about.
  let noise: Double
  private let logarithms: [Float]
  let first: Int

  init(rows: Int, vocabSize: Int, noise: Double, first: Int = 0) {
    self.rows = rows
    self.vocabSize = vocabSize
    self.noise = noise
    self.first = first
    logarithms = (0..<vocabSize).map { Float(Mathematics.log(Double($0 + 1))) }
  }

  /// Exponents from 0.9 to 2.4: positions of high and of low entropy.
  private func exponent(_ row: Int) -> Float { 0.9 + Float((first + row) % 16) / 10 }

  func logit(_ row: Int, _ token: Int, isCandidate: Bool) -> Float {
    let hash = SyntheticLogits.mix((first + row) * vocabSize + token)
    // The upper half chooses a rank, the lower half the noise.
    let rank = Int(((hash >> 32) * UInt64(vocabSize)) >> 32)
    let uniform = Float(hash & 0xFFFF_FFFF) / 4_294_967_296 - 0.5
    let logit = -exponent(row) * logarithms[rank] + 3 + 0.5 * uniform
    guard isCandidate else { return logit }
    let other = Float(SyntheticLogits.mix(Int(hash >> 1)) >> 40) / 16_777_216 - 0.5
    // A uniform distribution of width 1 has a standard deviation of 1 / √12.
    return logit + Float(noise) * other * 3.46
  }

  static func mix(_ value: Int) -> UInt64 {
    var hash = UInt64(truncatingIfNeeded: value + 1) &* 0x9E37_79B9_7F4A_7C15
    hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
    hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
    return hash ^ (hash >> 31)
  }

  func source(isCandidate: Bool, tile: Int = 4096) -> LogitsSource {
    let tiles = stride(from: 0, to: vocabSize, by: tile).map { $0..<min($0 + tile, vocabSize) }
    return LogitsSource(rows: rows, tiles: tiles) { vocabulary, result throws(Fault) in
      try Workers.run(threads: Workers.available, count: rows) { _, row throws(Fault) in
        let values = result[row]
        for (column, token) in vocabulary.enumerated() {
          values[column] = logit(row, token, isCandidate: isCandidate)
        }
      }
    }
  }

  /// What `verify` says with both models at hand.
  func exact(targets: [Int?]) throws(Fault) -> LogitsMetrics {
    let states = Guarded(targets.map { PositionSums(target: $0) })
    try source(isCandidate: false).forEachTile { tile, logits throws(Fault) in
      try Workers.run(threads: Workers.available, count: rows) { _, row throws(Fault) in
        var state = states.withLock { $0[row] }
        let other = Activations(unwrittenRows: 1, columns: tile.count)
        for (column, token) in tile.enumerated() {
          other[0][column] = logit(row, token, isCandidate: true)
        }
        state.add(logits[row], other[0], vocabulary: tile)
        let result = state
        states.withLock { $0[row] = result }
      }
    }
    return LogitsMetrics(states.withLock { $0 })
  }

  func baseline(
    targets: [Int?], keep: Int, threads: Int = Workers.available
  ) throws(Fault) -> BaselineHead {
    var sketch = StateSketch()
    var head = try BaselineHeadRecorder(
      source(isCandidate: false), targets: targets, first: first, keep: keep, threads: threads
    ).record(into: &sketch)
    head.sketch = sketch
    return head
  }

  func measured(against head: BaselineHead, targets: [Int?]) throws(Fault) -> LogitsMetrics {
    var comparison = BaselineHeadComparison(head, targets: targets, threads: Workers.available)
    try comparison.add(source(isCandidate: true))
    return comparison.metrics
  }
}
