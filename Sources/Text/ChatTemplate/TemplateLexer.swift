internal import Platform

/// A word of an expression, or of a statement.
struct TemplateToken: Equatable {
  enum Kind: Equatable {
    case name(String)
    case string(String)
    case integer(Int)
    case number(Double)
    case symbol(String)
  }

  let kind: Kind
  /// Byte offset in the template.
  let offset: Int
}

/// A part of a template.
enum TemplateSegment {
  /// Text that is copied.
  case text(String)
  /// What stands between `{{` and `}}`.
  case output([TemplateToken], offset: Int)
  /// What stands between `{%` and `%}`.
  case statement([TemplateToken], offset: Int)
}

/// Cuts a template into text and tags, and tags into words, with the white space that Jinja leaves
/// under the settings of transformers: `trim_blocks`, `lstrip_blocks`, no last newline.
struct TemplateLexer {
  private let source: [UInt8]
  private var position = 0
  private var segments: [TemplateSegment] = []
  /// Text since the last tag.
  private var text: [UInt8] = []
  /// Whether the last tag ended a line.
  private var isLineStart = true

  private init(_ source: [UInt8]) { self.source = source }

  /// Cuts a template.
  ///
  /// - Throws: `.malformed` with the offset of what cannot be read.
  static func segments(_ template: String) throws(Fault) -> [TemplateSegment] {
    var lines = template.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
      .map { line in
        // Other ends of lines count as newlines.
        var line = line
        if line.last == "\r" { line.removeLast() }
        return String(line).utf8.map { $0 == 0x0D ? 0x0A : $0 }
      }
    if lines.last?.isEmpty == true { lines.removeLast() }
    var lexer = TemplateLexer(Array(lines.joined(separator: [0x0A])))
    while try lexer.tag() {}
    return lexer.segments
  }

  /// Takes the text up to the next tag, and the tag.
  private mutating func tag() throws(Fault) -> Bool {
    while position < source.count, !startsTag { take() }
    guard position + 1 < source.count else {
      flush()
      return false
    }
    let start = position
    let kind = source[position + 1]
    position += 2
    let sign = position < source.count ? source[position] : 0
    if sign == UInt8(ascii: "-") {
      position += 1
      stripSpace()
    } else if sign == UInt8(ascii: "+"), kind != UInt8(ascii: "{") {
      position += 1
    } else if kind != UInt8(ascii: "{") {
      stripIndent()
    }
    flush()
    switch kind {
    case UInt8(ascii: "#"): try comment(start)
    case UInt8(ascii: "%"):
      let tokens = try tokens(until: UInt8(ascii: "%"), start)
      segments.append(.statement(tokens, offset: start))
    default:
      let tokens = try tokens(until: UInt8(ascii: "}"), start)
      segments.append(.output(tokens, offset: start))
    }
    isLineStart = source[position - 1] == UInt8(ascii: "\n")
    return true
  }

  private var startsTag: Bool {
    source[position] == UInt8(ascii: "{") && position + 1 < source.count
      && (source[position + 1] == UInt8(ascii: "{") || source[position + 1] == UInt8(ascii: "%")
        || source[position + 1] == UInt8(ascii: "#"))
  }

  private mutating func take() {
    text.append(source[position])
    position += 1
  }

  private mutating func flush() {
    if !text.isEmpty { segments.append(.text(String(decoding: text, as: UTF8.self))) }
    text = []
  }

  /// Removes white space before a tag with a minus.
  private mutating func stripSpace() {
    let view = String(decoding: text, as: UTF8.self).unicodeScalars
    let end = view.lastIndex { !$0.isTemplateSpace }.map { view.index(after: $0) }
    text = Array(String(view[..<(end ?? view.startIndex)]).utf8)
  }

  /// Removes white space between the beginning of a line and a statement.
  private mutating func stripIndent() {
    let line = text.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    guard line > 0 || isLineStart else { return }
    let indent = String(decoding: text[line...], as: UTF8.self).unicodeScalars
    if indent.allSatisfy(\.isTemplateSpace) { text.removeLast(text.count - line) }
  }

  private mutating func comment(_ start: Int) throws(Fault) {
    while position + 1 < source.count {
      if source[position] == UInt8(ascii: "#"), source[position + 1] == UInt8(ascii: "}") {
        let sign = source[position - 1]
        position += 2
        afterTag(sign: sign)
        return
      }
      position += 1
    }
    throw fault("has a comment without an end", start)
  }

  /// Passes over the white space that a tag takes with it.
  private mutating func afterTag(sign: UInt8, isOutput: Bool = false) {
    if sign == UInt8(ascii: "-") {
      var decoder = UTF8()
      var rest = source[position...].makeIterator()
      while case .scalarValue(let scalar) = decoder.decode(&rest), scalar.isTemplateSpace {
        position += UTF8.width(scalar)
      }
    } else if sign != UInt8(ascii: "+"), !isOutput, position < source.count,
      source[position] == UInt8(ascii: "\n")
    {
      position += 1
    }
  }

  /// Takes the words of a tag and its end, `%}` or `}}`.
  private mutating func tokens(
    until end: UInt8, _ start: Int
  ) throws(Fault) -> [TemplateToken] {
    var tokens: [TemplateToken] = []
    var brackets: [UInt8] = []
    while position < source.count {
      if brackets.isEmpty, let sign = takeEnd(end) {
        afterTag(sign: sign, isOutput: end == UInt8(ascii: "}"))
        return tokens
      }
      let offset = position
      guard let kind = try token() else { continue }
      if case .symbol(let symbol) = kind, let bracket = symbol.utf8.first, symbol.utf8.count == 1 {
        switch bracket {
        case UInt8(ascii: "("): brackets.append(UInt8(ascii: ")"))
        case UInt8(ascii: "["): brackets.append(UInt8(ascii: "]"))
        case UInt8(ascii: "{"): brackets.append(UInt8(ascii: "}"))
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
          guard brackets.popLast() == bracket else {
            throw fault("has a bracket without its other", offset)
          }
        default: break
        }
      }
      tokens.append(TemplateToken(kind: kind, offset: offset))
    }
    throw fault("has a tag without an end", start)
  }

  /// Takes the end of a tag, and returns its sign (0 where there is none).
  private mutating func takeEnd(_ end: UInt8) -> UInt8? {
    let isSigned =
      source[position] == UInt8(ascii: "-")
      || source[position] == UInt8(ascii: "+") && end == UInt8(ascii: "%")
    let place = isSigned ? position + 1 : position
    guard place + 1 < source.count, source[place] == end, source[place + 1] == UInt8(ascii: "}")
    else { return nil }
    let sign = isSigned ? source[position] : 0
    position = place + 2
    return sign
  }

  /// Takes one word, or a byte of white space (nil).
  private mutating func token() throws(Fault) -> TemplateToken.Kind? {
    let byte = source[position]
    switch byte {
    case 0x20, 0x09, 0x0A:
      position += 1
      return nil
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try string(quote: byte))
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "_"):
      let start = position
      while position < source.count, source[position].isTemplateNamePart { position += 1 }
      return .name(String(decoding: source[start..<position], as: UTF8.self))
    default: return try symbol()
    }
  }

  private mutating func symbol() throws(Fault) -> TemplateToken.Kind {
    let double = ["==", "!=", "<=", ">=", "//", "**"]
    let pair = String(decoding: source[position..<min(position + 2, source.count)], as: UTF8.self)
    if double.contains(pair) {
      position += 2
      return .symbol(pair)
    }
    let single = Array("+-*/%~|.,:()[]{}<>=".utf8)
    guard single.contains(source[position]) else {
      throw fault("has a character that means nothing in a tag", position)
    }
    position += 1
    return .symbol(String(decoding: [source[position - 1]], as: UTF8.self))
  }

  private mutating func number() throws(Fault) -> TemplateToken.Kind {
    let start = position
    while position < source.count, source[position].isTemplateNamePart { position += 1 }
    if position + 1 < source.count, source[position] == UInt8(ascii: "."),
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(source[position + 1])
    {
      position += 1
      while position < source.count, source[position].isTemplateNamePart { position += 1 }
    }
    let text = String(decoding: source[start..<position], as: UTF8.self)
    if let integer = Int(text) { return .integer(integer) }
    guard let number = Double(text) else { throw fault("has a number that is none", start) }
    return .number(number)
  }

  private mutating func string(quote: UInt8) throws(Fault) -> String {
    let start = position
    position += 1
    var bytes: [UInt8] = []
    while position < source.count {
      let byte = source[position]
      position += 1
      if byte == quote { return String(decoding: bytes, as: UTF8.self) }
      guard byte == UInt8(ascii: "\\"), position < source.count else {
        bytes.append(byte)
        continue
      }
      bytes += try escape(start)
    }
    throw fault("has a string without an end", start)
  }

  /// Takes what follows a backslash: Python's escapes; others stay as they are.
  private mutating func escape(_ start: Int) throws(Fault) -> [UInt8] {
    let byte = source[position]
    position += 1
    let simple: [UInt8: UInt8] = [
      UInt8(ascii: "n"): 0x0A, UInt8(ascii: "t"): 0x09, UInt8(ascii: "r"): 0x0D,
      UInt8(ascii: "a"): 0x07, UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C,
      UInt8(ascii: "v"): 0x0B, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "'"): 0x27,
      UInt8(ascii: "\""): 0x22,
    ]
    if let value = simple[byte] { return [value] }
    let digits = [UInt8(ascii: "x"): 2, UInt8(ascii: "u"): 4, UInt8(ascii: "U"): 8]
    if let count = digits[byte] {
      let text = String(decoding: source[position...].prefix(count), as: UTF8.self)
      guard text.utf8.count == count, let value = UInt32(text, radix: 16),
        let scalar = Unicode.Scalar(value)
      else { throw fault("has an escape that is no character", start) }
      position += count
      return Array(String(Character(scalar)).utf8)
    }
    if byte == UInt8(ascii: "\n") { return [] }
    return [UInt8(ascii: "\\"), byte]
  }

  private func fault(_ message: String, _ offset: Int) -> Fault {
    Fault(.malformed, message, offset: UInt64(offset))
  }
}

extension Unicode.Scalar {
  /// White space as Python's `str.strip` and `\s` have it.
  var isTemplateSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }
}

extension UInt8 {
  /// Whether the byte goes on with a name or a number.
  fileprivate var isTemplateNamePart: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}
