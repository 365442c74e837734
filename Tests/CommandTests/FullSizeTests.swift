import Foundation
import Support
import Tensors
import Testing

/// DeepSeek-V3 itself, as far as headers show it.
///
/// The numbers are those of the published checkpoint: its headers list 91,991 tensors with
/// 684,531,386,000 elements in 688,574,839,360 bytes, of which layer 61 is the MTP layer.
@Suite struct FullSizeTests {
  private func inspected(_ workspace: Workspace) throws -> JSONDocument {
    let run = try FathomProcess("inspect", workspace.path, "--format", "json")
    #expect(run.status == 0, "\(run.messages)")
    return try JSONDocument(run.output)
  }

  private func requireValid(_ workspace: Workspace) throws {
    let validation = try FathomProcess("validate", workspace.path, "--format", "json")
    #expect(validation.status == 0)
    #expect(try JSONDocument(validation.output).list("findings").isEmpty)
  }

  @Test func isInspectedAndValid() throws {
    let workspace = try Workspace()
    try FullSizeCheckpoint.write(to: workspace)
    let json = try inspected(workspace)
    #expect(json.integer("totals", "tensors") == 91_991)
    #expect(json.integer("totals", "elements") == 684_531_386_000)
    #expect(json.integer("totals", "bytes") == 688_574_839_360)
    #expect(json.integer("totals", "shards") == 163)
    #expect(json.integer("parameters", "main") == 671_026_419_200)
    #expect(json.integer("parameters", "mtp") == 684_489_845_504 - 671_026_419_200)
    #expect(json.integer("parameters", "scales") == 41_540_496)
    #expect(json.integer("cost", "kvCacheBytesPerToken") == 61 * (512 + 64) * 2)
    let active = try #require(json.integer("parameters", "activePerToken"))
    #expect(abs(active - 36_600_000_000) < 50_000_000)
    let text = try FathomProcess("inspect", workspace.path)
    for part in ["91,991", "684,531,386,000", "671.03 B", "13.46 B", "11.61 B", "36.6"] {
      #expect(text.output.contains(part), "\(part) in \(text.output)")
    }
    try requireValid(workspace)
    // Threads divide the tensors among them.
    let documents = try ["1", "2", "5"].map { threads in
      try FathomProcess(
        "inspect", workspace.path, "--format", "json", "--layers", "--threads", threads
      ).output
    }
    #expect(Set(documents).count == 1)
  }

  /// DeepSeek-V4-Flash by its published names and types: 284 B weights, 13 B of them for a token.
  @Test func flashIsInspectedAndValid() throws {
    let workspace = try Workspace()
    try FullSizeCheckpoint.writeFlash(to: workspace)
    let json = try inspected(workspace)
    #expect(json.integer("totals", "tensors") == 69_187)
    let main = try #require(json.integer("parameters", "main"))
    #expect(abs(main - 284_000_000_000) < 1_000_000_000, "\(main)")
    let active = try #require(json.integer("parameters", "activePerToken"))
    #expect(abs(active - 13_000_000_000) < 1_000_000_000, "\(active)")
    try requireValid(workspace)
  }

  /// The file that llama.cpp's converter would make of it, planned from headers alone.
  @Test func flashIsPlannedAsGGUF() throws {
    let workspace = try Workspace()
    try FullSizeCheckpoint.writeFlash(to: workspace)
    let output = workspace.path("flash.gguf")
    let run = try FathomProcess(
      "convert", workspace.path, output, "--to", "gguf", "--dry-run", "--format", "json")
    #expect(run.status == 0, "\(run.messages)")
    let tensors = try JSONDocument(run.output).list("tensors")
    var types: [String: Int] = [:]
    for tensor in tensors { types[tensor.string("type") ?? "", default: 0] += 1 }
    // Three stacks of experts in each of 43 layers.
    #expect(types["MXFP4"] == 129, "\(types)")
    #expect(types["I32"] == 3, "\(types)")
    #expect(Set(types.keys) == ["MXFP4", "Q8_0", "BF16", "F32", "I32"], "\(types)")
    let stack = try #require(
      tensors.first { $0.string("name") == "blk.42.ffn_down_exps.weight" })
    #expect(stack.integer("bytes") == 256 * 4096 * 2048 / 32 * 17)
    #expect(try workspace.names("").allSatisfy { !$0.contains("gguf") })
  }

  /// The parts that eight shards of DeepSeek's own code have of it.
  @Test func flashIsDividedAmongShards() throws {
    let workspace = try Workspace()
    try FullSizeCheckpoint.writeFlash(to: workspace)
    func plan(_ shards: Int) throws -> FathomProcess {
      try FathomProcess([
        "convert", workspace.path, workspace.path("out"), "--to", "deepseek", "--mp", "\(shards)",
        "--dry-run", "--format", "json",
      ])
    }
    let run = try plan(8)
    #expect(run.status == 0, "\(run.messages)")
    let tensors = try JSONDocument(run.output).list("tensors")
    let last = tensors.filter { $0.string("file") == "model7-mp8.safetensors" }
    var found: [String: String] = [:]
    for tensor in last {
      found[tensor.string("name") ?? ""] = "\(tensor.string("type") ?? "") \(tensor["shape"] ?? "")"
    }
    // Every tensor but the grids of scales of the output's first half, which is decoded.
    #expect(found.count == 69_187 - 44 - 7 * 32 * 44 * 6)
    for (name, words) in [
      ("embed.weight", "BF16 [16160, 4096]"), ("head.weight", "BF16 [16160, 4096]"),
      ("layers.0.attn.wq_b.weight", "F8_E4M3 [4096, 1024]"),
      ("layers.0.attn.wq_b.scale", "F8_E8M0 [32, 8]"),
      ("layers.0.attn.wo_a.weight", "BF16 [1024, 4096]"),
      ("layers.0.attn.wo_b.weight", "F8_E4M3 [4096, 1024]"),
      ("layers.0.attn.wo_b.scale", "F8_E8M0 [32, 8]"), ("layers.0.attn.attn_sink", "F32 [8]"),
      ("layers.2.attn.indexer.wq_b.weight", "F8_E4M3 [1024, 1024]"),
      ("layers.2.attn.indexer.weights_proj.weight", "BF16 [8, 4096]"),
      ("layers.2.attn.indexer.compressor.wkv.weight", "BF16 [256, 4096]"),
      ("layers.0.attn.wq_a.weight", "F8_E4M3 [1024, 4096]"),
      ("layers.0.ffn.shared_experts.w1.weight", "F8_E4M3 [2048, 4096]"),
      ("layers.0.ffn.gate.tid2eid", "I64 [129280, 6]"),
      ("layers.42.ffn.experts.224.w2.weight", "F4 [4096, 2048]"),
      ("mtp.0.ffn.experts.255.w1.scale", "F8_E8M0 [2048, 128]"),
      ("mtp.0.e_proj.weight", "F8_E4M3 [4096, 4096]"),
    ] {
      #expect(found[name] == words, "\(name): \(found[name] ?? "absent")")
    }
    for absent in ["layers.0.attn.wo_a.scale", "layers.42.ffn.experts.223.w2.weight"] {
      #expect(found[absent] == nil, "\(absent)")
    }
    // A group of heads is not cut, and neither is a part taken where there is no whole one.
    let refused = try plan(16)
    #expect(
      refused.status == 64 && refused.messages.contains("groups of heads"), "\(refused.messages)")
  }

  /// What is wrong with one tensor of 69,187 is named, and nothing else.
  @Test func faultsOfFlashAreNamed() throws {
    let workspace = try Workspace()
    let expert = "layers.42.ffn.experts.255.w2"
    let faults: [String: (inout FullSizeCheckpoint.Tensor) -> Void] = [
      "wrong-shape layers.7.hc_attn_fn": { $0.shape[0] -= 1 },
      "wrong-type layers.9.attn.attn_sink": { $0.type = .bf16 },
      "wrong-scale-shape \(expert).scale": { $0.shape[1] += 1 },
      "wrong-type layers.1.ffn.gate.tid2eid": { $0.type = .f32 },
    ]
    let gone = [
      "missing-tensor layers.2.attn.indexer.compressor.ape",
      "missing-scale layers.30.ffn.experts.17.w1.scale",
    ]
    let strange = "layers.0.attn.compressor.ape"
    try FullSizeCheckpoint.writeFlash(to: workspace) { tensors in
      func name(_ row: String) -> String { String(row.split(separator: " ")[1]) }
      tensors.removeAll { tensor in gone.contains { name($0) == tensor.name } }
      for (row, fault) in faults {
        guard let place = tensors.firstIndex(where: { $0.name == name(row) }) else { continue }
        fault(&tensors[place])
      }
      tensors.append((strange, .f32, [4, 1024]))
    }
    let run = try FathomProcess("validate", workspace.path, "--format", "json")
    #expect(run.status == 1, "\(run.messages)")
    let found = try JSONDocument(run.output).list("findings").map {
      "\($0.string("rule") ?? "") \($0.string("tensor") ?? "")"
    }
    #expect(Set(found) == Set(faults.keys).union(gone + ["unexpected-tensor \(strange)"]))
    #expect(found.count == 7)
  }
}
