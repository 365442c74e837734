internal import Platform

extension Quantity {
  /// A measurement with four significant digits: `0.001234`, `12.35`, `1.235e-09`.
  package static func significant(_ value: Double) -> String {
    guard value.isFinite else { return "none" }
    guard value != 0 else { return "0" }
    var exponent = Int((Mathematics.log(abs(value)) / Mathematics.log(10)).rounded(.down))
    var mantissa = fixed(value / Mathematics.pow(10, Double(exponent)), digits: 3)
    if mantissa.hasSuffix("10.000") {
      exponent += 1
      mantissa = mantissa.hasPrefix("-") ? "-1.000" : "1.000"
    }
    if (-4...5).contains(exponent) { return fixed(value, digits: max(0, 3 - exponent)) }
    let digits = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
    return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(digits)"
  }

  /// A share as a percentage: `99.22 %`.
  package static func percent(_ share: Double) -> String {
    share.isFinite ? fixed(100 * share, digits: 2) + " %" : "none"
  }

  /// A share that may be held to a least one, as a percentage that is not above it: what is printed is a
  /// limit that it keeps to, and `100.00 %` is all.
  package static func attained(_ share: Double) -> String {
    share.isFinite ? fixed(hundredths(share) / 100, digits: 2) + " %" : "none"
  }

  /// The same as a number: `0.9922`.
  package static func attainedShare(_ share: Double) -> String {
    share.isFinite ? fixed(hundredths(share) / 10_000, digits: 4) : "none"
  }

  /// Hundredths of a percent, rounded down; what such a number is written as stays what it is.
  private static func hundredths(_ share: Double) -> Double {
    let nearest = (share * 10_000).rounded()
    return nearest / 10_000 > share ? nearest - 1 : nearest
  }
}
