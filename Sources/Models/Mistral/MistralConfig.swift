package import Platform

/// The `config.json` that Mistral's own `params.json` of a network like Mistral-Large-3 amounts to:
/// that of transformers' `mistral4`, which transformers, vLLM and mlx-lm load.
///
/// Sources: vLLM's `transformers_utils/configs/mistral.py`, llama.cpp's `MistralMoeModel`.
package struct MistralConfig: Sendable {
  /// The document, in Hugging Face's keys.
  package let json: JSONValue

  /// Whether a document has Mistral's keys rather than Hugging Face's or DeepSeek's, whose code of
  /// DeepSeek-V4 has three of them too.
  package static func isMistral(_ json: JSONValue) -> Bool {
    json["dim"] != nil && json["n_layers"] != nil && json["norm_eps"] != nil
      && json["moe_inter_dim"] == nil && json["compress_ratios"] == nil
  }

  /// Keys of counts and numbers, and Hugging Face's for the same.
  private static let keys: [(mistral: String, own: String)] = [
    ("dim", "hidden_size"), ("hidden_dim", "intermediate_size"), ("kv_lora_rank", "kv_lora_rank"),
    ("n_heads", "num_attention_heads"), ("n_layers", "num_hidden_layers"),
    ("norm_eps", "rms_norm_eps"), ("q_lora_rank", "q_lora_rank"),
    ("qk_nope_head_dim", "qk_nope_head_dim"), ("qk_rope_head_dim", "qk_rope_head_dim"),
    ("v_head_dim", "v_head_dim"), ("vocab_size", "vocab_size"),
  ]
  /// The same in the section about experts.
  private static let experts: [(mistral: String, own: String)] = [
    ("expert_hidden_dim", "moe_intermediate_size"),
    ("first_k_dense_replace", "first_k_dense_replace"), ("num_experts", "n_routed_experts"),
    ("num_experts_per_tok", "num_experts_per_tok"), ("num_shared_experts", "n_shared_experts"),
  ]
  /// Keys that are read beside those, or change nothing that is computed; names of sections end
  /// with a dot in front of theirs.
  private static let others: Set<String> = [
    "max_position_embeddings", "max_seq_len", "rope_theta", "tied_embeddings", "activation",
    "model_type", "moe", "yarn", "llama_4_scaling", "quantization", "dtype", "head_dim",
    "n_kv_heads", "vision_encoder", "multimodal", "moe.route_every_n", "moe.routed_scale",
    "moe.num_expert_groups", "moe.num_expert_groups_per_tok", "moe.expert_parallel",
    "moe.expert_model_parallel", "moe.renorm_strategy", "moe.use_load_balancing_bias",
    "yarn.factor", "yarn.beta", "yarn.alpha", "yarn.original_max_position_embeddings",
    "yarn.apply_scale", "llama_4_scaling.beta",
    "llama_4_scaling.original_max_position_embeddings", "quantization.qformat_weight",
    "quantization.qscheme_act",
  ]

  /// Reads a document.
  ///
  /// - Throws: `.malformed` with the key for what is absent, not of its type, or another network's.
  package init(_ params: JSONValue, file: String) throws(Fault) {
    let top = ConfigReader(object: params, prefix: "", file: file)
    let network = Architecture.mistralLarge3
    guard let moe = try top.section("moe") else {
      throw top.fault("moe", expected: "the experts of a network like Mistral-Large-3")
    }
    var config: JSONObject = [
      "architectures": .array([.string(network.className)]), "attention_bias": .bool(false),
      "hidden_act": .string(try top.string("activation") ?? "silu"),
      "model_type": .string(network.modelTypes[0]), "norm_topk_prob": .bool(true),
      "num_key_value_heads": .integer(try top.count("n_heads")),
      "tie_word_embeddings": .bool(try top.flag("tied_embeddings") ?? false),
      "torch_dtype": .string(try top.string("dtype") ?? "bfloat16"),
    ]
    for (reader, keys) in [(top, Self.keys), (moe, Self.experts)] {
      for key in keys {
        guard let value = reader.object[key.mistral], value != .null || key.own == "q_lora_rank"
        else { throw reader.fault(key.mistral, expected: "a number") }
        config[key.own] = value
      }
    }
    config["max_position_embeddings"] = .integer(
      try top.count(
        "max_position_embeddings", "max_seq_len", maximum: Int(Int32.max), default: 128_000))
    config["routed_scaling_factor"] = .number(try moe.number("routed_scale") ?? 1)
    // Loaders rank groups otherwise than each other, where there are several.
    for key in ["num_expert_groups", "num_expert_groups_per_tok", "route_every_n"] {
      guard try moe.count(key, default: 1) == 1 else { throw moe.fault(key, expected: "1") }
    }
    guard try moe.flag("use_load_balancing_bias") ?? false == false else {
      throw moe.fault("use_load_balancing_bias", expected: "false")
    }
    let strategy = try moe.string("renorm_strategy") ?? "WEIGHTS"
    guard strategy == "WEIGHTS" else {
      throw moe.fault("renorm_strategy", expected: "\"WEIGHTS\"")
    }
    config["n_group"] = 1
    config["topk_group"] = 1
    config["rope_parameters"] = .object(try Self.positions(top))
    config["quantization_config"] = try Self.storage(top).map { .object($0) }
    json = .object(config.sorted)
  }

  /// The section about positions. YaRN without `apply_scale` scales frequencies alone, and neither
  /// sines and cosines nor the softmax, as vLLM has it.
  private static func positions(_ top: ConfigReader) throws(Fault) -> JSONObject {
    guard let scaling = try top.section(ModelConfig.QueryTemperature.sectionKey) else {
      throw top.fault(
        ModelConfig.QueryTemperature.sectionKey, expected: "how queries are scaled")
    }
    let temperature = try ModelConfig.QueryTemperature(section: scaling)
    var section: JSONObject = [
      ModelConfig.QueryTemperature.betaKey: .number(temperature.beta),
      "original_max_position_embeddings": .integer(temperature.length),
      "rope_theta": .number(try top.number("rope_theta") ?? 10_000), "rope_type": "default",
    ]
    guard let yarn = try top.section("yarn") else { return section }
    let original = try yarn.count(
      "original_max_position_embeddings", maximum: Int(Int32.max), default: temperature.length)
    guard original == temperature.length else {
      throw yarn.fault(
        "original_max_position_embeddings",
        expected: "the \(temperature.length) of \(ModelConfig.QueryTemperature.sectionKey)")
    }
    guard let factor = try yarn.number("factor") else {
      throw yarn.fault("factor", expected: "a number")
    }
    let scale: Double = try yarn.flag("apply_scale") ?? true ? 1 : 0
    section["rope_type"] = "yarn"
    section["factor"] = .number(factor)
    section["beta_fast"] = .number(try yarn.number("beta") ?? 32)
    section["beta_slow"] = .number(try yarn.number("alpha") ?? 1)
    section["mscale"] = .number(scale)
    section["mscale_all_dim"] = .number(scale)
    if scale == 0 { section["attention_factor"] = 1.0 }
    return section.sorted
  }

  /// The section about storage: FP8 with a scale for each matrix; nil for plain weights.
  private static func storage(_ top: ConfigReader) throws(Fault) -> JSONObject? {
    guard let section = try top.section("quantization") else { return nil }
    guard try section.string("qformat_weight") == "fp8_e4m3" else {
      throw section.fault("qformat_weight", expected: "\"fp8_e4m3\"")
    }
    let activations = try section.string("qscheme_act") ?? "TENSOR"
    guard ["TENSOR", "NO_SCALES"].contains(activations) else {
      throw section.fault("qscheme_act", expected: "\"TENSOR\" or \"NO_SCALES\"")
    }
    return [
      "activation_scheme": activations == "TENSOR" ? "static" : "dynamic", "quant_method": "fp8",
      "weight_block_size": .null,
    ]
  }

  /// Keys of a document that are passed over: each may be another network's.
  package static func unknown(in document: JSONValue) -> [UnknownKey] {
    let known = others.union(keys.map { $0.mistral })
      .union(experts.map { "moe.\($0.mistral)" })
    func passed(_ value: JSONValue?, _ prefix: String) -> [UnknownKey] {
      guard case .object(let object)? = value else { return [] }
      return object.keys.compactMap { name in
        guard !known.contains(prefix + name), let value = object[name], value != .null,
          value != .bool(false)
        else { return nil }
        return UnknownKey(
          name: prefix + name, value: value.text(indent: nil),
          meaning: nil)
      }
    }
    return passed(document, "")
      + ["moe", "yarn", "llama_4_scaling", "quantization"].flatMap {
        passed(document[$0], $0 + ".")
      }
  }
}

extension Architecture.Envelope {
  /// What Mistral's own files hold beside the text network, which has no section of its own there.
  static let mistral = Architecture.Envelope(
    modelType: "", key: "", prefix: "", otherPrefixes: [],
    others: [
      "vision_encoder.", "vision_language_adapter.", "patch_merger.", "pre_mm_projector_norm.",
    ], othersName: "vision tensors", usualType: "", leavesOthers: true)
}
