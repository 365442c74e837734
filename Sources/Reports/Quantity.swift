internal import Platform

/// Numbers as people read them.
package enum Quantity {
  /// A time that is known roughly: `about 0.4 s`, `about 41 s`, `about 12 min`, `about 3.4 h`.
  package static func duration(_ seconds: Double) -> String {
    switch seconds {
    case ..<0.1: "less than 0.1 s"
    case ..<9.95: "about " + fixed(seconds, digits: 1) + " s"
    case ..<119.5: "about " + fixed(seconds, digits: 0) + " s"
    case ..<7170: "about " + fixed(seconds / 60, digits: 0) + " min"
    default: "about " + fixed(seconds / 3600, digits: 1) + " h"
    }
  }

  /// A whole number with thousands apart: `684,531,386,000`.
  package static func count(_ value: Int) -> String {
    let digits = Array(String(value.magnitude))
    var text = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }

  /// A number of bytes in binary units: `641.28 GiB`.
  package static func bytes(_ value: Int) -> String {
    ByteSize.shown(value)
  }

  /// A large number in short scale: `671.03 B`, as parameters are counted.
  package static func short(_ value: Int) -> String {
    let units: [(Double, String)] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")]
    for (size, unit) in units where Double(value) >= size {
      return "\(fixed(Double(value) / size, digits: 2)) \(unit)"
    }
    return "\(value)"
  }

  /// A number with that many digits after the point.
  package static func fixed(_ value: Double, digits: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    let whole = Int(scaled / scale)
    let sign = value < 0 && scaled > 0 ? "-" : ""
    if digits == 0 { return "\(sign)\(whole)" }
    let fraction = String(Int(scaled - Double(whole) * scale))
    let zeros = String(repeating: "0", count: max(0, digits - fraction.count))
    return "\(sign)\(whole).\(zeros)\(fraction)"
  }

  /// Bits that so many bytes are for each of the numbers that they stand for: `4.89`.
  package static func bits(_ bytes: Int, per elements: Int) -> String {
    fixed(8 * Double(bytes) / Double(max(elements, 1)), digits: 2)
  }

  /// `1 error`, `2 errors`.
  package static func plural(_ value: Int, _ noun: String) -> String {
    "\(count(value)) \(noun)\(value == 1 ? "" : "s")"
  }
}
