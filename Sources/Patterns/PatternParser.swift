/// A pattern as a tree.
indirect enum Pattern: Sendable {
  /// Nothing.
  case empty
  /// One character of a set.
  case set(FastSet)
  /// One after the other.
  case sequence([Pattern])
  /// The first that fits.
  case choice([Pattern])
  /// Some times over.
  case loop(Pattern, least: Int, most: Int?, Appetite)
  /// A place in the text.
  case anchor(Anchor)
  /// What follows here must, or must not, fit; nothing is consumed.
  case ahead(Pattern, isNegative: Bool)
  /// Once it fits, it is not tried in another way.
  case atomic(Pattern)

  /// How much a loop takes first.
  enum Appetite: Sendable {
    case greedy, lazy, possessive
  }

  /// Places that have no characters.
  enum Anchor: Sendable {
    case textStart, textEnd, textEndOrNewline, lineStart, lineEnd, wordEdge, noWordEdge
  }
}

/// Reads a pattern in Oniguruma's Ruby syntax, as far as tokenizers use it.
///
/// Groups capture nothing. Back references, look-behind, conditions and calls are refused.
struct PatternParser {
  /// Why a pattern is none.
  struct Refusal: Error {
    let reason: String
    /// The byte of the pattern at which that shows, where it is told.
    var offset: Int?
  }

  struct Flags {
    var ignoresCase = false
    var dotTakesNewline = false
  }

  let text: [UInt32]
  var place = 0
  private(set) var flags = Flags()
  var depth = 0
  /// Parts of a pattern may be nested so deep.
  static let depthLimit = 100
  /// A part may be repeated so often.
  static let countLimit = 1000
  /// Parts that all sets together may have: a search looks at each for a character beyond 255.
  private static let setLimit = 50_000
  private var room = PatternParser.setLimit

  static func parse(_ pattern: String) throws(Refusal) -> Pattern {
    var parser = PatternParser(text: pattern.unicodeScalars.map(\.value))
    let tree = try parser.choice()
    guard parser.place == parser.text.count else { throw Refusal(reason: "a ) without its (") }
    return tree
  }

  private init(text: [UInt32]) { self.text = text }

  // MARK: Characters of the pattern

  var next: UInt32? { place < text.count ? text[place] : nil }

  mutating func take(_ letter: Character) -> Bool {
    guard let value = letter.unicodeScalars.first?.value, next == value else { return false }
    place += 1
    return true
  }

  mutating func take(word: String) -> Bool {
    let letters = word.unicodeScalars.map(\.value)
    guard text[place...].starts(with: letters) else { return false }
    place += letters.count
    return true
  }

  private mutating func number() -> Int? {
    let digits = text[place...].prefix { (0x30...0x39).contains($0) }
    guard !digits.isEmpty, digits.count <= 6 else { return nil }
    place += digits.count
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  /// Counts the parts of sets.
  mutating func spend(_ parts: Int) throws(Refusal) {
    room -= parts
    if room < 0 { throw Refusal(reason: "its sets of characters are too large") }
  }

  private mutating func fast(_ set: CharacterSet) throws(Refusal) -> Pattern {
    let fast = FastSet(set)
    try spend(fast.weight)
    return .set(fast)
  }

  // MARK: Structure

  private mutating func choice() throws(Refusal) -> Pattern {
    depth += 1
    defer { depth -= 1 }
    guard depth <= PatternParser.depthLimit else { throw Refusal(reason: "it is nested too deep") }
    let before = flags
    defer { flags = before }
    var ways = [try sequence()]
    while take("|") { ways.append(try sequence()) }
    return ways.count == 1 ? ways[0] : .choice(ways)
  }

  private mutating func sequence() throws(Refusal) -> Pattern {
    var parts: [Pattern] = []
    while let letter = next, letter != 0x7C, letter != 0x29 {
      guard let part = try atom() else { continue }
      parts.append(try repeated(part))
    }
    return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
  }

  /// A part without its repetition; nil for what only sets flags.
  private mutating func atom() throws(Refusal) -> Pattern? {
    guard let letter = next else { return nil }
    place += 1
    switch letter {
    case 0x28: return try group()
    case 0x5B: return try fast(cased(characterClass()))
    case 0x2E:
      let newline = CharacterSet.range(0x0A...0x0A)
      return try fast(flags.dotTakesNewline ? .range(0...0x10FFFF) : .complement(newline))
    case 0x5E: return .anchor(.lineStart)
    case 0x24: return .anchor(.lineEnd)
    case 0x2A, 0x2B, 0x3F: throw Refusal(reason: "a repetition of nothing")
    case 0x5C:
      if let anchor = anchor() { return .anchor(anchor) }
      return try fast(cased(escape()))
    default: return try fast(cased(.range(letter...letter)))
    }
  }

  private mutating func anchor() -> Pattern.Anchor? {
    for (letter, anchor) in PatternParser.anchors where take(letter) { return anchor }
    return nil
  }

  private static let anchors: [(Character, Pattern.Anchor)] = [
    ("A", .textStart), ("z", .textEnd), ("Z", .textEndOrNewline), ("b", .wordEdge),
    ("B", .noWordEdge),
  ]

  /// What follows an opening parenthesis.
  private mutating func group() throws(Refusal) -> Pattern? {
    var wrap: (Pattern) -> Pattern = { $0 }
    let before = flags
    if take("?") {
      if take("=") {
        wrap = { .ahead($0, isNegative: false) }
      } else if take("!") {
        wrap = { .ahead($0, isNegative: true) }
      } else if take(">") {
        wrap = { .atomic($0) }
      } else if take("<") {
        try skipName()
      } else if !take(":"), try setFlags() {
        // (?i) holds to the end of the group that it stands in.
        return nil
      }
    }
    let inner = try choice()
    flags = before
    guard take(")") else { throw Refusal(reason: "a ( without its )") }
    return wrap(inner)
  }

  private mutating func skipName() throws(Refusal) {
    let name = text[place...].prefix { $0 != 0x3E }
    guard let first = name.first, first != 0x3D, first != 0x21, place + name.count < text.count
    else { throw Refusal(reason: "look-behind is not supported") }
    place += name.count + 1
  }

  /// Reads `i`, `m-i:` and the like; true where the parenthesis is closed at once.
  private mutating func setFlags() throws(Refusal) -> Bool {
    var isOn = true
    while let letter = next {
      place += 1
      switch letter {
      case 0x2D: isOn = false
      case 0x69: flags.ignoresCase = isOn
      case 0x6D: flags.dotTakesNewline = isOn
      case 0x3A: return false
      case 0x29: return true
      default: throw Refusal(reason: "a group of a kind that is not supported")
      }
    }
    throw Refusal(reason: "a ( without its )")
  }

  private mutating func repeated(_ part: Pattern) throws(Refusal) -> Pattern {
    var part = part
    while let bounds = try bounds() {
      var appetite = Pattern.Appetite.greedy
      if take("?") {
        appetite = .lazy
      } else if !bounds.isInterval, take("+") {
        appetite = .possessive
      }
      if case .anchor = part { throw Refusal(reason: "a repetition of a place") }
      part = .loop(part, least: bounds.least, most: bounds.most, appetite)
    }
    return part
  }

  /// `*`, `+`, `?` or `{n,m}`; nil where there is none, as a brace alone is a character.
  private mutating func bounds() throws(Refusal) -> (least: Int, most: Int?, isInterval: Bool)? {
    if take("*") { return (0, nil, false) }
    if take("+") { return (1, nil, false) }
    if take("?") { return (0, 1, false) }
    let start = place
    guard take("{") else { return nil }
    let least = number()
    var most = least
    if take(",") { most = number() } else if least == nil { place = start }
    guard place > start else { return nil }
    guard take("}"), least != nil || most != nil else {
      place = start
      return nil
    }
    let (low, high) = (least ?? 0, most)
    guard low <= PatternParser.countLimit, high.map({ $0 >= low && $0 <= 1000 }) ?? true else {
      throw Refusal(reason: "a repetition whose bounds are too large or in the wrong order")
    }
    return (low, high, true)
  }
}
