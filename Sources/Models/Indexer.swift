internal import Platform

extension ModelConfig {
  /// The lightning indexer of DeepSeek's sparse attention (DSA): a small attention beside the large
  /// one, whose scores say which keys each query sees.
  ///
  /// Sources: transformers 5.23's `DeepseekV32Indexer` and `GlmMoeDsaIndexer`, DeepSeek-V3.2-Exp's
  /// `inference/model.py`.
  package struct Indexer: Sendable, Hashable {
    /// Heads of its queries (`index_n_heads`); there is one key for all of them.
    package var heads: Int
    /// Width of a query and of the key (`index_head_dim`), whose first `qk_rope_head_dim` dimensions
    /// are rotated.
    package var headSize: Int
    /// Keys that a query sees at the most (`index_topk`); with fewer tokens it sees all of them.
    package var topK: Int
    /// Whether pairs that are rotated are (2i, 2i + 1) rather than (i, i + d / 2):
    /// `indexer_rope_interleave`.
    package var ropeInterleaved: Bool
    /// By decoder layer whether it has an indexer ("full"); the others ("shared") see the keys that
    /// the nearest before them has chosen. The first is full.
    package var isFull: [Bool]

    /// The ε of the norm of its key: that of transformers' classes, which no key of a config names.
    package static let normEpsilon: Float = 1e-6
  }

  /// Whether a stored layer has the tensors of an indexer: full layers, and those that predict
  /// further tokens.
  package func hasIndexer(layer: Int) -> Bool {
    guard let indexer else { return false }
    return layer >= indexer.isFull.count || indexer.isFull[layer]
  }

  /// A decoder layer whose chosen keys a layer takes over: the nearest full one, itself where it is
  /// full.
  package func indexerSource(of layer: Int) -> Int {
    (0...layer).last { hasIndexer(layer: $0) } ?? layer
  }
}

extension ModelConfig.Indexer {
  /// Reads the keys about it.
  init(_ top: ConfigReader, layers: Int, kind: Architecture.Indexing) throws(Fault) {
    heads = try top.count("index_n_heads")
    headSize = try top.count("index_head_dim")
    topK = try top.count("index_topk", maximum: Int(Int32.max))
    ropeInterleaved = try top.flag("indexer_rope_interleave") ?? kind.isInterleaved
    isFull = try Self.kinds(top, layers: layers, kind: kind)
  }

  /// Which layers have one: a list, a pattern of F and S, or every so many-th from an offset on, as
  /// transformers 5.23's `GlmMoeDsaConfig` counts them.
  private static func kinds(
    _ top: ConfigReader, layers: Int, kind: Architecture.Indexing
  ) throws(Fault) -> [Bool] {
    guard kind.canShare else { return [Bool](repeating: true, count: layers) }
    let words: (key: String, values: [JSONValue])?
    if let list = try top.array("indexer_types") {
      words = ("indexer_types", list)
    } else if case .string(let pattern)? = top.object["index_topk_pattern"] {
      let names: [Character: JSONValue] = ["F": "full", "S": "shared"]
      words = ("index_topk_pattern", pattern.map { names[$0] ?? .null })
    } else if let list = try top.array("index_topk_pattern") {
      words = ("index_topk_pattern", list)
    } else {
      words = nil
    }
    if let (key, values) = words {
      // A list may tell of the layers that predict further tokens too, which have one in any case.
      guard values.count >= layers, values.allSatisfy({ $0 == "full" || $0 == "shared" }),
        values.first == "full"
      else {
        throw top.fault(key, expected: "\"full\" or \"shared\" for \(layers) layers, full first")
      }
      return values.prefix(layers).map { $0 == "full" }
    }
    let every = max(1, try top.count("index_topk_freq", minimum: 0, default: 1))
    let offset = try top.count("index_skip_topk_offset", minimum: 0, default: 2)
    let kinds = (0..<layers).map { max($0 - offset + 1, 0) % every == 0 }
    guard kinds.first == true else {
      throw top.fault("index_skip_topk_offset", expected: "a first layer with an indexer")
    }
    return kinds
  }
}

extension ModelConfig {
  /// What an indexer is made of. FP8 checkpoints quantize the two matrices whose products are taken
  /// in FP8, and never the rest.
  static let indexer: [TensorRow] = [
    TensorRow(suffix: "self_attn.indexer.wq_b.weight", part: .indexer, quantized: true) {
      [($0.indexer?.heads ?? 0) * ($0.indexer?.headSize ?? 0), $0.queryRank ?? 0]
    },
    TensorRow(suffix: "self_attn.indexer.wk.weight", part: .indexer, quantized: true) {
      [$0.indexer?.headSize ?? 0, $0.hiddenSize]
    },
    TensorRow(
      suffix: "self_attn.indexer.k_norm.weight", part: .indexer, quantized: false,
      shape: { [$0.indexer?.headSize ?? 0] }, storage: .plainOrFloat32),
    TensorRow(
      suffix: "self_attn.indexer.k_norm.bias", part: .indexer, quantized: false,
      shape: { [$0.indexer?.headSize ?? 0] }, storage: .plainOrFloat32),
    // GLM's lists of what is not quantized call it `indexers_proj`, after vLLM's fused module.
    TensorRow(suffix: "self_attn.indexer.weights_proj.weight", part: .indexer, quantized: false) {
      [$0.indexer?.heads ?? 0, $0.hiddenSize]
    },
  ]

  /// Names of the matrices of a layer's indexer, in the order of their use.
  package static func indexerMatrices(of layer: Int) -> [String] {
    ["wk", "wq_b", "weights_proj"].map { "model.layers.\(layer).self_attn.indexer.\($0).weight" }
  }
}
