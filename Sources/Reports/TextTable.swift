package import Platform

/// A table in plain text: columns as wide as their widest cell, numbers to the right.
///
/// Cells are texts from outside, which the table makes printable. Where its first column holds names
/// from outside, it stands indented, so that no line begins with them: a tensor may be called `pass`.
package struct TextTable {
  /// How the cells of a column stand.
  package enum Alignment { case left, right }

  package let columns: [(title: String, alignment: Alignment)]
  private let indent: String
  private var rows: [[String]] = []
  private var widths: [Int]

  package init(_ columns: [(title: String, alignment: Alignment)], namesFirst: Bool = false) {
    self.columns = columns
    indent = namesFirst ? "  " : ""
    widths = columns.map { TextTable.width($0.title) }
  }

  package mutating func add(_ cells: [String]) {
    measure(cells)
    rows.append(cells)
  }

  /// Takes notice of a row that is not kept: one of very many, which come by twice.
  package mutating func measure(_ cells: [String]) {
    precondition(cells.count == columns.count)
    for (column, cell) in cells.enumerated() {
      widths[column] = max(widths[column], TextTable.width(cell.printable.text))
    }
  }

  /// The line above all others.
  package var title: OutputText { line(columns.map(\.title)) }

  /// The lines of the table, without spaces at their ends.
  package var lines: [OutputText] { [title] + rows.map(line) }

  /// The line of a row that was measured.
  package func line(_ cells: [String]) -> OutputText {
    var line = indent
    for (column, cell) in cells.map(\.printable.text).enumerated() {
      let padding = String(repeating: " ", count: widths[column] - TextTable.width(cell))
      if column > 0 { line += "  " }
      line += columns[column].alignment == .left ? cell + padding : padding + cell
    }
    while line.utf8.last == UInt8(ascii: " ") { line.removeLast() }
    return OutputText(document: line)
  }

  /// Characters of a text; those of ASCII, which nearly all are, are counted without a look at
  /// each.
  private static func width(_ text: String) -> Int {
    text.utf8.allSatisfy { $0 < 0x80 && $0 != 0x0D } ? text.utf8.count : text.count
  }
}
