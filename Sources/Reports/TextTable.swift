package import Platform

/// A table in plain text: columns as wide as their widest cell, numbers to the right.
///
/// In a terminal that is too narrow for it, texts of several words take several lines; where that does
/// not do, the last columns of a row stand below the first ones. No word is cut.
///
/// Cells are texts from outside, which the table makes printable. Where its first column holds names
/// from outside, it stands indented, so that no line begins with them: a tensor may be called `pass`.
package struct TextTable {
  /// How the cells of a column stand.
  package enum Alignment { case left, right }

  /// The columns, from the left.
  package let columns: [(title: String, alignment: Alignment)]
  private let indent: String
  private var rows: [[String]] = []
  private var widths: [Int]
  /// What a column needs at least where lines are short.
  private var least: [Int]
  private let window = Terminal.columns

  /// Makes a table without rows.
  ///
  /// - Parameter namesFirst: whether the first column holds names from outside.
  package init(_ columns: [(title: String, alignment: Alignment)], namesFirst: Bool = false) {
    self.columns = columns
    indent = namesFirst ? "  " : ""
    widths = columns.map { TextTable.width($0.title) }
    least = widths
  }

  /// Adds a row: a cell for each column.
  package mutating func add(_ cells: [String]) {
    measure(cells)
    rows.append(cells)
  }

  /// Takes notice of a row that is not kept: one of very many, which come by twice.
  package mutating func measure(_ cells: [String]) {
    precondition(cells.count == columns.count)
    for (column, cell) in cells.map(\.printable.text).enumerated() {
      let width = TextTable.width(cell)
      widths[column] = max(widths[column], width)
      guard window != nil else { continue }
      least[column] = max(
        least[column],
        columns[column].alignment == .left ? TextTable.least(cell, width) : width)
    }
  }

  /// The lines of the table, without spaces at their ends.
  package var lines: [OutputText] {
    let layout = layout
    return [layout.title] + rows.map(layout.line)
  }

  /// How the rows that were measured stand, worked out once for all of them.
  package var layout: Layout {
    let groups = groups.enumerated().map { number, columns in
      let indent = number == 0 ? indent : indent + TextTable.below
      let widths = window.map { fitted(columns, to: $0 - indent.count) } ?? widths
      return (columns, widths, indent)
    }
    return Layout(columns: columns, groups: groups)
  }

  /// What writes rows.
  package struct Layout {
    fileprivate let columns: [(title: String, alignment: Alignment)]
    /// Columns beside each other, their widths, and what stands before them.
    fileprivate let groups: [(columns: [Int], widths: [Int], indent: String)]

    /// The line above all others.
    package var title: OutputText { line(columns.map(\.title)) }

    /// The line of a row that was measured; in a narrow window it may be several.
    package func line(_ cells: [String]) -> OutputText {
      let cells = cells.map(\.printable.text)
      var lines: [String] = []
      for (group, widths, indent) in groups {
        func put(_ part: (_ column: Int) -> String) {
          var text = indent
          for (place, column) in group.enumerated() {
            let part = part(column)
            let padding = String(
              repeating: " ", count: max(0, widths[column] - TextTable.width(part)))
            if place > 0 { text += "  " }
            text += columns[column].alignment == .left ? part + padding : padding + part
          }
          while text.utf8.last == UInt8(ascii: " ") { text.removeLast() }
          lines.append(text)
        }
        // As nearly everywhere: nothing has to be broken.
        if group.allSatisfy({ TextTable.width(cells[$0]) <= widths[$0] }) {
          put { cells[$0] }
          continue
        }
        let broken = Dictionary(
          uniqueKeysWithValues: group.map { ($0, TextTable.wrapped(cells[$0], to: widths[$0])) })
        for number in 0..<(broken.values.map(\.count).max() ?? 0) {
          put { column in broken[column].flatMap { $0.dropFirst(number).first } ?? "" }
        }
      }
      return OutputText(document: lines.joined(separator: "\n"))
    }
  }

  /// How far in those columns stand that go on below the first ones.
  private static let below = "    "

  /// Columns that stand beside each other: all of them, or as many as the window has room for, and the
  /// others below.
  private var groups: [[Int]] {
    guard let window else { return [Array(columns.indices)] }
    var groups: [[Int]] = [[]]
    for column in columns.indices {
      let last = groups.count - 1
      let room = window - indent.count - (last == 0 ? 0 : TextTable.below.count)
      if !groups[last].isEmpty, width(groups[last] + [column], least) > room {
        groups.append([column])
      } else {
        groups[last].append(column)
      }
    }
    return groups
  }

  /// What some columns of the table take.
  private func width(_ group: [Int], _ widths: [Int]) -> Int {
    group.reduce(-2) { $0 + 2 + widths[$1] }
  }

  /// Widths with which columns fit, if that can be, the widest texts giving way.
  private func fitted(_ group: [Int], to room: Int) -> [Int] {
    var widths = widths
    while width(group, widths) > room,
      let widest = group.filter({ widths[$0] > least[$0] }).max(by: { widths[$0] < widths[$1] })
    { widths[widest] -= 1 }
    return widths
  }

  /// What a cell needs at least: its longest word, and what is short stays on a line.
  private static func least(_ text: String, _ width: Int) -> Int {
    width <= 24 ? width : max(24, longestWord(text))
  }

  private static func longestWord(_ text: String) -> Int {
    text.split(separator: " ").reduce(0) { max($0, TextTable.width(String($1))) }
  }

  /// A cell's text in lines, broken at spaces.
  fileprivate static func wrapped(_ text: String, to width: Int) -> [String] {
    guard TextTable.width(text) > width else { return [text] }
    var lines = [String(text.prefix { $0 == " " })]
    for word in text.drop(while: { $0 == " " }).split(
      separator: " ", omittingEmptySubsequences: false)
    {
      let last = lines[lines.count - 1]
      if last.contains(where: { $0 != " " }),
        TextTable.width(last) + 1 + TextTable.width(String(word)) > width
      {
        lines.append(String(word))
      } else {
        let isBegun = last.contains { $0 != " " }
        lines[lines.count - 1] = last + (isBegun ? " " : "") + word
      }
    }
    return lines
  }

  /// Characters of a text; those of ASCII, which nearly all are, are counted without a look at
  /// each.
  fileprivate static func width(_ text: String) -> Int {
    text.utf8.allSatisfy { $0 < 0x80 && $0 != 0x0D } ? text.utf8.count : text.count
  }
}
