import Foundation
import Support
import Testing

/// `--text` and `--chat` of `fathom logits` and `fathom verify`.
@Suite struct TextInputTests {
  let workspace: Workspace
  let sample = Repository.samples + "/tiny-tied"
  /// Tokens of the sample's tokenizer, as Hugging Face's tokenizers 0.23 give them.
  let text = "The sounding line — 深."
  let ids =
    "[53, 260, 265, 80, 86, 261, 74, 79, 72, 279, 74, 273, 222, 160, 224, 244, 222, 164, 117, 111, 15]"

  init() throws { workspace = try Workspace() }

  private func logits(_ model: String, _ options: String...) throws -> FathomProcess {
    try FathomProcess(
      ["logits", model, "-o", workspace.path("out"), "--overwrite"] + options)
  }

  @Test func aTextIsTheSameAsItsTokens() throws {
    let tokens = try workspace.write("tokens.json", ids.utf8)
    let file = try workspace.write("text", text.utf8)
    #expect(try logits(sample, "--tokens", tokens).status == 0)
    let expected = try contents(workspace.path("out"))
    let run = try logits(sample, "--text", file)
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(workspace.path("out")) == expected)
    let short = try logits(sample, "--text", file, "--max-tokens", "5")
    #expect(short.status == 0, "\(short.messages)")
    #expect(
      short.output.hasPrefix("note: the first 5 of the text's 21 tokens\n"), "\(short.output)")
    #expect(try SafetensorsView(workspace.path("out")).header["logits"] == [1, 5, 288])
    let first = try contents(workspace.path("out"))
    try workspace.write(
      "tokens.json", (ids.split(separator: ",").prefix(5).joined(separator: ",") + "]").utf8)
    #expect(try logits(sample, "--tokens", tokens).status == 0)
    #expect(try contents(workspace.path("out")) == first)
  }

  @Test func aChatHasItsTemplateAround() throws {
    let copy = try workspace.copy(sample: "tiny-tied")
    try workspace.write(
      "tiny-tied/chat_template.jinja",
      "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}".utf8)
    let plain = try workspace.write("plain", "<|begin|>user: hi".utf8)
    let message = try workspace.write("message", "hi".utf8)
    #expect(try logits(copy, "--text", plain).status == 0)
    let expected = try contents(workspace.path("out"))
    let run = try logits(copy, "--text", message, "--chat")
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(workspace.path("out")) == expected)
  }

  @Test func verifyTakesTheReferencesTokenizer() throws {
    let copy = try workspace.copy(sample: "tiny-tied")
    try FileManager.default.removeItem(atPath: copy + "/tokenizer.json")
    let file = try workspace.write("text", text.utf8)
    let run = try FathomProcess(
      "verify", sample, copy, "--text", file, "--max-tokens", "9", "--format", "json")
    #expect(run.status == 0, "\(run.messages)")
    let report = try JSONDocument(run.output)
    #expect(report.integer("main", "tokens") == 9)
    #expect((report["notes"] as? [String])?.last == "the first 9 of the text's 21 tokens")
    let reversed = try FathomProcess("verify", copy, sample, "--text", file)
    #expect(reversed.status == 66, "\(reversed.messages)")
    #expect(reversed.messages.contains("has no tokenizer for a text"))
  }

  @Test(arguments: [
    (["--text", "text", "--tokens", "tokens"], 64, "exclude each other"), ([], 64, "is needed"),
    (["--tokens", "tokens", "--chat"], 64, "--chat goes with --text"),
    (["--tokens", "tokens", "--max-tokens", "3"], 64, "--max-tokens goes with --text"),
    (["--text", "text", "--max-tokens", "0"], 64, "a number from 1 on"),
    (["--text", "none"], 66, "none"), (["--text", "empty"], 65, "gives no tokens"),
    (["--text", "broken"], 65, "is not UTF-8"),
    (["--text", "text", "--chat"], 66, "no chat template"),
  ])
  func whatDoesNotGoIsRefused(options: [String], status: Int32, message: String) throws {
    try workspace.write("text", text.utf8)
    try workspace.write("tokens", "[1]".utf8)
    try workspace.write("empty", [])
    try workspace.write("broken", [0x61, 0xFF])
    let placed = options.map {
      $0.hasPrefix("-") || Int($0) != nil ? $0 : workspace.path($0)
    }
    let run = try FathomProcess(["logits", sample, "-o", workspace.path("out")] + placed)
    #expect(run.status == status, "\(run.messages)")
    #expect(run.messages.contains(message), "\(run.messages)")
    #expect(try !workspace.names().contains("out"), "nothing is left behind")
  }

  @Test func anIdBeyondTheModelIsRefused() throws {
    let copy = try workspace.copy(sample: "tiny-tied")
    let path = copy + "/tokenizer.json"
    let tokenizer = String(decoding: try contents(path), as: UTF8.self)
    // 280 tokens; twenty added ones reach beyond the model's 288.
    let added = (280..<300).map { ",{\"id\":\($0),\"content\":\"<x\($0)>\"}" }.joined()
    let end = try #require(tokenizer.range(of: "],\"normalizer\""))
    try workspace.write(
      "tiny-tied/tokenizer.json",
      tokenizer.replacingCharacters(in: end, with: added + "],\"normalizer\"").utf8)
    let file = try workspace.write("text", "a <x299>".utf8)
    let run = try logits(copy, "--text", file)
    #expect(run.status == 65, "\(run.messages)")
    #expect(run.messages.contains("expected at most 287, found 299"), "\(run.messages)")
  }
}
