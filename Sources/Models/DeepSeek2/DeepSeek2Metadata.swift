internal import Platform
package import Tensors

/// A metadata key of llama.cpp's `deepseek2`, `deepseek32` and `glm-dsa`, and what a config says there.
package struct DeepSeek2Key: Sendable {
  /// The key without the architecture in front.
  package let name: String
  /// The value; nil where the key is left out.
  package let value: @Sendable (ModelConfig) -> MetadataValue?

  /// Names a key.
  package init(_ name: String, _ value: @escaping @Sendable (ModelConfig) -> MetadataValue?) {
    self.name = name
    self.value = value
  }

  /// A count.
  package init(_ name: String, count: @escaping @Sendable (ModelConfig) -> Int?) {
    self.init(name) { config in count(config).map { .uint32(UInt32(clamping: $0)) } }
  }

  /// A key that Hugging Face's has too, with the same value: a count or a number.
  package init(_ key: ConfigKey) {
    self.init(key) { config in
      switch key.value(config) {
      case .integer(let count)?: .uint32(UInt32(clamping: count))
      case .number(let value, _)?: .float32(Float(value))
      default: nil
      }
    }
  }

  /// The same with another value.
  package init(_ key: ConfigKey, _ value: @escaping @Sendable (ModelConfig) -> MetadataValue?) {
    guard let name = key.gguf else { preconditionFailure("\(key.name) is no key of GGUF files") }
    self.init(name, value)
  }

  /// The same with another count.
  package init(_ key: ConfigKey, count: @escaping @Sendable (ModelConfig) -> Int?) {
    self.init(key) { config in count(config).map { .uint32(UInt32(clamping: $0)) } }
  }

  /// The same with another count, which only networks with experts have.
  init(_ key: ConfigKey, experts: @escaping @Sendable (ModelConfig) -> Int) {
    self.init(key, count: { $0.architecture.hasExperts ? experts($0) : nil })
  }

  /// A number.
  package init(_ name: String, number: @escaping @Sendable (ModelConfig) -> Double?) {
    self.init(name) { config in number(config).map { .float32(Float($0)) } }
  }
}

extension ModelConfig {
  /// The metadata about the network that llama.cpp's converter writes, in its order.
  ///
  /// The keys up to the value's length come before `general.file_type` there, the others after it.
  package var deepSeek2Metadata: (before: Metadata, after: Metadata) {
    (
      metadata(DeepSeek2Key.shared),
      metadata(DeepSeek2Key.own + DeepSeek2Key.temperature + DeepSeek2Key.indexer)
    )
  }

  /// What a config says in some keys.
  package func metadata(_ keys: [DeepSeek2Key]) -> Metadata {
    var metadata = Metadata()
    for key in keys {
      metadata["\(architecture.ggufName).\(key.name)"] = key.value(self)
    }
    return metadata
  }
}

extension DeepSeek2Key {
  /// Keys that llama.cpp's converter writes for every architecture.
  static let shared: [DeepSeek2Key] =
    [
      // Layers that predict further tokens count as blocks.
      DeepSeek2Key("block_count", count: { $0.storedLayers }),
      DeepSeek2Key(.contextLength),
      DeepSeek2Key(.hiddenSize),
      DeepSeek2Key(.intermediateSize),
      DeepSeek2Key(.heads),
      // All heads share one latent key and value, so that attention has a single group.
      DeepSeek2Key("attention.head_count_kv", count: { _ in 1 }),
      DeepSeek2Key(.scaling) { $0.yarn == nil ? nil : .string("yarn") },
      DeepSeek2Key(.yarnFactor),
      DeepSeek2Key(.yarnLength),
      DeepSeek2Key("rope.scaling.yarn_attn_factor", number: { $0.yarn?.attentionFactor }),
      DeepSeek2Key(.yarnFast),
      DeepSeek2Key(.yarnSlow),
      DeepSeek2Key(.ropeTheta),
      DeepSeek2Key(.normEpsilon),
      DeepSeek2Key(.experts),
      DeepSeek2Key(.expertsPerToken),
      // llama.cpp ends where all groups are chosen, which is the same as none.
      DeepSeek2Key(
        .expertGroups, experts: { $0.chosenGroups < $0.expertGroups ? $0.expertGroups : 1 }),
      DeepSeek2Key(
        .chosenGroups,
        experts: { $0.chosenGroups < $0.expertGroups ? $0.chosenGroups : 1 }),
      DeepSeek2Key(
        .scoring, experts: { $0.scoring == .softmax ? softmaxGating : sigmoidGating }),
    ]
    + widths.map { row in
      DeepSeek2Key(row.name) { $0.architecture.hasHeadSize ? row.value($0) : nil }
    }

  /// Widths of the latent key and value.
  private static let widths: [DeepSeek2Key] = [
    DeepSeek2Key("attention.key_length", count: { $0.keyValueRank + $0.ropeHeadSize }),
    DeepSeek2Key("attention.value_length", count: { $0.keyValueRank }),
  ]

  /// Keys that it adds for this one.
  static let own: [DeepSeek2Key] = [
    DeepSeek2Key(.firstDenseLayers, count: { $0.firstDenseLayers }),
    DeepSeek2Key(.vocabSize),
    DeepSeek2Key(.queryRank),
    DeepSeek2Key(.keyValueRank),
    // Where they stand otherwise: a key that is set again keeps its first place.
    widths[0], widths[1],
    DeepSeek2Key("attention.key_length_mla", count: { $0.queryHeadSize }),
    DeepSeek2Key("attention.value_length_mla", count: { $0.valueHeadSize }),
    DeepSeek2Key(.expertSize, count: { $0.moeIntermediateSize }),
    DeepSeek2Key(.sharedExperts, count: { $0.sharedExperts }),
    DeepSeek2Key(.expertScale),
    DeepSeek2Key(.normalizesExperts) {
      $0.architecture.hasExperts && $0.normalizeExpertWeights ? .bool(true) : nil
    },
    DeepSeek2Key(.ropeHeadSize),
    // The tenth is historical: llama.cpp's loader takes it out again.
    DeepSeek2Key(.yarnMultiplier),
    // The converter itself leaves MTP layers out; this is how its loader wants them announced.
    DeepSeek2Key("nextn_predict_layers", count: { $0.mtpLayers > 0 ? $0.mtpLayers : nil }),
  ]

  /// Keys about how queries are scaled by their positions, which llama.cpp's converter writes for
  /// Mistral's own checkpoints alone and its loader reads for all.
  static let temperature: [DeepSeek2Key] = [
    DeepSeek2Key(.temperature) { $0.scaledQueries.map { .float32(Float($0.beta)) } },
    DeepSeek2Key(.temperatureLength, count: { $0.scaledQueries?.length }),
  ]

  /// Keys about what chooses the keys that queries see.
  static let indexer: [DeepSeek2Key] = [
    DeepSeek2Key(.indexHeads),
    DeepSeek2Key(.indexHeadSize),
    DeepSeek2Key(.indexTopK),
    // transformers' class lists them whatever the config says, and so does the converter.
    DeepSeek2Key(.indexerTypes) { config in
      guard let indexer = config.indexer, config.architecture.indexing?.canShare == true else {
        return nil
      }
      return .array(MetadataArray(.fixed(.bool, indexer.isFull.map { $0 ? 1 : 0 })))
    },
  ]

  /// The context from which on llama.cpp takes a file that names no kinds of layers for GLM-5.2.
  static let glm52Context = 1_048_576

  /// `expert_gating_func` of a router that takes sigmoids.
  static let sigmoidGating = 2
  /// The same of a softmax, as DeepSeek-V2 has it.
  static let softmaxGating = 1
}

extension DeepSeek2Key {
  /// Keys of the architecture that change nothing.
  private static let harmless: Set<String> = [
    // Whether the model was trained further at the extended context.
    "rope.scaling.finetuned",
    // llama.cpp reads them for other architectures.
    "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_ext_factor",
    "expert_shared_feed_forward_length", "tensor_data_layout", "attention.group_norm_epsilon",
  ]

  /// Keys that other architectures have, what they are about, and the numbers that switch them off.
  private static let foreign: [String: (meaning: String, neutral: [Double])] = [
    "attention.sliding_window": ("attention to a sliding window", [0]),
    "rope.scaling.attn_factor": ("another factor on sines and cosines", [0, 1]),
    "attention.layer_norm_epsilon": ("norms of another kind", []),
    "attention.clamp_kqv": ("bounds on queries, keys and values", [0]),
    "attn_logit_softcapping": ("a soft cap on scores", [0]),
    "final_logit_softcapping": ("a soft cap on logits", [0]),
    "logit_scale": ("a factor on logits", [0, 1]),
    "residual_scale": ("a factor on layers", [0, 1]),
    "embedding_scale": ("a factor on embeddings", [0, 1]),
    "attention.scale": ("another scale of attention", [0]),
    "moe_every_n_layers": ("layers without experts between those with", [0, 1]),
    "interleave_moe_layer_step": ("layers without experts between those with", [0, 1]),
  ]

  private static let known = Set((shared + own + temperature).map(\.name)).union(harmless)
  private static let knownOfIndexer = Set(indexer.map(\.name))

  /// Keys under the architecture's name that its reader passes over: llama.cpp gives each of them a
  /// meaning there, or in another architecture.
  static func unknown(in metadata: Metadata) -> [UnknownKey] {
    let architecture = metadata["general.architecture"]?.text ?? ""
    return unknown(
      in: metadata,
      known: architecture == Architecture.deepSeekV3.ggufName ? known : known.union(knownOfIndexer))
  }

  /// The same of a reader that knows these keys, and passes over those that change nothing.
  package static func unknown(in metadata: Metadata, known: Set<String>) -> [UnknownKey] {
    let prefix = "\(metadata["general.architecture"]?.text ?? "")."
    let known = known.union(harmless)
    return metadata.keys.compactMap { key in
      guard let name = ExactText(key).without(prefix: ExactText(prefix))?.text,
        !known.contains(name), let value = metadata[key]
      else { return nil }
      let row = foreign[name]
      if value == .bool(false) || value.number.map({ row?.neutral.contains($0) == true }) == true {
        return nil
      }
      let indexer = name.hasPrefix("attention.indexer.")
      return UnknownKey(
        name: key, value: "\(value)",
        meaning: indexer ? "the lightning indexer of DeepSeek-V3.2 and GLM-5" : row?.meaning)
    }
  }
}
