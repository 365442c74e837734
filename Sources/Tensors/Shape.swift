/// The dimensions of a tensor, outermost first (row-major), with a product known to fit.
public struct Shape: Hashable, Sendable, CustomStringConvertible {
  /// Sizes, outermost first; empty for a scalar.
  public let dimensions: [Int]
  /// Product of the dimensions; 1 for a scalar.
  public let elementCount: Int

  /// Returns nil where a dimension is negative or the product overflows `Int`.
  ///
  /// A zero dimension makes the product zero, yet the other dimensions must still multiply
  /// without overflow, so that no later code meets an impossible stride.
  public init?(_ dimensions: [Int]) {
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
    self.dimensions = dimensions
    self.elementCount = hasZero ? 0 : product
  }

  /// The shape as it is written in messages, e.g. `[576, 7168]`.
  public var description: String {
    "[" + dimensions.map(String.init).joined(separator: ", ") + "]"
  }
}
