internal import Codecs
internal import Models
internal import Platform

/// A decoder layer of DeepSeek-V4 on residual streams (tokens, streams · hidden): attention and
/// experts, each between what a mixer takes out of the streams and what it puts back.
///
/// Source: transformers 5.23's `DeepseekV4DecoderLayer` and `DeepseekV4Model`; of layers that predict
/// further tokens, which that drops, DeepSeek's `inference/model.py`.
struct StreamedLayer: Sendable {
  let config: ModelConfig
  let v4: ModelConfig.DeepSeekV4
  let linear: Linear
  /// Of layers without compression, and of the others.
  private let plainRotary: Rotary
  private let rotary: Rotary

  /// Nil for other networks.
  init?(_ config: ModelConfig, linear: Linear) {
    guard let v4 = config.v4 else { return nil }
    self.config = config
    self.v4 = v4
    self.linear = linear
    var (plain, compressed) = (config, config)
    plain.yarn = nil
    compressed.ropeTheta = v4.compressTheta
    plainRotary = Rotary(plain)
    rotary = Rotary(compressed)
  }

  private func mixer(_ prefix: String) -> StreamMixer {
    StreamMixer(v4: v4, linear: linear, epsilon: config.rmsNormEpsilon, prefix: prefix)
  }

  /// Each row in every stream: (rows, streams · hidden).
  func spread(_ x: Activations) -> Activations {
    let result = Activations(unwrittenRows: x.rows, columns: v4.streams * x.columns)
    for row in 0..<x.rows {
      for stream in 0..<v4.streams {
        let target = result[row][stream * x.columns..<(stream + 1) * x.columns]
        _ = UnsafeMutableBufferPointer(rebasing: target).update(fromContentsOf: x[row])
      }
    }
    return result
  }

  /// Runs stored layer `index` on the streams, in place; rows are those of `depth`.
  ///
  /// - Parameter ids: the token of each row.
  func callAsFunction(
    _ index: Int, hidden: Activations, ids: [Int], lengths: [Int], depth: Int,
    following: [String]
  ) throws(Fault) -> Routing {
    let prefix = "model.layers.\(index)."
    linear.weights.expect(attentionNames(of: index) + [prefix + "mlp.gate.weight"] + following)
    try linear.profile.measure(.attention) { () throws(Fault) in
      try attend(index, hidden: hidden, lengths: lengths, depth: depth)
    }
    let mixer = mixer(prefix + "ffn_hc.")
    let mix = try mixer.mix(hidden)
    let input = try NormedRows(
      mix.input, weight: prefix + "post_attention_layernorm.weight",
      epsilon: config.rmsNormEpsilon, linear: linear)
    var feedForward = FeedForward(
      config: config, linear: linear, prefix: prefix + "mlp.", following: following)
    feedForward.bound = v4.activationLimit
    if v4.hashesTokens(inLayer: index) { feedForward.table = ids }
    let (output, routing) = try feedForward.experts(input)
    try mixer.expand(output, mix, into: hidden)
    return routing
  }

  private func attend(
    _ index: Int, hidden: Activations, lengths: [Int], depth: Int
  ) throws(Fault) {
    let prefix = "model.layers.\(index)."
    let mixer = mixer(prefix + "attn_hc.")
    let mix = try mixer.mix(hidden)
    let kind = v4.kind(ofLayer: index)
    let attention = SharedKeyAttention(
      config: config, v4: v4, linear: linear, rotary: kind == .sliding ? plainRotary : rotary,
      prefix: prefix + "self_attn.", kind: kind)
    let input = try NormedRows(
      mix.input, weight: prefix + "input_layernorm.weight", epsilon: config.rmsNormEpsilon,
      linear: linear)
    let output = Activations(unwrittenRows: hidden.rows, columns: config.hiddenSize)
    for (rows, lengths) in linear.groups(of: lengths) {
      try attention(input, rows: rows, lengths: lengths, depth: depth, into: output)
    }
    try mixer.expand(output, mix, into: hidden)
  }

  /// The streams put together and normed, behind the last layer or that of the predictor of a depth:
  /// (tokens, hidden), with the streams as its `streams`.
  func finish(_ hidden: Activations, depth: Int) throws(Fault) -> Activations {
    let predictor = "model.layers.\(config.layers + depth - 1)."
    let joined = try mixer((depth == 0 ? "model." : predictor) + "hc_head.hc_").head(hidden)
    try linear.norm(
      joined.view, depth == 0 ? "model.norm.weight" : predictor + "shared_head.norm.weight",
      epsilon: config.rmsNormEpsilon, into: joined.mutableView)
    joined.streams = hidden
    return joined
  }

  /// What a predictor takes: the normed embeddings of tokens and some rows of normed streams, each
  /// projected, their sum in every stream.
  ///
  /// - Parameter embeddings: (rows.count, hidden).
  func join(
    _ embeddings: Activations, _ streams: Activations, rows: [Int], prefix: String
  ) throws(Fault) -> Activations {
    let size = config.hiddenSize
    let result = Activations(unwrittenRows: rows.count, columns: v4.streams * size)
    let weight = try linear.weights.vector(prefix + "hnorm.weight", count: size)
    for part in linear.blocks(of: rows.count) {
      let token = Activations(unwrittenRows: part.count, columns: size)
      try linear.norm(
        embeddings.view(part), prefix + "enorm.weight", epsilon: config.rmsNormEpsilon,
        into: token.mutableView)
      let embedded = try linear.project(token.view, prefix + "e_proj.weight", outputs: size)
      let own = streams.rows(rows[part])
      for stream in 0..<v4.streams {
        let columns = stream * size..<(stream + 1) * size
        try linear.norm(
          own.view(0..<part.count, columns: columns), weight: weight,
          epsilon: config.rmsNormEpsilon, into: token.mutableView)
        let target = result.mutableView(part, columns: columns)
        try linear.project(token.view, prefix + "h_proj.weight", into: target)
        for row in 0..<part.count {
          VectorMath.add(
            UnsafeBufferPointer(embedded[row]),
            to: UnsafeMutableBufferPointer(
              start: target.base + row * target.stride, count: size), level: linear.level)
        }
      }
    }
    return result
  }

  /// The matrices of a layer's attention, in the order of their use.
  func attentionNames(of layer: Int) -> [String] {
    ["q_a_proj", "kv_proj", "q_b_proj", "o_a_proj", "o_b_proj"].map {
      "model.layers.\(layer).self_attn.\($0).weight"
    }
  }
}
