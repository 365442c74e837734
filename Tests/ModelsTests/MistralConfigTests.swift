import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// Networks whose queries are scaled by their positions: what their configs imply, in each of the
/// forms that they are published in.
@Suite struct MistralConfigTests {
  private static let params: JSONObject = [
    "dim": 7168, "n_layers": 61, "head_dim": 128, "hidden_dim": 16384, "n_heads": 128,
    "n_kv_heads": 128, "rope_theta": 10000.0, "norm_eps": 1e-6, "vocab_size": 131072,
    "tied_embeddings": false, "max_position_embeddings": 294912, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "kv_lora_rank": 512, "v_head_dim": 128,
    "llama_4_scaling": .object(["beta": 0.1, "original_max_position_embeddings": 8192]),
    "yarn": .object([
      "factor": 36, "beta": 32, "alpha": 1, "original_max_position_embeddings": 8192,
      "apply_scale": false,
    ]),
    "moe": .object([
      "expert_parallel": 1, "expert_model_parallel": 1, "route_every_n": 1,
      "first_k_dense_replace": 3, "num_experts": 128, "num_experts_per_tok": 4,
      "num_expert_groups": 1, "num_expert_groups_per_tok": 1, "routed_scale": 1.0,
      "expert_hidden_dim": 4096, "num_shared_experts": 1,
    ]),
  ]

  private func config(_ object: JSONObject) throws -> ModelConfig {
    try ModelConfig(json: .object(object), file: "config.json")
  }

  private func changed(_ object: JSONObject, _ changes: [(path: String, value: JSONValue?)])
    -> JSONObject
  {
    var object = object
    for (path, value) in changes {
      let parts = path.split(separator: ".").map(String.init)
      guard parts.count == 2, case .object(var section)? = object[parts[0]] else {
        object[path] = value
        continue
      }
      section[parts[1]] = value
      object[parts[0]] = .object(section)
    }
    return object
  }

  private func unknown(_ object: JSONObject) throws -> [String] {
    var unknowns = Unknowns()
    unknowns.add(keysOf: .object(object), config: try config(object))
    return unknowns.keys.map(\.name)
  }

  @Test func aConfigWithoutKeysIsThatOfTheClass() throws {
    let small = try config(["model_type": "mistral4"])
    #expect(small.layers == 36 && small.routedExperts == 128 && small.scoring == .softmax)
    #expect(small.queryTemperature == .init(beta: 0.1, length: 8192))
    #expect(small.yarn?.factor == 128 && small.yarn?.mscaleAllDimensions == 1)
    #expect(small.ropeTheta == 10_000 && small.contextLength == 1_048_576)
    // 36 layers: 2 norms, 7 of attention, a router, 3 shared; experts, each by itself; 3 outside.
    let tensors = small.expectedTensors()
    #expect(tensors.count == 36 * (2 + 7 + 1 + 3 + 3 * 128) + 3)
    #expect(tensors.reduce(0) { $0 + $1.shape.elementCount } == 118_972_826_624)
    let stacks = small.expertStacks()
    #expect(stacks.count == 72 && stacks[0].shape.dimensions == [128, 4096, 4096])
    #expect(stacks[1].name == "model.layers.0.mlp.experts.down_proj")
    #expect(stacks[0].sources[1] == "model.layers.0.mlp.experts.0.up_proj.weight")
  }

  @Test func queriesGrowAfterEachLength() {
    let temperature = ModelConfig.QueryTemperature(beta: 0.5, length: 8)
    #expect((0..<8).allSatisfy { temperature.factor(at: $0) == 1 })
    #expect(abs(temperature.factor(at: 8) - 1.346_573_59) < 1e-8)
    #expect(temperature.factor(at: 15) == temperature.factor(at: 8))
    #expect(abs(temperature.factor(at: 16) - 1.549_306_14) < 1e-8)
  }

  @Test(
    arguments: [
      ("llama_4_scaling_beta", nil, "rope_parameters.llama_4_scaling_beta"),
      ("llama_4_scaling_beta", "x", "rope_parameters.llama_4_scaling_beta"),
      ("original_max_position_embeddings", 0, "original_max_position_embeddings"),
    ] as [(String, JSONValue?, String)])
  func aFaultNamesItsKey(key: String, value: JSONValue?, name: String) throws {
    var section: JSONObject = [
      "rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "llama_4_scaling_beta": 0.1,
      "original_max_position_embeddings": 64,
    ]
    section[key] = value
    let object: JSONObject = ["model_type": "mistral4", "rope_parameters": .object(section)]
    let fault = try #require(throws: Fault.self) { try config(object) }
    #expect(fault.message.contains("\(name)\""), "\(fault)")
  }

  @Test func aShareThatIsNotTheHeadsIsNotKnown() throws {
    func keys(_ share: Double) throws -> [String] {
      try unknown([
        "model_type": "mistral4",
        "rope_parameters": .object([
          "rope_type": "yarn", "factor": 4.0, "llama_4_scaling_beta": 0.1,
          "original_max_position_embeddings": 64, "partial_rotary_factor": .number(share),
        ]),
      ])
    }
    #expect(try keys(0.5).isEmpty)
    #expect(try keys(0.25) == ["rope_parameters.partial_rotary_factor"])
  }

  @Test func anEnvelopeHoldsOtherNetworksToo() throws {
    let text: JSONObject = ["model_type": "mistral4", "num_hidden_layers": 2]
    let whole = try config(["model_type": "mistral3", "text_config": .object(text)])
    #expect(whole.layers == 2 && whole.envelope?.key == "text_config")
    #expect(whole.ownName(of: "language_model.lm_head.weight") == "lm_head.weight")
    #expect(whole.isOther("vision_tower.patch_conv.weight"))
    for type in ["ministral3", nil] {
      var other = text
      other["model_type"] = type.map { .string($0) }
      #expect(throws: Fault.self) {
        try config(["model_type": "mistral3", "text_config": .object(other)])
      }
    }
  }

  @Test func namesInAnEnvelopeAreThoseOfTheNetwork() throws {
    let text: JSONObject = ["model_type": "kimi_k2", "num_hidden_layers": 2]
    let whole = try config(["model_type": "kimi_k25", "text_config": .object(text)])
    // As they are published, as transformers' class has them, and as it saves them.
    for prefix: ExactText in [
      "language_model.model.layers.", "model.language_model.layers.",
      "language_model.model.blocks.",
    ] {
      #expect(whole.ownName(of: prefix + "1.mlp.gate.weight") == "model.layers.1.mlp.gate.weight")
    }
    for name: ExactText in ["language_model.lm_head.weight", "lm_head.weight"] {
      #expect(whole.ownName(of: name) == "lm_head.weight")
    }
  }

  @Test func paramsAreReadAsMistral4() throws {
    let large = try config(Self.params)
    #expect(large.hasMistralNames && large.modelType == "mistral4")
    #expect(large.layers == 61 && large.firstDenseLayers == 3 && large.contextLength == 294_912)
    #expect(large.queryTemperature == .init(beta: 0.1, length: 8192))
    // Frequencies alone are changed.
    #expect(large.yarn?.tableFactor == 1 && large.yarn?.mscaleAllDimensions == 0)
    #expect(large.architecture.ggufName == "deepseek2")
    let scaled = try config(changed(Self.params, [("yarn.apply_scale", true)]))
    #expect(scaled.yarn?.mscaleAllDimensions == 1 && scaled.yarn?.attentionFactor == nil)
    let fp8: JSONValue = .object(["qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"])
    let coded = try config(changed(Self.params, [("quantization", fp8)]))
    #expect(coded.fp8 != nil && coded.fp8?.blocks == nil)
    // 673 billion without the vision encoder.
    #expect(large.expectedTensors().reduce(0) { $0 + $1.shape.elementCount } == 673_421_089_792)
    let again = try ModelConfig(
      json: MistralConfig(.object(Self.params), file: "params.json").json, file: "config.json")
    #expect(again.yarn == large.yarn && again.queryTemperature == large.queryTemperature)
    #expect(again.expectedTensors() == large.expectedTensors())
  }

  @Test(
    arguments: [
      ("moe.num_expert_groups", 2, "num_expert_groups"), ("moe.route_every_n", 2, "route_every_n"),
      ("moe.num_experts", nil, "num_experts"), ("moe", nil, "moe"),
      ("moe.use_load_balancing_bias", true, "use_load_balancing_bias"),
      ("moe.renorm_strategy", "NONE", "renorm_strategy"),
      ("llama_4_scaling", nil, "llama_4_scaling"), ("llama_4_scaling.beta", nil, "beta"),
      ("yarn.factor", nil, "factor"), ("kv_lora_rank", nil, "kv_lora_rank"),
      ("yarn.original_max_position_embeddings", 4096, "original_max_position_embeddings"),
      ("quantization", .object(["quant_method": "compressed-tensors"]), "qformat_weight"),
      ("activation", "gelu", "hidden_act"),
    ] as [(String, JSONValue?, String)])
  func aFaultOfParamsNamesItsKey(path: String, value: JSONValue?, name: String) throws {
    let object = changed(Self.params, [(path, value)])
    let fault = try #require(throws: Fault.self) { try config(object) }
    #expect(fault.message.contains("\(name)\""), "\(fault)")
  }

  @Test func keysOfParamsThatAreNotKnownStop() throws {
    #expect(try unknown(Self.params).isEmpty)
    let object = changed(
      Self.params,
      [("sliding_window", 4096), ("moe.sinks", 1), ("yarn.mscale", 2), ("causal", false)])
    #expect(try unknown(object) == ["sliding_window", "moe.sinks", "yarn.mscale"])
  }

  /// vLLM calls it `deepseek_v3`; that section tells.
  @Test func aRelabelledConfigScalesQueries() throws {
    var object: JSONObject = ["model_type": "deepseek_v3", "scoring_func": "softmax"]
    let own = try MistralConfig(.object(Self.params), file: "params.json").json
    for key in ["vocab_size", "hidden_size", "num_hidden_layers", "q_lora_rank"] {
      object[key] = own[key]
    }
    for key in [
      "intermediate_size", "num_attention_heads", "kv_lora_rank", "qk_nope_head_dim",
      "qk_rope_head_dim", "v_head_dim", "moe_intermediate_size", "n_routed_experts",
      "n_shared_experts", "num_experts_per_tok", "first_k_dense_replace",
    ] { object[key] = own[key] }
    object["llama_4_scaling"] = Self.params["llama_4_scaling"]
    let config = try config(object)
    #expect(config.queryTemperature == .init(beta: 0.1, length: 8192))
    #expect(!config.storesStackedExperts && config.expertStacks().isEmpty)
    #expect(!config.expectedTensors().contains { $0.name.hasSuffix("e_score_correction_bias") })
    #expect(try unknown(object).isEmpty)
    // Elsewhere the key stops.
    object["model_type"] = "kimi_k2"
    #expect(try unknown(object) == ["llama_4_scaling"])
    object["model_type"] = "deepseek_v3"
    object["llama_4_scaling"] = true
    #expect(try unknown(object) == ["llama_4_scaling"])
    object["llama_4_scaling"] = .object(["beta": 0.1])
    #expect(throws: Fault.self) { try self.config(object) }
  }

  @Test func namesAreMistrals() {
    let names: [(ExactText, ExactText)] = [
      ("tok_embeddings.weight", "model.embed_tokens.weight"), ("norm.weight", "model.norm.weight"),
      ("output.weight", "lm_head.weight"),
      ("layers.0.attention_norm.weight", "model.layers.0.input_layernorm.weight"),
      ("layers.11.ffn_norm.weight", "model.layers.11.post_attention_layernorm.weight"),
      ("layers.0.attention.wq_a.weight", "model.layers.0.self_attn.q_a_proj.weight"),
      ("layers.0.attention.q_a_norm.weight", "model.layers.0.self_attn.q_a_layernorm.weight"),
      ("layers.0.attention.wkv_b.qscale_weight", "model.layers.0.self_attn.kv_b_proj.weight_scale"),
      ("layers.0.attention.wo.qscale_act", "model.layers.0.self_attn.o_proj.input_scale"),
      ("layers.0.feed_forward.w1.weight", "model.layers.0.mlp.gate_proj.weight"),
      ("layers.9.gate.weight", "model.layers.9.mlp.gate.weight"),
      ("layers.9.experts.17.w2.weight", "model.layers.9.mlp.experts.17.down_proj.weight"),
      ("layers.9.shared_experts.w3.weight", "model.layers.9.mlp.shared_experts.up_proj.weight"),
    ]
    for (mistral, own) in names {
      #expect(MistralNames.own(of: mistral) == own)
      #expect(MistralNames.own(of: own) == own)
      #expect(MistralNames.stored(of: own) == mistral)
    }
    for other in [
      "layers.x.gate.weight", "layers.1.experts.w1.weight", "layers.1.experts.a.w1.weight",
      "layers.1.attention.wk.weight", "vision_encoder.norm.weight", "",
    ] as [ExactText] { #expect(MistralNames.own(of: other) == other) }
  }
}
