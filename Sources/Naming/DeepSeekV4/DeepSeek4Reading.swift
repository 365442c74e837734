internal import Models
internal import Platform
internal import Tensors

/// Reads the metadata of llama.cpp's `deepseek4` as the `config.json` that it amounts to, in the keys
/// of published checkpoints.
struct DeepSeek4Reader: ArchitectureKeys {
  let metadata: Metadata
  let file: String

  /// The document.
  ///
  /// - Throws: `.malformed` with the key for what is missing, not of its type, or not what the network
  ///   can be.
  func config() throws(Fault) -> JSONObject {
    let nextn = try count("nextn_predict_layers") ?? 0
    let blocks = try required("block_count")
    guard nextn < blocks else {
      throw fault("nextn_predict_layers", expected: "fewer than block_count, \(blocks)")
    }
    let headSize = try required("attention.key_length")
    try require("attention.value_length", [headSize])
    try require("attention.head_count_kv", [1])
    try require("expert_gating_func", [DeepSeek4Key.gating])
    try require("expert_group_count", [0, 1], isOptional: true)
    guard try flag("expert_weights_norm") == true else {
      throw fault("expert_weights_norm", expected: "true")
    }
    var config: JSONObject = [
      "architectures": .array([.string(DeepSeek4Reader.network?.className ?? "")]),
      "attention_bias": .bool(false),
      "compress_ratios": .array(try ratios(blocks).map { .integer($0) }),
      "compress_rope_theta": .number(try value("attention.compress_rope_freq_base")),
      "hc_eps": .number(try value("hyper_connection.epsilon")),
      "hc_mult": .integer(try required("hyper_connection.count")),
      "hc_sinkhorn_iters": .integer(try required("hyper_connection.sinkhorn_iterations")),
      "head_dim": .integer(headSize),
      "hidden_act": .string("silu"),
      "hidden_size": .integer(try required("embedding_length")),
      "index_head_dim": .integer(try required("attention.indexer.key_length")),
      "index_n_heads": .integer(try required("attention.indexer.head_count")),
      "index_topk": .integer(try required("attention.indexer.top_k")),
      "max_position_embeddings": .integer(try required("context_length")),
      "model_type": .string(DeepSeek4Reader.network?.modelTypes[0] ?? ""),
      "moe_intermediate_size": .integer(try required("expert_feed_forward_length")),
      "n_routed_experts": .integer(try required("expert_count")),
      "n_shared_experts": .integer(try required("expert_shared_count")),
      "norm_topk_prob": .bool(true),
      "num_attention_heads": .integer(try required("attention.head_count")),
      "num_experts_per_tok": .integer(try required("expert_used_count")),
      "num_hash_layers": .integer(try required("hash_layer_count")),
      "num_hidden_layers": .integer(blocks - nextn),
      "num_key_value_heads": .integer(1),
      "num_nextn_predict_layers": .integer(nextn),
      "o_groups": .integer(try required("attention.output_group_count")),
      "o_lora_rank": .integer(try required("attention.output_lora_rank")),
      "q_lora_rank": .integer(try required("attention.q_lora_rank")),
      "qk_rope_head_dim": .integer(try required("rope.dimension_count")),
      "rms_norm_eps": .number(try value("attention.layer_norm_rms_epsilon")),
      "rope_theta": .number(try number("rope.freq_base") ?? 10_000),
      "routed_scaling_factor": .number(try value("expert_weights_scale")),
      "scoring_func": .string(ModelConfig.Scoring.sqrtSoftplus.rawValue),
      "sliding_window": .integer(try required("attention.sliding_window")),
      "swiglu_limit": .number(try limit(blocks)),
      "tie_word_embeddings": .bool(false),
      "topk_method": .string(Architecture.Selection.groupsByTwoBest.rawValue),
      "vocab_size": .integer(try vocabulary()),
    ]
    if let yarn = try yarn() { config["rope_scaling"] = .object(yarn) }
    addTokenIDs(to: &config)
    return config
  }

  private static let network = Architecture.named("deepseek_v4")

  /// Whether a file is of this architecture.
  static func reads(_ metadata: Metadata) -> Bool {
    metadata["general.architecture"]?.text == network?.ggufName
  }

  private func yarn() throws(Fault) -> JSONObject? {
    guard var yarn = try yarnRange() else { return nil }
    if let original = try count("rope.scaling.original_context_length") {
      yarn["original_max_position_embeddings"] = .integer(original)
    }
    if let factor = try number("rope.scaling.yarn_attn_factor") {
      yarn["attention_factor"] = .number(factor)
    }
    yarn["type"] = .string("yarn")
    return yarn
  }

  private func require(
    _ name: String, _ values: [Int], isOptional: Bool = false
  ) throws(Fault) {
    guard let found = try count(name), values.contains(found) else {
      if isOptional, metadata[key(name)] == nil { return }
      throw fault(name, expected: values.map(String.init).joined(separator: " or "))
    }
  }

  /// Tokens that an entry of each layer stands for.
  private func ratios(_ blocks: Int) throws(Fault) -> [Int] {
    let name = "attention.compress_ratios"
    guard let array = metadata[key(name)]?.array, [.int32, .uint32].contains(array.kind),
      let ratios = array.integers, ratios.count >= blocks
    else { throw fault(name, expected: "a count for each of \(blocks) layers") }
    return ratios
  }

  /// The bound of the activation, which all layers and both kinds of experts have in common.
  private func limit(_ blocks: Int) throws(Fault) -> Double {
    var limits: Set<Float> = []
    for name in ["swiglu_clamp_exp", "swiglu_clamp_shexp"] {
      switch metadata[key(name)] {
      case .array(let array)?:
        guard array.kind == .float32, array.count >= blocks else {
          throw fault(name, expected: "a number for each of \(blocks) layers")
        }
        limits.formUnion(array.prefix(blocks).compactMap { $0.number.map { Float($0) } })
      case nil where name == "swiglu_clamp_shexp": continue
      default: limits.insert(Float(try value(name)))
      }
    }
    guard limits.count == 1, let limit = limits.first, limit.isFinite, limit > 0 else {
      throw fault("swiglu_clamp_exp", expected: "one positive bound for all experts")
    }
    return shortest(limit)
  }
}
