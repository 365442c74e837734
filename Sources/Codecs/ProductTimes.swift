/// Where a worker's time goes in what it does with weights.
package struct ProductTimes: Sendable {
  /// Reading weights, with the waiting for a disk or a server.
  package var reading = Duration.zero
  /// Decoding weights and laying them out for products, and the same of keys and values.
  package var unpacking = Duration.zero
  /// Products alone.
  package var multiplying = Duration.zero
  /// What takes a worker's finished logits.
  package var handing = Duration.zero
  /// Multiplications and additions of the products.
  package var operations = 0

  /// Makes times of nothing yet.
  package init() {}

  /// Both together.
  package static func + (a: ProductTimes, b: ProductTimes) -> ProductTimes {
    var sum = a
    sum.reading += b.reading
    sum.unpacking += b.unpacking
    sum.multiplying += b.multiplying
    sum.handing += b.handing
    sum.operations += b.operations
    return sum
  }
}

extension ProductScratch {
  /// Does something, and adds the time it takes to a part of `times`, where those are kept.
  package func timed<Result, Problem: Error>(
    _ part: WritableKeyPath<ProductTimes, Duration>, _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    guard times != nil else { return try body() }
    let start = ContinuousClock.now
    defer { times?[keyPath: part] += ContinuousClock.now - start }
    return try body()
  }
}
