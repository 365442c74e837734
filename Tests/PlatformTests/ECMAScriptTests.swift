import Patterns
import Platform
import Testing

/// Patterns of `std::regex` mean what they mean to `std::regex_search` of libstdc++ 12, whose answers
/// these are.
@Suite struct ECMAScriptTests {
  private static let names = [
    "blk.3.ffn_down_exps.weight", "blk.12.attn_q_a.weight", "output.weight", "token_embd.weight",
    "blk.0.attn_kv_b.weight",
  ]

  private func search(_ pattern: String, _ text: String, steps: Int = 100_000) throws -> Bool {
    var steps = steps
    return try RegularExpression(ecmaScript: pattern).matches(within: text, steps: &steps)
  }

  /// A pattern, and a digit for each name: 1 where it is found.
  @Test(arguments: [
    ("ffn_down", "10000"), ("^blk", "11001"), ("^ffn", "00000"), ("weight$", "11111"),
    ("down$", "00000"), (#"^output\.weight$"#, "00100"), ("FFN", "00000"),
    ("blk.[0-3].", "11001"), (#"blk\.(3|12)\."#, "11000"), (#"blk\.([0-9]|1[0-1])\."#, "10001"),
    ("(attn|ffn)_(q|down)_?", "11000"), ("(a|b|t)+n", "01001"), ("(t+)+n", "01001"),
    (#"(b|bl)(k|lk)\."#, "11001"), ("a||z", "11111"), ("()", "11111"), ("x*", "11111"),
    (#"\d\d"#, "01000"), (#"\d+\.a"#, "01001"), (#"^blk\.\d{2}\."#, "01000"), (#"\d{3}"#, "00000"),
    (#"blk\.\d{1,2}?\.ffn"#, "10000"), (".*?exps", "10000"), ("a.*?b$", "00000"),
    ("o?u*t+p", "00100"), ("a{0}ttn", "01001"), ("e{2}", "00000"), (#".\..\."#, "10001"),
    (#"(?:blk|output)\.[^0-9]"#, "00100"), ("[[:digit:]]{2}", "01000"),
    ("[[:alpha:]_]+_exps", "10000"), (#"[\w.]+\.weight"#, "11111"), (#"[^\w.]"#, "00000"),
    (#"[\d-]\."#, "11001"), ("[a-]t", "01001"), ("[_-]q", "01000"), ("[]", "00000"),
    ("[^]$", "11111"), (#"\bffn"#, "10000"), (#"\bdown"#, "00000"), (#"n_\B"#, "11011"),
    ("(?=.*exps)blk", "10000"), ("^(?!blk)", "00110"), ("^(?!.*(exps|attn))", "00110"),
    (#"\x66\u0066n"#, "10000"), (#"\_exps"#, "10000"),
  ])
  func namesAreFound(pattern: String, expected: String) throws {
    let found = try ECMAScriptTests.names.map { try search(pattern, $0) ? "1" : "0" }
    #expect(found.joined() == expected)
  }

  @Test(arguments: [
    ("a{2}+b", "aaaab", true), ("a*+a", "aaa", true), ("^a**$", "aaa", true),
    ("a.b", "a\nb", false),
    ("a.b", "a\rb", false), ("a$", "a\n", false), (#"[\b]"#, "\u{8}", true), ("[&&a]", "&", true),
    ("[[a]", "[", true), ("]}", "]}", true), (#"\p"#, "p", true), (#"\s"#, "\u{a0}", false),
    (#"\w"#, "é", false), (#"\d"#, "५", false), (#"[^a-c\W]"#, "b.d", true), ("", "", true),
    (#"\D\S\W"#, "a-.", true), ("[+--]", ",", true), ("[a-c-e]", "-", true),
  ])
  func textsAreFound(pattern: String, text: String, expected: Bool) throws {
    #expect(try search(pattern, text) == expected)
  }

  /// A pattern that is none, or not supported, and the byte at which that shows.
  @Test(arguments: [
    ("(", 1), (")", 0), ("é)", 2), ("[a", 2), ("*a", 0), ("a|*", 2), ("(?i)a", 1), ("(?<x>a)", 1),
    ("(?<=a)b", 1), (#"(a)\1"#, 3), (#"\ca"#, 0), (#"\x6"#, 2), (#"\u12"#, 2), ("a{", 2),
    ("a{x}", 2), ("a{,3}", 2), ("a{3,2}", 6), ("a{2", 3), ("a{1001}", 7), ("^*", 1), ("(?=a)*", 5),
    ("[z-a]", 4), (#"[\d-z]"#, 3), (#"[a-\d]"#, 5), ("[[:nothing:]]", 3), ("[[.a.]]", 1),
    ("[[=a=]]", 1), ("a\\", 2), (#"[\B]"#, 2), (String(repeating: "(", count: 101), 100),
  ])
  func whatIsNoPatternIsRefused(pattern: String, offset: Int) throws {
    let fault = try #require(throws: Fault.self) { try RegularExpression(ecmaScript: pattern) }
    #expect(fault.kind == .malformed && fault.found == pattern)
    #expect(fault.offset == UInt64(offset), "\(fault)")
  }

  @Test func aSearchWithoutEndIsStopped() throws {
    let fault = try #require(throws: Fault.self) {
      try search("(a|aa)+b", String(repeating: "a", count: 200))
    }
    #expect("\(fault)".contains("takes too long"))
  }
}
