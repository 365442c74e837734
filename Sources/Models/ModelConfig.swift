package import Platform
package import Tensors

/// What `config.json` of a checkpoint of this family says about the network.
///
/// The names follow Hugging Face's keys (transformers 5.23, `DeepseekV3Config`); a value that
/// exists has been checked: sizes are positive and fit together.
package struct ModelConfig: Sendable, Hashable {
  /// The network.
  package var architecture: Architecture
  /// What wraps it in a larger model; nil where it stands by itself.
  package var envelope: Architecture.Envelope?
  /// `model_type` of the network.
  package var modelType: String
  /// Rows of the embedding table.
  package var vocabSize: Int
  /// Width of the residual stream.
  package var hiddenSize: Int
  /// Width of a dense layer's MLP.
  package var intermediateSize: Int
  /// Width of one routed expert; a shared expert block is this times `sharedExperts`.
  package var moeIntermediateSize: Int
  /// Decoder layers without the multi-token-prediction ones.
  package var layers: Int
  /// Multi-token-prediction (MTP) layers, stored after the decoder layers.
  package var mtpLayers: Int
  /// Whether a key of the config counts them, rather than the class of transformers.
  package var declaresMTP = true
  /// Layers before this index have a dense MLP.
  package var firstDenseLayers: Int
  /// From `firstDenseLayers` on, every so many-th layer has experts.
  package var moeLayerFrequency: Int
  /// Attention heads.
  package var heads: Int
  /// Rank of the query projection, nil where queries are projected directly (`q_proj`).
  package var queryRank: Int?
  /// Rank of the joint key-value projection: the width of the latent KV cache.
  package var keyValueRank: Int
  /// Head width without positional encoding.
  package var nopeHeadSize: Int
  /// Head width with rotary positional encoding, shared by all heads in the key.
  package var ropeHeadSize: Int
  /// Width of one head's value.
  package var valueHeadSize: Int
  /// Routed experts per MoE layer.
  package var routedExperts: Int
  /// Shared experts per MoE layer, stored as one MLP of their joint width; 0 for none.
  package var sharedExperts: Int
  /// Routed experts that a token uses.
  package var expertsPerToken: Int
  /// Groups that the routed experts are divided into.
  package var expertGroups: Int
  /// Groups that a token may choose experts from.
  package var chosenGroups: Int
  /// What the router makes of its logits: `scoring_func`.
  package var scoring: Scoring
  /// How experts are chosen by their scores: `topk_method`.
  package var selection: Architecture.Selection
  /// Whether the chosen experts' weights are divided by their sum.
  package var normalizeExpertWeights: Bool
  /// Factor on the chosen experts' weights, after the division.
  package var routedScalingFactor: Float
  /// The ε of the norms of the residual stream; `q_a_layernorm` and `kv_a_layernorm` have 10⁻⁶
  /// whatever this says, as transformers builds them.
  package var rmsNormEpsilon: Float
  /// Base of the rotary frequencies.
  package var ropeTheta: Double
  /// Rotary frequencies alternate (2i, 2i+1) rather than (i, i + d/2): true in the family.
  package var ropeInterleaved: Bool
  /// YaRN context extension, nil where the rotary frequencies are plain.
  package var yarn: YaRN?
  /// Positions that the model was trained for.
  package var contextLength: Int
  /// Whether projections of the attention carry biases (`q_a_proj`, `kv_a_proj_with_mqa`, `o_proj`).
  package var attentionBias: Bool
  /// What chooses the keys that queries see; nil where they see all before them.
  package var indexer: Indexer?
  /// What is DeepSeek-V4's own; nil for other networks.
  package var v4: DeepSeekV4?
  /// How queries are scaled by their positions; nil where they are not.
  package var queryTemperature: QueryTemperature?
  /// Whether the head is the embedding table.
  package var tiedEmbeddings: Bool
  /// Type of the weights that are not quantized, nil where the config does not say.
  package var dataType: ElementType?
  /// Block-scaled FP8 storage of the linear layers, nil for plain weights.
  package var fp8: FP8Quantization?
  /// Storage of some modules in the formats of compressed-tensors; nil where `fp8` is not, or for
  /// plain weights.
  package var compressed: CompressedTensorsConfig?

  /// How a router scores experts.
  package enum Scoring: String, Sendable, Hashable, CaseIterable {
    /// Each expert by itself, as DeepSeek-V3 and what follows it were trained.
    case sigmoid
    /// All experts together, as DeepSeek-V2 was.
    case softmax
    /// Each expert by itself, √(ln(1 + eˣ)), as DeepSeek-V4 was trained.
    case sqrtSoftplus = "sqrtsoftplus"
  }

  /// YaRN's parameters, as `rope_scaling` gives them.
  package struct YaRN: Sendable, Hashable {
    /// Extension factor.
    package var factor: Double
    /// Context length before the extension.
    package var originalContextLength: Int
    /// Rotations above which a frequency is kept as it is.
    package var betaFast: Double
    /// Rotations below which a frequency is divided by `factor`.
    package var betaSlow: Double
    /// Multiplier of the attention temperature in the rotary table; nil where not given.
    package var mscale: Double?
    /// Multiplier of the attention temperature in the softmax scale; nil where not given.
    package var mscaleAllDimensions: Double?
    /// Factor on sine and cosine, nil where it follows from the others.
    package var attentionFactor: Double?
    /// Whether the correction range is rounded to whole dimensions (`truncate`).
    package var truncate: Bool

    /// Makes the parameters; nothing is derived here.
    package init(
      factor: Double, originalContextLength: Int, betaFast: Double, betaSlow: Double,
      mscale: Double?, mscaleAllDimensions: Double?, attentionFactor: Double?, truncate: Bool
    ) {
      self.factor = factor
      self.originalContextLength = originalContextLength
      self.betaFast = betaFast
      self.betaSlow = betaSlow
      self.mscale = mscale
      self.mscaleAllDimensions = mscaleAllDimensions
      self.attentionFactor = attentionFactor
      self.truncate = truncate
    }
  }

  /// FP8 weights with scales, as `quantization_config` describes them.
  package struct FP8Quantization: Sendable, Hashable {
    /// Rows and columns that share a scale.
    package struct Blocks: Sendable, Hashable {
      /// `weight_block_size[0]`.
      package var rows: Int
      /// `weight_block_size[1]`.
      package var columns: Int

      /// Names a size; both are positive.
      package init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
      }
    }

    /// The tiles; nil where a matrix has one scale, or each row: the shape of the scales tells which.
    package var blocks: Blocks?
    /// Whether scales are powers of two (`scale_fmt: "ue8m0"`).
    package var powerOfTwoScales: Bool
    /// Modules that stay in `dataType` (`modules_to_not_convert`), as the config lists them.
    package var excludedModules: [String]

    /// Makes the description.
    package init(blocks: Blocks?, powerOfTwoScales: Bool, excludedModules: [String]) {
      self.blocks = blocks
      self.powerOfTwoScales = powerOfTwoScales
      self.excludedModules = excludedModules
    }
  }

  /// Width of one head's query and key.
  package var queryHeadSize: Int { nopeHeadSize + ropeHeadSize }

  /// All layers that are stored as `model.layers.N`, MTP layers last.
  package var storedLayers: Int { layers + mtpLayers }

  /// What a stored layer is; MTP layers have an MLP of the kind that their index gives.
  package func hasExperts(layer: Int) -> Bool {
    layer >= firstDenseLayers && layer % moeLayerFrequency == 0
      && (layer < layers || !architecture.hasDensePredictors)
  }
}

extension ModelConfig {
  /// Layers at and after `layers` that tensors are in, without gaps: the MTP layers that are there.
  package static func furtherLayers(
    after layers: Int, in names: some Sequence<ExactText>
  ) -> Int {
    var found: Set<Int> = []
    for name in names {
      if let layer = layer(of: name), layer >= layers { found.insert(layer) }
    }
    return furtherLayers(after: layers, among: found)
  }

  /// The same by the numbers of the layers.
  package static func furtherLayers(after layers: Int, among found: Set<Int>) -> Int {
    var count = 0
    while found.contains(layers + count) { count += 1 }
    return count
  }

  /// The layer that a tensor's name puts it in, nil outside `model.layers.N.`.
  package static func layer(of name: ExactText) -> Int? {
    name.withBytes { $0.number(after: "model.layers.")?.number }
  }
}
