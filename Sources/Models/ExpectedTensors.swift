internal import Platform
package import Tensors

/// A matrix or vector of a module, as a row of a table: name, shape, storage and when it is there.
struct TensorRow: Sendable {
  let suffix: ExactText
  let part: ExpectedTensor.Part
  /// Whether FP8 checkpoints quantize it.
  let quantized: Bool
  let shape: @Sendable (ModelConfig) -> [Int]
  var isPresent: @Sendable (ModelConfig) -> Bool = { _ in true }
  var storage: ExpectedTensor.Storage = .plain
}

extension ModelConfig {
  /// Every tensor that a Hugging Face checkpoint of this config holds, layer after layer, each FP8
  /// weight followed by its scales.
  ///
  /// Source: DeepSeek-V3's published headers; from its config alone this gives their 91,991
  /// tensors. Copies of embedding and head in MTP layers are included; see `Part`.
  package func expectedTensors() -> [ExpectedTensor] {
    if v4 != nil { return streamedTensors() }
    var builder = TensorListBuilder(config: self)
    let expertForms = builder.forms(of: Self.expert, areExperts: true)
    builder.add(Self.embedding, prefix: "model.")
    for layer in 0..<storedLayers {
      let prefix: ExactText = "model.layers.\(layer)."
      if layer >= layers { builder.add(Self.mtp, prefix: prefix, layer: layer) }
      builder.add(Self.block, prefix: prefix, layer: layer)
      if hasIndexer(layer: layer) { builder.add(Self.indexer, prefix: prefix, layer: layer) }
      if hasExperts(layer: layer) {
        builder.add(Self.router, prefix: prefix + "mlp.", layer: layer)
        for expert in 0..<routedExperts {
          builder.add(
            expertForms, prefix: prefix + "mlp.experts.\(expert).", layer: layer, expert: expert)
        }
        builder.add(Self.shared, prefix: prefix + "mlp.shared_experts.", layer: layer)
        builder.add(Self.expertNorm, prefix: prefix, layer: layer)
      } else {
        builder.add(Self.dense, prefix: prefix + "mlp.", layer: layer)
      }
    }
    builder.add(Self.output, prefix: "")
    return builder.tensors
  }

  static let embedding: [TensorRow] = [
    TensorRow(suffix: "embed_tokens.weight", part: .embedding, quantized: false) {
      [$0.vocabSize, $0.hiddenSize]
    }
  ]

  static let output: [TensorRow] = [
    TensorRow(suffix: "model.norm.weight", part: .norm, quantized: false) { [$0.hiddenSize] },
    TensorRow(
      suffix: "lm_head.weight", part: .head, quantized: false,
      shape: { [$0.vocabSize, $0.hiddenSize] }, isPresent: { !$0.tiedEmbeddings }),
  ]

  static let mtp: [TensorRow] = [
    TensorRow(
      suffix: "embed_tokens.weight", part: .embeddingCopy, quantized: false,
      shape: { [$0.vocabSize, $0.hiddenSize] }, isPresent: { $0.architecture.hasCopies }),
    TensorRow(suffix: "enorm.weight", part: .mtpInput, quantized: false) { [$0.hiddenSize] },
    TensorRow(suffix: "hnorm.weight", part: .mtpInput, quantized: false) { [$0.hiddenSize] },
    TensorRow(suffix: "eh_proj.weight", part: .mtpInput, quantized: false) {
      [$0.hiddenSize, 2 * $0.hiddenSize]
    },
    TensorRow(suffix: "shared_head.norm.weight", part: .norm, quantized: false) {
      [$0.hiddenSize]
    },
    TensorRow(
      suffix: "shared_head.head.weight", part: .headCopy, quantized: false,
      shape: { [$0.vocabSize, $0.hiddenSize] }, isPresent: { $0.architecture.hasCopies }),
  ]

  static let block: [TensorRow] =
    [
      TensorRow(suffix: "input_layernorm.weight", part: .norm, quantized: false) {
        [$0.hiddenSize]
      },
      TensorRow(suffix: "post_attention_layernorm.weight", part: .norm, quantized: false) {
        [$0.hiddenSize]
      },
    ] + queries + keysAndValues

  private static let queries: [TensorRow] = [
    TensorRow(
      suffix: "self_attn.q_proj.weight", part: .attention, quantized: true,
      shape: { [$0.heads * $0.queryHeadSize, $0.hiddenSize] },
      isPresent: { $0.queryRank == nil }),
    TensorRow(
      suffix: "self_attn.q_a_proj.weight", part: .attention, quantized: true,
      shape: { [$0.queryRank ?? 0, $0.hiddenSize] }, isPresent: { $0.queryRank != nil }),
    TensorRow(
      suffix: "self_attn.q_a_proj.bias", part: .attention, quantized: false,
      shape: { [$0.queryRank ?? 0] }, isPresent: { $0.queryRank != nil && $0.attentionBias }),
    TensorRow(
      suffix: "self_attn.q_a_layernorm.weight", part: .attention, quantized: false,
      shape: { [$0.queryRank ?? 0] }, isPresent: { $0.queryRank != nil }),
    TensorRow(
      suffix: "self_attn.q_b_proj.weight", part: .attention, quantized: true,
      shape: { [$0.heads * $0.queryHeadSize, $0.queryRank ?? 0] },
      isPresent: { $0.queryRank != nil }),
  ]

  private static let keysAndValues: [TensorRow] = [
    TensorRow(
      suffix: "self_attn.kv_a_proj_with_mqa.weight", part: .attention, quantized: true,
      shape: { [$0.keyValueRank + $0.ropeHeadSize, $0.hiddenSize] }),
    TensorRow(
      suffix: "self_attn.kv_a_proj_with_mqa.bias", part: .attention, quantized: false,
      shape: { [$0.keyValueRank + $0.ropeHeadSize] }, isPresent: { $0.attentionBias }),
    TensorRow(suffix: "self_attn.kv_a_layernorm.weight", part: .attention, quantized: false) {
      [$0.keyValueRank]
    },
    TensorRow(
      suffix: "self_attn.kv_b_proj.weight", part: .attention, quantized: true,
      shape: { [$0.heads * ($0.nopeHeadSize + $0.valueHeadSize), $0.keyValueRank] }),
    TensorRow(
      suffix: "self_attn.o_proj.weight", part: .attention, quantized: true,
      shape: { [$0.hiddenSize, $0.heads * $0.valueHeadSize] }),
    TensorRow(
      suffix: "self_attn.o_proj.bias", part: .attention, quantized: false,
      shape: { [$0.hiddenSize] }, isPresent: { $0.attentionBias }),
  ]

  static let router: [TensorRow] = [
    TensorRow(suffix: "gate.weight", part: .router, quantized: false) {
      [$0.routedExperts, $0.hiddenSize]
    },
    TensorRow(
      suffix: "gate.e_score_correction_bias", part: .router, quantized: false,
      shape: { [$0.routedExperts] }, isPresent: { $0.architecture.hasCorrectionBias },
      storage: .float32),
  ]

  static let expertNorm: [TensorRow] = [
    TensorRow(
      suffix: "post_mlp_layernorm.weight", part: .norm, quantized: false,
      shape: { [$0.hiddenSize] }, isPresent: { $0.architecture.normsExperts })
  ]

  static let dense = projections(.mlp) { $0.intermediateSize }
  static let expert = projections(.expert) { $0.moeIntermediateSize }
  static let shared = projections(.sharedExpert) {
    $0.moeIntermediateSize * $0.sharedExperts
  }

  /// The three matrices of a gated MLP of the given width; none where the width is 0.
  private static func projections(
    _ part: ExpectedTensor.Part, width: @escaping @Sendable (ModelConfig) -> Int
  ) -> [TensorRow] {
    let narrowing: @Sendable (ModelConfig) -> [Int] = { [$0.hiddenSize, width($0)] }
    let widening: @Sendable (ModelConfig) -> [Int] = { [width($0), $0.hiddenSize] }
    return [("gate_proj", widening), ("up_proj", widening), ("down_proj", narrowing)].map {
      TensorRow(
        suffix: $0.0 + ".weight", part: part, quantized: true, shape: $0.1,
        isPresent: { width($0) > 0 })
    }
  }
}

/// Turns rows into tensors, with the scales of those that are quantized.
struct TensorListBuilder {
  /// A row as it is in one network, whatever its layer and expert.
  struct Form {
    let row: TensorRow
    let shape: Shape
    /// Shape of its scales, where the config quantizes it.
    let grid: Shape?
    let isQuantized: Bool
  }

  let config: ModelConfig
  var tensors: [ExpectedTensor] = []
  private let excluded: ExcludedModules?
  private let compressed: CompressedTensorsConfig?
  private let hasFP4Experts: Bool

  init(config: ModelConfig) {
    self.config = config
    let modules = config.fp8?.excludedModules ?? []
    excluded = modules.isEmpty ? nil : ExcludedModules(modules)
    compressed = config.compressed
    hasFP4Experts = config.v4?.hasFP4Experts == true
  }

  private func excludes(_ weight: ExactText) -> Bool {
    guard let excluded else { return false }
    return weight.without(suffix: ".weight").map(excluded.contains(module:)) == true
  }

  /// The rows that the network has, ready to be added many times.
  func forms(of rows: [TensorRow], areExperts: Bool = false) -> [Form] {
    rows.filter { $0.isPresent(config) }.map { row in
      // The config's reader has bounded every size, so that products of two fit.
      guard let shape = Shape(row.shape(config)) else {
        preconditionFailure("\(row.suffix) overflows")
      }
      let fp8 = row.quantized ? config.fp8 : nil
      return Form(
        row: row, shape: shape,
        grid: fp8.flatMap {
          areExperts && hasFP4Experts ? shape.fp4Scales : $0.scaleShape(of: shape)
        }, isQuantized: fp8 != nil)
    }
  }

  mutating func add(_ rows: [TensorRow], prefix: ExactText, layer: Int? = nil) {
    add(forms(of: rows), prefix: prefix, layer: layer)
  }

  mutating func add(_ forms: [Form], prefix: ExactText, layer: Int?, expert: Int? = nil) {
    for form in forms {
      let name = prefix + form.row.suffix
      let isQuantized = form.isQuantized && !excludes(name)
      let isFP4 = expert != nil && hasFP4Experts
      let tensor = ExpectedTensor(
        name: name, shape: form.shape,
        storage: !isQuantized ? form.row.storage : isFP4 ? .fp4 : .fp8,
        part: form.row.part, layer: layer, expert: expert)
      // Patterns without end were refused when the config was read.
      var steps = ModelConfig.matchingSteps
      if let compressed, let scheme = try? compressed.scheme(of: tensor, steps: &steps) {
        tensors.append(tensor.stored(as: .compressed(scheme)))
      } else {
        tensors.append(tensor)
      }
      guard isQuantized, let grid = form.grid else { continue }
      tensors.append(
        ExpectedTensor(
          name: ExpectedTensor.scaleName(for: name), shape: grid, storage: .scale,
          part: form.row.part, layer: layer, expert: expert))
    }
  }
}

extension ModelConfig.FP8Quantization {
  /// The grid of scales of a matrix, a cut block at an edge counting whole: (576, 7168) in blocks
  /// of 128 × 128 has (5, 56). Nil where `shape` is no matrix, or there are no blocks.
  package func scaleShape(of shape: Shape) -> Shape? {
    guard shape.dimensions.count == 2, let blocks else { return nil }
    return Shape([
      (shape.dimensions[0] + blocks.rows - 1) / blocks.rows,
      (shape.dimensions[1] + blocks.columns - 1) / blocks.columns,
    ])
  }
}
