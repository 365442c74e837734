package import Platform

/// A key of Hugging Face's `config.json` about the network, and what a config says there.
package struct ConfigKey: Sendable {
  /// Its name.
  package let name: String
  /// The value; nil where the network has nothing of the kind.
  package let value: @Sendable (ModelConfig) -> JSONValue?

  private init(_ name: String, _ value: @escaping @Sendable (ModelConfig) -> JSONValue?) {
    self.name = name
    self.value = value
  }

  private init(_ name: String, count: @escaping @Sendable (ModelConfig) -> Int) {
    self.init(name) { .integer(count($0)) }
  }

  /// A key that only networks with experts have.
  private init(_ name: String, experts: @escaping @Sendable (ModelConfig) -> JSONValue?) {
    self.init(name) { $0.architecture.hasExperts ? experts($0) : nil }
  }

  /// A key that only networks with an indexer have.
  private init(_ name: String, indexer: @escaping @Sendable (ModelConfig.Indexer) -> JSONValue?) {
    self.init(name) { $0.indexer.flatMap(indexer) }
  }

  /// The keys, in the order of their names, but for those about positions and storage.
  package static let all: [ConfigKey] = [
    ConfigKey("attention_bias") { .bool($0.attentionBias) },
    ConfigKey("first_k_dense_replace", experts: { .integer($0.firstDenseLayers) }),
    ConfigKey("hidden_size", count: \.hiddenSize),
    ConfigKey("index_head_dim", indexer: { .integer($0.headSize) }),
    ConfigKey("index_n_heads", indexer: { .integer($0.heads) }),
    ConfigKey("index_topk", indexer: { .integer($0.topK) }),
    ConfigKey("indexer_rope_interleave", indexer: { .bool($0.ropeInterleaved) }),
    ConfigKey("intermediate_size", count: \.intermediateSize),
    ConfigKey("kv_lora_rank", count: \.keyValueRank),
    ConfigKey("max_position_embeddings", count: \.contextLength),
    ConfigKey("moe_intermediate_size", experts: { .integer($0.moeIntermediateSize) }),
    ConfigKey("moe_layer_freq", experts: { .integer($0.moeLayerFrequency) }),
    ConfigKey("n_group", experts: { .integer($0.expertGroups) }),
    ConfigKey("n_routed_experts", experts: { .integer($0.routedExperts) }),
    ConfigKey(
      "n_shared_experts", experts: { $0.sharedExperts > 0 ? .integer($0.sharedExperts) : .null }),
    ConfigKey("norm_topk_prob", experts: { .bool($0.normalizeExpertWeights) }),
    ConfigKey("num_attention_heads", count: \.heads),
    ConfigKey("num_experts_per_tok", experts: { .integer($0.expertsPerToken) }),
    ConfigKey("num_hidden_layers", count: \.layers),
    ConfigKey("num_key_value_heads", count: \.heads),
    ConfigKey("q_lora_rank") { $0.queryRank.map { .integer($0) } ?? .null },
    ConfigKey("qk_nope_head_dim", count: \.nopeHeadSize),
    ConfigKey("qk_rope_head_dim", count: \.ropeHeadSize),
    ConfigKey("rms_norm_eps") { .number(Double($0.rmsNormEpsilon.description) ?? 1e-6) },
    ConfigKey(
      "routed_scaling_factor",
      experts: { .number(Double($0.routedScalingFactor.description) ?? 1) }),
    ConfigKey("tie_word_embeddings") { .bool($0.tiedEmbeddings) },
    ConfigKey("scoring_func") {
      $0.indexer == nil ? nil : .string($0.scoring.rawValue)
    },
    ConfigKey("topk_group", experts: { .integer($0.chosenGroups) }),
    ConfigKey("topk_method", experts: { .string($0.selection.rawValue) }),
    ConfigKey("v_head_dim", count: \.valueHeadSize),
    ConfigKey("vocab_size", count: \.vocabSize),
  ]
}

extension ModelConfig.YaRN {
  /// The section `rope_scaling` of transformers 4.
  package var document: JSONObject {
    var object: JSONObject = [
      "beta_fast": .number(betaFast), "beta_slow": .number(betaSlow), "factor": .number(factor),
    ]
    if let attentionFactor { object["attention_factor"] = .number(attentionFactor) }
    if let mscale { object["mscale"] = .number(mscale) }
    if let mscaleAllDimensions { object["mscale_all_dim"] = .number(mscaleAllDimensions) }
    object["original_max_position_embeddings"] = .integer(originalContextLength)
    if !truncate { object["truncate"] = false }
    object["type"] = "yarn"
    return object
  }
}

extension JSONValue {
  /// A number, however it is written.
  package var number: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value, _): value
    default: nil
    }
  }
}
