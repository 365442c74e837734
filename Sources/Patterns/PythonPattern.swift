/// Writes a pattern of Python's `re` module in the syntax of `RegularExpression`.
///
/// Source: Python 3.11's documentation of `re`. What both read alike is passed on; what they read
/// differently is written anew, and what only one of them knows is refused.
struct PythonPattern {
  private let text: [Unicode.Scalar]
  private var place = 0
  private var result = String.UnicodeScalarView()

  /// Letters that Python gives no meaning behind a backslash, and those that want a back reference
  /// or a name.
  private static let refusedEscapes = Set("heHpPxuUNzGRXKQEk".unicodeScalars)

  private init(_ pattern: String) { text = Array(pattern.unicodeScalars) }

  /// - Throws: why the pattern cannot be used.
  static func translated(_ pattern: String) throws(PatternParser.Refusal) -> String {
    var translation = PythonPattern(pattern)
    while translation.place < translation.text.count { try translation.step() }
    return String(translation.result)
  }

  private func starts(with word: String) -> Bool {
    text[place...].starts(with: word.unicodeScalars)
  }

  private mutating func put(_ new: String, for count: Int) {
    result.append(contentsOf: new.unicodeScalars)
    place += count
  }

  private mutating func step() throws(PatternParser.Refusal) {
    switch text[place] {
    case "\\": try escape()
    case "[": try characterClass()
    // Without the flag for many lines they stand for the ends of the text.
    case "^": put(#"\A"#, for: 1)
    case "$": put(#"\Z"#, for: 1)
    case "(" where starts(with: "(?P<"): put("(?<", for: 4)
    case "(" where starts(with: "(?"): try group()
    case "}" where place + 1 < text.count && text[place + 1] == "+" && isInterval:
      throw PatternParser.Refusal(reason: "a possessive interval is not supported")
    default: put(String(text[place]), for: 1)
    }
  }

  /// Whether the brace before ends `{n}`, `{n,}` or `{n,m}`.
  private var isInterval: Bool {
    guard let open = text[max(0, place - 16)..<place].lastIndex(of: "{") else { return false }
    return text[open + 1..<place].allSatisfy { ("0"..."9").contains($0) || $0 == "," }
  }

  private mutating func escape() throws(PatternParser.Refusal) {
    guard place + 1 < text.count else { throw PatternParser.Refusal(reason: "a \\ at the end") }
    let letter = text[place + 1]
    guard !PythonPattern.refusedEscapes.contains(letter) else {
      throw PatternParser.Refusal(reason: "\\\(letter) is not supported")
    }
    put(letter == "Z" ? #"\z"# : "\\\(letter)", for: 2)
  }

  /// In Python brackets and ampersands have no meaning within a class.
  private mutating func characterClass() throws(PatternParser.Refusal) {
    put("[", for: 1)
    if place < text.count, text[place] == "^" { put("^", for: 1) }
    if place < text.count, text[place] == "]" { put("]", for: 1) }
    while place < text.count, text[place] != "]" {
      switch text[place] {
      case "\\": try escape()
      case "[": put(#"\["#, for: 1)
      case "&": put(#"\&"#, for: 1)
      default: put(String(text[place]), for: 1)
      }
    }
    guard place < text.count else { throw PatternParser.Refusal(reason: "a [ without its ]") }
    put("]", for: 1)
  }

  /// `(?:`, `(?=`, `(?!`, `(?>` and flags; `s` is what Ruby calls `m`, and `m` has no use here.
  private mutating func group() throws(PatternParser.Refusal) {
    if ["(?:", "(?=", "(?!", "(?>"].contains(where: starts) {
      put(String(String.UnicodeScalarView(text[place..<place + 3])), for: 3)
      return
    }
    let flags = text[(place + 2)...].prefix { $0 != ")" && $0 != ":" }
    guard flags.allSatisfy({ "ims-".unicodeScalars.contains($0) }), !flags.contains("m") else {
      throw PatternParser.Refusal(reason: "a group of a kind that is not supported")
    }
    put("(?", for: 2)
    for flag in flags { put(flag == "s" ? "m" : String(flag), for: 1) }
  }
}
