import Foundation
import Support
import Testing

/// Every network of the family in every command and format that its loaders know.
@Suite struct NetworkTests {
  static let samples = Repository.networkSamples
  let workspace: Workspace
  private let tokens: String

  init() throws {
    workspace = try Workspace()
    tokens = try workspace.write("tokens.json", "[[1,5,9,200,3,77,14,30,7,8,9,10]]".utf8)
  }

  private func convert(_ sample: String, _ name: String, _ options: String...) throws
    -> FathomProcess
  {
    try FathomProcess(
      ["convert", Repository.samples + "/" + sample, workspace.path(name)] + options)
  }

  private func json(_ path: String) throws -> JSONDocument {
    try JSONDocument(String(decoding: contents(path), as: UTF8.self))
  }

  @Test(arguments: samples) func isSound(sample: String) throws {
    let run = try FathomProcess(
      ["validate", "--deep", "--format", "json", Repository.samples + "/" + sample])
    #expect(run.status == 0, "\(run.messages)")
    let document = try JSONDocument(run.output)
    #expect(document.list("findings").isEmpty)
    #expect(try JSONSchema(named: "fathom.validate.1").faults(in: document).isEmpty)
    let others = ["tiny-kimi-k25": 23, "tiny-mistral4": 2]
    #expect(document.integer("unchecked") == others[sample])
  }

  /// Networks that DeepSeek's own code does not compute.
  private static let notOfDeepSeeksCode = [
    "tiny-youtu", "tiny-glm5", "tiny-glm52", "tiny-mistral4",
  ]

  /// Weights that are stored in BF16 are the same in every format; Kimi's codes are rounded once.
  @Test(
    arguments: samples,
    [
      ["gguf", "f32"], ["gguf", "bf16"], ["mlx", "bf16"], ["hf", "bf16"], ["hf", "f32"],
      ["deepseek", "bf16"],
    ])
  func isTheSameInEveryFormat(sample: String, format: [String]) throws {
    guard format[0] != "deepseek" || !Self.notOfDeepSeeksCode.contains(sample) else { return }
    let name = format[0] == "gguf" ? "model.gguf" : "model"
    let run = try convert(sample, name, "--to", format[0], "--quant", format[1])
    #expect(run.status == 0, "\(run.messages)")
    let check = try FathomProcess("validate", "--deep", workspace.path(name))
    #expect(check.status == 0, "\(check.messages) \(check.output)")
    // DeepSeek's shards cannot say that norms have another ε; the plan says that it is lost.
    let limit =
      format[0] == "deepseek" ? "1e-3" : sample == "tiny-kimi-k25" ? "1e-4" : "1e-9"
    let verdict = try FathomProcess(
      "verify", Repository.samples + "/" + sample, workspace.path(name), "--tokens", tokens,
      "--max-kl", limit)
    #expect(verdict.status == 0, "\(verdict.messages)")
  }

  @Test(arguments: samples) func comesBackFromGGUFAsTheSameNetwork(sample: String) throws {
    #expect(try convert(sample, "model.gguf", "--to", "gguf", "--quant", "f32").status == 0)
    let run = try FathomProcess(
      "convert", workspace.path("model.gguf"), workspace.path("back"), "--to", "hf")
    #expect(run.status == 0, "\(run.messages)")
    let config = try json(workspace.path("back/config.json"))
    let expected = [
      "tiny-glm5": "glm_moe_dsa", "tiny-glm52": "glm_moe_dsa", "tiny-v32": "deepseek_v32",
      "tiny-glm-lite": "glm4_moe_lite", "tiny-kimi-k25": "kimi_k2", "tiny-mistral4": "mistral4",
      "tiny-v2": "deepseek_v2", "tiny-v2-lite": "deepseek_v2", "tiny-v5": "deepseek_v3",
      "tiny-youtu": "youtu",
    ]
    #expect(config.string("model_type") == expected[sample])
    let verdict = try FathomProcess(
      "verify", Repository.samples + "/" + sample, workspace.path("back"), "--tokens", tokens,
      "--max-kl", "1e-9")
    #expect(verdict.status == 0, "\(verdict.messages)")
  }

  @Test func visionIsCarriedOrSaidToBeLeftOut() throws {
    #expect(try convert("tiny-kimi-k25", "hf", "--to", "hf", "--quant", "bf16").status == 0)
    let kept = try FathomProcess("inspect", workspace.path("hf"), "--tensors", "vision_tower.*")
    #expect(kept.output.contains("vision_tower.encoder.final_layernorm.weight"))
    let names = try FathomProcess("inspect", workspace.path("hf"), "--tensors", "*lm_head*")
    #expect(names.output.contains("language_model.lm_head.weight"))
    #expect(try json(workspace.path("hf/config.json")).string("model_type") == "kimi_k25")
    for (target, name) in [("gguf", "m.gguf"), ("mlx", "m")] {
      let plan = try convert(
        "tiny-kimi-k25", name, "--to", target, "--quant", "bf16", "--dry-run", "--format", "json")
      let dropped = try JSONDocument(plan.output).list("dropped")
      #expect(dropped.count { $0.string("reason")?.hasPrefix("another part") == true } == 23)
    }
  }

  @Test func aLoaderThatComputesAnotherNetworkIsNamed() throws {
    func warnings(_ sample: String, _ options: String...) throws -> String {
      try FathomProcess(
        ["convert", Repository.samples + "/" + sample, workspace.path("x"), "--dry-run"] + options
      ).output
    }
    #expect(try warnings("tiny-v2", "--to", "gguf", "--quant", "f32").contains("ranks groups"))
    #expect(
      try !warnings("tiny-v2-lite", "--to", "gguf", "--quant", "f32").contains("ranks groups"))
    #expect(
      try warnings("tiny-glm-lite", "--to", "mlx", "--quant", "bf16").contains("rms_norm_eps"))
    let refused = try convert("tiny-youtu", "d", "--to", "deepseek")
    #expect(refused.status == 64)
    #expect(refused.messages.contains("dense layers alone"))
    let sparse = try convert("tiny-glm5", "s", "--to", "deepseek")
    #expect(sparse.status == 64)
    #expect(sparse.messages.contains("indexer"))
    let scaled = try convert("tiny-mistral4", "q", "--to", "deepseek")
    #expect(scaled.status == 64)
    #expect(scaled.messages.contains("scaled by their positions"))
    #expect(
      try warnings("tiny-glm52", "--to", "mlx", "--quant", "bf16").contains("layers that share"))
  }

  /// A.X-K1 has a norm more than DeepSeek-V3: in layers with experts it is run, in others stored alone.
  @Test func aNetworkThatFewLoadersKnowGoesToThoseAlone() throws {
    let check = try FathomProcess(
      "validate", "--deep", "--format", "json", Repository.samples + "/axk1")
    #expect(check.status == 0)
    #expect(try JSONDocument(check.output).list("findings").isEmpty)
    let editor = try SampleEditor("axk1", in: workspace)
    let tokens = Repository.samples + "/axk1/expected.safetensors"
    for (quant, limit) in [("f32", "1e-9"), ("bf16", "1e-9"), ("fp8", "1")] {
      let run = try convert("axk1", quant, "--to", "hf", "--quant", quant)
      #expect(run.status == 0, "\(run.messages)")
      #expect(try FathomProcess("validate", workspace.path(quant)).status == 0)
      let verdict = try FathomProcess(
        "verify", editor.path, workspace.path(quant), "--tokens", tokens, "--max-kl", limit)
      #expect(verdict.status == 0, "\(verdict.messages)")
    }
    for (target, loader) in [("gguf", "llama.cpp"), ("mlx", "mlx-lm"), ("deepseek", "DeepSeek")] {
      let options = target == "gguf" ? ["--quant", "f32"] : []
      let run = try FathomProcess(
        ["convert", editor.path, workspace.path("x"), "--to", target] + options)
      #expect(run.status == 64 && run.messages.contains(loader), "\(run.messages)")
    }
    // Called DeepSeek-V3 it stops.
    try editor.set("model_type", "deepseek_v3")
    let run = try FathomProcess(
      "logits", editor.path, "--tokens", tokens, "-o", workspace.path("l.safetensors"))
    #expect(run.status == 65 && run.messages.contains("axk1"), "\(run.messages)")
  }

  /// mlx-lm reads `rope_theta` and `rope_scaling`; transformers 5 writes neither.
  @Test func mlxGetsTheKeysThatItReads() throws {
    #expect(try convert("tiny-v5", "v5", "--to", "mlx", "--quant", "bf16").status == 0)
    let config = try json(workspace.path("v5/config.json"))
    #expect(config.string("rope_scaling", "type") == "yarn")
    #expect(config.number("rope_scaling", "mscale_all_dim") == 0.707)
    #expect(try convert("tiny-youtu", "y", "--to", "mlx", "--quant", "bf16").status == 0)
    #expect(try json(workspace.path("y/config.json")).string("model_type") == "youtu_llm")
    #expect(try json(workspace.path("y/config.json")).number("rope_theta") != nil)
  }
}
