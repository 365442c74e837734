import Foundation
import Support
import Testing

/// Checkpoints as trainers and wrappers leave them: other names, experts in stacks, keys that were
/// kept or not kept up.
@Suite struct WrittenNamesTests {
  let workspace: Workspace
  private let tokens: String

  init() throws {
    workspace = try Workspace()
    tokens = try workspace.write("tokens.json", "[[1,5,9,200,3,77,14,30]]".utf8)
  }

  /// A copy of a sample in one file, changed.
  private func changed(
    _ sample: String = "tiny-bf16", _ change: (inout SafetensorsRewriter) throws -> Void
  ) throws -> String {
    let folder = try workspace.copy(sample: sample)
    var rewriter = try SafetensorsRewriter(folder + "/model.safetensors")
    try change(&rewriter)
    try rewriter.write()
    return folder
  }

  private func findings(_ folder: String, status: Int32) throws -> [JSONDocument] {
    let run = try FathomProcess("validate", folder, "--format", "json")
    #expect(run.status == status, "\(run.output)")
    return try JSONDocument(run.output).list("findings")
  }

  /// The model is the sample's, in every command, and a conversion writes the published names.
  private func expectTheSame(_ folder: String, as sample: String = "tiny-bf16") throws {
    let original = Repository.samples + "/" + sample
    let verdict = try FathomProcess("verify", original, folder, "--tokens", tokens, "--max-kl", "0")
    #expect(verdict.status == 0, "\(verdict.messages)")
    let written = workspace.path("written")
    let run = try FathomProcess("convert", folder, written, "--to", "hf")
    #expect(run.status == 0, "\(run.messages)")
    #expect(try findings(written, status: 0).isEmpty)
    let diff = try FathomProcess("diff", original, written, "--format", "json")
    #expect(diff.status == 0, "\(diff.messages)")
    let names = try SafetensorsRewriter(original + "/model.safetensors").names
    #expect(try SafetensorsRewriter(written + "/model.safetensors").names == names)
  }

  @Test(arguments: ["module.", "_orig_mod.", "base_model.model.", "language_model.", "a.b.c."])
  func namesBehindAPrefix(prefix: String) throws {
    let folder = try changed { file in
      for name in file.names { file.rename(name, to: prefix + name) }
    }
    let found = try findings(folder, status: 1)
    #expect(found.count == 1 && found[0].string("found")?.contains("begin with \(prefix)") == true)
    try expectTheSame(folder)
  }

  /// What is wrong is named as the file has it, or would.
  @Test(arguments: [
    ("module.model.", "module."), ("", ""), ("model.language_model.", ""),
  ])
  func findingsHaveTheNamesOfTheFiles(front: String, head: String) throws {
    let gone = "layers.1.self_attn.o_proj.weight"
    let wrong = "layers.0.input_layernorm.weight"
    let folder = try changed { file in
      for name in file.names {
        if name.hasPrefix("model.") {
          file.rename(name, to: front + name.dropFirst("model.".count))
        } else {
          file.rename(name, to: head + name)
        }
      }
      file.remove(front + gone)
      file.remove(front + wrong)
      file.close()
      file.add(front + wrong, "BF16", count: 2, [0, 0, 0, 0])
    }
    let found = try findings(folder, status: 1)
    let tensors = Dictionary(
      uniqueKeysWithValues: found.compactMap { finding in
        finding.string("tensor").map { (finding.string("rule") ?? "", $0) }
      })
    #expect(tensors == ["missing-tensor": front + gone, "wrong-shape": front + wrong], "\(found)")
  }

  @Test func namesWithoutModelInFront() throws {
    let folder = try changed { file in
      for name in file.names where name.hasPrefix("model.") {
        file.rename(name, to: String(name.dropFirst("model.".count)))
      }
    }
    let found = try findings(folder, status: 1)
    #expect(found.count == 1 && found[0].string("found")?.contains("lack model. in front") == true)
    try expectTheSame(folder)
  }

  @Test(arguments: ["", ".weight"]) func expertsInStacks(end: String) throws {
    let folder = try changed { file in
      let experts = 8
      for layer in 1...3 {
        let stem = "model.layers.\(layer).mlp.experts."
        let gates = (0..<experts).flatMap {
          ["\(stem)\($0).gate_proj.weight", "\(stem)\($0).up_proj.weight"]
        }
        file.join(gates, as: stem + "gate_up_proj" + end, shape: [experts, 48, 80])
        file.join(
          (0..<experts).map { "\(stem)\($0).down_proj.weight" }, as: stem + "down_proj" + end,
          shape: [experts, 80, 24])
      }
      file.close()
    }
    #expect(try findings(folder, status: 0).isEmpty)
    try expectTheSame(folder)
  }

  @Test func aDeclaredMTPLayerOfWhichNothingIsThere() throws {
    let folder = try changed { file in
      for name in file.names where name.hasPrefix("model.layers.3.") {
        file.rename(name, to: "vision_tower.\(name)")
      }
    }
    let found = try findings(folder, status: 1)
    #expect(found.contains { $0.string("rule") == "mtp-mismatch" })
    for arguments in [
      ["logits", folder, "--tokens", tokens, "-o", workspace.path("l")],
      ["convert", folder, workspace.path("o.gguf"), "--to", "gguf", "--quant", "f16"],
      ["convert", folder, workspace.path("hf"), "--to", "hf", "--quant", "f32"],
    ] {
      let run = try FathomProcess(arguments)
      #expect(run.status == 0, "\(run.messages)")
      #expect((run.messages + run.output).contains("declares 1 MTP layer"), "\(run.messages)")
    }
    let config = try JSONDocument(
      String(decoding: contents(workspace.path("hf/config.json")), as: UTF8.self))
    #expect(config.integer("num_nextn_predict_layers") == 0)
  }

  @Test func aTokenizerWithIdsThatHaveNoRow() throws {
    let editor = try SampleEditor("tiny-bf16", in: workspace)
    let file = URL(fileURLWithPath: editor.path + "/tokenizer.json")
    let text = try String(decoding: Data(contentsOf: file), as: UTF8.self)
    let added = try #require(text.range(of: #""added_tokens":["#)).upperBound
    let token = #"{"id": 400, "content": "<|tool|>", "special": true},"#
    try Data((text[..<added] + token + text[added...]).utf8).write(to: file)
    let found = try findings(editor.path, status: 1)
    #expect(found.count == 1 && found[0].string("found")?.contains("<|tool|>") == true, "\(found)")
  }

  @Test func aVocabularyThatWasNotKeptUp() throws {
    let editor = try SampleEditor("tiny-bf16", in: workspace)
    try editor.set("vocab_size", 280)
    let found = try findings(editor.path, status: 1)
    #expect(found.contains { $0.string("hint")?.contains("should say 288") == true }, "\(found)")
  }

  @Test func spellingsThatDisagree() throws {
    let editor = try SampleEditor("tiny-bf16", in: workspace)
    try editor.set("rope_parameters", ["rope_type": "default", "rope_theta": 500])
    let found = try findings(editor.path, status: 0)
    #expect(
      found.count == 1 && found[0].string("expected")?.contains("which transformers takes") == true)
  }
}
