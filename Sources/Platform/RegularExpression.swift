internal import COniguruma

/// A regular expression with Oniguruma's syntax and meaning, over UTF-8.
///
/// Hugging Face's tokenizers match with this library, so that what splits a text here is what
/// splits it there, lookahead and class intersections included. The library's tables of Unicode
/// categories are as old as the system's copy of it; those of the standard library stand in for
/// them, cut back to the version that tokenizers has.
public final class RegularExpression: Sendable {
  /// Longest pattern, in bytes; those of tokenizers have some hundred.
  private static let patternLimit = 1 << 16
  /// Backtracking steps of one search. A search of a text of n bytes needs some n; what needs more
  /// than this has no end in sight.
  private static let stepLimit: UInt = 100_000_000
  /// Places to go back to, at some 32 bytes each: a run of letters without end needs one per letter.
  private static let stackLimit: UInt32 = 16_000_000
  // Read alone once made: searches keep their state in a region and parameters of their own.
  private nonisolated(unsafe) let regex: OnigRegex

  /// Compiles a pattern.
  ///
  /// - Throws: `.malformed` with the library's reason.
  public init(_ pattern: String) throws(Fault) {
    guard RegularExpression.isReady else {
      throw Fault(.inputOutput, "the regular expressions' library cannot be set up")
    }
    let bytes = Array(pattern.utf8)
    guard bytes.count <= RegularExpression.patternLimit else {
      throw Fault(
        .malformed, "has a regular expression that is too long",
        expected: "at most \(RegularExpression.patternLimit) bytes", found: "\(bytes.count)")
    }
    var made: OnigRegex?
    // The message may name a part of the pattern, which has to be there still.
    let message: String? = bytes.withUnsafeBufferPointer { buffer in
      var info = OnigErrorInfo()
      let code = fathom_onig_new(
        &made, buffer.baseAddress, buffer.baseAddress.map { $0 + buffer.count }, &info)
      return code == ONIG_NORMAL ? nil : RegularExpression.message(code, &info)
    }
    guard message == nil, let made else {
      throw Fault(
        .malformed, "has a regular expression that cannot be used: \(message ?? "no memory")",
        found: pattern)
    }
    regex = made
  }

  deinit { onig_free(regex) }

  /// Finds the matches in each piece of a text, one after the other, as if each piece were a text
  /// of its own.
  ///
  /// - Parameters:
  ///   - text: bytes that are valid UTF-8.
  ///   - pieces: ranges of it that begin and end between characters.
  ///   - deadline: when to give up, for patterns that cost a little too much at every byte.
  ///   - body: gets the piece's place in `pieces` and the range of a match in `text`. A match
  ///     without characters is not reported where it follows on the match before.
  /// - Throws: `.malformed` where a search takes more steps, memory or time than can be meant.
  public func forEachMatch(
    in text: [UInt8], pieces: [Range<Int>], until deadline: ContinuousClock.Instant,
    _ body: (_ piece: Int, _ match: Range<Int>) -> Void
  ) throws(Fault) {
    guard let parameters = onig_new_match_param(), let region = onig_region_new() else {
      throw Fault(.inputOutput, "there is no memory for a regular expression")
    }
    defer {
      onig_free_match_param(parameters)
      onig_region_free(region, 1)
    }
    onig_initialize_match_param(parameters)
    onig_set_match_stack_limit_size_of_match_param(parameters, RegularExpression.stackLimit)
    onig_set_retry_limit_in_match_of_match_param(parameters, RegularExpression.stepLimit)
    onig_set_retry_limit_in_search_of_match_param(parameters, RegularExpression.stepLimit)
    var searches = 0
    try text.withUnsafeBufferPointer { buffer throws(Fault) in
      guard let start = buffer.baseAddress else { return }
      for (index, piece) in pieces.enumerated() {
        var position = piece.lowerBound
        var lastEnd: Int?
        while position <= piece.upperBound {
          let code = onig_search_with_param(
            regex, start + piece.lowerBound, start + piece.upperBound, start + position,
            start + piece.upperBound, region, ONIG_OPTION_NONE, parameters)
          if code == ONIG_MISMATCH { break }
          searches += 1
          if searches % 256 == 0 || code < 0, ContinuousClock.now > deadline {
            throw RegularExpression.excess("time", piece)
          }
          guard code >= 0 else {
            var info = OnigErrorInfo()
            throw RegularExpression.excess(RegularExpression.message(code, &info), piece)
          }
          let match =
            piece.lowerBound + Int(region.pointee.beg[0])..<piece.lowerBound
            + Int(region.pointee.end[0])
          if match.isEmpty, match.lowerBound == lastEnd {
            position += RegularExpression.width(of: text, at: position)
            continue
          }
          body(index, match)
          position = match.upperBound
          lastEnd = position
        }
      }
    }
  }

  /// Bytes of the character that begins at `position`; 1 at the end of the text.
  private static func width(of text: [UInt8], at position: Int) -> Int {
    var end = position + 1
    while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
    return end - position
  }

  private static func excess(_ reason: String, _ piece: Range<Int>) -> Fault {
    Fault(
      .malformed, "a regular expression takes too long on a part of the text",
      offset: UInt64(piece.lowerBound), found: reason)
  }

  private static func message(_ code: Int32, _ info: inout OnigErrorInfo) -> String {
    var text = [UInt8](repeating: 0, count: Int(ONIG_MAX_ERROR_MESSAGE_LEN) + 1)
    let count = fathom_onig_message(&text, code, &info)
    return String(decoding: text.prefix(Int(count)), as: UTF8.self)
  }
}

extension RegularExpression {
  /// The version of Unicode whose characters have categories: that of Oniguruma 6.9.10, which
  /// tokenizers 0.23 is built with.
  private static let unicodeVersion = (major: 16, minor: 0)

  /// Names of categories and the general categories that each stands for. The library takes at most
  /// twenty tables; other names, `\w` and `\d` have its own, which differ in characters that are
  /// newer than the library.
  private static let categories: [(name: String, members: Set<Unicode.GeneralCategory>)] = [
    ("L", letters), ("Lu", [.uppercaseLetter]), ("Ll", [.lowercaseLetter]),
    ("Lt", [.titlecaseLetter]), ("Lm", [.modifierLetter]), ("Lo", [.otherLetter]),
    ("M", [.nonspacingMark, .spacingMark, .enclosingMark]), ("Mn", [.nonspacingMark]),
    ("Mc", [.spacingMark]), ("Me", [.enclosingMark]),
    ("N", [.decimalNumber, .letterNumber, .otherNumber]), ("Nd", [.decimalNumber]),
    ("Nl", [.letterNumber]), ("No", [.otherNumber]), ("P", punctuation),
    ("S", [.mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol]),
    ("Sm", [.mathSymbol]), ("Sc", [.currencySymbol]), ("Sk", [.modifierSymbol]),
    ("So", [.otherSymbol]),
  ]
  private static let letters: Set<Unicode.GeneralCategory> = [
    .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
  ]
  private static let punctuation: Set<Unicode.GeneralCategory> = [
    .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
    .initialPunctuation, .finalPunctuation, .otherPunctuation,
  ]

  /// Sets the library up, once; whether that worked.
  private static let isReady: Bool = {
    guard fathom_onig_initialize() == ONIG_NORMAL else { return false }
    // A pattern nested deeper than this is no tokenizer's.
    onig_set_parse_depth_limit(200)
    var ranges = [[(OnigCodePoint, OnigCodePoint)]](repeating: [], count: categories.count)
    // Beyond lie private use and, but for tags and selectors, no characters at all.
    for value in Array(0..<UInt32(0x4_0000)) + Array(0xE_0000..<0xE_1000) {
      guard let scalar = Unicode.Scalar(value), scalar.isKnown(in: unicodeVersion) else { continue }
      let category = scalar.properties.generalCategory
      for (index, row) in categories.enumerated() where row.members.contains(category) {
        if let last = ranges[index].last, last.1 + 1 == value {
          ranges[index][ranges[index].count - 1].1 = value
        } else {
          ranges[index].append((value, value))
        }
      }
    }
    for (row, found) in zip(categories, ranges) {
      // The library keeps the table for as long as the process runs.
      let table = UnsafeMutablePointer<OnigCodePoint>.allocate(capacity: 1 + 2 * found.count)
      table[0] = OnigCodePoint(found.count)
      for (index, range) in found.enumerated() {
        (table[1 + 2 * index], table[2 + 2 * index]) = range
      }
      guard onig_unicode_define_user_property(row.name, table) == ONIG_NORMAL else { return false }
    }
    return true
  }()
}

extension Unicode.Scalar {
  /// Whether a version of Unicode has the character.
  fileprivate func isKnown(in version: (major: Int, minor: Int)) -> Bool {
    guard let age = properties.age else { return false }
    return age.major < version.major || age.major == version.major && age.minor <= version.minor
  }
}
