/// A view of F32 values to be read: (rows, columns), row-major, rows `stride` elements apart.
///
/// It owns nothing. Whoever makes one keeps the memory alive, and unchanged while another thread
/// reads it, hence `@unchecked`.
package struct FloatMatrix: @unchecked Sendable {
  /// The first element.
  package let base: UnsafePointer<Float>
  /// Rows.
  package let rows: Int
  /// Columns.
  package let columns: Int
  /// Elements from one row to the next.
  package let stride: Int

  /// A view of memory that holds (rows − 1) × stride + columns values.
  package init(_ base: UnsafePointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
    precondition(rows >= 0 && columns >= 0 && (stride ?? columns) >= columns)
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }
}

/// A view of F32 values to be written: (rows, columns), row-major, rows `stride` elements apart.
///
/// Threads may share one as long as they write different elements, hence `@unchecked`.
package struct MutableFloatMatrix: @unchecked Sendable {
  /// The first element.
  package let base: UnsafeMutablePointer<Float>
  /// Rows.
  package let rows: Int
  /// Columns.
  package let columns: Int
  /// Elements from one row to the next.
  package let stride: Int

  /// A view of memory that holds (rows − 1) × stride + columns values.
  package init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
    precondition(rows >= 0 && columns >= 0 && (stride ?? columns) >= columns)
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }
}

extension MutableFloatMatrix {
  /// Some of the columns of all rows.
  package func columns(_ range: Range<Int>) -> MutableFloatMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    return MutableFloatMatrix(
      base + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// All columns of some rows.
  package func rows(_ range: Range<Int>) -> MutableFloatMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    return MutableFloatMatrix(
      base + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
  }
}
