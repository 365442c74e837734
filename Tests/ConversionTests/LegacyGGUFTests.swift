import Conversion
import Dialects
import Formats
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

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

  /// A key that a file may lack, another value than its default for it, and what is assumed.
  struct OptionalKey: CustomTestStringConvertible, Sendable {
    let name: String
    let other: MetadataValue
    let isDefault: @Sendable (ModelConfig) -> Bool
    var testDescription: String { name }
  }

  /// What llama.cpp's loader takes where a file is silent; 0 is its own mark for a scale that is not
  /// there.
  static let optionalKeys = [
    OptionalKey(name: "expert_weights_scale", other: .float32(7.5)) {
      $0.routedScalingFactor == 1
    },
    OptionalKey(name: "expert_weights_norm", other: .bool(true)) { !$0.normalizeExpertWeights },
    OptionalKey(name: "expert_shared_count", other: .uint32(3)) { $0.sharedExperts == 0 },
    OptionalKey(name: "leading_dense_block_count", other: .uint32(2)) { $0.firstDenseLayers == 0 },
    OptionalKey(name: "nextn_predict_layers", other: .uint32(1)) { $0.mtpLayers == 0 },
    OptionalKey(name: "rope.freq_base", other: .float32(50_000)) { $0.ropeTheta == 10_000 },
    OptionalKey(name: "rope.scaling.type", other: .string("yarn")) { $0.yarn == nil },
    OptionalKey(name: "rope.scaling.yarn_beta_fast", other: .float32(40)) {
      $0.yarn?.betaFast == 32
    },
    OptionalKey(name: "rope.scaling.yarn_beta_slow", other: .float32(2)) {
      $0.yarn?.betaSlow == 1
    },
    OptionalKey(name: "rope.scaling.yarn_log_multiplier", other: .float32(0.07)) {
      $0.yarn?.attentionFactor == 1 && $0.yarn?.mscaleAllDimensions == nil
    },
    OptionalKey(name: "rope.scaling.original_context_length", other: .uint32(77)) {
      $0.yarn?.originalContextLength == $0.contextLength
    },
    OptionalKey(name: "attention.q_lora_rank", other: .uint32(72)) { $0.queryRank == nil },
    OptionalKey(name: "attention.layer_norm_rms_epsilon", other: .float32(1e-5)) {
      $0.rmsNormEpsilon == 1e-6
    },
  ]

  @Test(arguments: optionalKeys)
  func anAbsentKeyIsReadAsItsDefault(key: OptionalKey) throws {
    let workspace = try Workspace()
    let gguf = try GGUFModel(
      path: Conversions(sample("tiny-fp8"), try GGUFConversionTests.recipe("f32"))
        .moved(to: workspace))
    let names = Set(gguf.files.inventory.tensors.map(\.name))
    var metadata = gguf.files.metadata
    for key in Self.optionalKeys { metadata["deepseek2.\(key.name)"] = key.other }
    func config() throws -> ModelConfig {
      let read = try DeepSeek2Config(metadata, names: names, file: "old.gguf")
      return try ModelConfig(json: read.json, file: "old.gguf")
    }
    #expect(try !key.isDefault(config()))
    metadata["deepseek2.\(key.name)"] = nil
    #expect(try key.isDefault(config()))
    guard key.name == "expert_weights_scale" else { return }
    metadata["deepseek2.\(key.name)"] = .float32(0)
    #expect(try key.isDefault(config()))
  }

  @Test(arguments: ["block_count", "attention.head_count", "rope.dimension_count"])
  func whatIsNeededIsAskedFor(key: String) throws {
    let workspace = try Workspace()
    let old = try writeLegacy("tiny-bf16", to: workspace, without: [key])
    #expect(throws: Fault.self) { try GGUFModel(path: old) }
  }
}
