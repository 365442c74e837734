package import Platform
package import Reference

/// Part of the distributions that a model predicts: what a baseline keeps of one head.
///
/// Of each position are kept the logits of its most probable tokens (the head, S), log Z exactly,
/// and of all others (the tail, T) their mass P = Σ p, their Σ p · log p, and the logits of a few
/// tokens drawn from the tail by their probability. With q the candidate's probabilities, all of
/// which are known when it runs, and Q = Σ q over the tail,
///
///     KL = Σ_S p · log(p / q) + P · log(P / Q) + P · KL(p̂ ‖ q̂),   p̂ = p / P, q̂ = q / Q on T.
///
/// The first two terms are exact. The last is not negative (log-sum inequality), so that they are
/// the *lower* bound: the tail as one bucket. As no q of the tail is below its least,
///
///     KL ≤ Σ_S p · log(p / q) + Σ_T p · log p − P · log(min q over T),
///
/// which is the *upper* bound. Both hold always. In between the last term is estimated as P times
/// the mean of r − 1 − log r over the drawn tokens, r = q̂ / p̂: its expectation under p̂ is
/// KL(p̂ ‖ q̂), no value is negative, and for a candidate that is close all are small.
package struct BaselineHead: Sendable, Hashable {
  /// Tokens of the head of each position; at least one.
  var counts: [Int] = []
  /// Their ids, position after position, the most probable first.
  var ids: [Int] = []
  /// Their logits.
  var logits: [Float] = []
  /// log Z of each position.
  var normalizers: [Double] = []
  /// P of each position; 0 where the head is the whole vocabulary.
  var tailMasses: [Double] = []
  /// Σ p · log p over each tail.
  var tailEntropies: [Double] = []
  /// Logit of the token that follows; 0 where none does.
  var targets: [Float] = []
  /// Ids of `samples` tokens drawn from each tail; 0 where there is none.
  var sampleIds: [Int] = []
  /// Their logits.
  var sampleLogits: [Float] = []
  /// All logits together.
  package var sketch = StateSketch()

  /// Tokens drawn from each tail.
  static let samples = 16
  /// Tokens of the head of a position at the least.
  static let least = 8
  /// Positions that share their memory for heads.
  package static let block = 512

  /// A head of no positions.
  package init() {}

  var positions: Int { counts.count }

  /// Entries of a position that are held while its block is recorded: a position may take many
  /// times its share where others need less.
  static func mostEntries(vocabSize: Int, keep: Int) -> Int {
    min(vocabSize, max(least, 16 * keep))
  }

  /// The most bytes that recording, or comparing with, so many positions takes beside the network.
  static func bytes(positions: Int, vocabSize: Int, keep: Int) -> Int {
    let rows = min(positions, block)
    let tile = rows * min(vocabSize, Network.vocabularyTile) * MemoryLayout<Float>.stride
    // They are cut to their number when there are twice as many; then the probabilities of all go
    // into an array that doubles where it is full, and is sorted.
    let entries = mostEntries(vocabSize: vocabSize, keep: keep)
    let perRow =
      entries * (2 * MemoryLayout<TopTokens.Entry>.stride + 3 * MemoryLayout<Double>.stride)
    // An id and a logit of what is kept, as it is and as it is written.
    let kept = (max(keep, least) + samples) * 4 * MemoryLayout<Int>.stride
    return tile + rows * perRow + positions * kept
  }

  /// Appends further positions; the sketch is the caller's.
  mutating func append(_ other: BaselineHead) {
    counts += other.counts
    ids += other.ids
    logits += other.logits
    normalizers += other.normalizers
    tailMasses += other.tailMasses
    tailEntropies += other.tailEntropies
    targets += other.targets
    sampleIds += other.sampleIds
    sampleLogits += other.sampleLogits
  }
}

/// Logits of some positions, tile by tile of the vocabulary, as often as they are asked for.
package struct LogitsSource {
  /// Positions.
  let rows: Int
  /// Parts of the vocabulary in order.
  let tiles: [Range<Int>]
  /// Writes the logits (rows, tile.count) of a tile.
  let fill: (_ tile: Range<Int>, _ result: Activations) throws(Fault) -> Void

  /// Takes logits from anywhere: `fill` writes those of all rows (rows, tile.count) for a tile.
  package init(
    rows: Int, tiles: [Range<Int>],
    fill: @escaping (_ tile: Range<Int>, _ result: Activations) throws(Fault) -> Void
  ) {
    self.rows = rows
    self.tiles = tiles
    self.fill = fill
  }

  /// What a network predicts from some rows of normed states (tokens, hidden).
  init(_ network: Network, normed: Activations, rows: Range<Int>) {
    self.init(rows: rows.count, tiles: network.vocabularyTiles) { tile, result throws(Fault) in
      try network.logits(of: normed, rows: rows, vocabulary: tile, into: result)
    }
  }

  /// Calls `body` with each tile's logits.
  package func forEachTile(
    _ body: (_ tile: Range<Int>, _ logits: Activations) throws(Fault) -> Void
  ) throws(Fault) {
    for tile in tiles {
      let logits = Activations(unwrittenRows: rows, columns: tile.count)
      try fill(tile, logits)
      try body(tile, logits)
    }
  }
}

extension SoftmaxSums {
  /// Takes the logits of `vocabulary`, in the order of `PositionSums`.
  ///
  /// - Returns: the factor by which sums so far shrink, relative to the largest logit so far.
  mutating func add(
    _ logits: UnsafeMutableBufferPointer<Float>, _ vocabulary: Range<Int>, target: Int?
  ) -> Double {
    let factor = raise(to: logits, vocabulary, target: target)
    for index in 0..<logits.count { sum += Mathematics.exp(Double(logits[index]) - top) }
    return factor
  }
}
