internal import Platform

/// What groups lose together, of the sum of what they lose alone.
///
/// Small losses of different groups add up to first order. What they have in common they lose once: a
/// token that two groups each send to another expert goes there once. So some whole choices are
/// measured, and between them the share that is left of the sum is interpolated over its logarithm.
package struct JointLoss: Sendable {
  /// A choice that was measured as a whole.
  package struct Point: Sendable, Hashable {
    /// What its groups lose alone, added up.
    package let sum: Double
    /// What they lose together.
    package let measured: Double

    /// Records a measurement.
    package init(sum: Double, measured: Double) { (self.sum, self.measured) = (sum, measured) }
  }

  /// The measurements, smaller sums first.
  package let points: [Point]

  /// Takes measurements; those of sums that are not above zero say nothing of a share.
  package init(_ points: [Point]) {
    self.points = points.sorted { $0.sum < $1.sum }
  }

  /// What is to be expected of a choice whose groups lose `sum`: the sum itself where nothing was
  /// measured.
  package func predicted(_ sum: Double) -> Double {
    let usable = points.filter { $0.sum > 0 && $0.measured > 0 }
    guard sum > 0, let first = usable.first, let last = usable.last else { return sum }
    func share(_ point: Point) -> Double { point.measured / point.sum }
    guard let next = usable.firstIndex(where: { $0.sum >= sum }), next > 0 else {
      return sum * share(sum <= first.sum ? first : last)
    }
    let (low, high) = (usable[next - 1], usable[next])
    let place = Mathematics.log(sum / low.sum) / Mathematics.log(high.sum / low.sum)
    return sum * share(low) * Mathematics.pow(share(high) / share(low), place)
  }

  /// The largest sum, up to one that is given, of which no more than a loss is to be expected.
  package func sum(predicting loss: Double, atMost most: Double) -> Double {
    var (low, high) = (0.0, most)
    guard predicted(high) > loss else { return high }
    // What is expected grows with the sum, nearly: measurements that say otherwise cost some bits.
    for _ in 0..<100 {
      let middle = low + (high - low) / 2
      if predicted(middle) <= loss { low = middle } else { high = middle }
    }
    return low
  }
}
