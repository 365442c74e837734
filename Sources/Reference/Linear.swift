internal import Codecs
internal import Platform
internal import Tensors

/// Matrix products with weights from a source, row tile by row tile on several threads.
///
/// Each output value is computed by one thread in an order that the sizes alone fix, so results do
/// not depend on the number of threads.
///
/// The scratch memory of each worker is kept from call to call, so there is one call at a time.
struct Linear: Sendable {
  let weights: any WeightSource
  let threads: Int
  let level: KernelLevel
  private let scratches: [ProductScratch]

  init(weights: any WeightSource, threads: Int, level: KernelLevel) {
    self.weights = weights
    self.threads = threads
    self.level = level
    scratches = (0..<threads).map { _ in ProductScratch() }
  }

  /// What one worker works with.
  func scratch(of worker: Int) -> ProductScratch { scratches[worker] }

  /// Values of a tile of weights at most: a few megabytes, so that memory stays bounded whatever
  /// the matrix (the head of DeepSeek-V3 has 927 million values).
  static let tileValues = 1 << 21

  /// Rows that a product packs together: a part of a panel costs as much as a whole one.
  private static let panel = 32

  /// Rows of a tile: a share of the matrix that is equal for all threads and not too large.
  private func tileRows(_ rows: Int, columns: Int) -> Int {
    let largest = max(1, Linear.tileValues / max(1, columns))
    let rounds = (rows + largest * threads - 1) / (largest * threads)
    let share = (rows + rounds * threads - 1) / (rounds * threads)
    return (share + Linear.panel - 1) / Linear.panel * Linear.panel
  }

  /// x (tokens, in) · weight (outputs, in) [+ bias (outputs)] → (tokens, outputs)
  func project(
    _ x: Activations, _ name: String, outputs: Int, bias: String? = nil
  ) throws(Fault) -> Activations {
    try weights.require(name, rows: outputs, columns: x.columns)
    let y = Activations(unwrittenRows: x.rows, columns: outputs)
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

  /// x (tokens, in) · rows of weight (rows.count, in) → columns of y (tokens, ≥ column + rows.count)
  func project(
    _ x: Activations, _ name: String, rows: Range<Int>, into y: Activations, column: Int = 0
  ) throws(Fault) {
    guard !rows.isEmpty else { return }
    let tile = tileRows(rows.count, columns: x.columns)
    let count = (rows.count + tile - 1) / tile
    try Workers.run(threads: threads, count: count) { worker, item throws(Fault) in
      try Interruption.check()
      let start = item * tile
      let end = min(start + tile, rows.count)
      let weight = try weights.matrix(
        name, rows: rows.lowerBound + start..<rows.lowerBound + end)
      multiply(x, weight, into: y, column: column + start, worker: worker)
    }
  }

  /// x (tokens, in) · weight (out, in) → columns of y (tokens, ≥ column + out), on this thread.
  func multiply(
    _ x: Activations, _ weight: WeightMatrix, into y: Activations, column: Int = 0, worker: Int
  ) {
    MatrixProduct.multiply(
      x.view, weight, rows: 0..<weight.rows,
      into: y.mutableView(0..<y.rows, columns: column..<column + weight.rows),
      scratch: scratch(of: worker), level: level)
  }

  /// x (tokens, columns) → x / √(mean x² + ε) · weight (columns), a new value.
  func norm(_ x: Activations, _ name: String, epsilon: Float) throws(Fault) -> Activations {
    let weight = try weights.vector(name, count: x.columns)
    let y = Activations(unwrittenRows: x.rows, columns: x.columns)
    weight.withUnsafeBufferPointer { weight in
      for token in 0..<x.rows {
        VectorMath.normalize(
          UnsafeBufferPointer(x[token]), weight: weight, epsilon: epsilon, into: y[token],
          level: level)
      }
    }
    return y
  }

  /// gate, up (tokens, width) → silu(gate) · up, in place of gate.
  func gate(_ gate: Activations, up: Activations) {
    VectorMath.gate(gate.values, up: UnsafeBufferPointer(up.values), level: level)
  }
}
