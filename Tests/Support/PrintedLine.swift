/// Lines that were printed, compared with those that were kept.
package enum PrintedLine {
  /// Whether a line says the same: letter by letter, but for numbers with a point, which processors
  /// that add in another order may round otherwise in their last place.
  package static func isSame(_ one: some StringProtocol, _ other: some StringProtocol) -> Bool {
    let left = one.split(separator: " ", omittingEmptySubsequences: false)
    let right = other.split(separator: " ", omittingEmptySubsequences: false)
    return left.count == right.count
      && zip(left, right).allSatisfy { left, right in
        if left == right { return true }
        guard left.contains("."), let one = Double(left), let other = Double(right) else {
          return false
        }
        return abs(one - other) <= 0.01 * abs(other)
      }
  }
}
