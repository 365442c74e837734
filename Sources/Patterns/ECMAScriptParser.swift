/// Reads a pattern in ECMAScript's syntax, as C++'s `std::regex` has it.
///
/// Source: libstdc++ 12 (`bits/regex_scanner.tcc`, `bits/regex_compiler.tcc`), with which 150,000
/// random patterns were compared. Classes are those of ASCII, `^` and `$` the ends of the text, `.`
/// takes neither newline nor return. What differs:
///
/// - back references, `\c`, `[.x.]` and `[=x=]` are refused;
/// - a part is repeated 1,000 times at the most, and nested 100 deep; a search counts its steps;
/// - `^` and `\b` in a lookahead see the text before it, which libstdc++ forgets;
/// - what lies beyond ASCII is characters here and bytes there, and `\b` counts its letters as words.
struct ECMAScriptParser {
  typealias Refusal = PatternParser.Refusal

  private let text: [Unicode.Scalar]
  private var place = 0
  private var depth = 0

  private init(_ pattern: String) { text = Array(pattern.unicodeScalars) }

  /// - Throws: why it is no pattern, and at which byte.
  static func parse(_ pattern: String) throws(Refusal) -> Pattern {
    var parser = ECMAScriptParser(pattern)
    do throws(Refusal) {
      let tree = try parser.choice()
      guard parser.next == nil else { throw Refusal(reason: "a ) without its (") }
      return tree
    } catch {
      let read = parser.text[..<parser.place].reduce(0) { $0 + UTF8.width($1) }
      throw Refusal(reason: error.reason, offset: read)
    }
  }

  // MARK: Characters of the pattern

  private var next: Unicode.Scalar? { place < text.count ? text[place] : nil }

  private mutating func take(_ word: String) -> Bool {
    guard text[place...].starts(with: word.unicodeScalars) else { return false }
    place += word.unicodeScalars.count
    return true
  }

  private mutating func number() -> Int? {
    let digits = text[place...].prefix { ("0"..."9").contains($0) }
    guard !digits.isEmpty else { return nil }
    place += digits.count
    return digits.count > 6 ? .max : digits.reduce(0) { $0 * 10 + Int($1.value - 0x30) }
  }

  // MARK: Structure

  private mutating func choice() throws(Refusal) -> Pattern {
    depth += 1
    defer { depth -= 1 }
    guard depth <= PatternParser.depthLimit else { throw Refusal(reason: "it is nested too deep") }
    var ways = [try sequence()]
    while take("|") { ways.append(try sequence()) }
    return ways.count == 1 ? ways[0] : .choice(ways)
  }

  private mutating func sequence() throws(Refusal) -> Pattern {
    var parts: [Pattern] = []
    while let letter = next, letter != "|", letter != ")" { parts.append(try term()) }
    return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
  }

  private mutating func term() throws(Refusal) -> Pattern {
    if let assertion = try assertion() { return assertion }
    var part = try atom()
    while let (least, most) = try bounds() {
      part = .loop(part, least: least, most: most, take("?") ? .lazy : .greedy)
    }
    return part
  }

  private mutating func assertion() throws(Refusal) -> Pattern? {
    if take("^") { return .anchor(.textStart) }
    if take("$") { return .anchor(.textEnd) }
    if take(#"\b"#) { return .anchor(.wordEdge) }
    if take(#"\B"#) { return .anchor(.noWordEdge) }
    if take("(?=") { return .ahead(try groupEnd(), isNegative: false) }
    if take("(?!") { return .ahead(try groupEnd(), isNegative: true) }
    return nil
  }

  /// What a group holds, and its end.
  private mutating func groupEnd() throws(Refusal) -> Pattern {
    let inner = try choice()
    guard take(")") else { throw Refusal(reason: "a ( without its )") }
    return inner
  }

  private mutating func atom() throws(Refusal) -> Pattern {
    if take("(?:") { return try groupEnd() }
    guard let letter = next else { return .empty }
    switch letter {
    case "*", "+", "?", "{": throw Refusal(reason: "a repetition of nothing")
    case "(":
      place += 1
      if next == "?" { throw Refusal(reason: "a group of a kind that is not supported") }
      return try groupEnd()
    case "[":
      place += 1
      return .set(FastSet(try bracket()))
    case ".":
      place += 1
      return .set(FastSet(.complement(.union([.range(0x0A...0x0A), .range(0x0D...0x0D)]))))
    case "\\":
      place += 1
      return .set(FastSet(try escape().set))
    default:
      place += 1
      return .set(FastSet(.range(letter.value...letter.value)))
    }
  }

  /// `*`, `+`, `?`, `{n}`, `{n,}` or `{n,m}`; nil where there is none.
  private mutating func bounds() throws(Refusal) -> (least: Int, most: Int?)? {
    if take("*") { return (0, nil) }
    if take("+") { return (1, nil) }
    if take("?") { return (0, 1) }
    guard take("{") else { return nil }
    guard let least = number() else { throw Refusal(reason: "a { without a number") }
    var most: Int? = least
    if take(",") { most = number() }
    guard take("}") else { throw Refusal(reason: "a { without its }") }
    guard least <= PatternParser.countLimit,
      most.map({ $0 >= least && $0 <= PatternParser.countLimit }) ?? true
    else {
      throw Refusal(reason: "a repetition whose bounds are too large or in the wrong order")
    }
    return (least, most)
  }

  // MARK: Sets of characters

  /// What follows a backslash; `letter` where that is one character, which a range may begin or end
  /// with.
  private mutating func escape() throws(Refusal) -> (set: CharacterSet, letter: UInt32?) {
    let start = place - 1
    guard let letter = next else { throw Refusal(reason: "a \\ at the end") }
    place += 1
    if let set = ECMAScriptParser.classes[letter] { return (set, nil) }
    let value: UInt32
    switch letter {
    case "x": value = try codePoint(digits: 2)
    case "u": value = try codePoint(digits: 4)
    case "c", "1"..."9":
      place = start
      throw Refusal(reason: "\\\(letter) is not supported")
    default: value = ECMAScriptParser.controls[letter] ?? letter.value
    }
    return (.range(value...value), value)
  }

  private mutating func codePoint(digits: Int) throws(Refusal) -> UInt32 {
    let found = text[place...].prefix(digits).prefix { $0.isASCII && $0.properties.isASCIIHexDigit }
    guard found.count == digits, let value = UInt32(found.map(String.init).joined(), radix: 16)
    else { throw Refusal(reason: "a number of a character that is none") }
    place += digits
    return value
  }

  /// What a range may begin with.
  private enum Member {
    case nothing, kind
    case letter(UInt32)
  }

  /// What follows an opening bracket, up to its closing one, which ends the set at once too.
  private mutating func bracket() throws(Refusal) -> CharacterSet {
    let isNegative = take("^")
    var sets: [CharacterSet] = []
    var last = Member.nothing
    while !take("]") {
      if case .letter(let low) = last, next == "-", place + 1 < text.count, text[place + 1] != "]" {
        place += 1
        guard case .letter(let high) = try member().1, low <= high else {
          throw Refusal(reason: "a range without an end, or in the wrong order")
        }
        sets.append(.range(low...high))
        last = .nothing
        continue
      }
      if case .kind = last, next == "-", place + 1 < text.count, text[place + 1] != "]" {
        throw Refusal(reason: "a range that begins with a class")
      }
      let (set, member) = try member()
      sets.append(set)
      last = member
    }
    return isNegative ? .complement(.union(sets)) : .union(sets)
  }

  /// A character or a class within brackets.
  private mutating func member() throws(Refusal) -> (CharacterSet, Member) {
    guard let letter = next else { throw Refusal(reason: "a [ without its ]") }
    if let set = try namedClass() { return (set, .kind) }
    place += 1
    guard letter == "\\" else {
      return (.range(letter.value...letter.value), .letter(letter.value))
    }
    if take("b") { return (.range(8...8), .letter(8)) }
    if next == "B" { throw Refusal(reason: "\\B is no character") }
    let (set, value) = try escape()
    return (set, value.map { .letter($0) } ?? .kind)
  }

  /// `[:alpha:]`
  private mutating func namedClass() throws(Refusal) -> CharacterSet? {
    guard text[place] == "[", place + 1 < text.count, [":", ".", "="].contains(text[place + 1])
    else { return nil }
    let rest = text[(place + 2)...]
    guard let end = rest.firstIndex(of: ":"), take("[:") else {
      throw Refusal(reason: "a [ that is not supported within brackets")
    }
    let name = String(String.UnicodeScalarView(rest[..<end]))
    guard let ranges = ECMAScriptParser.names[name] else {
      throw Refusal(reason: "a class [:\(name):] that is not known")
    }
    place = end
    guard take(":]") else { throw Refusal(reason: "a [: without its :]") }
    return .union(ranges.map { .range($0) })
  }

  private static let controls: [Unicode.Scalar: UInt32] = [
    "0": 0x00, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B,
  ]

  /// The classes of the C locale.
  private static let names: [String: [ClosedRange<UInt32>]] = [
    "d": digits, "digit": digits, "s": spaces, "space": spaces, "alpha": letters,
    "w": digits + letters + [0x5F...0x5F], "alnum": digits + letters, "lower": [0x61...0x7A],
    "upper": [0x41...0x5A], "blank": [0x09...0x09, 0x20...0x20],
    "cntrl": [0x00...0x1F, 0x7F...0x7F], "graph": [0x21...0x7E], "print": [0x20...0x7E],
    "punct": [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E],
    "xdigit": digits + [0x41...0x46, 0x61...0x66],
  ]
  private static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
  private static let letters: [ClosedRange<UInt32>] = [0x41...0x5A, 0x61...0x7A]
  private static let spaces: [ClosedRange<UInt32>] = [0x09...0x0D, 0x20...0x20]

  /// What a backslash makes of a letter: a class, and of the capital what does not belong to it.
  private static let classes: [Unicode.Scalar: CharacterSet] = {
    var classes: [Unicode.Scalar: CharacterSet] = [:]
    let letters: [(Unicode.Scalar, Unicode.Scalar)] = [("d", "D"), ("s", "S"), ("w", "W")]
    for (small, capital) in letters {
      let set = CharacterSet.union((names[String(small)] ?? []).map { .range($0) })
      (classes[small], classes[capital]) = (set, .complement(set))
    }
    return classes
  }()
}
