/// Columns of numbers whose decimal points stand below each other, however many digits follow them:
/// what follows the point has one width in all of a column.
enum DecimalColumns {
  private static let opening = "<td class=\"right\">"
  private static let closing = "</td>"

  /// Rows of a table with their columns so; columns with anything but plain numbers, or whose numbers
  /// have as many digits behind the point anyway, stay as they are.
  static func aligned(_ rows: [[String]]) -> [[String]] {
    var rows = rows
    for column in 0..<(rows.map(\.count).min() ?? 0) {
      let texts = rows.map { text($0[column]) }
      let numbers = texts.map { $0.flatMap(parts) }
      // What was not measured has a dash.
      guard zip(texts, numbers).allSatisfy({ $0 == "–" || $1 != nil }) else { continue }
      let widths = numbers.compactMap { $0?.tail.count }
      guard let widest = widths.max(), widest > 0, widths.contains(where: { $0 != widest }) else {
        continue
      }
      for row in rows.indices {
        guard let (whole, tail) = numbers[row] else { continue }
        rows[row][column] =
          "\(opening)\(whole)<span class=\"decimals\" style=\"width:\(widest)ch\">\(tail)</span>\(closing)"
      }
    }
    return rows
  }

  /// What a cell of a number says; nil for other cells.
  private static func text(_ cell: String) -> Substring? {
    guard cell.hasPrefix(opening), cell.hasSuffix(closing) else { return nil }
    return cell.dropFirst(opening.count).dropLast(closing.count)
  }

  /// A plain number up to its point or exponent, and the rest; nil for anything else.
  private static func parts(_ text: Substring) -> (whole: Substring, tail: Substring)? {
    guard text.contains(where: \.isNumber),
      text.allSatisfy({ $0.isNumber || ".,e+-".contains($0) })
    else { return nil }
    let end = text.firstIndex { $0 == "." || $0 == "e" } ?? text.endIndex
    return (text[..<end], text[end...])
  }
}
