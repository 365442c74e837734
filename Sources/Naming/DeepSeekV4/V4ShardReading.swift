internal import Models
package import Platform
internal import Tensors

/// The config of DeepSeek-V4's own shards as published checkpoints have it.
extension V4Shards {
  /// A key of `ModelArgs`, Hugging Face's of the same meaning, and what the class has where a config
  /// lacks it.
  typealias Key = (native: String, huggingFace: String, usual: JSONValue)

  /// Keys that mean the same in both, in the order of the class.
  ///
  /// Source: `ModelArgs` of the network's `inference/model.py`.
  static let shared: [Key] = [
    ("vocab_size", "vocab_size", 129_280), ("dim", "hidden_size", 4096),
    ("moe_inter_dim", "moe_intermediate_size", 4096), ("n_layers", "num_hidden_layers", 7),
    ("n_hash_layers", "num_hash_layers", 0), ("n_heads", "num_attention_heads", 64),
    ("n_routed_experts", "n_routed_experts", 8), ("n_shared_experts", "n_shared_experts", 1),
    ("n_activated_experts", "num_experts_per_tok", 2),
    ("score_func", "scoring_func", "sqrtsoftplus"), ("route_scale", "routed_scaling_factor", 1.0),
    ("swiglu_limit", "swiglu_limit", 0.0), ("q_lora_rank", "q_lora_rank", 1024),
    ("head_dim", "head_dim", 512), ("rope_head_dim", "qk_rope_head_dim", 64),
    ("norm_eps", "rms_norm_eps", 1e-6), ("o_groups", "o_groups", 8),
    ("o_lora_rank", "o_lora_rank", 1024), ("window_size", "sliding_window", 128),
    ("compress_rope_theta", "compress_rope_theta", 40_000.0),
    ("rope_theta", "rope_theta", 10_000.0), ("index_n_heads", "index_n_heads", 64),
    ("index_head_dim", "index_head_dim", 128), ("index_topk", "index_topk", 512),
    ("hc_mult", "hc_mult", 4), ("hc_sinkhorn_iters", "hc_sinkhorn_iters", 20),
    ("hc_eps", "hc_eps", 1e-6),
  ]

  /// Ratios where a config lacks them.
  static let usualRatios: JSONValue = .array([0, 0, 4, 128, 4, 128, 4, 0])

  /// All keys of the class: what has no other's meaning, and what is about a run alone.
  static let keys = Set(shared.map(\.native)).union([
    "dtype", "scale_fmt", "expert_dtype", "scale_dtype", "n_mtp_layers", "compress_ratios",
    "original_seq_len", "rope_factor", "beta_fast", "beta_slow", "max_seq_len", "max_batch_size",
  ])

  /// Positions of a network of which only its range of positions is known; nil where these are more
  /// than any number says.
  static func length(of yarn: ModelConfig.YaRN?) -> Int? {
    guard let yarn else { return usualLength }
    return Int(exactly: (yarn.factor * Double(yarn.originalContextLength)).rounded(.towardZero))
  }

  /// Those of Hugging Face's class where a config says nothing.
  static let usualLength = 1_048_576

  /// A config in Hugging Face's keys, as people put it beside the shards, with what these have in BF16
  /// where its checkpoint has FP8: the first half of the output.
  package static func sayingPlainOutput(
    _ document: JSONValue, tensors: [NativeSource.Whole]
  ) -> JSONValue {
    guard case .object(var object) = document,
      case .object(var section)? = object["quantization_config"]
    else { return document }
    let plain = tensors.filter { $0.name.hasSuffix(output) && $0.type != .f8E4M3 }
    guard !plain.isEmpty else { return document }
    var modules: [JSONValue] = []
    if case .array(let listed)? = section["modules_to_not_convert"] { modules = listed }
    modules += plain.map { .string(($0.name.without(suffix: ".weight") ?? $0.name).text) }
    section["modules_to_not_convert"] = .array(modules)
    object["quantization_config"] = .object(section)
    return .object(object)
  }

  /// End of the names of the output's first half, by which DeepSeek's code multiplies in BF16.
  package static let output: ExactText = ".self_attn.o_a_proj.weight"
  /// Whether a module that a `quantization_config` leaves plain is such, by its whole path.
  package static func isOutput(_ module: String) -> Bool { module.hasSuffix(".self_attn.o_a_proj") }
}

extension NativeReader {
  /// The config of DeepSeek-V4.
  ///
  /// `ModelArgs` extends the range of positions where there is an original length. Its experts are in
  /// FP4 where it says so, and in the type of the other matrices elsewhere.
  mutating func configOfV4() throws(Fault) -> JSONObject {
    let network = Architecture.deepSeekV4
    let predictors = ModelConfig.furtherLayers(
      after: try keys.count("n_layers", default: 7), in: names)
    var config: JSONObject = [
      "architectures": .array([.string(network.className)]), "attention_bias": .bool(false),
      "compress_ratios": .array(try keys.array("compress_ratios") ?? []),
      "hidden_act": .string("silu"), "model_type": .string(network.modelTypes[0]),
      "norm_topk_prob": .bool(true), "num_key_value_heads": .integer(1),
      "num_nextn_predict_layers": .integer(
        try keys.count("n_mtp_layers", minimum: 0, default: predictors)),
      "tie_word_embeddings": .bool(!names.contains("lm_head.weight")),
      "topk_method": .string(network.selections[0].rawValue), "torch_dtype": .string(dataType),
    ]
    if keys.object["compress_ratios"] == nil { config["compress_ratios"] = V4Shards.usualRatios }
    for key in V4Shards.shared {
      config[key.huggingFace] = try keys.value(key.native, usual: key.usual)
    }
    try addPositionsOfV4(to: &config)
    guard tensors.contains(where: { $0.type == .f8E4M3 || $0.type == .f4 }) else {
      return config.sorted
    }
    let expertType = try keys.string("expert_dtype")
    guard expertType == nil || expertType == "fp4" || expertType == "fp8" else {
      throw keys.fault("expert_dtype", expected: "\"fp4\", or null for the type of the others")
    }
    config["expert_dtype"] = .string(expertType ?? "fp8")
    let scaleFormat =
      keys.object["scale_fmt"] == nil ? "ue8m0" : try keys.string("scale_fmt")
    config["quantization_config"] = .object(
      try quantization(of: config, scaleFormat: scaleFormat))
    return config.sorted
  }

  private func addPositionsOfV4(to config: inout JSONObject) throws(Fault) {
    let original = try keys.count(
      "original_seq_len", minimum: 0, maximum: Int(Int32.max), default: 0)
    guard original > 0 else {
      config["max_position_embeddings"] = .integer(V4Shards.usualLength)
      return
    }
    let factor = try keys.number("rope_factor") ?? 40
    guard factor > 0, factor < 1e6 else {
      throw keys.fault("rope_factor", expected: "a positive number")
    }
    config["max_position_embeddings"] = .integer(Int(factor * Double(original)))
    config["rope_scaling"] = .object([
      "beta_fast": keys.object["beta_fast"] ?? .integer(32),
      "beta_slow": keys.object["beta_slow"] ?? .integer(1),
      "factor": keys.object["rope_factor"] ?? .integer(40),
      "original_max_position_embeddings": .integer(original), "type": .string("yarn"),
    ])
  }
}
