/// A table in plain text: columns as wide as their widest cell, numbers to the right.
struct TextTable {
  /// How the cells of a column stand.
  enum Alignment { case left, right }

  let columns: [(title: String, alignment: Alignment)]
  private var rows: [[String]] = []

  init(_ columns: [(title: String, alignment: Alignment)]) {
    self.columns = columns
  }

  mutating func add(_ cells: [String]) {
    precondition(cells.count == columns.count)
    rows.append(cells)
  }

  /// The lines of the table, without spaces at their ends.
  var lines: [String] {
    let all = [columns.map(\.title)] + rows
    let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        if column > 0 { line += "  " }
        line += columns[column].alignment == .left ? cell + padding : padding + cell
      }
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
  }
}
