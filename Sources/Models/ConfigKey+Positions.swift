package import Platform

/// Keys about positions. Those of `rope_scaling` have its name in front.
extension ConfigKey {
  /// The section about YaRN in transformers 4.
  package static let section = "rope_scaling"

  /// Base of rotary frequencies.
  package static let ropeTheta = ConfigKey(
    "rope_theta", gguf: "rope.freq_base", native: ("rope_theta", .number(10_000)),
    effect: Effect(\.ropeTheta)
  ) { .number($0.ropeTheta) }
  /// Whether positions turn pairs (2i, 2i + 1), and not (i, i + d / 2).
  package static let ropeInterleaved = ConfigKey(
    "rope_interleave", effect: Effect(\.ropeInterleaved)
  ) { .bool($0.ropeInterleaved) }
  /// How much queries grow with the logarithm of their position.
  package static let temperature = ConfigKey(
    "rope_scaling.llama_4_scaling_beta", gguf: "attention.temperature_scale",
    effect: Effect(
      // Queries that are not scaled are those with a factor of 0.
      text: { "\($0.queryTemperature?.beta ?? 0)" },
      copy: { $1.queryTemperature = $0.queryTemperature })
  ) { $0.queryTemperature.map { .number($0.beta) } }
  /// Positions from which on they do.
  package static let temperatureLength = ConfigKey(
    "llama_4_scaling.original_max_position_embeddings", gguf: "attention.temperature_length",
    effect: Effect(\.queryTemperature!.length, of: { $0.queryTemperature != nil })
  ) { $0.queryTemperature.map { .integer($0.length) } }
  /// F for layers whose indexer chooses keys and S for those that share them, as in
  /// `index_topk_pattern`.
  package static let indexerTypes = ConfigKey(
    "indexer_types", gguf: "attention.indexer.types",
    effect: Effect(
      of: { $0.indexer != nil },
      text: { String($0.indexer?.isFull.map { $0 ? "F" : "S" } ?? []) },
      copy: { if let kinds = $0.indexer?.isFull { $1.indexer?.isFull = kinds } })
  ) { config in
    config.indexer.map { .array($0.isFull.map { .string($0 ? "full" : "shared") }) }
  }
  /// Whether there is YaRN.
  package static let scaling = ConfigKey(
    section, gguf: "rope.scaling.type",
    effect: Effect(text: { $0.yarn == nil ? "none" : "yarn" }, copy: { $1.yarn = $0.yarn })
  ) { $0.yarnDocument.map { .object($0) } }

  /// How much longer the context is than the original one.
  package static let yarnFactor = yarn("factor", "rope.scaling.factor", \.yarn!.factor) {
    .number($0.factor)
  }
  /// The original context.
  package static let yarnLength = yarn(
    "original_max_position_embeddings", "rope.scaling.original_context_length",
    \.yarn!.originalContextLength
  ) { .integer($0.originalContextLength) }
  /// Turns in the original context from which on a frequency stays.
  package static let yarnFast = yarn(
    "beta_fast", "rope.scaling.yarn_beta_fast", \.yarn!.betaFast
  ) { .number($0.betaFast) }
  /// Turns in it up to which a frequency is divided by the factor.
  package static let yarnSlow = yarn(
    "beta_slow", "rope.scaling.yarn_beta_slow", \.yarn!.betaSlow
  ) { .number($0.betaSlow) }
  /// Whether the bounds of that ramp are made whole numbers.
  package static let yarnTruncate = yarn("truncate", nil, \.yarn!.truncate) {
    $0.truncate ? nil : false
  }
  /// Factor on sines and cosines, before that of all dimensions.
  package static let yarnScale = yarn("mscale", nil, \.yarn!.mscale) {
    $0.mscale.map { .number($0) }
  }
  /// The same of all dimensions, by which attention's scale grows.
  package static let yarnScaleOfAll = yarn("mscale_all_dim", nil, \.yarn!.mscaleAllDimensions) {
    $0.mscaleAllDimensions.map { .number($0) }
  }
  /// Factor on sines and cosines as it is; nil where it follows from those two.
  package static let attentionFactor = yarn(
    "attention_factor", nil, \.yarn!.attentionFactor
  ) { $0.attentionFactor.map { .number($0) } }

  /// In a GGUF file one key says all that those three say.
  package static let yarnMultiplier = ConfigKey(
    "\(section).mscale", gguf: "rope.scaling.yarn_log_multiplier",
    effect: Effect(
      of: { $0.yarn != nil },
      text: { config in
        guard let yarn = config.yarn else { return "none" }
        if let factor = yarn.attentionFactor { return "a factor of \(factor) on sine and cosine" }
        let (one, all) = (yarn.mscale ?? 0, yarn.mscaleAllDimensions ?? 0)
        return one == all ? "\(0.1 * all)" : "mscale \(one), mscale_all_dim \(all)"
      },
      copy: { from, to in
        to.yarn?.mscale = from.yarn?.mscale
        to.yarn?.mscaleAllDimensions = from.yarn?.mscaleAllDimensions
        to.yarn?.attentionFactor = from.yarn?.attentionFactor
      })
  ) { $0.yarnMultiplier.map { .number($0) } }

  private static func yarn<Value: Sendable>(
    _ name: String, _ gguf: String?,
    _ path: any WritableKeyPath<ModelConfig, Value> & Sendable,
    _ value: @escaping @Sendable (ModelConfig.YaRN) -> JSONValue?
  ) -> ConfigKey {
    ConfigKey(
      "\(section).\(name)", gguf: gguf, effect: Effect(path, of: { $0.yarn != nil })
    ) { $0.yarn.flatMap(value) }
  }

  /// Keys of routers that fit together only as a set.
  package static let routing: [ConfigKey] = [.expertsPerToken, .expertGroups, .chosenGroups]

  /// All that change what a network computes, in the order of reports, but for those of YaRN.
  package static let effects: [ConfigKey] =
    ([
      .scoring, .expertScale, .normalizesExperts, .normEpsilon, .ropeTheta, .ropeInterleaved,
      .attentionBias, .tiedEmbeddings, .temperature,
    ] as [ConfigKey]) + routing + [.indexTopK, .indexRope, .indexerTypes, .temperatureLength]

  /// Those of YaRN that all formats have a name for.
  package static let yarnEffects: [ConfigKey] = [
    .yarnFactor, .yarnLength, .yarnFast, .yarnSlow, .yarnTruncate,
  ]

  /// Those of Hugging Face's configs about what YaRN makes of sines and cosines.
  package static let yarnScales: [ConfigKey] = [.yarnScale, .yarnScaleOfAll, .attentionFactor]
}

extension ModelConfig {
  /// The section about YaRN of transformers 4; nil without YaRN.
  package var yarnDocument: JSONObject? {
    guard yarn != nil else { return nil }
    let keys: [ConfigKey] = [
      .yarnFast, .yarnSlow, .yarnFactor, .attentionFactor, .yarnScale, .yarnScaleOfAll,
      .yarnLength, .yarnTruncate,
    ]
    var object = JSONObject()
    for key in keys {
      if let value = key.value(self) {
        object[String(key.name.dropFirst(ConfigKey.section.count + 1))] = value
      }
    }
    object["type"] = "yarn"
    return object
  }
}
