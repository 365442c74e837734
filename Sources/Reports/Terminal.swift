package import Platform
internal import Synchronization

/// The window that reports for people are fitted to: tables by their columns, other lines at spaces.
///
/// A pipe and a file get lines as long as they are.
package enum Terminal {
  private static let results = Atomic<Int>(0)

  /// Fits everything from now on that goes to a terminal: for commands whose format is text.
  package static func fitTexts() {
    let (columns, ofMessages) = (
      Console.columns(ofMessages: false), Console.columns(ofMessages: true)
    )
    results.store(columns ?? 0, ordering: .relaxed)
    Console.fitTexts { text, isMessage in
      guard let width = isMessage ? ofMessages : columns else { return text }
      return text.folded(to: width)
    }
  }

  /// Columns that a table may have; nil for as many as it needs.
  package static var columns: Int? {
    let columns = results.load(ordering: .relaxed)
    return columns > 0 ? columns : nil
  }

  /// Lets tables have what they need from now on: what is printed goes to a file.
  package static func beWide() { results.store(0, ordering: .relaxed) }

  /// Makes a text that goes to a file: as wide as it is, and without colours.
  package static func wide(_ make: () -> OutputText) -> OutputText {
    let (columns, hasColours) = (results.exchange(0, ordering: .relaxed), Console.hasColours)
    Console.useColours(.never)
    defer {
      results.store(columns, ordering: .relaxed)
      if hasColours { Console.useColours(.always) }
    }
    return make()
  }
}

extension OutputText {
  /// The beginning of the text, so many characters of it.
  func cut(to columns: Int) -> OutputText { OutputText(document: String(text.prefix(columns))) }

  /// The text with lines of at most so many characters, broken at spaces alone: a word that is longer
  /// stays whole. What goes on stands below what it belongs to.
  package func folded(to columns: Int) -> OutputText {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return OutputText(
      document: lines.map { line in
        line.utf8.count <= columns ? String(line) : OutputText.folded(line, to: columns)
      }.joined(separator: "\n"))
  }

  /// What stays beside its number.
  private static let units = [" %", " B", " KiB", " MiB", " GiB", " TiB"]

  private static func folded(_ line: Substring, to columns: Int) -> String {
    guard line.visibleCount > columns else { return String(line) }
    let indent = String(repeating: " ", count: indent(of: line, columns))
    var (result, current) = ("", line.prefix { $0 == " " } + "")
    var isBegun = false
    // Words keep the spaces between them where they stay on a line.
    var rest = line.drop { $0 == " " }
    while !rest.isEmpty {
      var word = rest.prefix { $0 != " " }
      rest = rest.dropFirst(word.count)
      if let unit = OutputText.units.first(where: { rest.hasPrefix($0) }),
        word.last?.isNumber == true,
        rest.dropFirst(unit.count).first.map({ !$0.isLetter }) ?? true
      {
        word += unit
        rest = rest.dropFirst(unit.count)
      }
      let spaces = rest.prefix { $0 == " " }
      rest = rest.dropFirst(spaces.count)
      if isBegun, current.visibleCount + word.visibleCount > columns {
        while current.last == " " { current.removeLast() }
        result += current + "\n"
        current = indent[...]
      }
      current += word + spaces
      isBegun = true
    }
    return result + current
  }

  /// Where a line goes on: below the value of a line of facts, or two columns in.
  private static func indent(of line: Substring, _ columns: Int) -> Int {
    let margin = line.prefix { $0 == " " }.count
    let rest = line.dropFirst(margin)
    guard let gap = rest.indices.first(where: { rest[$0...].hasPrefix("  ") }) else {
      return margin + 2
    }
    let value = rest[gap...].drop { $0 == " " }
    let place = margin + rest[..<value.startIndex].visibleCount
    return place <= min(20, columns / 2) ? place : margin + 2
  }
}

extension Substring {
  /// Characters that show: colours do not.
  fileprivate var visibleCount: Int {
    guard utf8.contains(0x1B) else { return count }
    var (shown, isCode) = (0, false)
    for character in self {
      if character == "\u{1B}" {
        isCode = true
      } else if isCode {
        isCode = character != "m"
      } else {
        shown += 1
      }
    }
    return shown
  }
}
