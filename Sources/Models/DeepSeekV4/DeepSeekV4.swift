internal import Platform

extension ModelConfig {
  /// What DeepSeek-V4's network has and no other of the family: several residual streams, one key
  /// that is its own value, caches of compressed keys, routing by token.
  ///
  /// Source: transformers 5.23's `DeepseekV4Config` and `DeepseekV4ForCausalLM`. Of the config's other
  /// sizes `keyValueRank` and `valueHeadSize` are those of the one key, and `nopeHeadSize` and
  /// `ropeHeadSize` its parts, the rotated one last.
  package struct DeepSeekV4: Sendable, Hashable {
    /// What a layer's queries see beside the tokens of the window.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
      /// Nothing.
      case sliding = "sliding_attention"
      /// Of the entries that compress few tokens each, and overlap, those that an indexer chooses.
      case sparse = "compressed_sparse_attention"
      /// All entries that compress many tokens each.
      case heavy = "heavily_compressed_attention"
    }

    /// By stored layer, those that predict further tokens last, as far as the config tells of them.
    package var kinds: [Kind]
    /// Tokens that an entry of a sparse layer stands for, and one of a heavy layer.
    package var ratios: (sparse: Int, heavy: Int) { (sparseRatio, heavyRatio) }
    var sparseRatio: Int
    var heavyRatio: Int
    /// Tokens that queries see as they are, their own included (`sliding_window`).
    package var window: Int
    /// By decoder layer, whether a table of token ids chooses the experts.
    var hashesTokens: [Bool]
    /// Groups of heads that the output is projected in (`o_groups`).
    package var outputGroups: Int
    /// Width of what each group becomes (`o_lora_rank`).
    package var outputRank: Int
    /// Heads of the indexer's queries.
    package var indexHeads: Int
    /// Width of the indexer's queries and compressed keys.
    package var indexHeadSize: Int
    /// Entries that a query of a sparse layer sees at the most.
    package var indexTopK: Int
    /// Base of the rotary frequencies of layers that compress; `yarn` is theirs alone.
    package var compressTheta: Double
    /// Residual streams (`hc_mult`).
    package var streams: Int
    /// Steps that make the matrix between them doubly stochastic (`hc_sinkhorn_iters`).
    package var sinkhornSteps: Int
    /// The ε of those steps and of the streams' weights (`hc_eps`).
    package var streamEpsilon: Float
    /// Bound of the gates, and of the ups on both sides, before the activation (`swiglu_limit`).
    package var activationLimit: Float
    /// Whether the files have routed experts in FP4 where `fp8` says how the others are stored.
    package var hasFP4Experts: Bool

    /// Columns that share a scale in FP4.
    package static let fp4Group = 32

    /// Tokens that an entry of a layer stands for; nil where none are compressed.
    package func ratio(ofLayer layer: Int) -> Int? { ratio(of: kind(ofLayer: layer)) }

    /// What the queries of a stored layer see; one that predicts and of which nothing is said
    /// compresses nothing.
    package func kind(ofLayer layer: Int) -> Kind {
      layer < kinds.count ? kinds[layer] : .sliding
    }

    /// Whether a table of token ids chooses the experts of a stored layer.
    package func hashesTokens(inLayer layer: Int) -> Bool {
      layer < hashesTokens.count && hashesTokens[layer]
    }

    /// Tokens that an entry of a layer of a kind stands for; nil where none are compressed.
    package func ratio(of kind: Kind) -> Int? {
      switch kind {
      case .sliding: nil
      case .sparse: sparseRatio
      case .heavy: heavyRatio
      }
    }

    /// Weights of the streams of a token: for taking the input, giving the output, and mixing.
    package var mixes: Int { (2 + streams) * streams }
  }
}

extension ModelConfig.DeepSeekV4 {
  /// Gives a config the keys of the family's other networks that follow from V4's own; the same for
  /// another network.
  static func completing(
    _ top: ConfigReader, _ architecture: Architecture
  ) throws(Fault) -> ConfigReader {
    guard architecture.hasStreams else { return top }
    var top = top
    let size = try top.count("head_dim")
    let rope = try ropeSize(top, headSize: size)
    guard rope < size else {
      throw top.fault("qk_rope_head_dim", expected: "less than head_dim, \(size)")
    }
    guard try top.count("num_key_value_heads", default: 1) == 1 else {
      throw top.fault("num_key_value_heads", expected: "1, the key that all heads share")
    }
    // What says something else would be computed as if it said nothing.
    for (key, value) in [
      ("norm_topk_prob", true), ("rope_interleave", true), ("attention_bias", false),
    ] {
      guard try top.flag(key) ?? value == value else {
        throw top.fault(key, expected: "\(value): no loader of the network reads it")
      }
    }
    for key in ["n_group", "topk_group"] {
      guard try top.count(key, default: 1) == 1 else {
        throw top.fault(key, expected: "1: no loader of the network reads it")
      }
    }
    let width = try top.count("moe_intermediate_size")
    for (key, value) in [
      ("intermediate_size", width), ("kv_lora_rank", size), ("v_head_dim", size),
      ("qk_nope_head_dim", size - rope), ("qk_rope_head_dim", rope), ("first_k_dense_replace", 0),
    ] {
      top.defaults[key] = .integer(value)
      let given = try top.count(key, minimum: 0)
      guard given == value else {
        throw top.fault(key, expected: "\(value), which follows from the other sizes")
      }
    }
    return top
  }

  /// The rotary part of a head: transformers takes the share before the size.
  private static func ropeSize(_ top: ConfigReader, headSize: Int) throws(Fault) -> Int {
    if let share = try top.number("partial_rotary_factor") {
      guard share > 0, share <= 1 else {
        throw top.fault("partial_rotary_factor", expected: "a share of the head")
      }
      return Int((Double(headSize) * share).rounded(.towardZero))
    }
    return try top.count("qk_rope_head_dim", default: headSize / 8)
  }

  /// Reads the keys about what is V4's own.
  init(_ top: ConfigReader, layers: Int) throws(Fault) {
    sparseRatio = 4
    heavyRatio = 128
    if let rates = try top.section("compress_rates") {
      sparseRatio = try rates.count(Kind.sparse.rawValue, default: sparseRatio)
      heavyRatio = try rates.count(Kind.heavy.rawValue, default: heavyRatio)
    }
    sparseRatio = try top.count("compress_rate_csa", default: sparseRatio)
    heavyRatio = try top.count("compress_rate_hca", default: heavyRatio)
    kinds = try Self.kinds(top, layers: layers)
    hashesTokens = try Self.hashes(top, layers: layers)
    window = try top.count("sliding_window", maximum: Int(Int32.max))
    outputGroups = try top.count("o_groups")
    outputRank = try top.count("o_lora_rank")
    indexHeads = try top.count("index_n_heads")
    indexHeadSize = try top.count("index_head_dim")
    indexTopK = try top.count("index_topk", maximum: Int(Int32.max))
    compressTheta = try top.number("compress_rope_theta") ?? 160_000
    streams = try top.count("hc_mult", maximum: 64)
    sinkhornSteps = try top.count("hc_sinkhorn_iters", maximum: 10_000)
    streamEpsilon = Float(try top.number("hc_eps") ?? 1e-6)
    activationLimit = Float(try top.number("swiglu_limit") ?? 10)
    hasFP4Experts = try Self.readFP4(top)
    let heads = try top.count("num_attention_heads")
    guard heads % outputGroups == 0 else {
      throw top.fault("o_groups", expected: "a divisor of num_attention_heads, \(heads)")
    }
    guard activationLimit > 0 else {
      throw top.fault("swiglu_limit", expected: "a positive number")
    }
    guard streamEpsilon.isFinite, streamEpsilon >= 0 else {
      throw top.fault("hc_eps", expected: "a small positive number")
    }
  }

  /// Each layer's kind by name, or by the tokens that an entry stands for; a list may end with the
  /// decoder layers, and those that predict further tokens compress nothing then.
  private static func kinds(
    _ top: ConfigReader, layers: Int
  ) throws(Fault) -> [Kind] {
    var kinds: [Kind] = []
    if let names = try top.array("layer_types") {
      for name in names {
        guard case .string(let text) = name, let kind = Kind(rawValue: text) else {
          throw top.fault(
            "layer_types", expected: Kind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        kinds.append(kind)
      }
      guard kinds.count == layers else {
        throw top.fault("layer_types", expected: "\(layers) kinds, one for each layer")
      }
    } else if let ratios = try top.array("compress_ratios") {
      let known: [JSONValue: Kind] = [0: .sliding, 4: .sparse, 128: .heavy]
      for ratio in ratios {
        guard let kind = known[ratio] else {
          throw top.fault("compress_ratios", expected: "0, 4 or 128 for each layer")
        }
        kinds.append(kind)
      }
      guard kinds.count >= layers else {
        throw top.fault("compress_ratios", expected: "at least \(layers), one for each layer")
      }
    } else {
      kinds = (0..<layers).map { $0 < 2 || $0 % 2 == 0 ? .heavy : .sparse }
    }
    return kinds
  }

  private static func hashes(
    _ top: ConfigReader, layers: Int
  ) throws(Fault) -> [Bool] {
    guard let names = try top.array("mlp_layer_types") else {
      let count = try top.count("num_hash_layers", minimum: 0)
      return (0..<layers).map { $0 < count }
    }
    guard names.count == layers, names.allSatisfy({ $0 == "hash_moe" || $0 == "moe" }) else {
      throw top.fault("mlp_layer_types", expected: "\(layers) times \"hash_moe\" or \"moe\"")
    }
    return names.map { $0 == "hash_moe" }
  }

  /// How routed experts are stored: beside `quantization_config`, or in it.
  private static func readFP4(_ top: ConfigReader) throws(Fault) -> Bool {
    guard let section = try top.section("quantization_config") else { return false }
    let outer = try top.string("expert_dtype")
    guard let type = try section.string("expert_dtype") ?? outer else { return false }
    guard type == "fp4" || type == "fp8" else {
      throw top.fault("expert_dtype", expected: "\"fp4\" or \"fp8\"")
    }
    return type == "fp4"
  }

  /// The base of the rotary frequencies of sliding layers, and that of the others with their YaRN:
  /// `rope_parameters` has a section for each, or says the latter alone, as `rope_scaling` does.
  ///
  /// Sines and cosines are not scaled unless a section of its own says by how much, or leaves it to
  /// YaRN, whose range of dimensions is rounded whatever is said: no loader looks there.
  static func rope(
    _ top: ConfigReader, rotary: Int, contextLength: Int
  ) throws(Fault) -> (theta: Double, compressTheta: Double, yarn: ModelConfig.YaRN?) {
    let theta = try top.number("rope_theta") ?? 10_000
    let compressTheta = try top.number("compress_rope_theta") ?? 160_000
    let outer = try ModelConfig.readRope(top, usual: nil)
    guard let outer else { return (theta, compressTheta, nil) }
    guard let main = try outer.section("main"), let compress = try outer.section("compress") else {
      var yarn = try ModelConfig.readYaRN(outer, contextLength: contextLength)
      if yarn?.attentionFactor == nil { yarn?.attentionFactor = 1 }
      yarn?.truncate = true
      return (theta, compressTheta, yarn)
    }
    guard try ModelConfig.readYaRN(main, contextLength: contextLength) == nil else {
      throw main.fault("rope_type", expected: "\"default\"")
    }
    for section in [main, compress] {
      guard let share = try section.number("partial_rotary_factor") else { continue }
      let size = try top.count("head_dim")
      guard Int((Double(size) * share).rounded(.towardZero)) == rotary else {
        throw section.fault("partial_rotary_factor", expected: "\(rotary) of \(size)")
      }
    }
    var yarn = try ModelConfig.readYaRN(compress, contextLength: contextLength)
    yarn?.truncate = true
    return (
      try main.number("rope_theta") ?? theta, try compress.number("rope_theta") ?? compressTheta,
      yarn
    )
  }
}
