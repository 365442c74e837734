import Models
import Platform
import Support
import Tensors
import Testing

/// What configs imply; the numbers of DeepSeek-V3 are those of its published headers.
@Suite struct ExpectedTensorTests {
  /// The published config with some keys changed; nil removes a key.
  private func config(_ changes: [String: JSONValue?] = [:]) throws -> ModelConfig {
    let path = FullSizeCheckpoint.configPath
    guard case .object(var object) = try JSONValue(parsing: contents(path), file: path) else {
      throw Fault(.malformed, "no object")
    }
    for (key, value) in changes { object[key] = value }
    return try ModelConfig(json: .object(object), file: path)
  }

  private func shapes(_ config: ModelConfig) -> [String: [Int]] {
    Dictionary(
      uniqueKeysWithValues: config.expectedTensors().map { ($0.name.text, $0.shape.dimensions) })
  }

  @Test func deepSeekV3HasItsPublishedTensors() throws {
    let tensors = try config().expectedTensors()
    #expect(tensors.count == 91_991)
    #expect(Set(tensors.map(\.name)).count == 91_991)
    #expect(tensors.reduce(0) { $0 + $1.shape.elementCount } == 684_531_386_000)
    let bytes = tensors.reduce(0) {
      $0 + ($1.publishedType.byteCount(elements: $1.shape.elementCount) ?? 0)
    }
    #expect(bytes == 688_574_839_360)
    let shapes = try shapes(config())
    #expect(shapes["model.layers.0.self_attn.kv_a_proj_with_mqa.weight"] == [576, 7168])
    #expect(shapes["model.layers.0.self_attn.kv_a_proj_with_mqa.weight_scale_inv"] == [5, 56])
    #expect(shapes["model.layers.61.eh_proj.weight"] == [7168, 14336])
    #expect(shapes["model.layers.61.eh_proj.weight_scale_inv"] == nil)
    #expect(shapes["model.layers.2.mlp.gate_proj.weight"] == [18432, 7168])
    #expect(shapes["model.layers.3.mlp.gate_proj.weight"] == nil)
    #expect(shapes["model.layers.3.mlp.gate.e_score_correction_bias"] == [256])
    #expect(shapes["model.layers.60.mlp.experts.255.down_proj.weight_scale_inv"] == [56, 16])
  }

  @Test func withoutTheMTPLayerThereAreItsOwnFewer() throws {
    let tensors = try config(["num_nextn_predict_layers": .integer(0)]).expectedTensors()
    #expect(tensors.count == 90_427)
    let weights = tensors.filter { $0.storage != .scale }
    #expect(weights.reduce(0) { $0 + $1.shape.elementCount } == 671_026_419_200)
    let two = try config(["num_nextn_predict_layers": .integer(2)]).expectedTensors()
    #expect(two.count == 90_427 + 2 * (91_991 - 90_427))
  }

  @Test func variantsHaveTheirOwnNames() throws {
    let direct = try shapes(config(["q_lora_rank": .null]))
    #expect(direct["model.layers.0.self_attn.q_proj.weight"] == [24576, 7168])
    #expect(direct["model.layers.0.self_attn.q_proj.weight_scale_inv"] == [192, 56])
    #expect(direct["model.layers.0.self_attn.q_a_proj.weight"] == nil)
    #expect(try shapes(config(["tie_word_embeddings": .bool(true)]))["lm_head.weight"] == nil)
    let plain = try shapes(config(["quantization_config": nil]))
    #expect(!plain.keys.contains { $0.hasSuffix("_scale_inv") })
    let biased = try shapes(config(["attention_bias": .bool(true)]))
    #expect(biased["model.layers.5.self_attn.o_proj.bias"] == [7168])
    let shared = try shapes(config(["n_shared_experts": .integer(2)]))
    #expect(shared["model.layers.5.mlp.shared_experts.up_proj.weight"] == [4096, 7168])
    let none = try shapes(config(["n_shared_experts": .null]))
    #expect(none["model.layers.5.mlp.shared_experts.up_proj.weight"] == nil)
  }

  @Test func modulesThatAreNotConvertedHaveNoScales() throws {
    let quantization: JSONValue = .object([
      "quant_method": .string("fp8"), "weight_block_size": .array([.integer(32), .integer(64)]),
      "modules_to_not_convert": .array([
        .string("o_proj"), .string("model.layers.0"), .string("lm_head"),
      ]),
    ])
    let shapes = try shapes(config(["quantization_config": quantization]))
    #expect(shapes["model.layers.1.self_attn.o_proj.weight_scale_inv"] == nil)
    #expect(shapes["model.layers.0.self_attn.q_b_proj.weight_scale_inv"] == nil)
    #expect(shapes["model.layers.1.self_attn.q_b_proj.weight_scale_inv"] == [768, 24])
    #expect(shapes["model.layers.10.self_attn.q_b_proj.weight_scale_inv"] == [768, 24])
  }

  @Test func bothSpellingsOfTheRotaryTableAreRead() throws {
    let old = try config()
    let new = try config([
      "rope_theta": nil, "rope_scaling": nil, "torch_dtype": nil, "dtype": .string("bfloat16"),
      "rope_parameters": .object([
        "rope_type": .string("yarn"), "rope_theta": .number(10000), "factor": .integer(40),
        "original_max_position_embeddings": .integer(4096), "beta_fast": .integer(32),
        "beta_slow": .integer(1), "mscale": .number(1), "mscale_all_dim": .number(1),
      ]),
    ])
    #expect(old == new)
    #expect(old.yarn?.factor == 40)
  }

  @Test(arguments: [
    ("n_group", JSONValue.integer(7)), ("topk_group", .integer(9)),
    ("num_experts_per_tok", .integer(200)), ("qk_rope_head_dim", .integer(63)),
    ("hidden_size", .integer(0)), ("hidden_size", .integer(-1)), ("hidden_size", .string("7168")),
    ("hidden_size", .integer(1 << 40)), ("num_hidden_layers", .number(61.5)), ("v_head_dim", .null),
    ("model_type", .string("llama")), ("hidden_act", .string("gelu")),
    ("scoring_func", .string("relu")), ("rope_theta", .integer(0)),
    ("torch_dtype", .string("int4")), ("tie_word_embeddings", .integer(1)),
    ("quantization_config", .object(["quant_method": .string("gptq")])),
    (
      "quantization_config",
      .object(["quant_method": .string("fp8"), "weight_block_size": .array([.integer(128)])])
    ),
    ("rope_scaling", .object(["type": .string("linear"), "factor": .integer(2)])),
  ])
  func impossibleConfigsAreRefusedByKey(key: String, value: JSONValue) {
    #expect {
      _ = try config([key: value])
    } throws: { error in
      guard let fault = error as? Fault else { return false }
      let section = key == "quantization_config" || key == "rope_scaling"
      return fault.kind == .malformed && fault.message.contains(section ? "\(key)." : "\"\(key)\"")
    }
  }

  @Test(
    arguments: [
      ("model.layers.61.eh_proj.weight", 61), ("model.layers.0.x", 0), ("model.norm.weight", nil),
      ("model.layers.x.y", nil), ("model.layers.5", nil), ("model.layers..y", nil),
      ("model.layers.99999999999.y", nil),
    ] as [(String, Int?)])
  func layersAreReadFromNames(name: String, layer: Int?) {
    #expect(ModelConfig.layer(of: ExactText(name)) == layer)
  }
}
