import Models
import Platform
import Support
import Tensors
import Testing
import Text

/// Ids equal to those of tiktoken with Kimi's pattern and special tokens.
@Suite struct KimiTokenizerTests {
  private func expectSame(
    _ tokenizer: Tokenizer, _ fixture: KimiFixture, _ place: SourceLocation = #_sourceLocation
  ) throws {
    #expect(fixture.texts.count > 100, sourceLocation: place)
    for (text, ids) in fixture.texts {
      #expect(
        try tokenizer.encode(text, addingSpecialTokens: true) == ids, "\(text.debugDescription)",
        sourceLocation: place)
    }
  }

  @Test(arguments: KimiFixture.names)
  func idsAreThoseOfTiktoken(name: String) throws {
    let fixture = try KimiFixture(name)
    let tokenizer = try Tokenizer(fixture.files())
    try expectSame(tokenizer, fixture)
    for (text, ids) in fixture.texts {
      #expect(tokenizer.decode(ids) == Array(text.utf8), "\(text.debugDescription)")
    }
  }

  @Test(arguments: KimiFixture.names)
  func longTextsAreCutAsKimisCodeCutsThem(name: String) throws {
    let fixture = try KimiFixture(name)
    let tokenizer = try Tokenizer(fixture.files())
    #expect(fixture.long.count > 10)
    for (text, count, hash) in fixture.long {
      let ids = try tokenizer.encode(text, addingSpecialTokens: false)
      #expect(ids.count == count && KimiFixture.hash(ids) == hash, "\(text.prefix(9))")
    }
  }

  /// The ids that Kimi's code numbers its special tokens with, named ones and others.
  @Test func specialTokensFollowOnTheRanks() throws {
    let fixture = try KimiFixture("trained")
    let tokenizer = try Tokenizer(fixture.files())
    func ids(_ text: String) throws -> [Int] {
      try tokenizer.encode(text, addingSpecialTokens: false)
    }
    #expect(try ids("[BOS]<|im_end|>[PAD]") == [800, 802, 1055])
    #expect(try ids("<|reserved_token_807|>") == [807])
    #expect(try ids("<|reserved_token_1053|>") == [1053])
    #expect(try ids("<|reserved_token_802|>").count > 1, "its id has another name")
    #expect(try ids("<|reserved_token_1056|>").count > 1)
    #expect(tokenizer.decode([807]) == Array("<|reserved_token_807|>".utf8))
    #expect(tokenizer.decode([1056]) == nil)
    #expect(tokenizer.specialTexts["bos_token"] == "[BOS]")
    #expect(tokenizer.specialTexts["eos_token"] == "[EOS]")
    let further = try Tokenizer(KimiFixture("wild").files())
    #expect(try further.encode("<|further_1|>", addingSpecialTokens: false) == [683])
  }

  @Test func aChatHasItsTemplateAround() throws {
    let fixture = try KimiFixture("trained")
    let prompt = "<|im_user|>user<|im_middle|>Hi<|im_end|><|im_assistant|>assistant<|im_middle|>"
    let tokenizer = try Tokenizer(fixture.files())
    #expect(
      try tokenizer.encode(chat: "Hi") == tokenizer.encode(prompt, addingSpecialTokens: false))
    let other = try Tokenizer(
      fixture.files(template: "<|im_end|>{{ messages[0].content }}{{ eos_token }}"))
    #expect(
      try other.encode(chat: "Hi")
        == tokenizer.encode("<|im_end|>Hi[EOS]", addingSpecialTokens: false))
  }

  /// transformers writes 10³⁰ as an integer where a tokenizer has no longest text.
  @Test(arguments: [
    ("1000000000000000019884624838656", JSONValue?.none), ("-9223372036854775809", nil),
    ("9223372036854775808", nil), ("9223372036854775807", .integer(.max)),
    ("1.0000000000000000198846", .number(1, text: "1.0000000000000000198846")),
    ("\"1000000000000000019884624838656\"", .string("1000000000000000019884624838656")),
    ("\"\\\"1000000000000000019884624838656\"", .string("\"1000000000000000019884624838656")),
  ])
  func longIntegersAreRead(number: String, value: JSONValue?) throws {
    let workspace = try Workspace()
    try workspace.write("tokenizer.json", "{}".utf8)
    try workspace.write(
      "tokenizer_config.json", "{\"model_max_length\": \(number), \"x\": [1, \(number)]}".utf8)
    let settings = try #require(try TokenizerFiles.read(in: workspace.path)?.settings)
    let expected =
      try value ?? .number(#require(Double(number)), text: number + "e0")
    #expect(settings["model_max_length"] == expected)
    #expect(settings["x"] == .array([.integer(1), expected]))
  }

  // MARK: GGUF

  @Test(arguments: KimiFixture.names)
  func keysAreThoseOfTheConverter(name: String) throws {
    let fixture = try KimiFixture(name)
    #expect(fixture.gguf.count == 4)
    for (size, keys) in fixture.gguf {
      let metadata = try fixture.files().ggufMetadata(config: fixture.config, vocabSize: size)
      func texts(_ key: String) -> [String]? { metadata[key]?.array?.strings }
      #expect(texts("tokenizer.ggml.tokens") == keys["token_list"]?.list.compactMap(\.string))
      #expect(texts("tokenizer.ggml.merges") == keys["token_merges"]?.list.compactMap(\.string))
      #expect(
        metadata["tokenizer.ggml.token_type"]?.array?.integers
          == keys["token_types"]?.list.compactMap(\.integer))
      #expect(metadata["tokenizer.ggml.model"]?.text == keys["tokenizer_model"]?.string)
      #expect(metadata["tokenizer.ggml.pre"]?.text == keys["tokenizer_pre"]?.string)
      #expect(metadata["tokenizer.chat_template"]?.text == keys["chat_template"]?.string)
      for (key, name) in [
        ("bos_token_id", "bos_token_id"), ("eos_token_id", "eos_token_id"),
        ("padding_token_id", "pad_token_id"),
      ] {
        #expect(metadata["tokenizer.ggml.\(key)"]?.integer == keys[name]?.integer, "\(key)")
      }
      #expect(metadata["tokenizer.ggml.add_eos_token"] == .bool(false))
      // The size is ours, and of each key of the converter there is one.
      #expect(metadata.keys.count == keys.count - 1)
    }
  }

  @Test func aGGUFFileGivesTheSameIDs() throws {
    let fixture = try KimiFixture("trained")
    let metadata = try fixture.files().ggufMetadata(config: fixture.config, vocabSize: 1056)
    let tokenizer = try Tokenizer(metadata: metadata, file: "model.gguf")
    try expectSame(tokenizer, fixture)
    for (text, count, hash) in fixture.long {
      let ids = try tokenizer.encode(text, addingSpecialTokens: false)
      #expect(ids.count == count && KimiFixture.hash(ids) == hash, "\(text.prefix(9))")
    }
    let rebuilt = try RebuiltTokenizer(metadata, contextLength: 4096, file: "model.gguf")
    try expectSame(Tokenizer(rebuilt.files, folder: "model"), fixture)
  }

  /// llama.cpp would take 11 for both.
  @Test func tokensThatTheConfigDoesNotNameAreFound() throws {
    let fixture = try KimiFixture("trained")
    let metadata = try fixture.files().ggufMetadata(config: .object([:]), vocabSize: 1056)
    #expect(metadata["tokenizer.ggml.bos_token_id"]?.integer == 800)
    #expect(metadata["tokenizer.ggml.eos_token_id"]?.integer == 801)
    #expect(metadata["tokenizer.ggml.padding_token_id"] == nil)
  }

  @Test func aVocabularyThatIsTooLargeIsRefused() throws {
    let fixture = try KimiFixture("trained")
    #expect(throws: Never.self) {
      try fixture.files().ggufMetadata(config: fixture.config, vocabSize: 800)
    }
    let fault = #expect(throws: Fault.self) {
      try fixture.files().ggufMetadata(config: fixture.config, vocabSize: 799)
    }
    #expect(
      fault?.description
        == "model/tiktoken.model: has ids outside the model's vocabulary: expected at most 798, "
        + "found 799")
  }
}
