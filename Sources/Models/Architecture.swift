package import Platform

/// A network of the family: what is its own beside what all of them share.
///
/// A new network is a row of `all` and, where its layers compute something new, one file in
/// `Reference`.
package struct Architecture: Sendable, Hashable {
  /// How experts are chosen by their scores, as `topk_method` names it.
  package enum Selection: String, Sendable, Hashable, CaseIterable {
    /// The best of the groups whose two best experts have the largest sum; a bias counts in the
    /// choice alone.
    case groupsByTwoBest = "noaux_tc"
    /// The best of the groups whose best expert is best.
    case groupsByBest = "group_limited_greedy"
    /// The best of all.
    case greedy
  }

  /// What wraps a network that is a part of a larger model.
  package struct Envelope: Sendable, Hashable {
    /// `model_type` of the whole.
    let modelType: String
    /// The key of `config.json` under which the network's own config stands.
    package let key: String
    /// What stands before the names of the network's tensors.
    let prefix: ExactText
    /// Other beginnings of such names, and what they stand for.
    let otherPrefixes: [Prefix]
    /// What the names of the tensors begin with that belong to the other parts.
    let others: [ExactText]
    /// What those parts are.
    package let othersName: String
    /// `model_type` of the network where its section does not say.
    let usualType: String
    /// Whether other formats have no names for the other parts, so that these stay behind.
    package var leavesOthers = false

    /// A beginning of names in the envelope, and what it stands for.
    struct Prefix: Sendable, Hashable {
      let stored: ExactText
      let own: ExactText
    }
  }

  /// How mlx-lm loads it.
  package struct MLXModule: Sendable, Hashable {
    /// What a module does with the layers beyond the last.
    package enum MTP: Sendable, Hashable {
      /// It leaves them out.
      case leftOut
      /// It leaves out that of this number, and refuses others.
      case leftOutOnly(layer: Int)
      /// It refuses them.
      case refused
    }

    /// The `model_type` that names the module; nil where it is that of the checkpoint.
    package internal(set) var modelType: String?
    /// Whether it has `kv_b_proj` whole, where others have the halves apart.
    package let hasJointKeysAndValues: Bool
    /// What the module takes for keys that its config lacks.
    package let defaults: JSONObject
    /// What it does with MTP layers.
    package let mtp: MTP
    /// Whether it can take the embedding table for the head.
    package let ties: Bool
    /// Whether it cannot be built without `rope_scaling`.
    package internal(set) var needsScaling = false
    /// Whether the norms of latents have `rms_norm_eps`, where transformers has 10⁻⁶ whatever that is.
    package internal(set) var hasOwnInnerEpsilon = false
    /// Whether YaRN's `mscale_all_dim` has no effect on the softmax.
    package internal(set) var ignoresTemperature = false
    /// Whether `rope_interleave` is not read.
    package internal(set) var ignoresRopeLayout = true
    /// Whether positions are read from `rope_parameters` alone, and it cannot be built without.
    package internal(set) var readsRopeParameters = false
  }

  /// Values of `model_type`, the one of its class in transformers first.
  package internal(set) var modelTypes: [String]
  /// What `architectures` names.
  package internal(set) var className: String
  /// What transformers' class takes for keys that a config lacks.
  var defaults: JSONObject
  /// How its router scores experts.
  package let scoring: ModelConfig.Scoring
  /// How experts may be chosen, that of a config without `topk_method` first; none in a network
  /// without experts.
  package internal(set) var selections: [Selection]
  /// Whether its routers have a bias that corrects the choice.
  package let hasCorrectionBias: Bool
  /// Whether `mlp_layer_types` says which layers have experts, rather than `first_k_dense_replace`.
  var readsLayerTypes = false
  /// Whether layers that predict further tokens have a dense MLP, wherever they stand.
  package var hasDensePredictors = false
  /// Whether layers that predict further tokens come with copies of embedding and head.
  package internal(set) var hasCopies = true
  /// Whether the weights of chosen experts can be divided by their sum.
  package let canNormalize: Bool
  /// Its module in mlx-lm.
  package internal(set) var mlx: MLXModule
  /// What splits a text before byte-pair encoding, by llama.cpp's name for it: no file of a
  /// checkpoint has that name.
  package internal(set) var preTokenizer: String

  /// Whether transformers' class adds `head_dim` to the config, by which llama.cpp's converter writes
  /// the widths of heads before its other keys.
  var hasHeadSize = true
  /// The architecture under which llama.cpp runs it.
  package internal(set) var ggufName = "deepseek2"
  /// Tokens that its vocabulary in a GGUF file names beside those of the tokenizer's own settings, by
  /// the name that llama.cpp's converter gives each.
  package var namedTokens: [String: String] = [:]
  /// Names of other splittings that some of its members have: which one a model has shows in its
  /// tokenizer alone.
  package var otherPreTokenizers: [String] = []

  /// Whether queries are scaled by their positions.
  package internal(set) var hasQueryTemperature = false
  /// Whether a section of its own says how, rather than a key of the one about positions.
  package internal(set) var hasTemperatureSection = false
  /// What transformers' class says of positions where a config does not; nil for nothing.
  var positions: JSONObject?
  /// Whether `partial_rotary_factor` is the rotary share of a head, which the class derives.
  package var hasRotaryShare: Bool { positions != nil }
  /// Whether its checkpoints have the experts of a layer in two stacks, gates above ups.
  package internal(set) var hasStackedExperts = false
  /// Whether what the experts of a layer give is normed before it joins the residual stream; neither
  /// llama.cpp nor mlx-lm nor DeepSeek's code knows such a network.
  package internal(set) var normsExperts = false
  /// Whether llama.cpp's files have gates and ups of a layer's experts in one tensor.
  package internal(set) var hasFusedGGUFExperts = false

  /// Whether it is DeepSeek-V4's, with residual streams, one key for all heads and compressed caches.
  package internal(set) var hasStreams = false

  /// How a lightning indexer chooses the keys that queries see; nil where they see all of them.
  package internal(set) var indexing: Indexing?

  /// What is a network's own of its indexer.
  package struct Indexing: Sendable, Hashable {
    /// Whether pairs that are rotated are (2i, 2i + 1) where the config does not say.
    let isInterleaved: Bool
    /// Whether layers may take over the keys that one before them has chosen.
    package let canShare: Bool
  }

  /// Whether its layers have routed experts.
  package var hasExperts: Bool { !selections.isEmpty }

  /// Keys that a config lacks and that change the network, for which transformers' class and mlx-lm's
  /// module take different values: `topk_group, for which transformers takes 4, mlx-lm 1`.
  package func ambiguities(of config: JSONObject) -> [String] {
    Architecture.deciding.compactMap { key in
      guard config[key] == nil, let theirs = defaults[key], let other = mlx.defaults[key],
        theirs.number != other.number || theirs.number == nil && theirs != other
      else { return nil }
      return "\(key), for which transformers takes \(theirs.text(indent: nil)), mlx-lm "
        + other.text(indent: nil)
    }
  }

  /// Keys that change what is computed, but for those that the shapes of tensors contradict.
  private static let deciding = [
    "n_group", "topk_group", "routed_scaling_factor", "norm_topk_prob", "n_shared_experts",
    "first_k_dense_replace", "num_experts_per_tok", "rms_norm_eps",
  ]

  /// The row of a `model_type`; nil where no network is called so.
  package static func named(_ modelType: String) -> Architecture? { byName[ExactText(modelType)] }

  private static let byName: [ExactText: Architecture] = {
    var rows: [ExactText: Architecture] = [:]
    for row in all { for name in row.modelTypes { rows[ExactText(name)] = row } }
    return rows
  }()

  /// llama.cpp's architectures whose files are read.
  static let ggufNames = all.map(\.ggufName).reduce(into: [String]()) {
    if !$0.contains($1) { $0.append($1) }
  }

  /// Every `model_type` that is known.
  package static let modelTypes = all.flatMap(\.modelTypes) + Envelope.all.map(\.modelType)
}
