import Testing

/// Numbers from files are held to a bound where they are read, and narrowed in words that say what
/// becomes of those that do not fit: `exactly`, `clamping`, `truncatingIfNeeded`.
///
/// A size, an offset or a count that a header states is at most `ModelBudget.fileBytes`, which makes
/// sums and small multiples of them safe wherever they are taken.
@Suite struct ArithmeticTests {
  /// Rooms that see numbers from files.
  static let rooms: Set<String> = [
    "Formats", "Models", "Tiles", "Conversion", "Passes", "Verification",
  ]

  /// Narrowing without a word, and why it cannot fail: the whole call as it stands there.
  private static let known: [String: String] = [
    "UInt8(min(significant.count, 255))": "at most 255",
    "UInt32(byte)": "a byte", "UInt32($1)": "a byte",
    "UInt32(chunkBytes)": "our own", "UInt32(parts.count)": "our own",
    "UInt32(GGUFShape.rankLimit)": "our own", "UInt32(extents.count)": "at most four",
    "UInt32(text, radix: 16)": "a text", "UInt32(digits, radix: 16)": "a text",
    "UInt32(String(rest[..<end]), radix: 16)": "a text",
    "UInt32(try unsigned(4))": "four bytes",
    "Int32(id)": "below Tokenizer.idLimit", "Int32(left)": "below Tokenizer.idLimit",
    "Int32(right)": "below Tokenizer.idLimit", "Int32(merged)": "below Tokenizer.idLimit",
    "Int32(rank)": "a merge in memory", "Int32(ids.count)": "a text in memory",
    "Int32(place)": "a text in memory", "Int32(child)": "a node in memory",
    "Int32(index)": "a tensor or token in memory",
    "Int32(next(Int(shorter[parent]), byte))": "a node",
    "Int32(tensor)": "a tensor in memory",
    "UInt32(stored)": "a chunk", "UInt32(end - ChunkPacker.headBytes)": "a chunk",
    "UInt32(largest)": "bits of a float", "UInt32(bytes[8 + $1])": "a byte",
    "UInt32(0)": "zero",
  ]

  /// The labels that say what happens.
  private static let labels = [
    "exactly:", "clamping:", "truncatingIfNeeded:", "bitPattern:", "littleEndian:", "ascii:",
  ]

  /// Calls of narrowing initializers in code, with their arguments.
  static func narrowings(_ code: String) -> [String] {
    code.ranges(of: #/\b(U?Int(8|16|32))\(/#).compactMap { range in
      var depth = 1
      let arguments = code[range.upperBound...]
      let end = arguments.indices.first { index in
        if arguments[index] == "(" { depth += 1 }
        if arguments[index] == ")" { depth -= 1 }
        return depth == 0
      }
      let argument = arguments[..<(end ?? arguments.endIndex)]
      let says = argument.isEmpty || labels.contains { argument.hasPrefix($0) }
      return says ? nil : "\(code[range])\(argument))"
    }
  }

  @Test func callsAreFound() {
    #expect(
      ArithmeticTests.narrowings("let a = UInt32(b + c(d)), e = Int16(exactly: f)")
        == ["UInt32(b + c(d))"])
    #expect(ArithmeticTests.narrowings("case UInt8(truncatingIfNeeded: x)") == [])
  }

  @Test(arguments: SourceTree.sources.filter { rooms.contains($0.room) })
  func narrowingSaysWhatBecomesOfTheRest(file: SourceFile) {
    // A call may go over several lines.
    let lines = file.lines.map { $0.drop { $0 == " " } }.filter { !$0.hasPrefix("//") }
    for call in ArithmeticTests.narrowings(lines.joined()) {
      #expect(
        ArithmeticTests.known[call] != nil,
        "\(file.path): \(call) stops the program for what does not fit: use a label")
    }
  }
}
