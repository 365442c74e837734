import Models
import Platform
import Support
import Tensors
import Testing
import Text

/// A tokenizer that went into a GGUF file and came back.
@Suite struct RebuiltTokenizerTests {
  static let names = ["deepseek-v3", "gpt-2", "deepseek-coder", "kimi-k2"]

  private func metadata(_ name: String, _ changes: [String: MetadataValue?] = [:]) throws
    -> Metadata
  {
    let row = try #require(try TokenizerFixture.cases().first { $0.name == name })
    let settings: JSONValue = .object([
      "bos_token": .string("<|begin|>"), "eos_token": .string("<|end|>"),
      "chat_template": .string("{{ bos_token }}{{ messages[0]['content'] }}"),
    ])
    var metadata = try TokenizerFixture.files(
      row.changes.mapValues { $0 }, settings: settings
    ).ggufMetadata(
      config: .object(["model_type": .string("deepseek_v3")]), vocabSize: 904, folder: "model")
    metadata["tokenizer.ggml.pre"] = .string(name)
    for (key, value) in changes { metadata[key] = value }
    return metadata
  }

  /// Ids are those that Hugging Face's tokenizers give with the original files.
  @Test(arguments: names)
  func idsAreThoseOfTheOriginal(name: String) throws {
    let row = try #require(try TokenizerFixture.cases().first { $0.name == name })
    let rebuilt = try RebuiltTokenizer(
      metadata(name), contextLength: 4096, file: "model.gguf")
    let tokenizer = try Tokenizer(rebuilt.files, folder: "model")
    #expect(row.texts.count > 20)
    for (text, ids) in zip(row.texts, row.ids) {
      #expect(
        try tokenizer.encode(text, addingSpecialTokens: true) == ids, "\(text.debugDescription)")
    }
    #expect(rebuilt.lost.count == 1)
  }

  /// What is written into a GGUF file again is what the first one had.
  @Test(arguments: names)
  func keysComeBack(name: String) throws {
    let metadata = try metadata(name)
    let rebuilt = try RebuiltTokenizer(metadata, contextLength: 4096, file: "model.gguf")
    var again = try rebuilt.files.ggufMetadata(
      config: .object([:]), vocabSize: 904, folder: "model")
    again["tokenizer.ggml.pre"] = .string(name)
    #expect(again.keys.sorted() == metadata.keys.sorted())
    for key in metadata.keys { #expect(again[key] == metadata[key], "\(key)") }
  }

  @Test func settingsAreThoseOfTransformers() throws {
    let rebuilt = try RebuiltTokenizer(
      metadata("deepseek-v3"), contextLength: 4096, file: "model.gguf")
    let settings = try #require(rebuilt.files.settings)
    #expect(settings["bos_token"] == .string("<|begin|>"))
    #expect(settings["eos_token"] == .string("<|end|>"))
    #expect(settings["add_bos_token"] == .bool(true))
    #expect(settings["tokenizer_class"] == .string("PreTrainedTokenizerFast"))
    #expect(settings["model_max_length"] == .integer(4096))
    #expect(
      rebuilt.files.chatTemplate == "{{ bos_token }}{{ messages[0]['content'] }}")
  }

  @Test func namedTemplatesComeBack() throws {
    let rebuilt = try RebuiltTokenizer(
      metadata(
        "gpt-2",
        [
          "tokenizer.chat_template.tool_use": .string("tools"),
          "tokenizer.chat_templates": .array(MetadataArray(.strings(["tool_use"]))),
        ]), contextLength: 4096, file: "model.gguf")
    #expect(rebuilt.files.settings?["chat_template"]?.list.count == 2)
    #expect(rebuilt.files.chatTemplate == "{{ bos_token }}{{ messages[0]['content'] }}")
  }

  @Test func anEndTokenIsAddedWhereTheKeysSaySo() throws {
    let rebuilt = try RebuiltTokenizer(
      metadata(
        "gpt-2",
        [
          "tokenizer.ggml.add_bos_token": .bool(false), "tokenizer.ggml.add_eos_token": .bool(true),
        ]), contextLength: 4096, file: "model.gguf")
    let tokenizer = try Tokenizer(rebuilt.files, folder: "model")
    #expect(try tokenizer.encode("", addingSpecialTokens: true) == [1])
  }

  static let faults: [(key: String, value: MetadataValue?)] = [
    ("tokenizer.ggml.pre", .string("another")), ("tokenizer.ggml.model", .string("llama")),
    ("tokenizer.ggml.tokens", nil), ("tokenizer.ggml.bos_token_id", nil),
    (
      "tokenizer.ggml.tokens",
      .array(MetadataArray(.strings([String](repeating: "a", count: 904))))
    ),
  ]

  @Test(arguments: faults)
  func whatCannotBeRebuiltIsRefused(key: String, value: MetadataValue?) throws {
    let metadata = try metadata("deepseek-v3", [key: value])
    #expect(throws: Fault.self) {
      try RebuiltTokenizer(metadata, contextLength: 4096, file: "model.gguf")
    }
  }
}
