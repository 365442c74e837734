internal import Patterns
internal import Platform

/// What cuts a text into the pieces that byte pairs are merged within: the pre-tokenizers of
/// `tokenizer.json` that byte-level tokenizers use, in their order.
struct TextSplitting: Sendable {
  /// What becomes of the matches of a pattern.
  enum Behavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  /// One pre-tokenizer.
  enum Step: Sendable {
    /// Cuts at the matches of a pattern, or (inverted) at what lies between them.
    case split(RegularExpression, Behavior, inverted: Bool)
    /// Puts a space before each piece that does not begin with one.
    case spaceBefore
  }

  /// The steps in order.
  let steps: [Step]

  /// GPT-2's pattern, which `ByteLevel` has built in (Radford et al. 2019).
  static let gpt2 =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// Cuts the ranges of a text.
  ///
  /// - Parameter budget: what the patterns may take.
  /// - Returns: a text and ranges of it; the text is another one where spaces were put into it.
  func pieces(
    of text: [UInt8], _ ranges: [Range<Int>], within budget: inout MatchingBudget
  ) throws(Fault) -> (text: [UInt8], ranges: [Range<Int>]) {
    var (text, ranges) = (text, ranges)
    for step in steps {
      switch step {
      case .split(let expression, let behavior, let inverted):
        ranges = try TextSplitting.split(
          text, ranges, by: expression, behavior, inverted: inverted, within: &budget)
      case .spaceBefore: (text, ranges) = TextSplitting.spaced(text, ranges)
      }
    }
    return (text, ranges)
  }

  private static func split(
    _ text: [UInt8], _ ranges: [Range<Int>], by expression: RegularExpression,
    _ behavior: Behavior, inverted: Bool, within budget: inout MatchingBudget
  ) throws(Fault) -> [Range<Int>] {
    var result: [Range<Int>] = []
    result.reserveCapacity(ranges.count)
    var cuts: [Cut] = []
    var current = 0
    // Ends a piece, and passes over those without a match up to `piece`.
    func finish(upTo piece: Int) {
      while current < piece {
        let end = ranges[current].upperBound
        let start = cuts.last?.range.upperBound ?? ranges[current].lowerBound
        if start < end { cuts.append(Cut(range: start..<end, isMatch: inverted)) }
        behavior.join(cuts, into: &result)
        cuts.removeAll(keepingCapacity: true)
        current += 1
      }
    }
    try expression.forEachMatch(in: text, pieces: ranges, within: &budget) { piece, match in
      finish(upTo: piece)
      let start = cuts.last?.range.upperBound ?? ranges[piece].lowerBound
      if start < match.lowerBound {
        cuts.append(Cut(range: start..<match.lowerBound, isMatch: inverted))
      }
      cuts.append(Cut(range: match, isMatch: !inverted))
    }
    finish(upTo: ranges.count)
    return result
  }

  private static func spaced(
    _ text: [UInt8], _ ranges: [Range<Int>]
  ) -> (text: [UInt8], ranges: [Range<Int>]) {
    let space = UInt8(ascii: " ")
    var result: [UInt8] = []
    result.reserveCapacity(text.count + ranges.count)
    let moved = ranges.map { range in
      let start = result.count
      if text[range.lowerBound] != space { result.append(space) }
      result += text[range]
      return start..<result.count
    }
    return (result, moved)
  }
}

/// A match, or what lies between two.
private struct Cut {
  var range: Range<Int>
  let isMatch: Bool
}

extension TextSplitting.Behavior {
  /// Appends the pieces that the cuts of one piece become; none is empty.
  fileprivate func join(_ cuts: [Cut], into pieces: inout [Range<Int>]) {
    switch self {
    case .isolated:
      for cut in cuts where !cut.range.isEmpty { pieces.append(cut.range) }
    case .removed:
      for cut in cuts where !cut.isMatch && !cut.range.isEmpty { pieces.append(cut.range) }
    case .mergedWithPrevious:
      pieces += joined(cuts) { $1.isMatch && !$0 }.filter { !$0.isEmpty }
    case .mergedWithNext:
      pieces += joined(cuts.reversed()) { $1.isMatch && !$0 }.filter { !$0.isEmpty }.reversed()
    case .contiguous:
      pieces += joined(cuts) { $1.isMatch == $0 }.filter { !$0.isEmpty }
    }
  }

  /// Joins each cut to the one before it where `joins` says so of whether that was a match, and it.
  private func joined(_ cuts: [Cut], _ joins: (Bool, Cut) -> Bool) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var wasMatch = false
    for cut in cuts {
      if joins(wasMatch, cut), let last = pieces.popLast() {
        pieces.append(
          min(last.lowerBound, cut.range.lowerBound)..<max(last.upperBound, cut.range.upperBound))
      } else {
        pieces.append(cut.range)
      }
      wasMatch = cut.isMatch
    }
    return pieces
  }
}
