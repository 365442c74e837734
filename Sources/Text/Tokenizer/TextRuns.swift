/// Where Kimi's code cuts a text before it does anything else: each cut is the end of a piece, and of
/// a special token that it goes through.
///
/// Source: `encode` of `tokenization_kimi.py` (Kimi-K2), which is that of `tokenization_moonshot.py`
/// (Moonlight). Lengths are counted in characters, as Python counts them.
struct TextRuns: Sendable {
  /// `TIKTOKEN_MAX_ENCODE_CHARS`: what is encoded at once.
  let chunk: Int
  /// `MAX_NO_WHITESPACES_CHARS`: the longest run of white space, or of what is none.
  let run: Int

  static let kimi = TextRuns(chunk: 400_000, run: 25_000)

  /// The parts of a text; no part is empty.
  func parts(of text: [UInt8]) -> [Range<Int>] {
    // Fewer bytes than a run has characters are one part.
    guard text.count > run else { return text.isEmpty ? [] : [0..<text.count] }
    var parts: [Range<Int>] = []
    var (start, place) = (0, 0)
    var (total, length, isSpace) = (0, 0, false)
    while place < text.count {
      let (value, end) = Self.character(of: text, at: place)
      let isSpaceNow = Self.isSpace(value)
      let isChunkFull = total == chunk
      let isSame = total > 0 && !isChunkFull && isSpaceNow == isSpace
      length = isSame ? length + 1 : 1
      if isChunkFull || length > run {
        parts.append(start..<place)
        start = place
        length = 1
      }
      total = isChunkFull ? 1 : total + 1
      isSpace = isSpaceNow
      place = end
    }
    return parts + [start..<text.count]
  }

  /// `str.isspace` of Python 3.11 for one character: its bidirectional class is WS, B or S, or its
  /// category Zs. That is Unicode's white space and the four separators of ASCII.
  static func isSpace(_ value: UInt32) -> Bool {
    switch value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F,
      0x205F, 0x3000:
      true
    default: false
    }
  }

  /// A character of valid UTF-8 and where the next one begins.
  private static func character(of text: [UInt8], at place: Int) -> (value: UInt32, end: Int) {
    let first = UInt32(truncatingIfNeeded: text[place])
    if first < 0x80 { return (first, place + 1) }
    var (value, end) = (first & (first < 0xE0 ? 0x1F : first < 0xF0 ? 0x0F : 0x07), place + 1)
    while end < text.count, text[end] & 0xC0 == 0x80 {
      value = value << 6 | UInt32(truncatingIfNeeded: text[end] & 0x3F)
      end += 1
    }
    return (value, end)
  }
}
