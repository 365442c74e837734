import Models
import Platform
import Support
import Tensors
import Testing
import Text

/// What a broken or hostile tokenizer is told.
@Suite struct TokenizerFaultTests {
  /// The message of the fault that something throws.
  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "no fault"
    } catch let fault as Fault {
      #expect(fault.kind == .malformed)
      return "\(fault)"
    } catch {
      return "another error"
    }
  }

  private func message(_ changes: [String: JSONValue?]) -> String {
    message { _ = try TokenizerFixture.tokenizer(changes) }
  }

  private func object(_ members: [String: JSONValue]) -> JSONValue {
    var object = JSONObject()
    for (key, value) in members { object[key] = value }
    return .object(object)
  }

  private func splitting(_ rows: JSONValue...) -> [String: JSONValue?] {
    let last = object(["type": .string("ByteLevel"), "add_prefix_space": .bool(false)])
    return [
      "pre_tokenizer": object([
        "type": .string("Sequence"), "pretokenizers": .array(rows + [last]),
      ])
    ]
  }

  private func split(_ pattern: String) -> JSONValue {
    object([
      "type": .string("Split"), "pattern": object(["Regex": .string(pattern)]),
      "behavior": .string("Isolated"),
    ])
  }

  @Test func whatIsNotSupportedIsRefused() throws {
    let nfc = object(["type": .string("NFC")])
    #expect(
      message(["normalizer": nfc])
        == "model/tokenizer.json: has a normalizer, which is not supported: expected none, found \"NFC\""
    )
    #expect(message(["pre_tokenizer": nil]).contains("pre-tokenizer that is not byte-level"))
    #expect(
      message(splitting(object(["type": .string("Metaspace")])))
        .contains("pre-tokenizer that is not supported"))
    #expect(message(["post_processor": nfc]).contains("post-processor that is not supported"))
    let settings: [String: JSONValue] = [
      "dropout": .number(0.1), "byte_fallback": .bool(true),
      "continuing_subword_prefix": .string("##"), "end_of_word_suffix": .string("</w>"),
    ]
    for (name, value) in settings {
      let text = message(["model": try TokenizerFixture.model([name: value])])
      #expect(text.contains("setting of BPE that is not supported") && text.contains(name))
    }
    let unigram = try TokenizerFixture.model(["type": .string("Unigram")])
    #expect(message(["model": unigram]).contains("is no BPE tokenizer"))
  }

  @Test(arguments: [
    (JSONValue.integer(-1), "an id from 0 to 16777215"),
    (.integer(1 << 40), "an id from 0 to 16777215"), (.string("1"), "an id from 0 to 16777215"),
    (.integer(7), "has two tokens with one id: found 7"),
  ])
  func idsAreChecked(id: JSONValue, message expected: String) throws {
    let model = try TokenizerFixture.model(["vocab": TokenizerFixture.vocabulary(["new": id])])
    #expect(message(["model": model]).contains(expected), "\(message(["model": model]))")
  }

  @Test(arguments: [
    ("[[\"a\",\"zz\"]]", "merge 0 names what is no token"),
    ("[\"a b\",\"zz a\"]", "merge 1 names what is no token"),
    ("[\"a b c\"]", "a merge that is no pair: found a b c"),
    ("[\"ab\"]", "a merge that is no pair"),
    ("[[\"a\"]]", "a merge that is no pair"), ("[1]", "a merge that is no pair"),
  ])
  func mergesAreChecked(merges: String, expected: String) throws {
    let merges = try JSONValue(parsing: Array(merges.utf8), file: "test")
    let model = try TokenizerFixture.model(["merges": merges])
    #expect(message(["model": model]).contains(expected), "\(message(["model": model]))")
  }

  @Test func addedTokensAreChecked() throws {
    let tokens = try TokenizerFixture.json("tokenizer.json")["added_tokens"]?.list ?? []
    func added(_ id: Int, _ text: String) -> [String: JSONValue?] {
      [
        "added_tokens": .array(
          tokens + [object(["id": .integer(id), "content": .string(text)])])
      ]
    }
    #expect(message(added(900, "<new>")) == "no fault")
    #expect(message(added(901, "<new>")).contains("id Hugging Face's tokenizers change"))
    #expect(message(added(5, "<new>")).contains("expected 900, found 5"))
    #expect(message(added(0, "<|begin|>")).contains("has an added token twice"))
    #expect(message(added(900, "")).contains("an added token without id or content"))
    #expect(
      message(added(900, String(repeating: "a", count: 513))).contains("expected at most 512 bytes")
    )
    #expect(message(["added_tokens": .integer(1)]).contains("added_tokens that are no list"))
    let long = String(repeating: "a", count: 500)
    let many = (900..<3000).map { id in
      object(["id": .integer(id), "content": .string("\(long)\(id)")])
    }
    #expect(message(["added_tokens": .array(tokens + many)]).contains("too many added tokens"))
  }

  @Test func templatesAreChecked() throws {
    let token = try JSONValue(
      parsing: Array(#"{"SpecialToken":{"id":"x","type_id":0}}"#.utf8), file: "test")
    let text = try JSONValue(
      parsing: Array(#"{"Sequence":{"id":"A","type_id":0}}"#.utf8), file: "test")
    func template(_ pieces: [JSONValue], id: Int = 0) -> [String: JSONValue?] {
      let known = object(["ids": .array([.integer(id)])])
      return [
        "post_processor": object([
          "type": .string("TemplateProcessing"), "single": .array(pieces),
          "special_tokens": object(["x": known]),
        ])
      ]
    }
    #expect(message(template([token, text])) == "no fault")
    #expect(message(template([token, text], id: 5000)).contains("an id that is no token"))
    #expect(message(template([token])).contains("not for one text"))
    #expect(message(template([.null, text])).contains("a piece that is no token"))
    let many = [JSONValue](repeating: token, count: 256)
    #expect(message(template(many + [text])) == "no fault")
    #expect(message(template(many + [text, token])).contains("too many tokens around every text"))
  }

  @Test(arguments: [
    ("[", "regular expression that cannot be used"),
    ("(", "regular expression that cannot be used"),
    (String(repeating: "(", count: 5000), "regular expression that cannot be used"),
    (String(repeating: "a", count: 70_000), "regular expression that is too long"),
    (#"\p{Nonsense}"#, "a property Nonsense that is not known"),
  ])
  func patternsAreChecked(pattern: String, expected: String) throws {
    let text = message(splitting(split(pattern)))
    #expect(text.hasPrefix("model/tokenizer.json: ") && text.contains(expected), "\(text)")
  }

  @Test(arguments: ["(a+)+$", "(a|aa)+$", "(?:a*)*b", "(.*)*x", #"(?:a?b?)*+c|(a*a*)+b"#])
  func aPatternWithoutEndIsStopped(pattern: String) throws {
    let tokenizer = try TokenizerFixture.tokenizer(splitting(split(pattern)))
    let text = message {
      _ = try tokenizer.encode(
        String(repeating: "a", count: 3000) + "!", addingSpecialTokens: false)
    }
    #expect(text == "no fault" || text.contains("takes too long on a part of the text"), "\(text)")
  }

  @Test func aByteWithoutATokenIsNamed() throws {
    guard case .object(var words) = try TokenizerFixture.vocabulary([:]) else { return }
    // Merges that need it go with it.
    words["z"] = nil
    let model = try TokenizerFixture.model(["vocab": .object(words), "merges": .array([])])
    let tokenizer = try TokenizerFixture.tokenizer(["model": model, "added_tokens": .array([])])
    #expect(try tokenizer.encode("abc", addingSpecialTokens: false).count == 3)
    let text = message { _ = try tokenizer.encode("abz", addingSpecialTokens: false) }
    #expect(text.contains("no token for a byte of the text") && text.contains("0x7a"), "\(text)")
  }

  @Test(arguments: [
    ("tokenizer.ggml.model", MetadataValue.string("llama"), "no byte-level BPE tokenizer"),
    ("tokenizer.ggml.pre", .string("bert"), "expected tokenizer.ggml.pre of deepseek-coder"),
    ("tokenizer.ggml.tokens", .uint32(1), "has no tokenizer.ggml.tokens"),
    (
      "tokenizer.ggml.token_type", .array(MetadataArray(int32: [1])), "for other tokens than it has"
    ),
    ("tokenizer.ggml.merges", .array(MetadataArray(.strings(["zz a"]))), "names what is no token"),
    ("tokenizer.ggml.merges", .array(MetadataArray(.strings(["zz"]))), "a merge that is no pair"),
    ("tokenizer.ggml.bos_token_id", .uint32(5000), "adds a token that it does not have"),
  ])
  func metadataIsChecked(key: String, value: MetadataValue, expected: String) throws {
    let files = try TokenizerFixture.files(
      [:], settings: object(["bos_token": .string("<|begin|>"), "add_bos_token": .bool(true)]))
    var metadata = try files.ggufMetadata(
      config: .object([:]), vocabSize: 900, folder: "model")
    #expect(throws: Never.self) { try Tokenizer(metadata: metadata, file: "model.gguf") }
    metadata[key] = value
    let text = message { _ = try Tokenizer(metadata: metadata, file: "model.gguf") }
    #expect(text.hasPrefix("model.gguf: ") && text.contains(expected), "\(text)")
  }
}
