/// The dimensions of a tensor, outermost first (row-major), with a product known to fit.
package struct Shape: Hashable, Sendable, CustomStringConvertible {
  /// Sizes, outermost first; empty for a scalar.
  package let dimensions: [Int]
  /// Product of the dimensions; 1 for a scalar.
  package let elementCount: Int

  /// Other dimensions of a shape without elements may make up so many rows: a file need not hold a
  /// byte for them, and whoever goes over rows would go over them.
  private static let emptyRowLimit = 1 << 20

  /// Returns nil where a dimension is negative, the product overflows `Int`, or a shape without
  /// elements claims more than a million rows.
  package init?(_ dimensions: [Int]) {
    var product = 1
    var hasZero = false
    for dimension in dimensions {
      guard dimension >= 0 else { return nil }
      if dimension == 0 {
        hasZero = true
        continue
      }
      let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
      guard !overflow else { return nil }
      product = next
    }
    guard !hasZero || product <= Shape.emptyRowLimit else { return nil }
    self.dimensions = dimensions
    self.elementCount = hasZero ? 0 : product
  }

  /// The shape as it is written in messages, e.g. `[576, 7168]`.
  package var description: String {
    "[" + dimensions.map(String.init).joined(separator: ", ") + "]"
  }
}
