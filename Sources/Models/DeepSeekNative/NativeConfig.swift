public import Platform

/// A network's config in DeepSeek's own keys, those of `ModelArgs` in its `inference/model.py`.
///
/// That class takes no other keys, so that what it has no key for is lost.
public struct NativeConfig: Sendable {
  /// The document.
  public let json: JSONValue
  /// What the keys cannot say of the network, a line each; DeepSeek's code computes with its own
  /// values there.
  public let lost: [String]
  /// What the tensors still show and DeepSeek's code does not take, a line each.
  public let warnings: [String]

  /// Positions that DeepSeek's code makes room for where the config does not say.
  static let usualLength = 16384
  /// The rows and columns of an FP8 block that it has built in.
  static let blockSize = 128

  /// Writes a config down.
  public init(_ config: ModelConfig) {
    var object = JSONObject()
    for row in NativeKey.rows {
      if let value = row.value(config) { object[row.name] = value }
    }
    json = .object(object)
    lost = LoaderLimit.lines(LoaderLimit.nativeKeys, for: config)
    warnings = LoaderLimit.lines(LoaderLimit.nativeCode, for: config)
  }

  /// Keys of a document of this kind that the reader passes over: `ModelArgs` has no others, so that
  /// they are another network's.
  package static func unknown(in document: JSONValue) -> [UnknownKey] {
    guard case .object(let object) = document else { return [] }
    let known = Set(NativeKey.rows.map(\.name)).union(["max_batch_size"])
    return object.keys.compactMap { name in
      guard !known.contains(name), let value = object[name], value != .null else { return nil }
      return UnknownKey(
        name: name, value: value.text(indent: nil),
        meaning: nil)
    }
  }
}

/// A key of `ModelArgs`.
struct NativeKey: Sendable {
  /// Its name.
  let name: String
  /// Hugging Face's key with the same meaning; nil where several make it up.
  let huggingFace: String?
  /// What `ModelArgs` has where a config lacks it.
  let usual: JSONValue
  /// What a config says there; nil leaves it out.
  let value: @Sendable (ModelConfig) -> JSONValue?

  private init(
    _ name: String, _ huggingFace: String? = nil, usual: JSONValue,
    value: @escaping @Sendable (ModelConfig) -> JSONValue?
  ) {
    self.name = name
    self.huggingFace = huggingFace
    self.usual = usual
    self.value = value
  }

  private static func count(
    _ name: String, _ huggingFace: String, usual: Int,
    _ value: @escaping @Sendable (ModelConfig) -> Int
  ) -> NativeKey {
    NativeKey(name, huggingFace, usual: .integer(usual)) { .integer(value($0)) }
  }

  private static func ofIndexer(
    _ name: String, usual: Int, _ value: @escaping @Sendable (ModelConfig.Indexer) -> Int
  ) -> NativeKey {
    NativeKey(name, name, usual: .integer(usual)) { $0.indexer.map { .integer(value($0)) } }
  }

  /// The keys in the order of DeepSeek's own files.
  static let rows = shared + indexer

  private static let shared: [NativeKey] = [
    NativeKey("max_seq_len", usual: .integer(NativeConfig.usualLength)) { $0.nativeLength },
    count("vocab_size", "vocab_size", usual: 102_400) { $0.vocabSize },
    count("dim", "hidden_size", usual: 2048) { $0.hiddenSize },
    count("inter_dim", "intermediate_size", usual: 10_944) { $0.intermediateSize },
    count("moe_inter_dim", "moe_intermediate_size", usual: 1408) { $0.moeIntermediateSize },
    count("n_layers", "num_hidden_layers", usual: 27) { $0.layers },
    count("n_dense_layers", "first_k_dense_replace", usual: 1) { $0.firstDenseLayers },
    count("n_heads", "num_attention_heads", usual: 16) { $0.heads },
    count("n_routed_experts", "n_routed_experts", usual: 64) { $0.routedExperts },
    count("n_shared_experts", "n_shared_experts", usual: 2) { $0.sharedExperts },
    count("n_activated_experts", "num_experts_per_tok", usual: 6) { $0.expertsPerToken },
    count("n_expert_groups", "n_group", usual: 1) { $0.expertGroups },
    count("n_limited_groups", "topk_group", usual: 1) { $0.chosenGroups },
    NativeKey("route_scale", "routed_scaling_factor", usual: .number(1)) {
      .number(Double($0.routedScalingFactor.description) ?? Double($0.routedScalingFactor))
    },
    NativeKey("score_func", "scoring_func", usual: .string("softmax")) {
      .string($0.scoring.rawValue)
    },
    NativeKey("q_lora_rank", usual: .integer(0)) { .integer($0.queryRank ?? 0) },
    count("kv_lora_rank", "kv_lora_rank", usual: 512) { $0.keyValueRank },
    count("qk_nope_head_dim", "qk_nope_head_dim", usual: 128) { $0.nopeHeadSize },
    count("qk_rope_head_dim", "qk_rope_head_dim", usual: 64) { $0.ropeHeadSize },
    count("v_head_dim", "v_head_dim", usual: 128) { $0.valueHeadSize },
    NativeKey("original_seq_len", usual: .integer(4096)) {
      .integer($0.yarn?.originalContextLength ?? $0.contextLength)
    },
    NativeKey("rope_theta", "rope_theta", usual: .number(10_000)) { .number($0.ropeTheta) },
    NativeKey("rope_factor", usual: .integer(40)) { $0.yarn.map { .shortest($0.factor) } },
    NativeKey("beta_fast", usual: .integer(32)) { $0.yarn.map { .shortest($0.betaFast) } },
    NativeKey("beta_slow", usual: .integer(1)) { $0.yarn.map { .shortest($0.betaSlow) } },
    NativeKey("mscale", usual: .number(1)) {
      $0.yarn.map { .number($0.mscaleAllDimensions ?? 0) }
    },
    NativeKey("dtype", usual: .string("bf16")) { .string($0.fp8 == nil ? "bf16" : "fp8") },
    NativeKey("scale_fmt", usual: .null) {
      $0.fp8?.powerOfTwoScales == true ? .string("ue8m0") : nil
    },
  ]

  /// Keys that the code of DeepSeek-V3.2 has beside those.
  static let indexer: [NativeKey] = [
    ofIndexer("index_n_heads", usual: 64, \.heads),
    ofIndexer("index_head_dim", usual: 128, \.headSize),
    ofIndexer("index_topk", usual: 2048, \.topK),
  ]
}

extension ModelConfig {
  /// `max_seq_len`, which is how many positions DeepSeek's code makes room for and, beside
  /// `original_seq_len`, whether it extends the context; nil where its default does both right.
  fileprivate var nativeLength: JSONValue? {
    guard let yarn else {
      return contextLength < NativeConfig.usualLength ? .integer(contextLength) : nil
    }
    let original = yarn.originalContextLength
    let follows = yarn.factor * Double(original) == Double(contextLength)
    if follows, original < NativeConfig.usualLength { return nil }
    return .integer(max(contextLength, original + 1))
  }
}

extension JSONValue {
  /// A number that is written without a fraction where it has none.
  fileprivate static func shortest(_ value: Double) -> JSONValue {
    Int(exactly: value).map { .integer($0) } ?? .number(value)
  }
}
