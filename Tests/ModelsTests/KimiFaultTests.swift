import Models
import Platform
import Support
import Testing
import Text

/// Files of Kimi's tokenizer that are not as its code has them.
@Suite struct KimiFaultTests {
  /// A line for each byte.
  private static let lines = (0..<256).map { KimiFaultTests.line([UInt8($0)], $0) }

  private static func line(_ bytes: [UInt8], _ rank: Int) -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let part = bytes[start..<min(start + 3, bytes.count)]
      let bits = part.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - part.count))
      for place in 0..<4 {
        text.append(place <= part.count ? letters[bits >> (18 - 6 * place) & 63] : "=")
      }
    }
    return "\(text) \(rank)"
  }

  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "no fault"
    } catch { return "\(error)" }
  }

  private func tokenizer(
    _ text: String, _ settings: JSONValue? = .object(["added_tokens_decoder": .object([:])])
  ) throws -> Tokenizer {
    try Tokenizer(
      KimiTokenizerFiles(
        ranks: Array(text.utf8), settings: settings, template: nil, folder: "model"))
  }

  @Test func bytesAloneAreAVocabulary() throws {
    let text = KimiFaultTests.lines.joined(separator: "\n")
    for ending in ["", "\n", "\n\n"] {
      #expect(
        try tokenizer(text + ending).encode("aé", addingSpecialTokens: true) == [97, 195, 169])
    }
    let windows = KimiFaultTests.lines.shuffled().joined(separator: "\r\n")
    #expect(try tokenizer(windows).encode("aé", addingSpecialTokens: true) == [97, 195, 169])
  }

  static let badLines = [
    ("YWI=", "line 257 is no token with its rank"),
    (" 256", "line 257 is no token with its rank"),
    ("YWI= ", "line 257 is no token with its rank"),
    ("YWI=  256", "line 257 is no token with its rank"),
    ("YWI=\t256", "line 257 is no token with its rank"),
    ("YWI= 256 1", "line 257 is no token with its rank"),
    ("YWI= -1", "line 257 is no token with its rank"),
    ("YWI= 25x", "line 257 is no token with its rank"),
    ("YWI= 99999999", "line 257 is no token with its rank"),
    ("YWI 256", "line 257 has a token that is not in base64"),
    ("YWJj= 256", "line 257 has a token that is not in base64"),
    ("YW== 256", "line 257 has a token that is not in base64"),
    ("Y=== 256", "line 257 has a token that is not in base64"),
    ("==== 256", "line 257 has a token that is not in base64"),
    ("YWJ_ 256", "line 257 has a token that is not in base64"),
    ("YWJ= 256", "line 257 has a token that is not in base64"),
    ("YW=I 256", "line 257 has a token that is not in base64"),
    ("YQ== 256", "line 257 has a token that a line before has"),
    ("YWI= 255", "has a rank twice: found 255"),
    ("YWI= 257", "has ranks with gaps: expected ranks from 0 to 256"),
    ("YWI= 256\nYWJj 258", "has ranks with gaps: expected ranks from 0 to 257"),
    ("version https://git-lfs.github.com/spec/v1", "line 257 is no token with its rank"),
  ]

  @Test(arguments: badLines)
  func linesAreChecked(line: String, expected: String) {
    let text = (KimiFaultTests.lines + [line, ""]).joined(separator: "\n")
    let found = message { _ = try tokenizer(text) }
    #expect(found.hasPrefix("model/tiktoken.model: ") && found.contains(expected), "\(found)")
  }

  @Test func aFaultSaysWhatToDo() {
    let fault = #expect(throws: Fault.self) { try tokenizer("version https") }
    #expect(fault?.advice?.contains("download the file again") == true)
  }

  @Test func everyByteNeedsAToken() {
    let lines = KimiFaultTests.lines.enumerated().map {
      $0.offset == 7 ? KimiFaultTests.line([7, 7], 7) : $0.element
    }
    let found = message { _ = try tokenizer(lines.joined(separator: "\n")) }
    #expect(found.contains("has no token for a byte") && found.contains("0x7"), "\(found)")
    #expect(message { _ = try tokenizer("") }.contains("has no token for a byte"))
  }

  /// Each cut of a token is looked up: without a bound, few long tokens would take hours.
  @Test func longTokensAreBounded() {
    let long = (0..<3).map {
      KimiFaultTests.line([UInt8](repeating: 97, count: 20_000 + $0), 256 + $0)
    }
    let found = message {
      _ = try tokenizer((KimiFaultTests.lines + long).joined(separator: "\n"))
    }
    #expect(found.contains("has too many tokens, or too long ones"), "\(found)")
  }

  static let badSettings: [(settings: String, expected: String)] = [
    ("{}", "does not say what the special tokens of tiktoken.model are"),
    (#"{"added_tokens_decoder":[]}"#, "does not say what the special tokens"),
    (#"{"added_tokens_decoder":{"255":{"content":"x"}}}"#, "expected an id from 256"),
    (#"{"added_tokens_decoder":{"514":{"content":"x"}}}"#, "to 513, found 514"),
    (#"{"added_tokens_decoder":{"0256":{"content":"x"}}}"#, ", found 0256"),
    (#"{"added_tokens_decoder":{"x":{"content":"x"}}}"#, ", found x"),
    (#"{"added_tokens_decoder":{"256":{}}}"#, "has a special token without content: found 256"),
    (#"{"added_tokens_decoder":{"256":{"content":""}}}"#, "without content"),
    (
      #"{"added_tokens_decoder":{"256":{"content":"x"},"300":{"content":"x"}}}"#,
      "has a special token twice: found x"
    ),
    (
      #"{"added_tokens_decoder":{"256":{"content":"<|reserved_token_257|>"}}}"#,
      "has a special token twice: found <|reserved_token_257|>"
    ),
    (
      #"{"tokenizer_class":"QWenTokenizer","added_tokens_decoder":{}}"#,
      "a tokenizer of tiktoken.model that is not Kimi's"
    ),
  ]

  @Test(arguments: badSettings)
  func settingsAreChecked(settings: String, expected: String) throws {
    let settings = try JSONValue(parsing: Array(settings.utf8), file: "test")
    let found = message {
      _ = try tokenizer(KimiFaultTests.lines.joined(separator: "\n"), settings)
    }
    #expect(
      found.hasPrefix("model/tokenizer_config.json: ") && found.contains(expected), "\(found)")
  }

  @Test func settingsHaveToBeThere() {
    let fault = #expect(throws: Fault.self) {
      try tokenizer(KimiFaultTests.lines.joined(separator: "\n"), nil)
    }
    #expect(fault?.kind == .notFound && fault?.file == "model/tokenizer_config.json")
  }
}
