import Conversion
import Formats
import Models
import Platform
import Support
import Tensors
import Testing

/// GGUF files as they were before llama.cpp split `kv_b_proj`, and with keys that came later.
@Suite struct LegacyGGUFTests {
  /// Writes an F32 GGUF file of a sample in the old layout.
  private func writeLegacy(
    _ name: String, to workspace: Workspace, without keys: [String]
  ) throws -> String {
    let plain = try Conversions(sample(name), Recipe(weights: WeightStorage.named("f32")))
    let gguf = try GGUFModel(
      path: Conversions(sample(name), try GGUFConversionTests.recipe("f32"))
        .moved(to: workspace))
    var metadata = gguf.files.metadata
    let config = gguf.config
    for key in keys + ["attention.key_length_mla", "attention.value_length_mla"] {
      metadata["deepseek2.\(key)"] = nil
    }
    metadata["deepseek2.attention.head_count_kv"] = .uint32(UInt32(config.heads))
    metadata["deepseek2.attention.key_length"] = .uint32(UInt32(config.queryHeadSize))
    metadata["deepseek2.attention.value_length"] = .uint32(UInt32(config.valueHeadSize))
    var entries: [OutputLayout.Entry] = []
    var data: [[UInt8]] = []
    func add(_ name: String, _ tensor: StoredTensor, _ bytes: [UInt8]) throws {
      entries.append(
        try #require(
          OutputLayout.Entry(name: ExactText(name), type: tensor.type, shape: tensor.shape)))
      data.append(bytes)
    }
    let joint = try plain.tensors()
    for tensor in gguf.files.inventory.tensors where !tensor.name.contains("attn_k_b") {
      if let layer = DeepSeek2Names.layerIndex(of: tensor.name), tensor.name.contains("attn_v_b") {
        let matrix = try #require(joint["model.layers.\(layer).self_attn.kv_b_proj.weight"])
        try add("blk.\(layer).attn_kv_b.weight", matrix.tensor, matrix.bytes)
      } else {
        let buffer = try gguf.files.inventory.read(tensor)
        try add(tensor.name.text, tensor, withExtendedLifetime(buffer) { Array(buffer.bytes) })
      }
    }
    let file = try GGUFWriterLayout.layout(
      entries, metadata: metadata, name: "old.gguf", division: .limit(.max)
    ).files[0]
    var bytes = file.header
    for (index, offset) in zip(file.tensors, file.offsets) {
      bytes += [UInt8](repeating: 0, count: offset - bytes.count) + data[index]
    }
    return try workspace.write(
      "old.gguf", bytes + [UInt8](repeating: 0, count: file.byteCount - bytes.count))
  }

  @Test(arguments: ["tiny-fp8", "tiny-no-qlora"])
  func theOldLayoutIsRead(name: String) throws {
    let workspace = try Workspace()
    let old = try writeLegacy(name, to: workspace, without: [])
    let recipe = Recipe(weights: WeightStorage.named("f32"))
    let found = try Conversions(old, recipe)
    let expected = try Conversions(sample(name), recipe).tensors()
    let tensors = try found.tensors()
    #expect(Set(tensors.keys) == Set(expected.keys))
    for (name, tensor) in expected { #expect(tensors[name]?.bytes == tensor.bytes, "\(name)") }
    #expect(try GGUFModel(path: old).notes.isEmpty)
  }

  @Test func missingKeysAreNoted() throws {
    let workspace = try Workspace()
    let old = try writeLegacy(
      "tiny-fp8", to: workspace,
      without: ["expert_group_count", "expert_group_used_count", "expert_gating_func"])
    let model = try GGUFModel(path: old)
    #expect(model.notes.count == 2)
    #expect(model.notes.contains { $0.contains("expert_gating_func") })
    #expect(model.config.expertGroups == 1)
  }

  @Test(arguments: ["block_count", "attention.head_count", "rope.dimension_count"])
  func whatIsNeededIsAskedFor(key: String) throws {
    let workspace = try Workspace()
    let old = try writeLegacy("tiny-bf16", to: workspace, without: [key])
    #expect(throws: Fault.self) { try GGUFModel(path: old) }
  }
}
