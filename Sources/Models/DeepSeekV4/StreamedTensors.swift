internal import Platform
package import Tensors

/// The tensors of DeepSeek-V4's network, under the names that transformers' class has, each expert
/// for itself.
///
/// Source: transformers 5.23's `DeepseekV4ForCausalLM` with its conversion mapping; types and what is
/// quantized by the published headers of V4-Flash, layers that predict further tokens by DeepSeek's
/// `inference/model.py`.
extension ModelConfig {
  func streamedTensors() -> [ExpectedTensor] {
    guard let v4 else { return [] }
    var builder = TensorListBuilder(config: self)
    let expertForms = builder.forms(of: Self.expert, areExperts: true)
    builder.add(Self.embedding, prefix: "model.")
    for layer in 0..<storedLayers {
      let prefix: ExactText = "model.layers.\(layer)."
      builder.add(Self.streamedBlock, prefix: prefix, layer: layer)
      builder.add(Self.compressors(of: v4.kind(ofLayer: layer)), prefix: prefix, layer: layer)
      let router = v4.hashesTokens(inLayer: layer) ? Self.hashRouter : Self.router
      builder.add(router, prefix: prefix + "mlp.", layer: layer)
      for expert in 0..<routedExperts {
        builder.add(
          expertForms, prefix: prefix + "mlp.experts.\(expert).", layer: layer, expert: expert)
      }
      builder.add(Self.shared, prefix: prefix + "mlp.shared_experts.", layer: layer)
      if layer >= layers { builder.add(Self.streamedMTP, prefix: prefix, layer: layer) }
    }
    builder.add(Self.output, prefix: "")
    builder.add(Self.streamedHead, prefix: "model.")
    return builder.tensors
  }

  /// What a layer of any kind has beside its experts.
  static let streamedBlock: [TensorRow] =
    [
      vector("input_layernorm.weight", .norm) { $0.hiddenSize },
      vector("post_attention_layernorm.weight", .norm) { $0.hiddenSize },
      matrix("self_attn.q_a_proj.weight", .attention) { [$0.queryRank ?? 0, $0.hiddenSize] },
      vector("self_attn.q_a_norm.weight", .attention) { $0.queryRank ?? 0 },
      matrix("self_attn.q_b_proj.weight", .attention) {
        [$0.heads * $0.valueHeadSize, $0.queryRank ?? 0]
      },
      matrix("self_attn.kv_proj.weight", .attention) { [$0.keyValueRank, $0.hiddenSize] },
      vector("self_attn.kv_norm.weight", .attention) { $0.keyValueRank },
      // Each group of heads has rows of its own.
      matrix("self_attn.o_a_proj.weight", .attention) { config in
        config.v4.map {
          [$0.outputGroups * $0.outputRank, config.heads * config.valueHeadSize / $0.outputGroups]
        } ?? []
      },
      matrix("self_attn.o_b_proj.weight", .attention) { config in
        [config.hiddenSize, config.v4.map { $0.outputGroups * $0.outputRank } ?? 0]
      },
      TensorRow(
        suffix: "self_attn.sinks", part: .sinks, quantized: false, shape: { [$0.heads] },
        storage: .float32),
    ] + mixer("attn_hc.") + mixer("ffn_hc.")

  /// What weighs the streams for one half of a layer.
  private static func mixer(_ prefix: ExactText) -> [TensorRow] {
    [
      stream(prefix + "fn") { config in
        config.v4.map { [$0.mixes, $0.streams * config.hiddenSize] } ?? []
      },
      stream(prefix + "base") { [$0.v4?.mixes ?? 0] },
      stream(prefix + "scale") { _ in [3] },
    ]
  }

  /// What puts the streams together behind the last layer, or behind one that predicts.
  static let streamedHead: [TensorRow] = [
    stream("hc_head.hc_fn") { config in
      config.v4.map { [$0.streams, $0.streams * config.hiddenSize] } ?? []
    },
    stream("hc_head.hc_base") { [$0.v4?.streams ?? 0] },
    stream("hc_head.hc_scale") { _ in [1] },
  ]

  /// What joins a layer that predicts to the streams before it, and what follows it.
  static let streamedMTP: [TensorRow] =
    [
      vector("enorm.weight", .mtpInput) { $0.hiddenSize },
      vector("hnorm.weight", .mtpInput) { $0.hiddenSize },
      matrix("e_proj.weight", .mtpInput) { [$0.hiddenSize, $0.hiddenSize] },
      matrix("h_proj.weight", .mtpInput) { [$0.hiddenSize, $0.hiddenSize] },
      vector("shared_head.norm.weight", .norm) { $0.hiddenSize },
    ] + streamedHead

  /// What makes the compressed keys of a layer, and what chooses among them.
  static func compressors(of kind: DeepSeekV4.Kind) -> [TensorRow] {
    switch kind {
    case .sliding: []
    case .heavy: compressor("self_attn.compressor.", .compressor, kind) { $0.keyValueRank }
    case .sparse:
      compressor("self_attn.compressor.", .compressor, kind) { $0.keyValueRank }
        + compressor("self_attn.compressor.indexer.", .indexer, kind) {
          $0.v4?.indexHeadSize ?? 0
        } + [
          matrix("self_attn.compressor.indexer.q_b_proj.weight", .indexer) { config in
            config.v4.map { [$0.indexHeads * $0.indexHeadSize, config.queryRank ?? 0] } ?? []
          },
          plain("self_attn.compressor.indexer.scorer.weights_proj.weight", .indexer) { config in
            [config.v4?.indexHeads ?? 0, config.hiddenSize]
          },
        ]
    }
  }

  /// Keys, gates and their places in an entry; entries that overlap have two of each.
  private static func compressor(
    _ prefix: ExactText, _ part: ExpectedTensor.Part, _ kind: DeepSeekV4.Kind,
    size: @escaping @Sendable (ModelConfig) -> Int
  ) -> [TensorRow] {
    let series = kind == .sparse ? 2 : 1
    return [
      plain(prefix + "kv_proj.weight", part) { [series * size($0), $0.hiddenSize] },
      plain(prefix + "gate_proj.weight", part) { [series * size($0), $0.hiddenSize] },
      TensorRow(
        suffix: prefix + "position_bias", part: part, quantized: false,
        shape: { [$0.v4?.ratio(of: kind) ?? 0, series * size($0)] }, storage: .float32),
      vector(prefix + "kv_norm.weight", part, size),
    ]
  }

  /// The router of layers whose tokens have their experts by a table.
  static let hashRouter: [TensorRow] = [
    router[0],
    TensorRow(
      suffix: "gate.tid2eid", part: .routingTable, quantized: false,
      shape: { [$0.vocabSize, $0.expertsPerToken] }, storage: .indices),
  ]

  /// The same below a layer.
  static let streamedRouter: [TensorRow] = [
    TensorRow(
      suffix: "mlp.gate.tid2eid", part: .routingTable, quantized: false, shape: hashRouter[1].shape,
      storage: .indices)
  ]

  private static func matrix(
    _ suffix: ExactText, _ part: ExpectedTensor.Part,
    shape: @escaping @Sendable (ModelConfig) -> [Int]
  ) -> TensorRow {
    TensorRow(suffix: suffix, part: part, quantized: true, shape: shape)
  }

  /// A matrix that published checkpoints have in BF16; transformers keeps some of them in F32.
  private static func plain(
    _ suffix: ExactText, _ part: ExpectedTensor.Part,
    shape: @escaping @Sendable (ModelConfig) -> [Int]
  ) -> TensorRow {
    TensorRow(
      suffix: suffix, part: part, quantized: false, shape: shape, storage: .plainOrFloat32)
  }

  private static func vector(
    _ suffix: ExactText, _ part: ExpectedTensor.Part,
    _ size: @escaping @Sendable (ModelConfig) -> Int
  ) -> TensorRow {
    plain(suffix, part) { [size($0)] }
  }

  private static func stream(
    _ suffix: ExactText, shape: @escaping @Sendable (ModelConfig) -> [Int]
  ) -> TensorRow {
    TensorRow(suffix: suffix, part: .streams, quantized: false, shape: shape, storage: .float32)
  }
}

extension ModelConfig.DeepSeekV4 {
  /// Ends of the paths of all linear modules but the routed experts, by which a
  /// `quantization_config` leaves them plain; the names are those of transformers' class, whose own
  /// search for modules ends with them too.
  package static let otherLinearModules = [
    "q_a_proj", "q_b_proj", "kv_proj", "o_a_proj", "o_b_proj", "weights_proj",
    "compressor.gate_proj", "indexer.gate_proj", "shared_experts.gate_proj",
    "shared_experts.up_proj", "shared_experts.down_proj", "e_proj", "h_proj", "lm_head",
  ]
}

extension Shape {
  /// The grid of scales of a matrix in FP4; nil for what is no matrix of whole groups.
  package var fp4Scales: Shape? {
    guard dimensions.count == 2, dimensions[1] % ModelConfig.DeepSeekV4.fp4Group == 0 else {
      return nil
    }
    return Shape([dimensions[0], dimensions[1] / ModelConfig.DeepSeekV4.fp4Group])
  }
}
