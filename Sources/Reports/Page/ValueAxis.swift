internal import Platform

/// A scale of a plot.
package struct ValueAxis {
  /// The value at the bottom and the one at the top.
  package let range: (low: Double, high: Double)
  /// Whether equal distances are equal ratios.
  package let isLogarithmic: Bool
  /// Where a line is drawn and what stands beside it.
  package let ticks: [(value: Double, label: String)]

  /// Decades that a scale spans at most: smaller values lie at the bottom.
  private static let decadeLimit = 8

  /// Decades by which a limit may lie beyond the values and still be in the picture.
  private static let limitDistance = 3.0

  /// A logarithmic scale from the smallest positive value to the largest, with the limits that are
  /// near them.
  package static func decades(of values: [Double], limits: [Double] = []) -> ValueAxis {
    var positive = values.filter { $0 > 0 && $0.isFinite }
    if let least = positive.min(), let most = positive.max() {
      positive += limits.filter {
        $0 > 0 && decade(least) - decade($0) < limitDistance
          && decade($0) - decade(most) < limitDistance
      }
    }
    let top = Int((decade(positive.max() ?? 1) - 1e-9).rounded(.up))
    let smallest = Int((decade(positive.min() ?? 0.1) + 1e-9).rounded(.down))
    let bottom = min(top - 1, max(smallest, top - decadeLimit))
    let step = (top - bottom + 4) / 5
    let ticks = stride(from: top, through: bottom, by: -step).map {
      (Mathematics.pow(10, Double($0)), "10" + superscript($0))
    }
    let low = Mathematics.pow(10, Double(bottom))
    // A single decade has lines between its ends.
    let between =
      top - bottom == 1
      ? [2, 5].map { (Double($0) * low, "\($0)·10" + superscript(bottom)) } : []
    return ValueAxis(
      range: (low, Mathematics.pow(10, Double(top))), isLogarithmic: true, ticks: ticks + between)
  }

  /// A linear scale from zero to the largest value, with the limits that are near it.
  package static func fromZero(to values: [Double], limits: [Double] = []) -> ValueAxis {
    let most = values.filter(\.isFinite).max() ?? 0
    let top = ([most] + limits.filter { $0 <= 2 * most }).max() ?? 0
    guard top > 0, top.isFinite else {
      return ValueAxis(range: (0, 1), isLogarithmic: false, ticks: [(0, "0"), (1, "1")])
    }
    // 1, 2 or 5 times a power of ten, five steps of it at most.
    let power = Mathematics.pow(10, (decade(top / 5) - 1e-9).rounded(.down))
    let step = [1, 2, 5].map { $0 * power }.first { 5 * $0 >= top * (1 - 1e-9) } ?? 10 * power
    let count = max(1, Int((top / step - 1e-9).rounded(.up)))
    return ValueAxis(
      range: (0, Double(count) * step), isLogarithmic: false,
      ticks: (0...count).map { (Double($0) * step, short(Double($0) * step)) })
  }

  /// A linear scale from one whole number to another, with a mark for each.
  package static func whole(around values: [Double]) -> ValueAxis {
    let low = (values.min() ?? 0).rounded(.down)
    let high = max(low + 1, (values.max() ?? 0).rounded(.up))
    return ValueAxis(
      range: (low, high), isLogarithmic: false,
      ticks: stride(from: low, through: high, by: 1).map { ($0, short($0)) })
  }

  /// A linear scale of shares that ends at 1 and begins below the smallest.
  package static func shares(of values: [Double]) -> ValueAxis {
    let smallest = values.filter(\.isFinite).min() ?? 0
    let scales = [(0.99, 5), (0.98, 4), (0.95, 5), (0.9, 5), (0.8, 4), (0.5, 5)]
    let (low, steps) = scales.first { $0.0 <= smallest } ?? (0, 5)
    let ticks = (0...steps).map { step in
      let value = low + (1 - low) * Double(step) / Double(steps)
      return (value, Quantity.fixed(100 * value, digits: low >= 0.98 ? 1 : 0) + " %")
    }
    return ValueAxis(range: (low, 1), isLogarithmic: false, ticks: ticks)
  }

  /// A linear scale of numbers of things, from none.
  package static func counts(upTo most: Int) -> ValueAxis {
    var step = 1
    // 1, 2, 5, 10, 20 and so on: five of them at most reach the top.
    for next in sequence(first: 1, next: { $0 * 10 }).prefix(15).flatMap({ [$0, 2 * $0, 5 * $0] })
    where step * 5 < most { step = next }
    let top = max(1, (most + step - 1) / step)
    return ValueAxis(
      range: (0, Double(top * step)), isLogarithmic: false,
      ticks: (0...top).map { (Double($0 * step), Quantity.count($0 * step)) })
  }

  /// A logarithmic scale of numbers of things, on which a single one can be seen.
  package static func countDecades(upTo most: Int) -> ValueAxis {
    let top = max(1, Int((decade(Double(max(1, most))) - 1e-9).rounded(.up)))
    return ValueAxis(
      range: (0.5, Mathematics.pow(10, Double(top))), isLogarithmic: true,
      ticks: (0...top).map { power in
        let value = Mathematics.pow(10, Double(power)).rounded()
        return (value, Quantity.count(Int(value)))
      })
  }

  /// A number without the zeros at its end, which tell nothing of a line's place.
  private static func short(_ value: Double) -> String {
    let parts = Quantity.significant(value).split(separator: "e", maxSplits: 1)
    var digits = parts[0]
    if digits.contains(where: { $0 == "." }) {
      while digits.hasSuffix("0") { digits = digits.dropLast() }
      if digits.hasSuffix(".") { digits = digits.dropLast() }
    }
    return digits + (parts.count > 1 ? "e" + parts[1] : "")
  }

  /// How far up a value lies, from 0 to 1; what is no number is at the top.
  package func height(of value: Double) -> Double {
    guard !value.isNaN else { return 1 }
    guard isLogarithmic else {
      return min(1, max(0, (value - range.low) / (range.high - range.low)))
    }
    guard value > range.low else { return 0 }
    let (low, high) = (ValueAxis.decade(range.low), ValueAxis.decade(range.high))
    return min(1, (ValueAxis.decade(value) - low) / (high - low))
  }

  /// The logarithm to base 10.
  package static func decade(_ value: Double) -> Double {
    Mathematics.log(value) / Mathematics.log(10)
  }

  private static func superscript(_ number: Int) -> String {
    let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
    return (number < 0 ? "⁻" : "")
      + String(number.magnitude.description.compactMap { $0.wholeNumberValue }.map { digits[$0] })
  }
}
