internal import Tensors

extension AssemblyReader {
  /// A rectangle of a part, and where it lies in the rectangle that was asked for.
  package struct Piece {
    /// The part.
    package let weight: Assembly
    /// Rows of the part.
    package let rows: Range<Int>
    /// Columns of the part.
    package let columns: Range<Int>
    /// Rows of the rectangle that was asked for.
    package let targetRows: Range<Int>
    /// Columns of the rectangle that was asked for.
    package let targetColumns: Range<Int>
  }

  /// Cuts a rectangle into those of stored tensors, or of parts that are transposed.
  package static func forEachPiece<Failure: Error>(
    of weight: Assembly, rows: Range<Int>, columns: Range<Int>,
    at place: (row: Int, column: Int) = (0, 0),
    _ body: (Piece) throws(Failure) -> Void
  ) throws(Failure) {
    switch weight.form {
    case .columns(let part, let range) where part.isWhole(range):
      try forEachPiece(
        of: part, rows: rows,
        columns: range.lowerBound + columns.lowerBound..<range.lowerBound + columns.upperBound,
        at: place, body)
    case .stored, .transposedSlices, .columns, .joined:
      try body(
        Piece(
          weight: weight, rows: rows, columns: columns,
          targetRows: place.row..<place.row + rows.count,
          targetColumns: place.column..<place.column + columns.count))
    case .stacked(let parts):
      var top = 0
      for part in parts {
        let own = rows.clamped(to: top..<top + part.rows)
        if !own.isEmpty {
          try forEachPiece(
            of: part, rows: own.lowerBound - top..<own.upperBound - top, columns: columns,
            at: (place.row + own.lowerBound - rows.lowerBound, place.column), body)
        }
        top += part.rows
      }
    case .beside(let parts):
      var left = 0
      for part in parts {
        let own = columns.clamped(to: left..<left + part.columns)
        if !own.isEmpty {
          try forEachPiece(
            of: part, rows: rows, columns: own.lowerBound - left..<own.upperBound - left,
            at: (place.row, place.column + own.lowerBound - columns.lowerBound), body)
        }
        left += part.columns
      }
    case .slices(let part, let slices):
      var row = place.row
      for (slice, range) in runs(of: rows, every: slices.count) {
        let start = slice * slices.period + slices.first
        try forEachPiece(
          of: part, rows: start + range.lowerBound..<start + range.upperBound, columns: columns,
          at: (row, place.column), body)
        row += range.count
      }
    }
  }

  /// Rows divided where a multiple of `period` lies: the multiple, and the rows counted from it.
  package static func runs(of rows: Range<Int>, every period: Int) -> [(Int, Range<Int>)] {
    var runs: [(Int, Range<Int>)] = []
    var row = rows.lowerBound
    while row < rows.upperBound {
      let index = row / period
      let end = min(rows.upperBound, (index + 1) * period)
      runs.append((index, row - index * period..<end - index * period))
      row = end
    }
    return runs
  }
}
