import Platform
import Reference
import Support
import Testing
import Verification

/// The upper bound of a divergence against a baseline, by its own formula, on candidates that are
/// made to reach it.
@Suite struct BaselineUpperBoundTests {
  private static let vocabSize = 40
  private static let kept = 8

  /// A reference of falling probabilities; its tail is what comes after the first eight.
  private static let reference = (0..<vocabSize).map { token in
    // Spread over the ids, so that head and tail are mixed in every tile.
    Float(4) - 0.3 * Float(token * 7 % vocabSize)
  }

  private static func logProbabilities(_ logits: [Float]) -> [Double] {
    let sum = logits.reduce(0.0) { $0 + Mathematics.exp(Double($1)) }
    return logits.map { Double($0) - Mathematics.log(sum) }
  }

  private func source(_ logits: [Float]) -> LogitsSource {
    let size = BaselineUpperBoundTests.vocabSize
    let tiles = stride(from: 0, to: size, by: 8).map { $0..<min($0 + 8, size) }
    return LogitsSource(rows: 1, tiles: tiles) { tile, result throws(Fault) in
      for (column, token) in tile.enumerated() { result[0][column] = logits[token] }
    }
  }

  /// What the candidate does to the tail, whose tokens come the most probable first.
  static let candidates: [@Sendable (_ rank: Int, _ logit: Float) -> Float] = [
    // All of the reference's tail on the token that the candidate thinks least of.
    { rank, logit in rank == 0 ? -30 : logit },
    // The least one is the last.
    { rank, logit in rank == 31 ? logit - 25 : logit },
    // Upside down.
    { rank, _ in Float(rank) * 0.5 - 12 },
    { rank, logit in rank % 5 == 0 ? logit - 20 : logit + 3 },
    { rank, logit in logit + (rank % 2 == 0 ? 0.01 : -0.01) },
  ]

  @Test(arguments: candidates.indices)
  func theBoundIsItsFormula(index: Int) throws {
    let reference = BaselineUpperBoundTests.reference
    let order = reference.indices.sorted { reference[$0] > reference[$1] }
    let (head, tail) = (
      order.prefix(BaselineUpperBoundTests.kept), order.dropFirst(BaselineUpperBoundTests.kept)
    )
    var candidate = reference
    for (rank, token) in tail.enumerated() {
      candidate[token] = BaselineUpperBoundTests.candidates[index](rank, reference[token])
    }
    let p = BaselineUpperBoundTests.logProbabilities(reference)
    let q = BaselineUpperBoundTests.logProbabilities(candidate)
    let exact = order.reduce(0.0) { $0 + Mathematics.exp(p[$1]) * (p[$1] - q[$1]) }
    let known = head.reduce(0.0) { $0 + Mathematics.exp(p[$1]) * (p[$1] - q[$1]) }
    let entropy = tail.reduce(0.0) { $0 + Mathematics.exp(p[$1]) * p[$1] }
    let mass = tail.reduce(0.0) { $0 + Mathematics.exp(p[$1]) }
    let least = try #require(tail.map { q[$0] }.min())
    let upper = known + entropy - mass * least

    var sketch = StateSketch()
    var baseline = try BaselineHeadRecorder(
      source(reference), targets: [nil], first: 0, keep: BaselineUpperBoundTests.kept, threads: 1
    ).record(into: &sketch)
    baseline.sketch = sketch
    var comparison = BaselineHeadComparison(baseline, targets: [nil], threads: 1)
    try comparison.add(source(candidate))
    let interval = try #require(comparison.metrics.interval)
    let rounding = 1e-9 * max(1, upper)
    #expect(abs(interval.upper - upper) < rounding, "\(interval.upper) and \(upper)")
    #expect(exact <= interval.upper + rounding && interval.lower <= exact + rounding)
  }
}
