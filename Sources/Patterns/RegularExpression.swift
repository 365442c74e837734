package import Platform

/// What all searches in a text may take together, so that a pattern cannot have a program work for
/// ever.
package struct MatchingBudget: Sendable {
  /// Steps beside those for each byte.
  private static let stepLimit = 2_000_000
  private static let stepsPerByte = 2000

  fileprivate var steps: Int
  fileprivate let deadline: ContinuousClock.Instant

  /// So many steps and no limit of time.
  package init(steps: Int) {
    self.steps = steps
    deadline = .now + .seconds(3600)
  }

  /// Patterns that are meant for tokenizers take a tenth of a second per megabyte, and some hundred
  /// steps per byte.
  ///
  /// - Parameters:
  ///   - bytes: length of the text.
  ///   - time: when to give up beside the steps; nil for a minute and two seconds per megabyte.
  package init(bytes: Int, time: Duration? = nil) {
    let (more, overflow) = bytes.multipliedReportingOverflow(by: MatchingBudget.stepsPerByte)
    steps = MatchingBudget.stepLimit + (overflow ? Int.max / 2 : min(more, Int.max / 2))
    deadline = .now + (time ?? .seconds(60 + 2 * (bytes >> 20)))
  }
}

/// A regular expression in the syntax and meaning that Hugging Face's tokenizers give it, which is
/// Oniguruma's for Ruby, over UTF-8.
///
/// The standard library's own expressions cannot be bounded, and a pattern from the internet may
/// have no end; these count their steps. Sets, lookahead and repetitions are what tokenizers need;
/// what is refused says so.
package final class RegularExpression: Sendable {
  /// Longest pattern, in bytes; those of tokenizers have some hundred.
  private static let patternLimit = 1 << 16
  private let program: PatternProgram

  /// Compiles a pattern.
  ///
  /// - Throws: `.malformed` with the reason.
  package convenience init(_ pattern: String) throws(Fault) {
    try self.init(pattern, parse: PatternParser.parse)
  }

  /// Compiles a pattern that was written for Python's `re` module.
  ///
  /// - Throws: `.malformed` with the reason, also for look-behind, back references and conditions.
  package convenience init(python pattern: String) throws(Fault) {
    try self.init(pattern) { (pattern) throws(PatternParser.Refusal) in
      try PatternParser.parse(PythonPattern.translated(pattern))
    }
  }

  /// Compiles a pattern that was written for C++'s `std::regex`; `ECMAScriptParser` says what
  /// differs.
  ///
  /// - Throws: `.malformed` with the reason and the byte of the pattern.
  package convenience init(ecmaScript pattern: String) throws(Fault) {
    try self.init(pattern, parse: ECMAScriptParser.parse)
  }

  private init(
    _ pattern: String, parse: (String) throws(PatternParser.Refusal) -> Pattern
  ) throws(Fault) {
    let size = pattern.utf8.count
    guard size <= RegularExpression.patternLimit else {
      throw Fault(
        .malformed, "has a regular expression that is too long",
        expected: "at most \(RegularExpression.patternLimit) bytes", found: "\(size)")
    }
    do throws(PatternParser.Refusal) {
      program = try PatternProgram(parse(pattern))
    } catch {
      throw Fault(
        .malformed, "has a regular expression that cannot be used: \(error.reason)",
        offset: error.offset.map { UInt64($0) }, found: pattern)
    }
  }

  /// Whether a match begins where the text begins, as Python's `re.match` asks.
  ///
  /// - Parameter steps: how many may be taken; those that were are subtracted.
  /// - Throws: `.malformed` where that is not enough.
  package func matches(startOf text: String, steps: inout Int) throws(Fault) -> Bool {
    try matches(text, untilStart: 0, steps: &steps)
  }

  /// Whether a match begins anywhere in the text, as `std::regex_search` asks.
  ///
  /// - Parameter steps: how many may be taken; those that were are subtracted.
  /// - Throws: `.malformed` where that is not enough.
  package func matches(within text: String, steps: inout Int) throws(Fault) -> Bool {
    try matches(text, untilStart: text.utf8.count, steps: &steps)
  }

  /// Whether a match begins at a place up to `last`.
  private func matches(
    _ text: String, untilStart last: Int, steps: inout Int
  ) throws(Fault) -> Bool {
    let bytes = Array(text.utf8)
    return try bytes.withUnsafeBufferPointer { buffer throws(Fault) in
      var machine = PatternMachine(program, buffer, 0..<bytes.count, steps: steps)
      defer { steps = machine.left }
      do throws(PatternMachine.Excess) {
        var position = 0
        while position <= last {
          if try machine.match(at: position) != nil { return true }
          position += RegularExpression.width(of: bytes, at: position)
        }
        return false
      } catch {
        throw RegularExpression.excess(error.rawValue, 0..<bytes.count)
      }
    }
  }

  /// Finds the matches in each piece of a text, one after the other, as if each piece were a text
  /// of its own.
  ///
  /// - Parameters:
  ///   - text: bytes that are valid UTF-8.
  ///   - pieces: ranges of it that begin and end between characters.
  ///   - budget: what this and other searches in the text may take.
  ///   - body: gets the piece's place in `pieces` and the range of a match in `text`. A match
  ///     without characters is not reported where it follows on the match before.
  /// - Throws: `.malformed` where a search takes more steps, memory or time than can be meant.
  package func forEachMatch(
    in text: [UInt8], pieces: [Range<Int>], within budget: inout MatchingBudget,
    _ body: (_ piece: Int, _ match: Range<Int>) -> Void
  ) throws(Fault) {
    try text.withUnsafeBufferPointer { buffer throws(Fault) in
      var searches = 0
      for (index, piece) in pieces.enumerated() {
        var machine = PatternMachine(program, buffer, piece, steps: budget.steps)
        defer { budget.steps = machine.left }
        var position = piece.lowerBound
        var lastEnd: Int?
        while position <= piece.upperBound {
          searches += 1
          if searches % 256 == 0, ContinuousClock.now > budget.deadline {
            throw RegularExpression.excess("time", piece)
          }
          let end: Int?
          do throws(PatternMachine.Excess) {
            end = try machine.match(at: position)
          } catch {
            throw RegularExpression.excess(error.rawValue, piece)
          }
          guard let end, end > position || position != lastEnd else {
            position += RegularExpression.width(of: text, at: position)
            continue
          }
          body(index, position..<end)
          lastEnd = end
          // A match without characters is followed by the next search one character on.
          position = end
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
}
