import Foundation
import Support
import Tensors
import Testing

/// What people have on their disks in place of a model: named, with what to do.
@Suite struct RealFileTests {
  static let sample = Repository.samples + "/tiny-bf16"
  static let pointer = """
    version https://git-lfs.github.com/spec/v1
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
    size 7847602

    """
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// What stands in place of a file, and words of the message about it.
  struct Stranger: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let bytes: [UInt8]
    let words: [String]

    init(_ name: String, _ bytes: [UInt8], _ words: String...) {
      (testDescription, self.bytes, self.words) = (name, bytes, words)
    }
  }

  static let strangers = [
    Stranger("pointer", Array(pointer.utf8), "Git LFS pointer", "7847602", "git lfs pull"),
    Stranger("page", Array("<!DOCTYPE html><html>429</html>".utf8), "HTML", "again"),
    Stranger("answer", Array("Entry not found".utf8), "Entry not found", "again"),
    Stranger("zip", [0x50, 0x4B, 3, 4] + [UInt8](repeating: 1, count: 60), "zip", "safetensors"),
    Stranger("pickle", [0x80, 2, 0x7D, 0x71, 0, 0x58, 1, 0, 0, 0], "pickle", "safetensors"),
    Stranger("zeros", [UInt8](repeating: 0, count: 900), "zeros", "interrupted"),
    Stranger("nothing", [], "empty", "interrupted"),
  ]

  private func expectNamed(
    _ stranger: Stranger, _ arguments: [String], status: Int32 = 65
  ) throws {
    let run = try FathomProcess(arguments)
    #expect(run.status == status, "\(arguments): \(run.messages)")
    for word in stranger.words {
      #expect((run.messages + run.output).contains(word), "\(word): \(run.messages)")
    }
  }

  @Test(
    arguments: strangers,
    ["model.safetensors", "config.json", "model.safetensors.index.json"])
  func isNamedInEveryCommand(stranger: Stranger, file: String) throws {
    let model = try workspace.copy(sample: "tiny-bf16")
    try workspace.write("tiny-bf16/\(file)", stranger.bytes)
    let tokens = try workspace.write("ids.json", "[1,2]".utf8)
    for command in [
      ["inspect"], ["validate"], ["logits", "--tokens", tokens, "-o", workspace.path("l")],
      ["convert", workspace.path("out"), "--to", "hf"], ["verify", RealFileTests.sample],
      ["diff", RealFileTests.sample],
    ] { try expectNamed(stranger, [command[0], model] + command.dropFirst()) }
    if file != "config.json" { try expectNamed(stranger, ["hash", model]) }
  }

  @Test(arguments: strangers) func aGGUFFileIsNamedToo(stranger: Stranger) throws {
    let file = try workspace.write("g/model.gguf", stranger.bytes)
    for model in [file, workspace.path("g")] {
      for command in ["inspect", "validate", "hash"] {
        try expectNamed(stranger, [command, model])
      }
    }
  }

  /// A tokenizer is asked for by few commands; `validate` says it all the same, and a copy of the
  /// model leaves it out.
  @Test(arguments: ["tokenizer.json", "tokenizer_config.json"])
  func aTokenizerThatIsAPointer(file: String) throws {
    let model = try workspace.copy(sample: "tiny-bf16")
    let stranger = RealFileTests.strangers[0]
    try workspace.write("tiny-bf16/\(file)", stranger.bytes)
    let text = try workspace.write("q.txt", "hi".utf8)
    try expectNamed(
      stranger, ["logits", model, "--text", text, "-o", workspace.path("l")])
    try expectNamed(
      stranger, ["convert", model, workspace.path("x.gguf"), "--to", "gguf", "--quant", "f16"])
    try expectNamed(stranger, ["validate", model], status: 1)
    try expectNamed(stranger, ["convert", model, workspace.path("out"), "--to", "hf"], status: 0)
    #expect(try !workspace.names("out").contains(file))
  }

  // MARK: Folders

  @Test func anAdapterNamesItsBase() throws {
    let model = workspace.path("adapter")
    let settings = #"{"peft_type":"LORA","base_model_name_or_path":"org/base","r":4}"#
    try workspace.write("adapter/adapter_config.json", settings.utf8)
    let name = "base_model.model.model.layers.0.self_attn.o_proj.lora_"
    let fixture = SafetensorsFixture([
      (name + "A.weight", .f32, [2, 4]), (name + "B.weight", .f32, [4, 2]),
    ])
    try workspace.write(
      "adapter/adapter_model.safetensors", fixture.header + [UInt8](repeating: 0, count: 64))
    for hasConfig in [false, true] {
      if hasConfig {
        try workspace.write("adapter/config.json", contents(RealFileTests.sample + "/config.json"))
      }
      let out = workspace.path("out")
      for arguments in [["convert", model, out, "--to", "hf"], ["diff", model, model]] {
        let run = try FathomProcess(arguments)
        #expect(run.status == 65 && run.messages.contains("LoRA adapter"), "\(run.messages)")
        #expect(run.messages.contains("org/base") && run.messages.contains("merge"))
      }
      let validation = try FathomProcess("validate", model, "--format", "json")
      #expect(validation.status == 1)
      let findings = try JSONDocument(validation.output).list("findings")
      #expect(findings.map { $0.string("rule") } == ["foreign-model"])
      let document = try inspection(model)
      #expect(document.string("quantization")?.contains("org/base") == true)
      #expect(document.integer("totals", "tensors") == 2 && document["parameters"] == nil)
    }
  }

  @Test func aCacheRootIsItsMainSnapshot() throws {
    let root = "models--org--tiny"
    let revision = "0123456789abcdef"
    _ = try workspace.copy(sample: "tiny-bf16")
    try workspace.write("\(root)/refs/main", "\(revision)\n".utf8)
    try workspace.write("\(root)/blobs/x", [])
    try workspace.write("\(root)/snapshots/other/config.json", "{}".utf8)
    try FileManager.default.moveItem(
      atPath: workspace.path("tiny-bf16"), toPath: workspace.path("\(root)/snapshots/\(revision)"))
    for command in ["inspect", "validate", "hash"] {
      let run = try FathomProcess(command, workspace.path(root))
      #expect(run.status == 0, "\(run.messages)")
    }
    let several = try FathomProcess("inspect", workspace.path)
    #expect(several.status == 64 && several.messages.contains(root), "\(several.messages)")
    try workspace.write("\(root)/refs/main", "gone".utf8)
    let gone = try FathomProcess("inspect", workspace.path(root))
    #expect(gone.status == 66 && gone.messages.contains("gone"), "\(gone.messages)")
  }

  @Test(arguments: [
    "model.safetensors.incomplete", "model.safetensors.part", "model.safetensors.aria2",
    ".cache/huggingface/download/x1.abc.incomplete",
  ])
  func anInterruptedDownloadIsSeen(beginning: String) throws {
    let model = try workspace.copy(sample: "tiny-bf16")
    try FileManager.default.removeItem(atPath: model + "/model.safetensors")
    let index = #"{"weight_map":{"lm_head.weight":"model.safetensors"}}"#
    try workspace.write("tiny-bf16/model.safetensors.index.json", index.utf8)
    try workspace.write("tiny-bf16/\(beginning)", [1, 2])
    for (command, status) in [("inspect", 66), ("validate", 1)] as [(String, Int32)] {
      let run = try FathomProcess(command, model)
      #expect(run.status == status, "\(run.messages)")
      let text = run.messages + run.output
      #expect(text.contains(beginning) && text.contains("hf download"), "\(text)")
    }
  }

  @Test func picklesAreNamed() throws {
    let model = try workspace.copy(sample: "tiny-bf16")
    for file in ["model.safetensors", "expected.safetensors"] {
      try FileManager.default.removeItem(atPath: "\(model)/\(file)")
    }
    try workspace.write("tiny-bf16/pytorch_model.bin", [0x50, 0x4B, 3, 4])
    let run = try FathomProcess("diff", model, model)
    #expect(run.status == 66 && run.messages.contains("pytorch_model.bin"), "\(run.messages)")
    #expect(run.messages.contains("save_file"))
  }

  // MARK: inspect and hash of anything

  private func inspection(_ arguments: String...) throws -> JSONDocument {
    let run = try FathomProcess(["inspect"] + arguments + ["--format", "json"])
    #expect(run.status == 0, "\(run.messages)")
    let document = try JSONDocument(run.output)
    let faults = try JSONSchema(named: "fathom.inspect.1").faults(in: document)
    #expect(faults.isEmpty, "\(faults)")
    return document
  }

  /// Of another network, or of none that anything says, the tensors are shown.
  @Test(arguments: [#"{"model_type":"qwen3_moe"}"#, "{}", nil])
  func anyNetworksTensorsAreShown(config: String?) throws {
    let fixture = SafetensorsFixture([
      ("h.0.attn.weight", .bf16, [2, 4]), ("mask", .bool, [3]), ("step", .i64, [1]),
    ])
    let file = try workspace.write(
      "m/model.safetensors", fixture.header + [UInt8](repeating: 1, count: 27))
    if let config { try workspace.write("m/config.json", config.utf8) }
    for model in [file, workspace.path("m")] {
      let document = try inspection(model, "--tensors")
      #expect(document.integer("totals", "tensors") == 3)
      #expect(document.integer("totals", "bytes") == 27)
      #expect(document.list("tensors").count == 3 && document["parameters"] == nil)
      #expect(
        document.string("architecture")
          == (config?.contains("qwen") == true ? "qwen3_moe" : "unknown"))
      let text = try FathomProcess("inspect", model)
      #expect(text.status == 0 && text.output.contains("BOOL"), "\(text.messages)")
      #expect(try FathomProcess("inspect", model, "--layers", "--experts").status == 0)
      #expect(try FathomProcess("hash", model).status == 0)
    }
    #expect(try FathomProcess("inspect", file, "--format", "html").status == 0)
  }

  /// Weights in a quantization that is not read: named, with the sizes of the files, and parameters as
  /// the config implies them.
  @Test(arguments: [
    (
      "awq", #"{"quant_method":"awq","bits":4,"group_size":128,"version":"gemv"}"#,
      "AWQ, 4 bits, version gemv, groups of 128"
    ),
    ("gptq", #"{"quant_method":"gptq","bits":3,"group_size":32}"#, "GPTQ, 3 bits, groups of 32"),
    ("bnb", #"{"quant_method":"bitsandbytes","load_in_4bit":true}"#, "bitsandbytes, 4 bits"),
    ("new", #"{"quant_method":"brand-new"}"#, "brand-new"),
  ])
  func aStorageThatIsNotReadIsNamed(name: String, section: String, words: String) throws {
    let editor = try SampleEditor("tiny-bf16", in: workspace)
    let sound = try inspection(editor.path)
    let object = try JSONSerialization.jsonObject(with: Data(section.utf8))
    try editor.set("quantization_config", object)
    let document = try inspection(editor.path)
    #expect(document.string("quantization")?.hasPrefix(words) == true)
    #expect(document["implied"] as? Bool == true)
    for key in ["total", "main", "mtp", "activePerToken"] {
      #expect(document.integer("parameters", key) == sound.integer("parameters", key), "\(key)")
    }
    #expect(document.integer("totals", "bytes") == sound.integer("totals", "bytes"))
    let layers = document.list("layers").map { $0.integer("bytes") }
    #expect(layers == sound.list("layers").map { $0.integer("bytes") })
    let refusal = try FathomProcess("diff", editor.path, editor.path)
    #expect(refusal.status == 65 && refusal.messages.contains(words), "\(refusal.messages)")
    #expect(try FathomProcess("hash", editor.path).status == 0)
    #expect(try FathomProcess("validate", editor.path).status == 1)
  }

  /// Files that quantizers leave beside a config that says nothing.
  @Test func aFileOfAQuantizerCounts() throws {
    let model = try workspace.copy(sample: "tiny-bf16")
    let settings = #"{"producer":{"name":"modelopt"},"quantization":{"quant_algo":"W4A8_AWQ"}}"#
    try workspace.write("tiny-bf16/hf_quant_config.json", settings.utf8)
    #expect(try inspection(model).string("quantization")?.hasPrefix("ModelOpt, W4A8_AWQ") == true)
    #expect(try FathomProcess("diff", model, model).status == 65)
    let plain = #"{"producer":{"name":"modelopt"},"quantization":{"quant_algo":null}}"#
    try workspace.write("tiny-bf16/hf_quant_config.json", plain.utf8)
    #expect(try inspection(model).string("quantization") == "none")
  }

  /// A config alone says what its network would be.
  @Test(arguments: ["tiny-bf16", "tiny-fp8", "tiny-int4", "tiny-trained"])
  func aConfigAloneImpliesItsNetwork(name: String) throws {
    let sample = Repository.samples + "/" + name
    let file = try workspace.write("c/config.json", contents(sample + "/config.json"))
    let sound = try inspection(sample)
    for model in [file, workspace.path("c")] {
      let document = try inspection(model)
      #expect(document.string("format") == "config")
      #expect(document["implied"] as? Bool == true)
      for key in ["total", "main", "mtp", "activePerToken"] {
        #expect(document.integer("parameters", key) == sound.integer("parameters", key), "\(key)")
      }
      // A config does not say which of two types the shapes of packed weights are stored in.
      let difference = name == "tiny-int4" ? 24 * 2 * 4 : 0
      let bytes = try #require(sound.integer("totals", "bytes"))
      #expect(document.integer("totals", "bytes") == bytes + difference)
      #expect(document.integer("totals", "shards") == 0)
      let text = try FathomProcess("inspect", model)
      #expect(text.output.contains("as the config implies"), "\(text.output)")
    }
    let refusal = try FathomProcess("hash", file)
    #expect(refusal.status == 65 && refusal.messages.contains("config"), "\(refusal.messages)")
  }

  // MARK: JSON as Python writes it

  @Test func pythonsNumbersStopNobody() throws {
    let model = try workspace.copy(sample: "tiny-bf16")
    let config = String(decoding: try contents(model + "/config.json"), as: UTF8.self)
    let start =
      "\u{FEFF}{\"unread\": [NaN, Infinity, -Infinity, 1\(String(repeating: "0", count: 30))],"
    try workspace.write("tiny-bf16/config.json", (start + config.dropFirst()).utf8)
    for command in ["inspect", "validate"] {
      let run = try FathomProcess(command, model)
      #expect(run.status == 0, "\(run.messages)")
    }
    let out = workspace.path("out")
    #expect(try FathomProcess("convert", model, out, "--to", "hf").status == 0)
    #expect(try FathomProcess("validate", out).status == 0)
    // What is read has to be a number.
    try workspace.write(
      "tiny-bf16/config.json",
      config.replacingOccurrences(of: "\"rms_norm_eps\":", with: "\"rms_norm_eps\": NaN, \"x\":")
        .utf8)
    #expect(try FathomProcess("validate", model).messages.contains("rms_norm_eps"))
  }

  @Test func aKeyThatStandsTwiceIsNamed() throws {
    let model = try workspace.copy(sample: "tiny-bf16")
    let config = String(decoding: try contents(model + "/config.json"), as: UTF8.self)
    try workspace.write("tiny-bf16/config.json", ("{\"vocab_size\": 9," + config.dropFirst()).utf8)
    for command in ["inspect", "validate"] {
      let run = try FathomProcess(command, model)
      #expect(run.status == 65 && run.messages.contains("\"vocab_size\" twice"), "\(run.messages)")
      #expect(run.messages.contains("at byte"))
    }
    try workspace.write("tiny-bf16/config.json", config.utf8)
    let entry = #""lm_head.weight":"model.safetensors""#
    try workspace.write(
      "tiny-bf16/model.safetensors.index.json", "{\"weight_map\":{\(entry),\(entry)}}".utf8)
    let run = try FathomProcess("diff", model, model)
    #expect(run.status == 65 && run.messages.contains("lm_head.weight"), "\(run.messages)")
  }
}
