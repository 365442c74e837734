internal import Platform

/// Tokens that are found in a text before anything else splits it, as Hugging Face's tokenizers
/// find them: the leftmost first, the longest of those that begin at one place.
struct AddedTokens: Sendable {
  /// One token and what is asked of its surroundings.
  struct Token: Sendable {
    /// The text.
    let text: [UInt8]
    /// What it becomes.
    let id: Int
    /// Whether it may stand beside no letter, digit or mark.
    var isSingleWord = false
    /// Whether white space before it is part of it.
    var stripsLeft = false
    /// Whether white space after it is part of it.
    var stripsRight = false
    /// Whether it is looked for after those that are not, in what they leave of the text.
    var isNormalized = false
  }

  /// A part of a text.
  enum Part: Equatable {
    /// A token that was found.
    case token(Int)
    /// What is left for the pre-tokenizer.
    case text(Range<Int>)
  }

  /// Longest text of a token, in bytes.
  static let lengthLimit = 512
  /// Bytes that all of them may have: those of DeepSeek-V3's thousand have 20,000. Each is a node
  /// of a tree.
  private static let totalLimit = 1 << 20

  private let exact: TokenTree
  private let normalized: TokenTree

  /// Takes tokens with distinct texts.
  ///
  /// - Throws: `.malformed` for a text that is too long, and for too many.
  init(_ tokens: [Token], file: String) throws(Fault) {
    if let long = tokens.first(where: { $0.text.count > AddedTokens.lengthLimit }) {
      throw Fault(
        .malformed, "has an added token that is too long", file: file,
        expected: "at most \(AddedTokens.lengthLimit) bytes", found: "\(long.text.count)")
    }
    guard tokens.reduce(0, { $0 + $1.text.count }) <= AddedTokens.totalLimit else {
      throw Fault(
        .malformed, "has too many added tokens", file: file,
        expected: "at most \(AddedTokens.totalLimit) bytes in all")
    }
    exact = TokenTree(tokens.filter { !$0.isNormalized })
    normalized = TokenTree(tokens.filter(\.isNormalized))
  }

  /// Cuts a range of a text into added tokens and what lies between them.
  func parts(of text: [UInt8], in range: Range<Int>) -> [Part] {
    exact.parts(of: text, in: range).flatMap { part in
      guard case .text(let range) = part else { return [part] }
      return normalized.parts(of: text, in: range)
    }
  }
}

/// What stands beside a place in UTF-8.
enum WordBoundary {
  /// Whether a character of words begins at `position`: `\w` of Unicode Technical Standard 18.
  static func isWord(at position: Int, in text: [UInt8], _ range: Range<Int>) -> Bool {
    guard position < range.upperBound else { return false }
    return scalar(text[position..<range.upperBound]).map(isWord) ?? false
  }

  /// Whether a character of words ends at `position`.
  static func isWord(before position: Int, in text: [UInt8], _ range: Range<Int>) -> Bool {
    guard let start = previous(position, in: text, range) else { return false }
    return scalar(text[start..<position]).map(isWord) ?? false
  }

  /// Where white space that ends at `position` begins.
  static func spaceStart(before position: Int, in text: [UInt8], _ range: Range<Int>) -> Int {
    var start = position
    while let before = previous(start, in: text, range),
      scalar(text[before..<start])?.properties.isWhitespace == true
    { start = before }
    return start
  }

  /// Where white space that begins at `position` ends.
  static func spaceEnd(after position: Int, in text: [UInt8], _ range: Range<Int>) -> Int {
    var end = position
    while end < range.upperBound, let next = scalar(text[end..<range.upperBound]),
      next.properties.isWhitespace
    { end += UTF8.width(next) }
    return end
  }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.properties.isAlphabetic || scalar.properties.isJoinControl { return true }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation:
      return true
    default: return false
    }
  }

  private static func previous(_ position: Int, in text: [UInt8], _ range: Range<Int>) -> Int? {
    guard position > range.lowerBound else { return nil }
    var start = position - 1
    while start > range.lowerBound, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  private static func scalar(_ bytes: ArraySlice<UInt8>) -> Unicode.Scalar? {
    var iterator = bytes.makeIterator()
    var decoder = UTF8()
    guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return nil }
    return scalar
  }
}
