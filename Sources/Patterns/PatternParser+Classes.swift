extension PatternParser {
  /// With the case ignored where the pattern says so.
  mutating func cased(_ set: CharacterSet) throws(Refusal) -> CharacterSet {
    guard flags.ignoresCase else { return set }
    switch set {
    case .range(let range) where range.count == 1:
      return .folded(UnicodeTable.folded(range.lowerBound))
    case .range(let range) where range.count <= 1024:
      try spend(range.count)
      return .union(Set(range.map(UnicodeTable.folded)).sorted().map { .folded($0) })
    case .union(let sets): return .union(try cased(sets))
    case .intersection(let sets): return .intersection(try cased(sets))
    case .complement(let inner): return .complement(try cased(inner))
    default: return set
    }
  }

  private mutating func cased(_ sets: [CharacterSet]) throws(Refusal) -> [CharacterSet] {
    var result: [CharacterSet] = []
    for set in sets { result.append(try cased(set)) }
    return result
  }

  /// What follows an opening bracket, up to its closing one.
  mutating func characterClass() throws(Refusal) -> CharacterSet {
    depth += 1
    defer { depth -= 1 }
    guard depth <= PatternParser.depthLimit else { throw Refusal(reason: "it is nested too deep") }
    if let set = try posixClass() { return set }
    let isNegative = take("^")
    var (sets, parts): ([CharacterSet], [CharacterSet]) = ([], [])
    var isFirst = true
    while true {
      guard let letter = next else { throw Refusal(reason: "a [ without its ]") }
      if letter == 0x5D, !isFirst {
        place += 1
        break
      }
      isFirst = false
      if take(word: "&&") {
        parts.append(.union(sets))
        sets = []
        continue
      }
      sets.append(try member())
    }
    let set = parts.isEmpty ? CharacterSet.union(sets) : .intersection(parts + [.union(sets)])
    return isNegative ? .complement(set) : set
  }

  /// `[:space:]` within a class.
  private mutating func posixClass() throws(Refusal) -> CharacterSet? {
    guard next == 0x3A, let end = text[place...].firstIndex(of: 0x5D), text[end - 1] == 0x3A,
      end - place > 2
    else { return nil }
    var name = String(
      String.UnicodeScalarView(text[place + 1..<end - 1].compactMap(Unicode.Scalar.init)))
    let isNegative = name.hasPrefix("^")
    if isNegative { name.removeFirst() }
    guard let set = UnicodeTable.property(name), name.count > 2 else {
      throw Refusal(reason: "a class [:\(name):] that is not supported")
    }
    place = end + 1
    return isNegative ? .complement(set) : set
  }

  /// A character, a range or a class within a class.
  private mutating func member() throws(Refusal) -> CharacterSet {
    if take("[") { return try characterClass() }
    let first = try element()
    guard case .range(let low) = first, low.count == 1, next == 0x2D, place + 1 < text.count,
      text[place + 1] != 0x5D, text[place + 1] != 0x5B
    else { return first }
    let start = place
    place += 1
    guard case .range(let high) = try element(), high.count == 1 else {
      place = start
      return first
    }
    guard low.lowerBound <= high.lowerBound else { throw Refusal(reason: "an empty range") }
    return .range(low.lowerBound...high.lowerBound)
  }

  private mutating func element() throws(Refusal) -> CharacterSet {
    guard let letter = next else { throw Refusal(reason: "a [ without its ]") }
    place += 1
    if letter == 0x5C { return try escape() }
    return .range(letter...letter)
  }

  /// What follows a backslash.
  mutating func escape() throws(Refusal) -> CharacterSet {
    guard let letter = next else { throw Refusal(reason: "a \\ at the end") }
    place += 1
    let controls: [UInt32: UInt32] = [
      0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09, 0x66: 0x0C, 0x76: 0x0B, 0x61: 0x07, 0x65: 0x1B,
    ]
    if let value = controls[letter] { return .range(value...value) }
    switch letter {
    case 0x73: return .space
    case 0x53: return .complement(.space)
    case 0x64: return UnicodeTable.digit
    case 0x44: return .complement(UnicodeTable.digit)
    case 0x77: return UnicodeTable.word
    case 0x57: return .complement(UnicodeTable.word)
    case 0x68: return PatternParser.hexDigits
    case 0x48: return .complement(PatternParser.hexDigits)
    case 0x70, 0x50: return try property(isNegative: letter == 0x50)
    case 0x78:
      return try codePoint(digits: take("{") ? 1...8 : 1...2, isBraced: text[place - 1] == 0x7B)
    case 0x75: return try codePoint(digits: 4...4, isBraced: false)
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A:
      let name = Unicode.Scalar(letter).map { String(Character($0)) } ?? ""
      throw Refusal(reason: "\\\(name) is not supported")
    default: return .range(letter...letter)
    }
  }

  private static let hexDigits = CharacterSet.union([
    .range(0x30...0x39), .range(0x41...0x46), .range(0x61...0x66),
  ])

  private mutating func property(isNegative: Bool) throws(Refusal) -> CharacterSet {
    guard take("{"), let end = text[place...].firstIndex(of: 0x7D) else {
      throw Refusal(reason: "a \\p without its {name}")
    }
    var name = String(String.UnicodeScalarView(text[place..<end].compactMap(Unicode.Scalar.init)))
    place = end + 1
    var isNegative = isNegative
    if name.hasPrefix("^") {
      name.removeFirst()
      isNegative.toggle()
    }
    guard let set = UnicodeTable.property(name) else {
      throw Refusal(reason: "a property \(name) that is not known")
    }
    return isNegative ? .complement(set) : set
  }

  private mutating func codePoint(
    digits: ClosedRange<Int>, isBraced: Bool
  ) throws(Refusal) -> CharacterSet {
    let found = text[place...].prefix(digits.upperBound).prefix { value in
      Unicode.Scalar(value).map { Character($0).isHexDigit && $0.isASCII } ?? false
    }
    let value = found.reduce(UInt32(0)) { sum, digit in
      sum &* 16 &+ UInt32(Unicode.Scalar(digit).flatMap { Character($0).hexDigitValue } ?? 0)
    }
    place += found.count
    guard digits.contains(found.count), value <= 0x10FFFF, !isBraced || take("}") else {
      throw Refusal(reason: "a number of a character that is none")
    }
    return .range(value...value)
  }
}
