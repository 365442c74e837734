package import Platform

/// A key of Hugging Face's `config.json` about the network: its name in every dialect and what a
/// config says there. Readers and writers of all dialects, and what compares two configs, go by it.
package struct ConfigKey: Sendable {
  /// Its name; of those about positions in the spelling of transformers 4.
  package let name: String
  /// llama.cpp's name without the architecture in front; nil where GGUF files have none.
  package let gguf: String?
  /// DeepSeek's name in `ModelArgs`, and what that has where a config lacks it; nil where it has none.
  package let native: (name: String, usual: JSONValue)?
  /// The value; nil where the network has nothing of the kind.
  package let value: @Sendable (ModelConfig) -> JSONValue?
  /// What changes the results where two configs differ in it; nil for sizes, which show in the shapes
  /// of tensors.
  package let effect: Effect?

  /// A value that a network computes with.
  package struct Effect: Sendable {
    /// Whether a network has it.
    package let isThere: @Sendable (ModelConfig) -> Bool
    /// The value as text; equal texts are equal values.
    package let text: @Sendable (ModelConfig) -> String
    /// Takes the value over from one config to another.
    package let copy: @Sendable (_ from: ModelConfig, _ to: inout ModelConfig) -> Void

    /// A value by its place.
    init<Value: Sendable>(
      _ path: any WritableKeyPath<ModelConfig, Value> & Sendable,
      of isThere: @escaping @Sendable (ModelConfig) -> Bool = { _ in true }
    ) {
      self.init(
        of: isThere, text: { Effect.text($0[keyPath: path]) },
        copy: { $1[keyPath: path] = $0[keyPath: path] })
    }

    init(
      of isThere: @escaping @Sendable (ModelConfig) -> Bool = { _ in true },
      text: @escaping @Sendable (ModelConfig) -> String,
      copy: @escaping @Sendable (ModelConfig, inout ModelConfig) -> Void
    ) {
      self.isThere = isThere
      self.text = text
      self.copy = copy
    }

    private static func text(_ value: some Any) -> String {
      if case let optional as (any OptionalValue) = value { return optional.text }
      return "\(value)"
    }
  }

  init(
    _ name: String, gguf: String? = nil, native: (String, JSONValue)? = nil,
    effect: Effect? = nil, _ value: @escaping @Sendable (ModelConfig) -> JSONValue?
  ) {
    self.name = name
    self.gguf = gguf
    self.native = native.map { (name: $0.0, usual: $0.1) }
    self.effect = effect
    self.value = value
  }

  /// A count.
  private init(
    _ name: String, gguf: String? = nil, native: (String, JSONValue)? = nil,
    count: @escaping @Sendable (ModelConfig) -> Int
  ) {
    self.init(name, gguf: gguf, native: native) { .integer(count($0)) }
  }

  /// A key that only networks with experts have.
  private static func ofExperts(
    _ name: String, gguf: String? = nil, native: (String, JSONValue)? = nil,
    effect: Effect? = nil, experts: @escaping @Sendable (ModelConfig) -> JSONValue?
  ) -> ConfigKey {
    ConfigKey(name, gguf: gguf, native: native, effect: effect) {
      $0.architecture.hasExperts ? experts($0) : nil
    }
  }

  /// A key that only networks with an indexer have.
  private static func ofIndexer(
    _ name: String, gguf: String? = nil, native: (String, JSONValue)? = nil,
    effect: Effect? = nil,
    indexer: @escaping @Sendable (ModelConfig.Indexer) -> JSONValue?
  ) -> ConfigKey {
    ConfigKey(name, gguf: gguf, native: native, effect: effect) { $0.indexer.flatMap(indexer) }
  }
}

extension ConfigKey {
  /// Whether the projections of attention have biases.
  package static let attentionBias = ConfigKey("attention_bias", effect: Effect(\.attentionBias)) {
    .bool($0.attentionBias)
  }
  /// Layers before the first one with experts.
  package static let firstDenseLayers = ofExperts(
    "first_k_dense_replace", gguf: "leading_dense_block_count", native: ("n_dense_layers", 1),
    experts: { .integer($0.firstDenseLayers) })
  /// Width of the residual stream.
  package static let hiddenSize = ConfigKey(
    "hidden_size", gguf: "embedding_length", native: ("dim", 2048), count: \.hiddenSize)
  /// Width of an indexer's head.
  package static let indexHeadSize = ofIndexer(
    "index_head_dim", gguf: "attention.indexer.key_length", native: ("index_head_dim", 128),
    indexer: { .integer($0.headSize) })
  /// Heads of an indexer.
  package static let indexHeads = ofIndexer(
    "index_n_heads", gguf: "attention.indexer.head_count", native: ("index_n_heads", 64),
    indexer: { .integer($0.heads) })
  /// Keys that an indexer lets a query see.
  package static let indexTopK = ofIndexer(
    "index_topk", gguf: "attention.indexer.top_k", native: ("index_topk", 2048),
    effect: Effect(\.indexer!.topK, of: { $0.indexer != nil }), indexer: { .integer($0.topK) })
  /// Whether an indexer turns pairs (2i, 2i + 1) by a token's position, and not (i, i + d / 2).
  package static let indexRope = ofIndexer(
    "indexer_rope_interleave",
    effect: Effect(\.indexer!.ropeInterleaved, of: { $0.indexer != nil }),
    indexer: { .bool($0.ropeInterleaved) })
  /// Width of a dense feed-forward part.
  package static let intermediateSize = ConfigKey(
    "intermediate_size", gguf: "feed_forward_length", native: ("inter_dim", 10_944),
    count: \.intermediateSize)
  /// Width of the latent key and value.
  package static let keyValueRank = ConfigKey(
    "kv_lora_rank", gguf: "attention.kv_lora_rank", native: ("kv_lora_rank", 512),
    count: \.keyValueRank)
  /// Most positions.
  package static let contextLength = ConfigKey(
    "max_position_embeddings", gguf: "context_length", count: \.contextLength)
  /// Width of a routed expert.
  package static let expertSize = ofExperts(
    "moe_intermediate_size", gguf: "expert_feed_forward_length", native: ("moe_inter_dim", 1408),
    experts: { .integer($0.moeIntermediateSize) })
  /// Every so many layers have experts.
  package static let expertFrequency = ofExperts(
    "moe_layer_freq", experts: { .integer($0.moeLayerFrequency) })
  /// Groups that experts are divided into.
  package static let expertGroups = ofExperts(
    "n_group", gguf: "expert_group_count", native: ("n_expert_groups", 1),
    effect: Effect(\.expertGroups), experts: { .integer($0.expertGroups) })
  /// Routed experts of a layer.
  package static let experts = ofExperts(
    "n_routed_experts", gguf: "expert_count", native: ("n_routed_experts", 64),
    experts: { .integer($0.routedExperts) })
  /// Experts that see every token.
  package static let sharedExperts = ofExperts(
    "n_shared_experts", gguf: "expert_shared_count", native: ("n_shared_experts", 2),
    experts: { $0.sharedExperts > 0 ? .integer($0.sharedExperts) : .null })
  /// Whether a token's weights of experts are made to add up to one.
  package static let normalizesExperts = ofExperts(
    "norm_topk_prob", gguf: "expert_weights_norm", effect: Effect(\.normalizeExpertWeights),
    experts: { .bool($0.normalizeExpertWeights) })
  /// Heads of attention.
  package static let heads = ConfigKey(
    "num_attention_heads", gguf: "attention.head_count", native: ("n_heads", 16), count: \.heads)
  /// Experts that a token uses.
  package static let expertsPerToken = ofExperts(
    "num_experts_per_tok", gguf: "expert_used_count", native: ("n_activated_experts", 6),
    effect: Effect(\.expertsPerToken), experts: { .integer($0.expertsPerToken) })
  /// Layers, those of MTP apart.
  package static let layers = ConfigKey(
    "num_hidden_layers", native: ("n_layers", 27), count: \.layers)
  /// Heads of keys and values, of which each query has its own.
  package static let keyValueHeads = ConfigKey("num_key_value_heads", count: \.heads)
  /// Width of the latent query; null where queries have none.
  package static let queryRank = ConfigKey(
    "q_lora_rank", gguf: "attention.q_lora_rank"
  ) { $0.queryRank.map { .integer($0) } ?? .null }
  /// Width of a head's part without position.
  package static let nopeHeadSize = ConfigKey(
    "qk_nope_head_dim", native: ("qk_nope_head_dim", 128), count: \.nopeHeadSize)
  /// Width of a head's part with position.
  package static let ropeHeadSize = ConfigKey(
    "qk_rope_head_dim", gguf: "rope.dimension_count", native: ("qk_rope_head_dim", 64),
    count: \.ropeHeadSize)
  /// What RMS norms add to the mean square.
  package static let normEpsilon = ConfigKey(
    "rms_norm_eps", gguf: "attention.layer_norm_rms_epsilon", effect: Effect(\.rmsNormEpsilon)
  ) { .number(Double($0.rmsNormEpsilon.description) ?? 1e-6) }
  /// Factor on the sum of routed experts.
  package static let expertScale = ofExperts(
    "routed_scaling_factor", gguf: "expert_weights_scale", native: ("route_scale", .number(1)),
    effect: Effect(\.routedScalingFactor),
    experts: { .number(Double($0.routedScalingFactor.description) ?? 1) })
  /// Whether the head is the table of embeddings.
  package static let tiedEmbeddings = ConfigKey(
    "tie_word_embeddings", effect: Effect(\.tiedEmbeddings)
  ) { .bool($0.tiedEmbeddings) }
  /// How a router makes scores of logits.
  package static let scoring = ConfigKey(
    "scoring_func", gguf: "expert_gating_func", native: ("score_func", .string("softmax")),
    effect: Effect(\.scoring)
  ) { $0.indexer == nil ? nil : .string($0.scoring.rawValue) }
  /// Groups that a token may choose experts of.
  package static let chosenGroups = ofExperts(
    "topk_group", gguf: "expert_group_used_count", native: ("n_limited_groups", 1),
    effect: Effect(\.chosenGroups), experts: { .integer($0.chosenGroups) })
  /// How a router chooses groups and experts.
  package static let selection = ofExperts(
    "topk_method", experts: { .string($0.selection.rawValue) })
  /// Width of a head's value.
  package static let valueHeadSize = ConfigKey(
    "v_head_dim", native: ("v_head_dim", 128), count: \.valueHeadSize)
  /// Rows of the table of embeddings.
  package static let vocabSize = ConfigKey(
    "vocab_size", gguf: "vocab_size", native: ("vocab_size", 102_400), count: \.vocabSize)

  /// The keys, in the order of their names, but for those about positions and storage.
  package static let all: [ConfigKey] = [
    .attentionBias, .firstDenseLayers, .hiddenSize, .indexHeadSize, .indexHeads, .indexTopK,
    .indexRope, .intermediateSize, .keyValueRank, .contextLength, .expertSize, .expertFrequency,
    .expertGroups, .experts, .sharedExperts, .normalizesExperts, .heads, .expertsPerToken, .layers,
    .keyValueHeads, .queryRank, .nopeHeadSize, .ropeHeadSize, .normEpsilon, .expertScale,
    .tiedEmbeddings, .scoring, .chosenGroups, .selection, .valueHeadSize, .vocabSize,
  ]
}

/// An optional of any type.
private protocol OptionalValue {
  var text: String { get }
}

extension Optional: OptionalValue {
  fileprivate var text: String { map { "\($0)" } ?? "none" }
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
