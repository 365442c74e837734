package import Models
internal import Platform
internal import Tensors

/// The metadata of llama.cpp's `deepseek4`.
enum DeepSeek4Key {
  /// Keys that llama.cpp's converter writes for every architecture, in its order.
  static let shared: [DeepSeek2Key] = [
    DeepSeek2Key("block_count", count: { $0.storedLayers }),
    DeepSeek2Key(.contextLength),
    DeepSeek2Key(.hiddenSize),
    DeepSeek2Key(.heads),
    DeepSeek2Key("attention.head_count_kv", count: { _ in 1 }),
    DeepSeek2Key(.scaling) { $0.yarn == nil ? nil : .string("yarn") },
    DeepSeek2Key(.yarnFactor),
    DeepSeek2Key(.yarnLength),
    // No factor is llama.cpp's own.
    DeepSeek2Key(
      "rope.scaling.yarn_attn_factor",
      number: { config in
        config.yarn.map(\.tableFactor).flatMap { $0 == 1 ? nil : $0 }
      }),
    DeepSeek2Key(.yarnFast),
    DeepSeek2Key(.yarnSlow),
    DeepSeek2Key(.ropeTheta),
    DeepSeek2Key(.normEpsilon),
    DeepSeek2Key(.experts),
    DeepSeek2Key(.expertsPerToken),
    DeepSeek2Key(.scoring, count: { _ in gating }),
    DeepSeek2Key("attention.key_length", count: { $0.keyValueRank }),
    DeepSeek2Key("attention.value_length", count: { $0.keyValueRank }),
  ]

  /// Keys that it adds for this one.
  static let own: [DeepSeek2Key] = [
    DeepSeek2Key(.ropeHeadSize),
    DeepSeek2Key(.queryRank),
    DeepSeek2Key("attention.sliding_window", count: { $0.v4?.window }),
    DeepSeek2Key(.expertSize),
    DeepSeek2Key(.sharedExperts, count: { $0.sharedExperts }),
    DeepSeek2Key(.expertScale),
    DeepSeek2Key(.normalizesExperts) { _ in .bool(true) },
    DeepSeek2Key("swiglu_clamp_exp", limits),
    DeepSeek2Key("swiglu_clamp_shexp", limits),
    DeepSeek2Key(.indexHeads, count: { $0.v4?.indexHeads }),
    DeepSeek2Key(.indexHeadSize, count: { $0.v4?.indexHeadSize }),
    DeepSeek2Key(.indexTopK, count: { $0.v4?.indexTopK }),
    DeepSeek2Key("attention.output_group_count", count: { $0.v4?.outputGroups }),
    DeepSeek2Key("attention.output_lora_rank", count: { $0.v4?.outputRank }),
    DeepSeek2Key("attention.compress_ratios") { config in
      guard let v4 = config.v4 else { return nil }
      let count = max(v4.kinds.count, config.storedLayers)
      return .array(
        MetadataArray(
          int32: (0..<count).map { Int32(clamping: v4.ratio(ofLayer: $0) ?? 0) }))
    },
    DeepSeek2Key("attention.compress_rope_freq_base", number: { $0.v4?.compressTheta }),
    DeepSeek2Key("hyper_connection.count", count: { $0.v4?.streams }),
    DeepSeek2Key("hyper_connection.sinkhorn_iterations", count: { $0.v4?.sinkhornSteps }),
    DeepSeek2Key(
      "hyper_connection.epsilon", number: { $0.v4.map { Double($0.streamEpsilon) } }),
    DeepSeek2Key("hash_layer_count", count: { $0.hashLayers }),
    DeepSeek2Key(
      "embedding_length_out", count: { config in config.v4.map { $0.streams * config.hiddenSize } }),
    DeepSeek2Key("nextn_predict_layers", count: { $0.mtpLayers > 0 ? $0.mtpLayers : nil }),
  ]

  /// The bound of the activation, for each layer.
  private static let limits: @Sendable (ModelConfig) -> MetadataValue? = { config in
    guard let v4 = config.v4 else { return nil }
    return .array(
      MetadataArray(
        float32: [Float](repeating: v4.activationLimit, count: config.storedLayers)))
  }

  /// `expert_gating_func` of a router that takes √(ln(1 + eˣ)).
  static let gating = 4

  /// Keys that the reader knows.
  static let names = Set((shared + own).map(\.name)).union([
    "vocab_size", "feed_forward_length", "leading_dense_block_count", "expert_group_count",
    "expert_group_used_count",
  ])
}

extension ModelConfig {
  /// Layers whose tokens have their experts by a table, from the first on; nil where others have them.
  package var hashLayers: Int? {
    guard let v4 else { return nil }
    let count = (0..<storedLayers).count { v4.hashesTokens(inLayer: $0) }
    return (0..<count).allSatisfy { v4.hashesTokens(inLayer: $0) } ? count : nil
  }
}
