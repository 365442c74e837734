internal import Platform

/// How sure the means of a comparison are, and how its positions are spread: what `llama-perplexity
/// --kl-divergence` reports beside the means, by the same formulas.
///
/// Everything is NaN where it does not exist: with a single position, without next tokens, or where a
/// logit is not finite.
package struct LogitsStatistics: Sendable, Hashable {
  /// A percentile of the positions' KL divergences.
  package struct Percentile: Sendable, Hashable {
    /// `50`, `99.9`.
    package let name: String
    /// Nats.
    package let value: Double
  }

  /// Percentiles in rising order.
  package let klPercentiles: [Percentile]
  /// Standard error of the mean KL divergence.
  package let klError: Double
  /// Standard error of the share of equal top tokens.
  package let top1Error: Double
  /// Standard error of the reference's perplexity, from its positions' losses.
  package let perplexityReferenceError: Double
  /// Of the candidate's.
  package let perplexityCandidateError: Double
  /// Of the candidate's perplexity over the reference's; the two vary together.
  package let perplexityRatioError: Double
  /// Correlation of both models' losses over the positions.
  package let lossCorrelation: Double
  /// √ mean (q − p)², p and q being the probabilities of the token that follows.
  package let probabilityRms: Double
  /// Standard error of that.
  package let probabilityRmsError: Double

  private static let percentiles: [(name: String, share: Double)] = [
    ("50", 0.5), ("90", 0.9), ("95", 0.95), ("99", 0.99), ("99.9", 0.999),
  ]

  /// From positions whose values all are numbers.
  init(_ positions: [LogitsMetrics.Position], isSound: Bool, top1: Double) {
    let count = Double(positions.count)
    let sorted = isSound ? positions.map(\.divergence).sorted() : []
    klPercentiles =
      LogitsStatistics.percentiles.map {
        Percentile(name: $0.name, value: LogitsStatistics.percentile(sorted, $0.share))
      } + [Percentile(name: "max", value: sorted.last ?? .nan)]
    let divergences = Moments(isSound ? positions.map(\.divergence) : [])
    klError = divergences.error
    top1Error =
      isSound && count > 1 ? Mathematics.pow(top1 * (1 - top1) / (count - 1), 0.5) : .nan
    let pairs = positions.compactMap { position -> (a: Double, b: Double)? in
      guard let a = position.lossReference, let b = position.lossCandidate else { return nil }
      return (a, b)
    }
    let (a, b) = (
      Moments(isSound ? pairs.map(\.a) : []), Moments(isSound ? pairs.map(\.b) : [])
    )
    perplexityReferenceError = Mathematics.exp(a.mean) * a.error
    perplexityCandidateError = Mathematics.exp(b.mean) * b.error
    let covariance =
      isSound && pairs.count > 1
      ? pairs.reduce(0) { $0 + ($1.a - a.mean) * ($1.b - b.mean) } / Double(pairs.count - 1)
      : .nan
    // Of the logarithm, and so of the quotient relative to itself.
    let variance = max(0, a.variance + b.variance - 2 * covariance) / Double(pairs.count)
    perplexityRatioError = Mathematics.exp(b.mean - a.mean) * Mathematics.pow(variance, 0.5)
    let spread = a.variance * b.variance
    lossCorrelation = spread > 0 ? covariance / Mathematics.pow(spread, 0.5) : .nan
    let squares = Moments(
      isSound
        ? pairs.map { pair in
          let change = Mathematics.exp(-pair.b) - Mathematics.exp(-pair.a)
          return change * change
        } : [])
    probabilityRms = Mathematics.pow(squares.mean, 0.5)
    probabilityRmsError =
      probabilityRms == 0 ? squares.error : squares.error / (2 * probabilityRms)
  }

  /// The value below which a share of sorted values lies, between two of them by the distance.
  static func percentile(_ sorted: [Double], _ share: Double) -> Double {
    guard let last = sorted.last else { return .nan }
    let place = share * Double(sorted.count - 1)
    let index = Int(place)
    guard index + 1 < sorted.count else { return last }
    let part = place - Double(index)
    return (1 - part) * sorted[index] + part * sorted[index + 1]
  }
}

/// Mean and spread of some numbers.
private struct Moments {
  let mean: Double
  /// With one degree of freedom less than there are numbers.
  let variance: Double
  /// Standard error of the mean.
  let error: Double

  init(_ values: [Double]) {
    let count = Double(values.count)
    guard !values.isEmpty else {
      (mean, variance, error) = (.nan, .nan, .nan)
      return
    }
    let mean = values.reduce(0, +) / count
    self.mean = mean
    variance =
      count > 1 ? values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1) : .nan
    error = Mathematics.pow(variance / count, 0.5)
  }
}
