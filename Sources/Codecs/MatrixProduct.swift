internal import CKernels
internal import Tensors

/// F32 products with weights taken as they are stored.
///
/// Every element is the sum, over pieces of 512 along the inner dimension, of sums in ascending
/// order, each term a fused multiply-add on the vector levels (which give the same bits as each
/// other) and a product and a sum in plain Swift. So an element depends on its own row and column
/// alone: not on how rows are divided among threads, nor on the other tokens of a batch.
/// Against the exact sum the error is at most n · 2⁻²³ · Σ|aᵢ·bᵢ| for inner dimension n.
package enum MatrixProduct {
  /// x (tokens, in) · weights (out, in)ᵀ → y (tokens, out), only the columns `rows` of y.
  ///
  /// - Parameter rows: output features to compute, so that threads may share the work: any ranges.
  package static func multiply(
    _ x: FloatMatrix, _ weights: WeightMatrix, rows: Range<Int>, into y: MutableFloatMatrix,
    scratch: ProductScratch, level: KernelLevel = .best
  ) {
    precondition(x.columns == weights.columns && y.rows == x.rows)
    precondition(rows.lowerBound >= 0 && rows.upperBound <= min(weights.rows, y.columns))
    let decoder = RowDecoder(weights, level)
    if let driver = ProductDriver(level, scratch) {
      driver.run(x, columns: rows, into: y) { columns, depth, panel in
        for row in columns {
          decoder.decode(
            row: row, columns: depth,
            into: scratch.rows + (row - columns.lowerBound) * ProductScratch.rowStride)
        }
        driver.kernels.pointee.pack_transposed(
          scratch.rows, ProductScratch.rowStride, columns.count, depth.count, panel)
      }
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: weights.columns) { row in
      for output in rows {
        decoder.decode(row: output, columns: 0..<weights.columns, into: row.baseAddress!)
        for token in 0..<x.rows {
          y.base[token * y.stride + output] = PlainProduct.sum(
            x.base + token * x.stride, UnsafePointer(row.baseAddress!), bStep: 1,
            count: x.columns)
        }
      }
    }
  }
}

/// The readable truth of a product.
enum PlainProduct {
  /// Terms that are summed before their sum is added to those before it.
  static let depth = ProductDriver.depth

  /// Σ a[i] · b[i · bStep] over `count` terms.
  static func sum(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, bStep: Int, count: Int
  ) -> Float {
    var total: Float = 0
    for start in stride(from: 0, to: count, by: depth) {
      var partial: Float = 0
      for index in start..<min(start + depth, count) {
        partial += a[index] * b[index * bStep]
      }
      total += partial
    }
    return total
  }
}
