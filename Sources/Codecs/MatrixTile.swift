/// A rectangle of a matrix whose rows have `width` elements, and which scales cover as a whole.
package struct MatrixTile: Sendable, Hashable {
  /// Rows of the matrix.
  package let rows: Range<Int>
  /// Columns of the matrix.
  package let columns: Range<Int>
  /// Columns that the whole matrix has, from which the width of a grid of scales follows.
  package let width: Int

  /// Some columns of some rows.
  package init(rows: Range<Int>, columns: Range<Int>, width: Int) {
    precondition(rows.lowerBound >= 0 && columns.lowerBound >= 0 && columns.upperBound <= width)
    self.rows = rows
    self.columns = columns
    self.width = width
  }

  /// Whole rows.
  package init(rows: Range<Int>, width: Int) {
    self.init(rows: rows, columns: 0..<width, width: width)
  }

  /// Elements in the rectangle.
  package var count: Int { rows.count * columns.count }
}
