internal import Parts
internal import Platform

/// How far one model's logits are from another's over some positions.
///
/// Values are NaN where they do not exist: everything where a logit is not finite, perplexity
/// where no position has a next token.
package struct LogitsMetrics: Sendable, Hashable {
  /// Positions compared.
  package let tokens: Int
  /// Mean of KL(reference ‖ candidate) over the positions, in nats.
  package let klMean: Double
  /// Largest KL divergence of a position.
  package let klMax: Double
  /// Share of positions where both give the same token the highest logit.
  package let top1Agreement: Double
  /// Σ (candidate − reference)² / Σ reference², over all logits.
  package let nmse: Double
  /// Largest difference of two logits.
  package let maxAbsDifference: Double
  /// e to the mean negative log-likelihood of the given tokens, by the reference.
  package let perplexityReference: Double
  /// The same by the candidate.
  package let perplexityCandidate: Double
  /// Logits of either side that are NaN or infinite; a single one fails the verdict.
  package let nonFinite: Int
  /// What is known of each position, sequence after sequence.
  package let positions: [Position]
  /// How sure the means are, and how the positions are spread.
  package let statistics: LogitsStatistics
  /// Between which values `klMean` lies, where the reference is a baseline; nil where it is exact.
  package let interval: Interval?

  /// One position's part in the measures.
  package struct Position: Sendable, Hashable {
    /// KL(reference ‖ candidate) in nats; NaN where a logit is not finite.
    package let divergence: Double
    /// The token with the reference's highest logit.
    package let topReference: Int
    /// The token with the candidate's highest logit.
    package let topCandidate: Int
    /// −log p of the token that follows by the reference, in nats; nil where the input ends.
    package let lossReference: Double?
    /// The same by the candidate.
    package let lossCandidate: Double?

    /// Makes a record.
    package init(
      divergence: Double, topReference: Int, topCandidate: Int, lossReference: Double?,
      lossCandidate: Double?
    ) {
      (self.divergence, self.topReference) = (divergence, topReference)
      (self.topCandidate, self.lossReference) = (topCandidate, lossReference)
      self.lossCandidate = lossCandidate
    }
  }

  /// What a baseline, which holds a part of each distribution, leaves open; see `BaselineHead`.
  package struct Interval: Sendable, Hashable {
    /// The mean divergence is at least this.
    package let lower: Double
    /// The mean divergence is at most this.
    package let upper: Double
    /// Standard error of `klMean`, which estimates what the baseline does not hold from a sample.
    package let standardError: Double
  }

  /// Candidate's perplexity over the reference's.
  package var perplexityRatio: Double { perplexityCandidate / perplexityReference }
}

/// What is known of one position after part of the vocabulary, with sums in double precision
/// relative to the largest logit so far, so that the vocabulary can pass by in tiles.
package struct PositionSums: Sendable {
  /// The token that the position should predict, nil where the input ends before it.
  let target: Int?
  fileprivate var reference = SoftmaxSums()
  fileprivate var candidate = SoftmaxSums()
  /// Σ e^(a − top) · (a − b), a and b being reference and candidate.
  private var weighted = 0.0
  private(set) var squaredError = 0.0
  private(set) var squaredReference = 0.0
  private(set) var maxAbsDifference = 0.0
  private(set) var nonFinite = 0

  /// Begins with no logits; `target` is the right token, where it is known.
  package init(target: Int?) { self.target = target }

  /// Takes the logits of `vocabulary` by both models: (vocabulary.count) each.
  package mutating func add(
    _ a: UnsafeMutableBufferPointer<Float>, _ b: UnsafeMutableBufferPointer<Float>,
    vocabulary: Range<Int>
  ) {
    precondition(a.count == vocabulary.count && b.count == vocabulary.count)
    weighted *= reference.raise(to: a, vocabulary, target: target)
    _ = candidate.raise(to: b, vocabulary, target: target)
    for index in 0..<a.count {
      let (x, y) = (Double(a[index]), Double(b[index]))
      if !x.isFinite || !y.isFinite { nonFinite += 1 }
      let part = Mathematics.exp(x - reference.top)
      let difference = y - x
      reference.sum += part
      candidate.sum += Mathematics.exp(y - candidate.top)
      weighted -= part * difference
      squaredError += difference * difference
      squaredReference += x * x
      maxAbsDifference = max(maxAbsDifference, abs(difference))
    }
  }

  /// Σ p (log p − log q) = Σ p (a − b) − log Z(a) + log Z(b); rounding can take it below 0.
  var divergence: Double {
    let value =
      weighted / reference.sum
      - (reference.top - candidate.top) - Mathematics.log(reference.sum / candidate.sum)
    return value < 0 ? 0 : value
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape) {
    reference.pass(&tape, hasTarget: target != nil)
    candidate.pass(&tape, hasTarget: target != nil)
    tape.pass(&weighted)
    tape.pass(&squaredError)
    tape.pass(&squaredReference)
    tape.pass(&maxAbsDifference)
    tape.pass(&nonFinite)
  }
}

/// The softmax of one model at one position.
struct SoftmaxSums: Sendable {
  /// Largest logit so far, and its token; the lower token wins a tie.
  var top = -Double.infinity
  var topToken = 0
  /// Σ e^(logit − top)
  var sum = 0.0
  private(set) var target: Double?

  /// Looks for the largest logit and the target's in a tile.
  ///
  /// - Returns: the factor by which sums so far shrink.
  mutating func raise(
    to logits: UnsafeMutableBufferPointer<Float>, _ vocabulary: Range<Int>, target token: Int?
  ) -> Double {
    if let token, vocabulary.contains(token) {
      target = Double(logits[token - vocabulary.lowerBound])
    }
    let before = top
    for index in 0..<logits.count where Double(logits[index]) > top {
      top = Double(logits[index])
      topToken = vocabulary.lowerBound + index
    }
    guard top != before else { return 1 }
    let factor = Mathematics.exp(before - top)
    sum *= factor
    return factor
  }

  /// Writes to a tape, or reads from it.
  mutating func pass(_ tape: inout NumberTape, hasTarget: Bool) {
    tape.pass(&top)
    tape.pass(&topToken, below: tape.sizes.vocabulary)
    tape.pass(&sum)
    guard hasTarget else { return }
    var value = target ?? .nan
    tape.pass(&value)
    target = value
  }

  /// log Σ e^logit
  var logNormalizer: Double { top + Mathematics.log(sum) }

  /// −log p of the target, nil without one.
  var loss: Double? { target.map { logNormalizer - $0 } }
}

extension PositionSums {
  var position: LogitsMetrics.Position {
    LogitsMetrics.Position(
      divergence: nonFinite == 0 ? divergence : .nan, topReference: reference.topToken,
      topCandidate: candidate.topToken, lossReference: reference.loss,
      lossCandidate: candidate.loss)
  }
}

extension LogitsMetrics {
  /// Joins positions, in their order.
  package init(_ sums: [PositionSums]) {
    let error = sums.reduce(0) { $0 + $1.squaredError }
    let energy = sums.reduce(0) { $0 + $1.squaredReference }
    self.init(
      sums.map(\.position), nmse: error == 0 ? 0 : error / energy,
      maxAbsDifference: sums.reduce(0) { max($0, $1.maxAbsDifference) },
      nonFinite: sums.reduce(0) { $0 + $1.nonFinite }, interval: nil)
  }

  /// Means and extremes of positions; `nmse` and `maxAbsDifference` are over all logits.
  package init(
    _ positions: [Position], nmse: Double, maxAbsDifference: Double, nonFinite: Int,
    interval: Interval?
  ) {
    let count = Double(positions.count)
    let isSound = nonFinite == 0 && !positions.isEmpty
    func perplexity(_ loss: (Position) -> Double?) -> Double {
      let losses = positions.compactMap(loss)
      guard isSound, !losses.isEmpty else { return .nan }
      return Mathematics.exp(losses.reduce(0, +) / Double(losses.count))
    }
    let agreeing = positions.count { $0.topReference == $0.topCandidate }
    tokens = positions.count
    klMean = isSound ? positions.reduce(0) { $0 + $1.divergence } / count : .nan
    klMax = isSound ? positions.reduce(0) { max($0, $1.divergence) } : .nan
    top1Agreement = isSound ? Double(agreeing) / count : .nan
    self.nmse = isSound ? nmse : .nan
    self.maxAbsDifference = isSound ? maxAbsDifference : .nan
    perplexityReference = perplexity(\.lossReference)
    perplexityCandidate = perplexity(\.lossCandidate)
    self.nonFinite = nonFinite
    self.positions = positions
    self.interval = interval
    statistics = LogitsStatistics(positions, isSound: isSound, top1: top1Agreement)
  }
}
