/// A set of characters as a pattern describes it.
indirect enum CharacterSet: Sendable {
  /// Code points from one to another.
  case range(ClosedRange<UInt32>)
  /// Characters of some general categories, a bit for each.
  case categories(UInt32)
  /// White space, of which Unicode has 25 characters.
  case space
  /// Letters and what is used like them.
  case alphabetic
  /// A character in either case.
  case folded(UInt32)
  case union([CharacterSet])
  case intersection([CharacterSet])
  case complement(CharacterSet)

  /// Whether a code point belongs to it.
  func contains(_ value: UInt32) -> Bool {
    switch self {
    case .range(let range): return range.contains(value)
    case .categories(let bits): return bits >> UInt32(UnicodeTable.category(of: value)) & 1 == 1
    case .space: return CharacterSet.isSpace(value)
    case .alphabetic:
      return UnicodeTable.category(of: value) != UnicodeTable.unassigned
        && Unicode.Scalar(value)?.properties.isAlphabetic == true
    case .folded(let letter): return UnicodeTable.folded(value) == letter
    case .union(let sets): return sets.contains { $0.contains(value) }
    case .intersection(let sets): return sets.allSatisfy { $0.contains(value) }
    case .complement(let set): return !set.contains(value)
    }
  }

  /// Parts that are looked at for a character at the most.
  var weight: Int {
    switch self {
    case .range, .categories, .space, .alphabetic, .folded: 1
    case .union(let sets), .intersection(let sets): sets.reduce(1) { $0 + $1.weight }
    case .complement(let set): 1 + set.weight
    }
  }

  private static func isSpace(_ value: UInt32) -> Bool {
    switch value {
    case 0x09...0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F,
      0x3000:
      true
    default: false
    }
  }
}

/// A set that answers at once for the characters below 256, and for others by looking.
struct FastSet: Sendable {
  private let bits: (UInt64, UInt64, UInt64, UInt64)
  private let set: CharacterSet
  /// What looking a character up costs beyond 255.
  let weight: Int

  init(_ set: CharacterSet) {
    var words: [UInt64] = [0, 0, 0, 0]
    for value in UInt32(0)..<256 where set.contains(value) {
      words[Int(value / 64)] |= 1 << UInt64(value % 64)
    }
    bits = (words[0], words[1], words[2], words[3])
    self.set = set
    weight = set.weight
  }

  @inline(__always)
  func contains(_ value: UInt32) -> Bool {
    guard value < 256 else { return set.contains(value) }
    let word =
      switch value >> 6 {
      case 0: bits.0
      case 1: bits.1
      case 2: bits.2
      default: bits.3
      }
    return word >> UInt64(value & 63) & 1 == 1
  }
}

/// What Unicode says of characters, as of the version that Hugging Face's tokenizers have.
enum UnicodeTable {
  /// tokenizers 0.23 is built with Oniguruma 6.9.10, whose tables are those of Unicode 16.
  private static let version = (major: 16, minor: 0)

  /// The general categories in the order of their numbers, with the names that patterns use.
  private static let names: [(short: String, category: Unicode.GeneralCategory)] = [
    ("cn", .unassigned), ("lu", .uppercaseLetter), ("ll", .lowercaseLetter),
    ("lt", .titlecaseLetter), ("lm", .modifierLetter), ("lo", .otherLetter),
    ("mn", .nonspacingMark), ("mc", .spacingMark), ("me", .enclosingMark),
    ("nd", .decimalNumber), ("nl", .letterNumber), ("no", .otherNumber),
    ("pc", .connectorPunctuation), ("pd", .dashPunctuation), ("ps", .openPunctuation),
    ("pe", .closePunctuation), ("pi", .initialPunctuation), ("pf", .finalPunctuation),
    ("po", .otherPunctuation), ("sm", .mathSymbol), ("sc", .currencySymbol),
    ("sk", .modifierSymbol), ("so", .otherSymbol), ("zs", .spaceSeparator),
    ("zl", .lineSeparator), ("zp", .paragraphSeparator), ("cc", .control), ("cf", .format),
    ("cs", .surrogate), ("co", .privateUse),
  ]
  static let unassigned: UInt8 = 0

  private static let longNames: [String: String] = [
    "letter": "l", "mark": "m", "number": "n", "punctuation": "p", "symbol": "s", "separator": "z",
    "other": "c", "uppercaseletter": "lu", "lowercaseletter": "ll", "titlecaseletter": "lt",
    "modifierletter": "lm", "otherletter": "lo", "nonspacingmark": "mn", "spacingmark": "mc",
    "enclosingmark": "me", "decimalnumber": "nd", "letternumber": "nl", "othernumber": "no",
    "digit": "nd",
  ]

  /// Scripts that tokenizers' patterns name (Unicode 16, Scripts.txt).
  private static let scripts: [String: [ClosedRange<UInt32>]] = [
    "han": [
      0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007,
      0x3021...0x3029, 0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D,
      0xFA70...0xFAD9, 0x16FE2...0x16FE3, 0x16FF0...0x16FF1, 0x20000...0x2A6DF,
      0x2A700...0x2B739, 0x2B740...0x2B81D, 0x2B820...0x2CEA1, 0x2CEB0...0x2EBE0,
      0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D, 0x30000...0x3134A, 0x31350...0x323AF,
    ],
    "hiragana": [
      0x3041...0x3096, 0x309D...0x309F, 0x1B001...0x1B11F, 0x1B132...0x1B132, 0x1B150...0x1B152,
      0x1F200...0x1F200,
    ],
    "katakana": [
      0x30A1...0x30FA, 0x30FD...0x30FF, 0x31F0...0x31FF, 0x32D0...0x32FE, 0x3300...0x3357,
      0xFF66...0xFF6F, 0xFF71...0xFF9D, 0x1AFF0...0x1AFF3, 0x1AFF5...0x1AFFB, 0x1AFFD...0x1AFFE,
      0x1B000...0x1B000, 0x1B120...0x1B122, 0x1B155...0x1B155, 0x1B164...0x1B167,
    ],
  ]

  /// Categories of the characters below this; beyond lie private use and, but for tags and
  /// selectors, no characters at all.
  private static let tableEnd: UInt32 = 0x4_0000
  private static let tags: Range<UInt32> = 0xE_0000..<0xE_1000

  private static let table: [UInt8] = (0..<tableEnd).map(slowCategory)
  private static let tagTable: [UInt8] = tags.map(slowCategory)
  private static let numbers = Dictionary(
    uniqueKeysWithValues: names.enumerated().map { ($1.category, UInt8($0)) })

  private static func slowCategory(of value: UInt32) -> UInt8 {
    guard let scalar = Unicode.Scalar(value), let age = scalar.properties.age,
      (age.major, age.minor) <= version
    else { return unassigned }
    return numbers[scalar.properties.generalCategory] ?? unassigned
  }

  /// The number of a code point's general category.
  static func category(of value: UInt32) -> UInt8 {
    if value < tableEnd { return table[Int(value)] }
    if tags.contains(value) { return tagTable[Int(value - tags.lowerBound)] }
    return value >= 0xF_0000 ? numbers[.privateUse] ?? unassigned : unassigned
  }

  /// Bits of all categories whose names begin so.
  private static func bits(_ prefix: String) -> UInt32 {
    names.enumerated().reduce(0) { $1.element.short.hasPrefix(prefix) ? $0 | 1 << $1.offset : $0 }
  }

  /// `\w`: letters, marks, decimal digits and connectors.
  static let word = CharacterSet.union([
    .categories(bits("l") | bits("m") | bits("nd") | bits("pc")), .alphabetic,
  ])
  /// `\d`
  static let digit = CharacterSet.categories(bits("nd"))

  /// The set that `\p{name}` means; nil for names that are not known.
  static func property(_ name: String) -> CharacterSet? {
    let plain = name.lowercased().filter { $0 != "_" && $0 != " " && $0 != "-" }
    if let ranges = scripts[plain] { return .union(ranges.map { .range($0) }) }
    switch plain {
    case "any": return .range(0...0x10FFFF)
    case "space", "whitespace": return .space
    case "word": return word
    case "alpha", "alphabetic": return .alphabetic
    case "alnum": return .union([.alphabetic, .categories(bits("nd"))])
    default:
      let found = bits(longNames[plain] ?? plain)
      let isName = plain.count <= 2 || longNames[plain] != nil
      return isName && found != 0 ? .categories(found) : nil
    }
  }

  /// A code point without its case: simple folding, as far as one character stands for one.
  static func folded(_ value: UInt32) -> UInt32 {
    guard value > 127 else { return (0x41...0x5A).contains(value) ? value + 32 : value }
    func single(_ text: String, _ other: UInt32) -> UInt32 {
      text.unicodeScalars.count == 1 ? text.unicodeScalars.first?.value ?? other : other
    }
    guard let scalar = Unicode.Scalar(value) else { return value }
    let upper = single(scalar.properties.uppercaseMapping, value)
    guard let large = Unicode.Scalar(upper) else { return upper }
    return single(large.properties.lowercaseMapping, upper)
  }
}
