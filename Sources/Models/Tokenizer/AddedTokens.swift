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

  /// Longest text of a token, in bytes: a search may look at so many at each place of a text.
  static let lengthLimit = 512

  private let exact: TokenTree
  private let normalized: TokenTree

  /// Takes tokens with distinct texts.
  ///
  /// - Throws: `.malformed` for a text that is too long.
  init(_ tokens: [Token], file: String) throws(Fault) {
    if let long = tokens.first(where: { $0.text.count > AddedTokens.lengthLimit }) {
      throw Fault(
        .malformed, "has an added token that is too long", file: file,
        expected: "at most \(AddedTokens.lengthLimit) bytes", found: "\(long.text.count)")
    }
    exact = TokenTree(tokens.filter { !$0.isNormalized })
    normalized = TokenTree(tokens.filter(\.isNormalized))
  }

  /// Cuts a text into added tokens and what lies between them.
  func parts(of text: [UInt8]) -> [Part] {
    exact.parts(of: text, in: 0..<text.count).flatMap { part in
      guard case .text(let range) = part else { return [part] }
      return normalized.parts(of: text, in: range)
    }
  }
}

/// Tokens by their bytes, one byte per level.
private struct TokenTree {
  private let tokens: [AddedTokens.Token]
  /// Nodes below a node (upper bits) by their byte (lowest eight); the root is 0.
  private var children: [Int: Int] = [:]
  /// The token that ends at a node.
  private var ends: [Int: Int] = [:]
  /// Whether a token begins with a byte: most places of a text need no more than this.
  private var begins = [Bool](repeating: false, count: 256)

  init(_ tokens: [AddedTokens.Token]) {
    self.tokens = tokens
    var count = 1
    for (index, token) in tokens.enumerated() where !token.text.isEmpty {
      begins[Int(token.text[0])] = true
      var node = 0
      for byte in token.text {
        let key = node << 8 | Int(byte)
        if children[key] == nil {
          children[key] = count
          count += 1
        }
        node = children[key] ?? 0
      }
      ends[node] = index
    }
  }

  func parts(of text: [UInt8], in range: Range<Int>) -> [AddedTokens.Part] {
    guard !tokens.isEmpty else { return range.isEmpty ? [] : [.text(range)] }
    var parts: [AddedTokens.Part] = []
    var position = range.lowerBound
    // The end of what has been dealt with; a token's white space may reach beyond `position`.
    var done = range.lowerBound
    while position < range.upperBound {
      guard begins[Int(text[position])], let found = longest(in: text, position..<range.upperBound)
      else {
        position += 1
        continue
      }
      let token = tokens[found]
      var start = position
      var stop = position + token.text.count
      position = stop
      if token.isSingleWord {
        let joinsLeft = WordBoundary.isWord(before: start, in: text, range)
        if joinsLeft || WordBoundary.isWord(at: stop, in: text, range) { continue }
      }
      if token.stripsLeft {
        start = WordBoundary.spaceStart(before: start, in: text, done..<range.upperBound)
      }
      if token.stripsRight { stop = WordBoundary.spaceEnd(after: stop, in: text, range) }
      if done < start { parts.append(.text(done..<start)) }
      parts.append(.token(token.id))
      done = stop
    }
    if done < range.upperBound { parts.append(.text(done..<range.upperBound)) }
    return parts
  }

  /// The longest token at the beginning of a range.
  private func longest(in text: [UInt8], _ range: Range<Int>) -> Int? {
    var node = 0
    var found: Int?
    for position in range {
      guard let child = children[node << 8 | Int(text[position])] else { break }
      node = child
      if let end = ends[node] { found = end }
    }
    return found
  }
}

/// What stands beside a place in UTF-8.
private enum WordBoundary {
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
