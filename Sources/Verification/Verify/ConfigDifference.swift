internal import Formats
internal import Models
internal import Passes
internal import Platform

/// A number or choice beside the weights that changes what the network computes, and that the two
/// models have differently. Sizes that change the shape of a tensor are not among them.
public struct ConfigDifference: Sendable {
  /// The key as the candidate's own file spells it: `rope_scaling.mscale_all_dim` in a
  /// `config.json`, `deepseek2.rope.scaling.yarn_log_multiplier` in a GGUF file.
  public let name: String
  /// The reference's value.
  public let reference: String
  /// The candidate's value.
  public let candidate: String
  /// Puts the candidate's value into a config.
  let apply: @Sendable (inout ModelConfig) -> Void

  /// The differences between two models, in the order of the table below.
  static func all(
    reference: ModelConfig, candidate: ModelFiles
  ) -> [ConfigDifference] {
    let isGGUF = candidate.gguf != nil
    let (a, b) = (reference, candidate.config)
    var rows = ConfigKey.scalars + ConfigKey.routing
    if a.indexer != nil, b.indexer != nil { rows += ConfigKey.indexer }
    if a.queryTemperature != nil, b.queryTemperature != nil { rows.append(ConfigKey.temperature) }
    if a.yarn != nil, b.yarn != nil {
      rows +=
        isGGUF ? ConfigKey.yarn + [ConfigKey.yarnMultiplier] : ConfigKey.yarn + ConfigKey.mscales
    } else {
      rows.append(ConfigKey.scaling)
    }
    let document = b.section(of: candidate.checkpoint.config)
    let section = document["rope_parameters"] == nil ? nil : "rope_parameters"
    return rows.compactMap { row in
      let values = (row.value(a), row.value(b))
      guard values.0 != values.1 else { return nil }
      var name = row.name
      if isGGUF, let key = row.gguf {
        name = "\(b.architecture.ggufName).\(key)"
      } else if let section, row.name.hasPrefix(ConfigKey.section) {
        name = section + row.name.dropFirst(ConfigKey.section.count)
      }
      return ConfigDifference(
        name: name, reference: values.0, candidate: values.1,
        apply: { config in
          row.copy(b, &config)
          // One of three numbers that fit together only as a set.
          if !config.canRoute { for row in ConfigKey.routing { row.copy(b, &config) } }
        })
    }
  }

  var json: JSONValue {
    .object([
      "name": .string(name), "reference": .string(reference), "candidate": .string(candidate),
    ])
  }
}

/// A key that changes what the network computes, as a row of a table.
private struct ConfigKey: Sendable {
  /// Hugging Face's name, in the older spelling of the rotary section.
  let name: String
  /// llama.cpp's name without the architecture; nil where GGUF files have none.
  let gguf: String?
  /// The value as text; equal texts are equal values.
  let value: @Sendable (ModelConfig) -> String
  /// Takes the value over.
  let copy: @Sendable (_ from: ModelConfig, _ to: inout ModelConfig) -> Void

  init<Value: Sendable>(
    _ name: String, _ gguf: String?,
    _ path: any WritableKeyPath<ModelConfig, Value> & Sendable
  ) {
    self.name = name
    self.gguf = gguf
    value = { ConfigKey.text($0[keyPath: path]) }
    copy = { $1[keyPath: path] = $0[keyPath: path] }
  }

  init(
    _ name: String, _ gguf: String?, value: @escaping @Sendable (ModelConfig) -> String,
    copy: @escaping @Sendable (ModelConfig, inout ModelConfig) -> Void
  ) {
    self.name = name
    self.gguf = gguf
    self.value = value
    self.copy = copy
  }

  private static func text(_ value: some Any) -> String {
    if case let optional as (any OptionalValue) = value { return optional.text }
    return "\(value)"
  }

  static let section = "rope_scaling"

  static let scalars: [ConfigKey] = [
    ConfigKey("scoring_func", "expert_gating_func", \.scoring),
    ConfigKey("routed_scaling_factor", "expert_weights_scale", \.routedScalingFactor),
    ConfigKey("norm_topk_prob", "expert_weights_norm", \.normalizeExpertWeights),
    ConfigKey("rms_norm_eps", "attention.layer_norm_rms_epsilon", \.rmsNormEpsilon),
    ConfigKey("rope_theta", "rope.freq_base", \.ropeTheta),
    ConfigKey("rope_interleave", nil, \.ropeInterleaved),
    ConfigKey("attention_bias", nil, \.attentionBias),
    ConfigKey("tie_word_embeddings", nil, \.tiedEmbeddings),
    ConfigKey(
      "rope_scaling.llama_4_scaling_beta", "attention.temperature_scale",
      // Queries that are not scaled are those with a factor of 0.
      value: { "\($0.queryTemperature?.beta ?? 0)" },
      copy: { $1.queryTemperature = $0.queryTemperature }),
  ]

  static let routing: [ConfigKey] = [
    ConfigKey("num_experts_per_tok", "expert_used_count", \.expertsPerToken),
    ConfigKey("n_group", "expert_group_count", \.expertGroups),
    ConfigKey("topk_group", "expert_group_used_count", \.chosenGroups),
  ]

  /// Where both scale queries.
  static let temperature = ConfigKey(
    "llama_4_scaling.original_max_position_embeddings", "attention.temperature_length",
    \.queryTemperature!.length)

  /// Where both choose keys.
  static let indexer: [ConfigKey] = [
    ConfigKey("index_topk", "attention.indexer.top_k", \.indexer!.topK),
    ConfigKey("indexer_rope_interleave", nil, \.indexer!.ropeInterleaved),
    ConfigKey(
      "indexer_types", "attention.indexer.types",
      // F for full and S for shared, as index_topk_pattern has them.
      value: { String($0.indexer?.isFull.map { $0 ? "F" : "S" } ?? []) },
      copy: { if let kinds = $0.indexer?.isFull { $1.indexer?.isFull = kinds } }),
  ]

  /// Where one model has YaRN and the other does not.
  static let scaling = ConfigKey(
    section, "rope.scaling.type", value: { $0.yarn == nil ? "none" : "yarn" },
    copy: { $1.yarn = $0.yarn })

  /// Where both have YaRN.
  static let yarn: [ConfigKey] = [
    ConfigKey("\(section).factor", "rope.scaling.factor", \.yarn!.factor),
    ConfigKey(
      "\(section).original_max_position_embeddings", "rope.scaling.original_context_length",
      \.yarn!.originalContextLength),
    ConfigKey("\(section).beta_fast", "rope.scaling.yarn_beta_fast", \.yarn!.betaFast),
    ConfigKey("\(section).beta_slow", "rope.scaling.yarn_beta_slow", \.yarn!.betaSlow),
    ConfigKey("\(section).truncate", nil, \.yarn!.truncate),
  ]

  static let mscales: [ConfigKey] = [
    ConfigKey("\(section).mscale", nil, \.yarn!.mscale),
    ConfigKey("\(section).mscale_all_dim", nil, \.yarn!.mscaleAllDimensions),
    ConfigKey("\(section).attention_factor", nil, \.yarn!.attentionFactor),
  ]

  /// In a GGUF file one key says all that those three say.
  static let yarnMultiplier = ConfigKey(
    "\(section).mscale", "rope.scaling.yarn_log_multiplier",
    value: { config in
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
}

/// An optional of any type.
private protocol OptionalValue {
  var text: String { get }
}

extension Optional: OptionalValue {
  fileprivate var text: String { map { "\($0)" } ?? "none" }
}

extension ModelConfig {
  /// Whether the groups that a token chooses hold as many experts as it uses.
  fileprivate var canRoute: Bool {
    routedExperts % expertGroups == 0 && chosenGroups <= expertGroups
      && expertsPerToken <= routedExperts / expertGroups * chosenGroups
  }
}
