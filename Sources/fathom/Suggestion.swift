internal import Platform

/// The word that somebody may have meant.
enum Suggestion {
  /// The nearest of some words, in any case and with or without dashes; nil where none is near, or
  /// where the word is one of them.
  static func nearest(to word: String, in words: [String]) -> String? {
    let typed = letters(word)
    // A file's name is no word with a slip.
    guard (2...40).contains(typed.count), !words.contains(where: { $0 == word.lowercased() }) else {
      return nil
    }
    let all = words.map { (word: $0, steps: steps(typed, letters($0))) }
    guard let best = all.min(by: { $0.steps < $1.steps }), best.steps <= max(1, typed.count / 3)
    else { return nil }
    return best.word
  }

  private static func letters(_ word: String) -> [UInt8] {
    word.lowercased().utf8.filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") }
  }

  /// Insertions, deletions, changes and exchanges of neighbours that make one word of the other
  /// (Damerau and Levenshtein's distance, in the restricted form).
  static func steps(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var rows = [Array(0...other.count)]
    for (row, byte) in one.enumerated() {
      var next = [row + 1]
      for (column, wanted) in other.enumerated() {
        var least = min(
          rows[row][column] + (byte == wanted ? 0 : 1), rows[row][column + 1] + 1, next[column] + 1)
        if row > 0, column > 0, byte == other[column - 1], one[row - 1] == wanted {
          least = min(least, rows[row - 1][column - 1] + 1)
        }
        next.append(least)
      }
      rows.append(next)
    }
    return rows[one.count][other.count]
  }
}
