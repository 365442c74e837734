import Patterns
import Platform
import Support
import Testing

/// Patterns mean what they mean to Hugging Face's tokenizers.
@Suite struct RegularExpressionTests {
  private func matches(
    _ pattern: String, _ text: String, pieces: [Range<Int>]? = nil, time: Duration = .seconds(60)
  ) throws -> [String] {
    let bytes = Array(text.utf8)
    var found: [String] = []
    var budget = MatchingBudget(bytes: bytes.count, time: time)
    try RegularExpression(pattern).forEachMatch(
      in: bytes, pieces: pieces ?? [0..<bytes.count], within: &budget
    ) {
      found.append(String(decoding: bytes[$1], as: UTF8.self))
    }
    return found
  }

  @Test(arguments: [
    (#"\p{N}{1,3}"#, "a1234½५Ⅷ", ["123", "4½५", "Ⅷ"]), (#"\s+(?!\S)"#, "a   b  ", ["  ", "  "]),
    ("[一-龥]+", "a深度b求", ["深度", "求"]), (#"[^\s\p{L}]+"#, "a.,b\u{a0}-é", [".,", "-"]),
    (#"[\p{Ll}&&[^a]]+"#, "abcaé", ["bc", "é"]), ("(?i:'s|'ll)", "a'S'LL", ["'S", "'LL"]),
    ("x*", "axb", ["", "x", ""]), ("", "é", ["", ""]), ("a", "", []), ("a*", "", [""]),
    (#"\s+$"#, "a \nb  ", [" ", "  "]), (#"e\u0301"#, "e\u{301}é", ["e\u{301}"]),
  ])
  func matchesAreFound(pattern: String, text: String, expected: [String]) throws {
    let found = try matches(pattern, text)
    #expect(found.map { Array($0.utf8) } == expected.map { Array($0.utf8) }, "\(found)")
  }

  @Test func piecesDoNotSeeEachOther() throws {
    #expect(try matches(#"\s+(?!\S)"#, "a  b", pieces: [0..<3, 3..<4]) == ["  "])
    #expect(try matches("^.", "abcd", pieces: [0..<2, 2..<2, 2..<4]) == ["a", "c"])
  }

  /// Unicode 16 has them, whatever the library's own tables have; those of 17 are not letters yet.
  @Test func categoriesAreThoseOfUnicode16() throws {
    let letters = ["\u{11F04}", "\u{2EBF0}", "\u{10D4A}", "\u{13460}"]
    for letter in letters {
      #expect(try matches(#"\p{L}"#, letter) == [letter])
      #expect(try matches(#"[^\p{L}]"#, letter) == [])
    }
    #expect(try matches(#"\p{L}|\p{Lo}"#, "\u{10940}") == [])
    #expect(try matches(#"\p{N}"#, "\u{10D40}") == ["\u{10D40}"])
    #expect(try matches(#"\p{M}\p{P}\p{S}"#, "\u{11F34}\u{11F43}\u{1FAE9}").count == 1)
  }

  @Test(arguments: ["(", "[a", "a{2,1}(?", #"\p{X}"#, "(?<n>", "a**?+\\"])
  func whatIsNoPatternIsRefused(pattern: String) {
    #expect(throws: Fault.self) { try RegularExpression(pattern) }
  }

  @Test func manySlowSearchesAreStopped() throws {
    let text = String(repeating: "a", count: 1000)
    #expect(try matches("a", text, time: .seconds(60)).count == 1000)
    let error = #expect(throws: Fault.self) { try matches("a", text, time: .seconds(-1)) }
    #expect("\(try #require(error))".contains("takes too long on a part of the text"))
  }

  @Test func aSearchWithoutEndIsStopped() throws {
    let error = #expect(throws: Fault.self) {
      try matches("(a|aa)+b", String(repeating: "a", count: 200))
    }
    #expect(error?.kind == .malformed && error?.offset == 0)
    #expect("\(try #require(error))".contains("takes too long on a part of the text"))
  }
}
