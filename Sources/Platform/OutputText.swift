/// A text that may leave the program: on a terminal, in the log of a CI server, in a report.
///
/// It is written as a literal. The literal's own words stay as they are; whatever is interpolated
/// is taken for a text from outside and made `printable`, so that no name of a file, tensor or key
/// can be printed as it is by mistake. `Console` and reports take nothing else.
package struct OutputText: Hashable, Sendable, ExpressibleByStringInterpolation {
  /// The characters.
  package private(set) var text: String

  /// Takes words of this program.
  package init(stringLiteral words: String) { text = words }

  /// Takes words of this program and what was put between them.
  package init(stringInterpolation parts: Interpolation) { text = parts.text }

  /// Takes a document whose own escaper has been over every text from outside: JSON, XML, HTML,
  /// Markdown.
  package init(document: String) { text = document }

  /// The colours of verdicts and severities, by the numbers that terminals know.
  package enum Colour: Int, Sendable {
    case red = 31
    case green = 32
    case yellow = 33
  }

  /// The text in a colour, where standard output has colours: for what goes there alone.
  package func painted(_ colour: Colour) -> OutputText {
    guard Console.hasColours, !text.isEmpty else { return self }
    return OutputText(document: "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m")
  }

  /// Words, and texts from outside between them.
  package struct Interpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    /// Reserves memory for the words.
    package init(literalCapacity: Int, interpolationCount: Int) {
      text.reserveCapacity(literalCapacity + 16 * interpolationCount)
    }

    /// Appends words of this program.
    package mutating func appendLiteral(_ words: String) { text += words }

    /// Appends a text from outside, made printable.
    package mutating func appendInterpolation(_ foreign: String) { text += foreign.printable.text }

    /// Appends a name from outside, made printable.
    package mutating func appendInterpolation(_ foreign: ExactText) {
      text += foreign.text.printable.text
    }

    /// Appends a number.
    package mutating func appendInterpolation(_ number: some BinaryInteger) {
      text += String(number)
    }

    /// Appends what is an output text already.
    package mutating func appendInterpolation(_ part: OutputText) { text += part.text }

    /// Appends a fault's line.
    package mutating func appendInterpolation(_ fault: Fault) { text += fault.line.text }
  }

  /// Joins two texts.
  package static func + (one: OutputText, other: OutputText) -> OutputText {
    OutputText(document: one.text + other.text)
  }

  /// Appends a text.
  package static func += (one: inout OutputText, other: OutputText) { one.text += other.text }
}

extension OutputText: CustomStringConvertible {
  /// The characters.
  package var description: String { text }
}

extension Sequence where Element == OutputText {
  /// The texts behind each other.
  package func joined(separator: OutputText = "") -> OutputText {
    OutputText(document: map(\.text).joined(separator: separator.text))
  }
}

extension String {
  /// The text as it may be printed: what does not show, or looks like a space, as `\u{…}` (`\n`,
  /// `\r` and `\t` as that), a backslash as `\\`, and the marks by which CI servers know commands
  /// broken up, so that a name can neither move a terminal's cursor nor speak to a server.
  ///
  /// Different texts of up to 500 characters stay different. A longer one keeps its beginning and
  /// its end; between them stand the number and the BLAKE3 hash of the characters left out.
  package var printable: OutputText {
    if isPlain { return OutputText(document: self) }
    let characters = unicodeScalars
    let count = characters.count
    guard count > Escape.longest else {
      return OutputText(document: Escape.visible(characters[...]))
    }
    let head = characters.prefix(Escape.head)
    let tail = characters.suffix(Escape.tail)
    var rest = String(characters[head.endIndex..<tail.startIndex])
    let hash = rest.withUTF8 { BLAKE3.hash(Array($0)).text.prefix(32) }
    return OutputText(
      document: Escape.visible(head) + "…[\(count - Escape.head - Escape.tail) characters, BLAKE3 "
        + "\(hash)]…" + Escape.visible(tail))
  }

  /// The text with all that `printable` escapes but backslashes, whatever its length: a line of a
  /// message that others have put together.
  package var printableLine: OutputText {
    OutputText(document: Escape.visible(unicodeScalars[...], doublesBackslash: false))
  }

  /// Whether the text is printable as it is, as nearly all names are.
  private var isPlain: Bool {
    guard utf8.count <= Escape.longest else { return false }
    var last: UInt8 = 0
    for byte in utf8 {
      guard (0x20..<0x7F).contains(byte), byte != UInt8(ascii: "\\") else { return false }
      if byte == last, Escape.isMark(Unicode.Scalar(byte)) { return false }
      last = byte
    }
    return true
  }
}

/// What is escaped, and how.
private enum Escape {
  /// Longest text that is shown whole, and what is shown of the others.
  static let (longest, head, tail) = (500, 300, 100)

  /// Twice in a row these begin commands of CI servers: `::error::`, `##[error]`, `##vso[…]`,
  /// `##teamcity[…]`.
  static func isMark(_ character: Unicode.Scalar) -> Bool { character == ":" || character == "#" }

  static func visible(
    _ characters: Substring.UnicodeScalarView, doublesBackslash: Bool = true
  ) -> String {
    var result = ""
    var place = characters.startIndex
    while place < characters.endIndex {
      let character = characters[place]
      place = characters.index(after: place)
      let isDoubled =
        isMark(character) && place < characters.endIndex && characters[place] == character
      switch character {
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\\" where doublesBackslash: result += "\\\\"
      case _ where isDoubled || character.hidesOrSpaces:
        result += "\\u{\(String(character.value, radix: 16))}"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}

extension Unicode.Scalar {
  /// Whether a reader cannot see the character, or would take it for the common space: controls,
  /// marks of direction, what has no width, what only programs among themselves know.
  package var hidesOrSpaces: Bool {
    if value < 0x7F { return value < 0x20 }
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
      .spaceSeparator:
      return true
    default:
      return properties.isDefaultIgnorableCodePoint || properties.isNoncharacterCodePoint
    }
  }
}
