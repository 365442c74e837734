internal import Locks
package import Platform
internal import Reference

/// Compares a candidate's logits with what a baseline keeps of the reference's; see `BaselineHead`
/// for what is exact and what is estimated.
package struct BaselineHeadComparison {
  private let head: BaselineHead
  private let targets: [Int?]
  private let threads: Int
  private var positions: [Position] = []
  private var sketch = StateSketch()
  private var nonFinite = 0

  /// Begins with nothing; `targets` are the tokens that follow each position.
  package init(_ head: BaselineHead, targets: [Int?], threads: Int) {
    precondition(targets.count == head.positions)
    self.head = head
    self.targets = targets
    self.threads = threads
  }

  /// What is known of a position's candidate.
  private struct Position: Sendable {
    var softmax = SoftmaxSums()
    /// Ids that are asked for in rising order, each with its place in `found`.
    let wanted: [(id: Int, place: Int)]
    /// Ids of the head in rising order.
    let head: [Int]
    var nextWanted = 0
    var nextHead = 0
    /// Logits of the head and of the drawn tokens.
    var found: [Float]
    /// Σ e^(b − top) over the tail.
    var tail = 0.0
    /// Least logit of the tail.
    var least = Double.infinity
    var nonFinite = 0

    init(head: ArraySlice<Int>, samples: ArraySlice<Int>) {
      wanted = (Array(head) + Array(samples)).enumerated().map { ($1, $0) }.sorted { $0.0 < $1.0 }
      self.head = head.sorted()
      found = [Float](repeating: 0, count: wanted.count)
    }

    mutating func add(
      _ logits: UnsafeMutableBufferPointer<Float>, _ vocabulary: Range<Int>, target: Int?
    ) {
      tail *= softmax.add(logits, vocabulary, target: target)
      for index in 0..<logits.count {
        if !logits[index].isFinite { nonFinite += 1 }
        let id = vocabulary.lowerBound + index
        while nextWanted < wanted.count, wanted[nextWanted].id == id {
          found[wanted[nextWanted].place] = logits[index]
          nextWanted += 1
        }
        if nextHead < head.count, head[nextHead] == id {
          nextHead += 1
          continue
        }
        tail += Mathematics.exp(Double(logits[index]) - softmax.top)
        least = min(least, Double(logits[index]))
      }
    }
  }

  /// Takes the next positions' logits.
  ///
  /// - Throws: what the source throws.
  package mutating func add(_ source: LogitsSource) throws(Fault) {
    let first = positions.count
    let vocabSize = source.tiles.last?.upperBound ?? 0
    var entry = head.counts[..<first].reduce(0, +)
    let samples = BaselineHead.samples
    let states = Guarded(
      (first..<first + source.rows).map { row in
        defer { entry += head.counts[row] }
        return Position(
          head: head.ids[entry..<entry + head.counts[row]],
          samples: head.sampleIds[row * samples..<(row + 1) * samples])
      })
    var sketch = self.sketch
    let targets = targets
    try source.forEachTile { tile, logits throws(Fault) in
      for row in 0..<logits.rows {
        sketch.add(logits[row], at: (first + row) * vocabSize + tile.lowerBound)
      }
      try Workers.run(threads: threads, count: logits.rows) { _, row throws(Fault) in
        var state = states.withLock { $0[row] }
        state.add(logits[row], tile, target: targets[first + row])
        let result = state
        states.withLock { $0[row] = result }
      }
    }
    self.sketch = sketch
    positions += states.withLock { $0 }
    nonFinite = positions.reduce(0) { $0 + $1.nonFinite }
  }

  /// The measures, once all positions have been taken.
  package var metrics: LogitsMetrics {
    precondition(positions.count == head.positions)
    var entry = 0
    var divergences: [Divergence] = []
    let places = positions.enumerated().map { row, position in
      defer { entry += head.counts[row] }
      let divergence = divergence(row, position, entry: entry)
      divergences.append(divergence)
      return LogitsMetrics.Position(
        divergence: position.nonFinite == 0 ? divergence.estimate : .nan,
        topReference: head.ids[entry], topCandidate: position.softmax.topToken,
        lossReference: targets[row].map { _ in head.normalizers[row] - Double(head.targets[row]) },
        lossCandidate: position.softmax.loss)
    }
    let count = Double(max(1, divergences.count))
    let isSound = nonFinite == 0
    let interval = LogitsMetrics.Interval(
      lower: isSound ? divergences.reduce(0) { $0 + $1.lower } / count : .nan,
      upper: isSound ? divergences.reduce(0) { $0 + $1.upper } / count : .nan,
      standardError: isSound
        ? Mathematics.pow(divergences.reduce(0) { $0 + $1.variance }, 0.5) / count : .nan)
    return LogitsMetrics(
      places, nmse: head.sketch.nmse(of: sketch), maxAbsDifference: .nan, nonFinite: nonFinite,
      interval: interval)
  }

  /// What is known of one position's divergence.
  private struct Divergence {
    let lower: Double
    let estimate: Double
    let upper: Double
    /// Of the estimate.
    let variance: Double
  }

  /// Sums in F64 over probabilities cannot be told apart below this.
  private static let rounding = 1e-13

  private func divergence(_ row: Int, _ position: Position, entry: Int) -> Divergence {
    let (count, normalizer) = (head.counts[row], position.softmax.logNormalizer)
    var known = 0.0
    for index in 0..<count {
      let log = Double(head.logits[entry + index]) - head.normalizers[row]
      known += Mathematics.exp(log) * (log - (Double(position.found[index]) - normalizer))
    }
    let mass = head.tailMasses[row]
    guard mass > 0, position.least < .infinity else {
      let value = abs(known) < BaselineHeadComparison.rounding ? 0 : max(0, known)
      return Divergence(lower: value, estimate: value, upper: value, variance: 0)
    }
    // log (P / Q)
    let ratio =
      Mathematics.log(mass) - Mathematics.log(position.tail / position.softmax.sum)
    var values: [Double] = []
    for sample in 0..<BaselineHead.samples {
      let place = row * BaselineHead.samples + sample
      // log r = log q̂ − log p̂
      let log =
        (Double(position.found[count + sample]) - normalizer)
        - (Double(head.sampleLogits[place]) - head.normalizers[row]) + ratio
      values.append(max(0, Mathematics.exp(log) - 1 - log))
    }
    let mean = values.reduce(0, +) / Double(values.count)
    let spread =
      values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
    var lower = known + mass * ratio
    if lower < BaselineHeadComparison.rounding { lower = 0 }
    let upper = max(
      lower, known + head.tailEntropies[row] - mass * (position.least - normalizer))
    var added = mass * mean
    if added < BaselineHeadComparison.rounding { added = 0 }
    return Divergence(
      lower: lower, estimate: min(lower + added, upper), upper: upper,
      variance: mass * mass * spread / Double(values.count))
  }
}
