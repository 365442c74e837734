import Foundation
import Support
import Testing

/// Limits on memory: the process keeps them, and no result depends on them.
///
/// The model is small, but for its tokens a pass takes many times what the program itself does.
@Suite(.enabled(if: Sanitizer.keepsMemory)) struct MemoryTests {
  let workspace: Workspace
  let model: String
  let tokens: String

  init() throws {
    workspace = try Workspace()
    model = workspace.path("model")
    let text = """
      {"model_type": "deepseek_v3", "hidden_size": 512, "intermediate_size": 2048,
       "moe_intermediate_size": 256, "num_hidden_layers": 2, "first_k_dense_replace": 1,
       "num_attention_heads": 8, "num_key_value_heads": 8, "q_lora_rank": 128, "kv_lora_rank": 64,
       "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32, "vocab_size": 3000,
       "n_routed_experts": 16, "num_experts_per_tok": 4, "n_shared_experts": 1, "n_group": 4,
       "topk_group": 2, "num_nextn_predict_layers": 1, "tie_word_embeddings": false}
      """
    let config = try workspace.write("model/config.json", text.utf8)
    try SafetensorsFixture.published(configPath: config).writeNumbers(
      to: model + "/model.safetensors")
    tokens = try MemoryTests.writeTokens(4, 384, to: workspace)
  }

  private static func writeTokens(
    _ sequences: Int, _ length: Int, to workspace: Workspace
  ) throws -> String {
    let ids = (0..<sequences).map { row in
      (0..<length).map { (row * 101 + $0 * $0 * 7) % 3000 }
    }
    return try workspace.write("tokens-\(length).json", "\(ids)".utf8)
  }

  /// A candidate that differs a little.
  private func candidate() throws -> String {
    let path = workspace.path("candidate.gguf")
    let run = try FathomProcess("convert", model, path, "--to", "gguf", "--quant", "q8_0")
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  /// The least memory, in bytes, that a command says it can do with.
  private func least(_ arguments: [String]) throws -> Int {
    let run = try FathomProcess(arguments + ["--memory", "1MB"])
    #expect(run.status == 64, "\(run.messages)")
    let words = run.messages.split { $0 == " " || $0 == "," }
    let place = try #require(words.firstIndex(of: "least"))
    let size = words[place + 1]
    #expect(size.hasSuffix("MB"))
    return (Int(size.dropLast(2)) ?? 0) * 1_000_000
  }

  /// Runs a command with the least memory and with much, and holds it to that.
  ///
  /// - Parameter result: what must not depend on the limit.
  private func keepsLimit(
    _ arguments: [String], _ result: (FathomProcess) throws -> [UInt8]
  ) throws {
    let limit = try least(arguments)
    let generous = try FathomProcess.watchingMemory(arguments + ["--memory", "1GB"])
    #expect(generous.status == 0, "\(generous.messages)")
    let expected = try result(generous)
    let run = try FathomProcess.watchingMemory(arguments + ["--memory", "\(limit)B"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.peakMemory > 0 && run.peakMemory <= limit)
    #expect(try result(run) == expected)
    #expect(generous.peakMemory > limit, "it is a limit")
  }

  @Test(arguments: ["keep", "drop"]) func logitsKeepTheirLimit(mtp: String) throws {
    let output = workspace.path("logits")
    try keepsLimit(
      ["logits", model, "--tokens", tokens, "-o", output, "--overwrite", "--mtp", mtp]
    ) { _ in try contents(output) }
  }

  @Test(arguments: [[], ["--isolate"]])
  func comparisonsKeepTheirLimit(options: [String]) throws {
    try keepsLimit(
      ["verify", model, try candidate(), "--tokens", tokens, "--format", "json"] + options
    ) { Array($0.output.utf8) }
  }

  @Test func blameKeepsItsLimit() throws {
    let few = try MemoryTests.writeTokens(2, 64, to: workspace)
    try keepsLimit(
      [
        "verify", model, try candidate(), "--tokens", few, "--format", "json", "--blame",
        "--blame-count", "2", "--mtp", "drop",
      ]
    ) { Array($0.output.utf8) }
  }

  @Test func baselinesKeepTheirLimit() throws {
    let output = workspace.path("baseline")
    try keepsLimit(
      ["verify", "--record", model, "--tokens", tokens, "-o", output, "--overwrite"]
    ) { _ in try contents(output) }
    try keepsLimit(["verify", output, try candidate(), "--format", "json"]) {
      Array($0.output.utf8)
    }
  }
}
