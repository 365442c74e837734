internal import Codecs
internal import Tensors

/// F32 values of some tokens: (rows, columns), row-major, one row per token.
///
/// Workers fill disjoint rows or columns of it; whoever reads them does so after the workers have
/// been joined, hence `@unchecked`.
package final class Activations: @unchecked Sendable {
  /// Tokens.
  package let rows: Int
  /// Values of a token.
  package let columns: Int
  private let buffer: ByteBuffer
  /// Of a residual stream, the keys that its tokens see in the last layer it went through; nil where
  /// they see all before them.
  package var chosenKeys: KeySets?
  /// Of DeepSeek-V4's states behind the final norm, the residual streams that they were made of, which
  /// its predictors take; nil for anything else.
  package var streams: Activations?

  /// Allocates (rows, columns) values, all zero.
  package convenience init(rows: Int, columns: Int) {
    self.init(unwrittenRows: rows, columns: columns)
    values.update(repeating: 0)
  }

  /// Allocates (rows, columns) values that must all be written before any is read: the first touch
  /// of fresh memory is slow, and this leaves it to the workers.
  package init(unwrittenRows rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0)
    self.rows = rows
    self.columns = columns
    buffer = ByteBuffer(count: rows * columns * MemoryLayout<Float>.stride)
  }

  /// All values, row after row; the pointer is valid while this object is held by a variable or
  /// a parameter (Swift keeps those alive across uses of pointers, but not temporaries).
  package var values: UnsafeMutableBufferPointer<Float> {
    buffer.bytes.assumingMemoryBound(to: Float.self)
  }

  /// All values, row after row, as a copy.
  package var array: [Float] { withExtendedLifetime(self) { Array(values) } }

  /// The values of one token; see `values` for how long.
  package subscript(row: Int) -> UnsafeMutableBufferPointer<Float> {
    precondition(row >= 0 && row < rows)
    return UnsafeMutableBufferPointer(rebasing: values[row * columns..<(row + 1) * columns])
  }

  /// A copy of some rows.
  package func rows(_ indices: some Collection<Int>) -> Activations {
    let result = Activations(unwrittenRows: indices.count, columns: columns)
    for (target, source) in indices.enumerated() {
      _ = result[target].update(fromContentsOf: self[source])
    }
    return result
  }
}

extension Activations {
  /// A view of some rows and columns; see `values` for how long it is valid.
  func view(_ rows: Range<Int>, columns range: Range<Int>) -> FloatMatrix {
    let view = mutableView(rows, columns: range)
    return FloatMatrix(view.base, rows: view.rows, columns: view.columns, stride: view.stride)
  }

  /// A view of some rows and columns to be written.
  func mutableView(_ rows: Range<Int>, columns range: Range<Int>) -> MutableFloatMatrix {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= self.rows)
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    // An allocation of no bytes has an address too.
    return MutableFloatMatrix(
      values.baseAddress! + (rows.lowerBound * columns + range.lowerBound), rows: rows.count,
      columns: range.count, stride: columns)
  }

  /// All of it as a view.
  var view: FloatMatrix { view(0..<rows, columns: 0..<columns) }

  /// All columns of some rows as a view.
  func view(_ rows: Range<Int>) -> FloatMatrix { view(rows, columns: 0..<columns) }

  /// All columns of some rows as a view to be written.
  func mutableView(_ rows: Range<Int>) -> MutableFloatMatrix {
    mutableView(rows, columns: 0..<columns)
  }

  /// All of it as a view to be written.
  var mutableView: MutableFloatMatrix { mutableView(0..<rows, columns: 0..<columns) }
}
