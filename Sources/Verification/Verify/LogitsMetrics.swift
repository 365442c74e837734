internal import Platform

/// How far one model's logits are from another's over some positions.
///
/// Values are NaN where they do not exist: everything where a logit is not finite, perplexity
/// where no position has a next token.
public struct LogitsMetrics: Sendable, Hashable {
  /// Positions compared.
  public let tokens: Int
  /// Mean of KL(reference ‖ candidate) over the positions, in nats.
  public let klMean: Double
  /// Largest KL divergence of a position.
  public let klMax: Double
  /// Share of positions where both give the same token the highest logit.
  public let top1Agreement: Double
  /// Σ (candidate − reference)² / Σ reference², over all logits.
  public let nmse: Double
  /// Largest difference of two logits.
  public let maxAbsDifference: Double
  /// e to the mean negative log-likelihood of the given tokens, by the reference.
  public let perplexityReference: Double
  /// The same by the candidate.
  public let perplexityCandidate: Double
  /// Logits of either side that are NaN or infinite; a single one fails the verdict.
  public let nonFinite: Int

  /// Candidate's perplexity over the reference's.
  public var perplexityRatio: Double { perplexityCandidate / perplexityReference }
}

/// What is known of one position after part of the vocabulary, with sums in double precision
/// relative to the largest logit so far, so that the vocabulary can pass by in tiles.
package struct PositionSums: Sendable {
  /// The token that the position should predict, nil where the input ends before it.
  let target: Int?
  private var reference = SoftmaxSums()
  private var candidate = SoftmaxSums()
  /// Σ e^(a − top) · (a − b), a and b being reference and candidate.
  private var weighted = 0.0
  private(set) var squaredError = 0.0
  private(set) var squaredReference = 0.0
  private(set) var maxAbsDifference = 0.0
  private(set) var nonFinite = 0

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

  var agrees: Bool { reference.topToken == candidate.topToken }

  /// −log p of the target by both, nil without target.
  var losses: (reference: Double, candidate: Double)? {
    guard let a = reference.loss, let b = candidate.loss else { return nil }
    return (a, b)
  }
}

/// The softmax of one model at one position.
private struct SoftmaxSums: Sendable {
  /// Largest logit so far, and its token; the lower token wins a tie.
  var top = -Double.infinity
  var topToken = 0
  /// Σ e^(logit − top)
  var sum = 0.0
  private var target: Double?

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

  var loss: Double? { target.map { top + Mathematics.log(sum) - $0 } }
}

extension LogitsMetrics {
  /// Joins positions, in their order.
  package init(_ positions: [PositionSums]) {
    let count = Double(positions.count)
    let nonFinite = positions.reduce(0) { $0 + $1.nonFinite }
    let isSound = nonFinite == 0 && !positions.isEmpty
    let divergences = positions.map(\.divergence)
    let losses = positions.compactMap(\.losses)
    let error = positions.reduce(0) { $0 + $1.squaredError }
    let energy = positions.reduce(0) { $0 + $1.squaredReference }
    func perplexity(_ loss: ((reference: Double, candidate: Double)) -> Double) -> Double {
      guard isSound, !losses.isEmpty else { return .nan }
      return Mathematics.exp(losses.reduce(0) { $0 + loss($1) } / Double(losses.count))
    }
    tokens = positions.count
    klMean = isSound ? divergences.reduce(0, +) / count : .nan
    klMax = isSound ? divergences.reduce(0, max) : .nan
    top1Agreement = isSound ? Double(positions.count { $0.agrees }) / count : .nan
    nmse = isSound ? (error == 0 ? 0 : error / energy) : .nan
    maxAbsDifference =
      isSound ? positions.reduce(0) { max($0, $1.maxAbsDifference) } : .nan
    perplexityReference = perplexity { $0.reference }
    perplexityCandidate = perplexity { $0.candidate }
    self.nonFinite = nonFinite
  }
}
