internal import Codecs
internal import Platform
internal import Tensors

/// Matrix products with weights from a source, row tile by row tile on several threads.
///
/// Each output value is computed by one thread in an order that the sizes alone fix, so results do
/// not depend on the number of threads.
struct Linear: Sendable {
  let weights: any WeightSource
  let threads: Int
  let level: KernelLevel

  /// Values of a tile of weights: a few megabytes, so that memory stays bounded whatever the
  /// matrix (the head of DeepSeek-V3 has 927 million values) and threads share the work evenly.
  static let tileValues = 1 << 20

  /// x (tokens, in) · weight (outputs, in) [+ bias (outputs)] → (tokens, outputs)
  func project(
    _ x: Activations, _ name: String, outputs: Int, bias: String? = nil
  ) throws(Fault) -> Activations {
    try weights.require(name, rows: outputs, columns: x.columns)
    let y = Activations(rows: x.rows, columns: outputs)
    try project(x, name, rows: 0..<outputs, into: y)
    if let bias {
      let values = try weights.vector(bias, count: outputs)
      for token in 0..<y.rows {
        let row = y[token]
        for output in 0..<outputs { row[output] += values[output] }
      }
    }
    return y
  }

  /// x (tokens, in) · rows of weight (rows.count, in) → y (tokens, rows.count)
  func project(
    _ x: Activations, _ name: String, rows: Range<Int>, into y: Activations
  ) throws(Fault) {
    precondition(y.columns == rows.count && y.rows == x.rows)
    let tile = max(1, Linear.tileValues / max(1, x.columns))
    let count = (rows.count + tile - 1) / tile
    try Workers.run(threads: threads, count: count) { _, item throws(Fault) in
      let start = item * tile
      let end = min(start + tile, rows.count)
      let weight = try weights.matrix(
        name, rows: rows.lowerBound + start..<rows.lowerBound + end)
      multiply(x, weight, into: y, column: start)
    }
  }

  /// x (tokens, in) · weight (out, in) → columns of y (tokens, ≥ column + out), on this thread.
  func multiply(_ x: Activations, _ weight: WeightMatrix, into y: Activations, column: Int = 0) {
    precondition(weight.columns == x.columns && column + weight.rows <= y.columns)
    guard x.rows > 0, let xs = x.values.baseAddress, let ys = y.values.baseAddress else { return }
    product(xs, tokens: x.rows, xStride: x.columns, weight, into: ys + column, yStride: y.columns)
  }

  /// x (tokens, columns) → x / √(mean x² + ε) · weight (columns), a new value.
  func norm(_ x: Activations, _ name: String, epsilon: Float) throws(Fault) -> Activations {
    let weight = try weights.vector(name, count: x.columns)
    let y = Activations(rows: x.rows, columns: x.columns)
    for token in 0..<x.rows { rmsNorm(x[token], weight, epsilon: epsilon, into: y[token]) }
    return y
  }
}
