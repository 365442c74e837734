import Models
import Platform
import Support
import Tensors
import Testing
import Text

/// Ids equal to those of Hugging Face's tokenizers, on texts that are hard on tokenizers.
@Suite struct TokenizerTests {
  static let names = [
    "deepseek-v3", "added tokens", "whole words", "gpt-2", "deepseek-coder", "kimi-k2", "behaviors",
    "inverted",
  ]

  private func row(_ name: String) throws -> TokenizerFixture.Case {
    try #require(try TokenizerFixture.cases().first { $0.name == name })
  }

  @Test func everyCaseIsTested() throws {
    #expect(try TokenizerFixture.cases().map(\.name) == TokenizerTests.names)
  }

  @Test(arguments: names)
  func idsAreThoseOfHuggingFace(name: String) throws {
    let row = try row(name)
    let tokenizer = try TokenizerFixture.tokenizer(row.changes.mapValues { $0 })
    #expect(row.texts.count > 20 && row.ids.count == row.texts.count)
    for (text, ids) in zip(row.texts, row.ids) {
      #expect(
        try tokenizer.encode(text, addingSpecialTokens: true) == ids, "\(text.debugDescription)")
    }
  }

  /// The keys that a GGUF file gets from the same files give the same ids.
  @Test(arguments: ["deepseek-v3", "gpt-2", "deepseek-coder", "kimi-k2"])
  func aGGUFFileGivesTheSame(name: String) throws {
    let row = try row(name)
    let files = try TokenizerFixture.files(
      row.changes.mapValues { $0 }, settings: .object(["bos_token": .string("<|begin|>")]))
    var metadata = try files.ggufMetadata(
      config: .object(["model_type": .string("deepseek_v3")]), vocabSize: 904, folder: "model")
    metadata["tokenizer.ggml.pre"] = .string(name)
    let tokenizer = try Tokenizer(metadata: metadata, file: "model.gguf")
    #expect(row.texts.count > 20 && row.ids.count == row.texts.count)
    for (text, ids) in zip(row.texts, row.ids) {
      #expect(
        try tokenizer.encode(text, addingSpecialTokens: true) == ids, "\(text.debugDescription)")
    }
  }

  @Test(arguments: names.filter { !["whole words", "added tokens"].contains($0) })
  func decodingGivesTheTextBack(name: String) throws {
    let row = try row(name)
    let tokenizer = try TokenizerFixture.tokenizer(row.changes.mapValues { $0 })
    #expect(row.texts.count > 20)
    for text in row.texts where name != "behaviors" && name != "inverted" {
      let ids = try tokenizer.encode(text, addingSpecialTokens: false)
      #expect(tokenizer.decode(ids) == Array(text.utf8), "\(text.debugDescription)")
    }
    #expect(tokenizer.decode([0, 2]) == Array("<|begin|><|user|>".utf8))
    #expect(tokenizer.decode([900]) == nil)
  }

  @Test func specialTokensAreAddedWhereAsked() throws {
    let row = try row("deepseek-v3")
    let tokenizer = try TokenizerFixture.tokenizer(row.changes.mapValues { $0 })
    #expect(try tokenizer.encode("", addingSpecialTokens: true) == [0])
    #expect(try tokenizer.encode("", addingSpecialTokens: false) == [])
    #expect(try tokenizer.encode("<|user|>", addingSpecialTokens: false) == [2])
  }

  /// A piece of a million bytes takes a second or so; were its time quadratic, it would take hours.
  @Test(arguments: ["a", "ab", "深", " ", "0", "\n", "<"])
  func aLongPieceDoesNotHang(unit: String) throws {
    let tokenizer = try TokenizerFixture.tokenizer()
    let text = String(repeating: unit, count: 1_000_000 / unit.utf8.count)
    let clock = ContinuousClock()
    let start = clock.now
    let ids = try tokenizer.encode(text, addingSpecialTokens: false)
    #expect(clock.now - start < .seconds(30))
    #expect(tokenizer.decode(ids) == Array(text.utf8))
  }

  @Test(arguments: ["a\u{301}", "\u{e1}"])
  func composedAndDecomposedLettersDiffer(letter: String) throws {
    let added: JSONValue = .object([
      "id": .integer(900), "content": .string("a\u{301}"), "normalized": .bool(false),
    ])
    let tokens = try TokenizerFixture.json("tokenizer.json")["added_tokens"]?.list ?? []
    let tokenizer = try TokenizerFixture.tokenizer(["added_tokens": .array(tokens + [added])])
    let ids = try tokenizer.encode(letter, addingSpecialTokens: false)
    #expect((ids == [900]) == (letter.unicodeScalars.count == 2))
  }
}
