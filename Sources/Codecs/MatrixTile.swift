/// A rectangle of a matrix whose rows have `width` elements, and which scales cover as a whole.
public struct MatrixTile: Sendable, Hashable {
  /// Rows of the matrix.
  public let rows: Range<Int>
  /// Columns of the matrix.
  public let columns: Range<Int>
  /// Columns that the whole matrix has, from which the width of a grid of scales follows.
  public let width: Int

  /// Some columns of some rows.
  public init(rows: Range<Int>, columns: Range<Int>, width: Int) {
    precondition(rows.lowerBound >= 0 && columns.lowerBound >= 0 && columns.upperBound <= width)
    self.rows = rows
    self.columns = columns
    self.width = width
  }

  /// Whole rows.
  public init(rows: Range<Int>, width: Int) {
    self.init(rows: rows, columns: 0..<width, width: width)
  }

  /// Elements in the rectangle.
  public var count: Int { rows.count * columns.count }
}
