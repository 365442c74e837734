internal import Platform

/// The tokens of a `tiktoken.model` with their ranks, which are their ids too.
///
/// The file has a line for each token: its bytes in base64, a space, and its rank. Source:
/// `load_tiktoken_bpe` of tiktoken 0.14. That reads more loosely, and what it passes over in silence
/// (other characters in base64, the same token again) is refused here: such a file means two things.
struct TiktokenRanks: Sendable {
  /// What each rank stands for.
  let tokens: [[UInt8]]
  /// Ranks by their tokens.
  let ranks: [[UInt8]: Int32]
  /// Ranks in the order of the file's lines, which need not be theirs.
  let order: [Int32]

  /// Largest file that is read, in bytes; Kimi-K2's has three million.
  static let sizeLimit = 16 << 20
  /// Tokens that are read, as many as `tokenizer.json` may have; Kimi-K2 has 163,584.
  private static let countLimit = 400_000
  /// What looking for a token's parts may cost: the squares of the tokens' lengths, added up. Those
  /// of Qwen2's 151,643, the longest of which has 128 bytes, come to nine million.
  private static let workLimit = 1 << 29

  /// Reads a file's bytes.
  ///
  /// - Parameter file: the file, for messages.
  /// - Throws: `.malformed` for a line that is no token with its rank, a token or a rank that is
  ///   there twice, ranks with gaps, a byte that is no token, and for more than is read.
  init(_ bytes: [UInt8], file: String) throws(Fault) {
    var lines = TiktokenLines(bytes, file: file)
    var ranks: [[UInt8]: Int32] = [:]
    var rows: [(token: [UInt8], rank: Int32)] = []
    var work = 0
    while let line = try lines.next() {
      work += line.token.count * line.token.count
      guard rows.count < Self.countLimit, work <= Self.workLimit else {
        throw Fault(
          .malformed, "has too many tokens, or too long ones", file: file,
          expected:
            "at most \(Self.countLimit), and their lengths squared at most \(Self.workLimit)"
        )
      }
      guard ranks.updateValue(line.rank, forKey: line.token) == nil else {
        throw lines.fault("has a token that a line before has")
      }
      rows.append((line.token, line.rank))
    }
    tokens = try Self.tokens(rows, file: file)
    for byte in UInt8.min...UInt8.max where ranks[[byte]] == nil {
      throw TiktokenLines.advised(
        Fault(
          .malformed, "has no token for a byte", file: file,
          expected: "a token for each of the 256",
          found: "none for 0x" + String(byte, radix: 16)))
    }
    self.ranks = ranks
    order = rows.map(\.rank)
  }

  /// The tokens by their ranks, of which there is one for each number below their count.
  private static func tokens(
    _ rows: [(token: [UInt8], rank: Int32)], file: String
  ) throws(Fault) -> [[UInt8]] {
    var tokens = [[UInt8]](repeating: [], count: rows.count)
    for (token, rank) in rows {
      // Kimi's code numbers its special tokens from the count on.
      guard rank < tokens.count else {
        throw TiktokenLines.advised(
          Fault(
            .malformed, "has ranks with gaps", file: file,
            expected: "ranks from 0 to \(tokens.count - 1), one for each of its tokens",
            found: "\(rank)"))
      }
      guard tokens[Int(rank)].isEmpty else {
        throw TiktokenLines.advised(
          Fault(.malformed, "has a rank twice", file: file, found: "\(rank)"))
      }
      tokens[Int(rank)] = token
    }
    return tokens
  }
}

/// The lines of a `tiktoken.model`, one after the other.
private struct TiktokenLines {
  struct Line {
    let token: [UInt8]
    let rank: Int32
  }

  /// Ranks have to be numbers of tokens, and of those there are fewer.
  private static let rankDigits = 7

  private let bytes: [UInt8]
  private let file: String
  private var place = 0
  /// The line that was read last, and its number.
  private var line: ArraySlice<UInt8> = []
  private var number = 0

  init(_ bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// The next line that is not empty; nil at the end.
  mutating func next() throws(Fault) -> Line? {
    while place < bytes.count {
      let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
      line = bytes[place..<end]
      if line.last == UInt8(ascii: "\r") { line.removeLast() }
      place = end + 1
      number += 1
      if !line.isEmpty { return try parsed() }
    }
    return nil
  }

  private func parsed() throws(Fault) -> Line {
    guard let space = line.firstIndex(of: UInt8(ascii: " ")), space > line.startIndex,
      let rank = Self.number(line[(space + 1)...])
    else {
      throw fault("is no token with its rank", expected: "base64, a space and a number")
    }
    guard let token = Base64.decoded(line[..<space]) else {
      throw fault("has a token that is not in base64")
    }
    return Line(token: token, rank: rank)
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int32? {
    guard (1...rankDigits).contains(digits.count) else { return nil }
    var value: Int32 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + Int32(truncatingIfNeeded: digit - UInt8(ascii: "0"))
    }
    return value
  }

  /// A fault of the line that was read last.
  func fault(_ message: String, expected: String? = nil) -> Fault {
    Self.advised(
      Fault(
        .malformed, "line \(number) \(message)", file: file, expected: expected,
        found: String(decoding: line.prefix(80), as: UTF8.self)))
  }

  static func advised(_ fault: Fault) -> Fault {
    var fault = fault
    fault.advice =
      "download the file again; a pointer of Git LFS, which begins with \"version\", is not the file"
    return fault
  }
}
