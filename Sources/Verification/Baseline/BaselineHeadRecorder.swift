internal import Locks
package import Platform
internal import Reference

/// Makes a `BaselineHead` of a block of positions, in two passes over their logits: one finds the
/// most probable tokens, the other measures and samples what is left.
package struct BaselineHeadRecorder {
  private let source: LogitsSource
  private let targets: [Int?]
  /// Entries per position, on average.
  private let keep: Int
  private let threads: Int
  /// Index of the first position among all of the head, for hashes.
  private let first: Int
  private let vocabSize: Int

  /// Begins with a block.
  ///
  /// - Parameters:
  ///   - targets: the right token of each row, where it is known.
  ///   - first: index of the block's first position among all of the head.
  ///   - keep: entries per position, on average.
  package init(
    _ source: LogitsSource, targets: [Int?], first: Int, keep: Int, threads: Int
  ) {
    precondition(targets.count == source.rows && keep > 0)
    self.source = source
    self.targets = targets
    self.first = first
    self.keep = keep
    self.threads = threads
    vocabSize = source.tiles.last?.upperBound ?? 0
  }

  /// Records the block, and adds all of its logits to `sketch`.
  ///
  /// - Throws: `.malformed` for logits that are not finite, and what the source throws.
  package func record(into sketch: inout StateSketch) throws(Fault) -> BaselineHead {
    var positions = try findHeads(&sketch)
    // One logit that is not finite leaves its mark on the sum of squares.
    guard sketch.energy.isFinite else {
      throw Fault(
        .malformed, "the reference's logits are not finite, so that there is nothing to keep",
        found: "one of positions \(first) to \(first + positions.count - 1)")
    }
    cut(&positions)
    let tails = try measureTails(positions)
    var head = BaselineHead()
    for (row, position) in positions.enumerated() {
      head.counts.append(position.top.entries.count)
      head.ids += position.top.entries.map(\.id)
      head.logits += position.top.entries.map(\.logit)
      head.normalizers.append(position.softmax.logNormalizer)
      head.targets.append(Float(position.softmax.target ?? 0))
      head.tailMasses.append(min(1, tails[row].mass))
      head.tailEntropies.append(tails[row].entropy)
      head.sampleIds += tails[row].samples.map(\.id)
      head.sampleLogits += tails[row].samples.map(\.logit)
    }
    return head
  }

  private struct Position: Sendable {
    var softmax = SoftmaxSums()
    var top: TopTokens
  }

  private func findHeads(_ sketch: inout StateSketch) throws(Fault) -> [Position] {
    let most = BaselineHead.mostEntries(vocabSize: vocabSize, keep: keep)
    let states = Guarded(targets.map { _ in Position(top: TopTokens(limit: most)) })
    let targets = targets
    try source.forEachTile { tile, logits throws(Fault) in
      for row in 0..<logits.rows {
        sketch.add(logits[row], at: (first + row) * vocabSize + tile.lowerBound)
      }
      try Workers.run(threads: threads, count: logits.rows) { _, row throws(Fault) in
        // Taken out of the array: what is in two places is copied when it changes.
        var state = Position(top: TopTokens(limit: 0))
        states.withLock { swap(&$0[row], &state) }
        _ = state.softmax.add(logits[row], tile, target: targets[row])
        state.top.add(logits[row], tile)
        states.withLock { swap(&$0[row], &state) }
      }
    }
    return states.withLock { $0 }
  }

  /// Leaves each position the tokens above one probability, chosen such that all positions together
  /// have `keep` times their number: that leaves the least mass to the tails.
  private func cut(_ positions: inout [Position]) {
    for row in positions.indices { positions[row].top.finish() }
    var all: [Double] = []
    for position in positions {
      all += position.top.entries.map { Double($0.logit) - position.softmax.logNormalizer }
    }
    let budget = keep * positions.count
    guard all.count > budget else { return }
    all.sort(by: >)
    let threshold = all[budget - 1]
    for row in positions.indices {
      let normalizer = positions[row].softmax.logNormalizer
      let count = positions[row].top.entries.count { Double($0.logit) - normalizer >= threshold }
      positions[row].top.cut(to: max(BaselineHead.least, count))
    }
  }

  private func measureTails(_ positions: [Position]) throws(Fault) -> [TailSums] {
    let states = Guarded(
      positions.enumerated().map { row, position in
        TailSums(
          head: position.top.entries, normalizer: position.softmax.logNormalizer,
          seed: UInt64(first + row))
      })
    try source.forEachTile { tile, logits throws(Fault) in
      try Workers.run(threads: threads, count: logits.rows) { _, row throws(Fault) in
        var state = states.withLock { $0[row] }
        state.add(logits[row], tile)
        let result = state
        states.withLock { $0[row] = result }
      }
    }
    return states.withLock { $0 }.map {
      var tail = $0
      tail.finish()
      return tail
    }
  }
}

/// The largest logits of a position that have passed by.
struct TopTokens: Sendable {
  /// A token with its logit.
  struct Entry: Sendable { let id: Int, logit: Float }

  private(set) var entries: [Entry] = []
  private let limit: Int
  private var floor = -Float.infinity

  init(limit: Int) {
    self.limit = limit
    entries.reserveCapacity(2 * limit)
  }

  /// Takes logits of the next part of the vocabulary; of equal ones the lower token stays.
  mutating func add(_ logits: UnsafeMutableBufferPointer<Float>, _ vocabulary: Range<Int>) {
    for index in 0..<logits.count where logits[index] > floor {
      entries.append(Entry(id: vocabulary.lowerBound + index, logit: logits[index]))
      if entries.count >= 2 * limit { finish() }
    }
  }

  /// Puts them in order, the largest first.
  mutating func finish() {
    entries.sort { ($0.logit, $1.id) > ($1.logit, $0.id) }
    cut(to: limit)
    if entries.count == limit, let last = entries.last { floor = last.logit }
  }

  mutating func cut(to count: Int) {
    if entries.count > count { entries.removeLast(entries.count - count) }
  }
}

/// A tail's mass and Σ p · log p, and tokens drawn from it: one where the mass that has passed by
/// crosses each multiple of a `samples`-th of it, with one random start, so that every token is
/// drawn as often as its probability says.
private struct TailSums: Sendable {
  private let normalizer: Double
  /// Ids of the head in rising order, and the next one to meet.
  private let head: [Int]
  private var next = 0
  private let spacing: Double
  private let start: Double
  private var last: TopTokens.Entry?
  private(set) var mass = 0.0
  private(set) var entropy = 0.0
  private(set) var samples: [TopTokens.Entry] = []

  private static let wanted = BaselineHead.samples
  private var nextCrossing: Double { (Double(samples.count) + start) * spacing }

  init(head: [TopTokens.Entry], normalizer: Double, seed: UInt64) {
    self.normalizer = normalizer
    self.head = head.map(\.id).sorted()
    let kept = head.reduce(0) { $0 + Mathematics.exp(Double($1.logit) - normalizer) }
    spacing = max(1 - kept, 0) / Double(BaselineHead.samples)
    start = SplitMix.unit(seed)
  }

  mutating func add(_ logits: UnsafeMutableBufferPointer<Float>, _ vocabulary: Range<Int>) {
    for index in 0..<logits.count {
      let id = vocabulary.lowerBound + index
      if next < head.count, head[next] == id {
        next += 1
        continue
      }
      let information = Double(logits[index]) - normalizer
      let probability = Mathematics.exp(information)
      mass += probability
      entropy += probability * information
      let entry = TopTokens.Entry(id: id, logit: logits[index])
      if probability > 0 { last = entry }
      while samples.count < TailSums.wanted && mass > nextCrossing { samples.append(entry) }
    }
  }

  /// Rounding can leave the last crossing out.
  mutating func finish() {
    let entry = last ?? TopTokens.Entry(id: 0, logit: 0)
    while samples.count < BaselineHead.samples { samples.append(entry) }
  }
}
