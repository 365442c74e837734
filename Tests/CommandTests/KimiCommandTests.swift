import Foundation
import Support
import Testing

/// A checkpoint with `tiktoken.model` in place of `tokenizer.json`, as Kimi-K2 is published.
@Suite struct KimiCommandTests {
  let workspace: Workspace
  let model: String
  let text = "Hi [X1] é<|reserved_token_270|>"
  let ids = "[72,105,32,257,32,195,169,270]"

  init() throws {
    workspace = try Workspace()
    model = try workspace.copy(sample: "tiny-int4")
    try FileManager.default.removeItem(atPath: model + "/tokenizer.json")
    let lines = (0..<256).map { "\(Data([UInt8($0)]).base64EncodedString()) \($0)\n" }
    try workspace.write("tiny-int4/tiktoken.model", lines.joined().utf8)
    try workspace.write("tiny-int4/tokenization_kimi.py", "# own code\n".utf8)
    try workspace.write(
      "tiny-int4/tokenizer_config.json",
      """
      {"added_tokens_decoder": {"256": {"content": "[X0]"}, "257": {"content": "[X1]"}},
       "model_max_length": 1000000000000000019884624838656, "bos_token": "[X0]", "eos_token": "[X1]", "tokenizer_class": "TikTokenTokenizer"}
      """.utf8)
    try workspace.write("text", text.utf8)
    try workspace.write("tokens.json", ids.utf8)
  }

  private func run(_ arguments: String...) throws -> FathomProcess {
    let run = try FathomProcess(arguments)
    #expect(run.status == 0, "\(run.messages)")
    return run
  }

  private func logits(_ model: String, _ option: String, _ file: String) throws -> [UInt8] {
    _ = try run(
      "logits", model, option, workspace.path(file), "-o", workspace.path("out"), "--overwrite")
    return try contents(workspace.path("out"))
  }

  @Test func aTextIsTheSameAsItsTokens() throws {
    #expect(try logits(model, "--text", "text") == logits(model, "--tokens", "tokens.json"))
  }

  @Test func aGGUFFileHasTheSameTokens() throws {
    let plan = try run("convert", model, workspace.path("m.gguf"), "--to", "gguf", "--quant", "f32")
    #expect(plan.messages.contains("not within camelCase"), "\(plan.messages)")
    let gguf = workspace.path("m.gguf")
    #expect(try logits(gguf, "--text", "text") == logits(gguf, "--tokens", "tokens.json"))
    let inspection = try run("inspect", gguf)
    #expect(
      inspection.output.contains("tokenizer     GGUF keys, tokenizer.ggml.pre kimi-k2\n"),
      "\(inspection.output)")
  }

  @Test(arguments: ["hf", "mlx"])
  func theFilesAreCarried(target: String) throws {
    let options = target == "mlx" ? [] : ["--quant", "bf16"]
    let output = workspace.path("made")
    let run = try FathomProcess(["convert", model, output, "--to", target] + options)
    #expect(run.status == 0, "\(run.messages)")
    for name in ["tiktoken.model", "tokenization_kimi.py", "tokenizer_config.json"] {
      #expect(try contents("\(output)/\(name)") == contents("\(model)/\(name)"), "\(name)")
    }
    #expect(try logits(output, "--text", "text") == logits(output, "--tokens", "tokens.json"))
  }

  @Test func verifyTakesATextInIt() throws {
    let report = try run(
      "verify", model, model, "--text", workspace.path("text"), "--format", "json")
    #expect(try JSONDocument(report.output).integer("main", "tokens") == 8)
  }

  @Test func inspectSaysWhichTokenizerCounts() throws {
    func line() throws -> String? {
      let json = try JSONDocument(run("inspect", model, "--format", "json").output)
      #expect(try JSONSchema(named: "fathom.inspect.1").faults(in: json).isEmpty)
      let told = json.string("tokenizer")
      let text = try run("inspect", model).output
      #expect(text.contains("tokenizer     \(told ?? "none")\n"), "\(text)")
      return told
    }
    #expect(try line() == "tiktoken.model, as Kimi's code reads it")
    let path = Repository.samples + "/tiny-int4/tokenizer.json"
    try workspace.write("tiny-int4/tokenizer.json", contents(path))
    #expect(try line() == "tokenizer.json; tiktoken.model is not read")
    try FileManager.default.removeItem(atPath: model + "/tiktoken.model")
    #expect(try line() == "tokenizer.json")
    try FileManager.default.removeItem(atPath: model + "/tokenizer.json")
    #expect(try line() == nil)
  }

  /// `tokenizer.json` comes first, so that a broken file beside it does no harm.
  @Test func tokenizerJSONComesFirst() throws {
    try workspace.write("tiny-int4/tiktoken.model", "version".utf8)
    let broken = try FathomProcess(
      "logits", model, "--text", workspace.path("text"), "-o", workspace.path("out"))
    #expect(broken.status == 65)
    #expect(
      broken.messages.contains("tiktoken.model: line 1 is no token with its rank")
        && broken.messages.contains("download the file again"), "\(broken.messages)")
    let path = Repository.samples + "/tiny-int4/tokenizer.json"
    try workspace.write("tiny-int4/tokenizer.json", contents(path))
    _ = try logits(model, "--text", "text")
  }
}
