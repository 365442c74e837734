internal import Codecs
internal import Dialects
internal import Formats
package import Models
internal import Naming
package import Platform
internal import Tensors
internal import Weights

/// Everything that each target of `fathom convert` can be given, with what it takes and what it costs.
package struct Catalogue: Sendable {
  /// The model whose tensors mixes are weighed on.
  package let model: String
  /// The targets that were asked for.
  package let targets: [TargetOffer]

  /// Names of the targets, in the order in which they are listed.
  package static let names = rows.map(\.target.rawValue)

  private typealias Row = (
    target: Dialect.Target,
    offer: @Sendable (ModelConfig, NormalWeights) throws(Fault) -> TargetOffer
  )

  private static let rows: [Row] = [
    (.hf, { _, weights throws(Fault) in checkpoint(.hf, weights) }),
    (.gguf, { config, weights throws(Fault) in try gguf(config, weights) }),
    (.mlx, { _, weights throws(Fault) in mlx(weights) }),
    (.compressedTensors, { _, weights throws(Fault) in compressedTensors(weights) }),
    (.modelOpt, { _, weights throws(Fault) in modelOpt(weights) }),
    (.deepseek, { _, weights throws(Fault) in checkpoint(.deepseek, weights) }),
  ]

  /// Lists what targets can be given.
  ///
  /// - Parameters:
  ///   - targets: names of `names`.
  ///   - config: the model that mixes are weighed on.
  ///   - model: what it is called.
  /// - Throws: nothing of its own: a mix that a model's tensors do not have is named in a remark.
  package init(targets: [String], of config: ModelConfig, called model: String) throws(Fault) {
    // What is not written of a network has no size.
    let written = ["hf", "gguf"]
    if config.v4 != nil, let target = targets.first(where: { !written.contains($0) }) {
      throw Fault(
        .usage, "is DeepSeek-V4, of which no \(target) is written", file: model,
        expected: "hf or gguf", found: "model_type \(config.modelType)")
    }
    self.model = model
    let weights = NormalWeights()
    var offers: [TargetOffer] = []
    for row in Catalogue.rows
    where targets.contains(where: { ExactText($0) == ExactText(row.target.rawValue) }) {
      offers.append(try row.offer(config, weights))
    }
    self.targets = offers
  }

  // MARK: Checkpoints

  /// Hugging Face's and DeepSeek's own.
  private static func checkpoint(_ target: Dialect.Target, _ weights: NormalWeights) -> TargetOffer
  {
    let side = 128
    return TargetOffer(
      target: target.rawValue,
      types: WeightStorage.all.map { storage in
        guard storage.type == .f8E4M3 else { return plain(storage.name, storage.type, weights) }
        return TypeOffer(
          storage.name, .blocks, bitsPerWeight: 8 + 32 / Double(side * side),
          signalToNoise: weights.signalToNoise(
            of: BlockQuantizer(blockRows: side, blockColumns: side, scaleFormat: .f32)),
          note: "E4M3, an F32 scale for \(side) × \(side); an FP8 source keeps its own codes")
      }, tensorTypes: [],
      remarks: [
        "fp8 is of the matrices that DeepSeek-V3 has in FP8: embedding, head, norms and routers stay.",
        "Without --quant every tensor keeps the type that it has.",
      ])
  }

  private static func plain(
    _ name: String, _ type: ElementType, _ weights: NormalWeights
  ) -> TypeOffer {
    let notes: [ElementType: String] = [
      .f32: "keeps every weight of any source but F64",
      .f16: "11 significant bits; a weight beyond 65,504 stops the conversion",
      .bf16: "8 significant bits; FP8 × scale is rounded as torch does",
    ]
    return TypeOffer(
      name, .plain, bitsPerWeight: Double(type.bits),
      signalToNoise: weights.signalToNoise(of: type),
      note: notes[type])
  }

  // MARK: Groups

  /// Bits of a weight by the layout of its groups, weights being BF16 before.
  private static func bits(_ scheme: GroupScheme) -> Double {
    let (rows, columns) = (NormalWeights.rows, NormalWeights.columns)
    let bytes =
      rows * scheme.codeBytes(columns: columns)
      + scheme.scaleBytes(rows: rows, columns: columns, type: .bf16)
      + scheme.offsetBytes(rows: rows, columns: columns, type: .bf16)
    return 8 * Double(bytes) / Double(rows * columns)
  }

  private static func mlx(_ weights: NormalWeights) -> TargetOffer {
    TargetOffer(
      target: "mlx",
      types: MLXStorage.all.compactMap { storage in
        switch storage.kind {
        case .plain(let type): return plain(storage.name, type, weights)
        case .groups(let setting):
          guard let scheme = GroupScheme(setting) else { return nil }
          let isAffine = setting.mode == .affine
          return TypeOffer(
            storage.name, .blocks, bitsPerWeight: bits(scheme),
            signalToNoise: weights.signalToNoise(of: scheme),
            note: "groups of \(setting.groupSize)"
              + (isAffine ? ", scale and bias in 16 bits; --group-size 32, 64 or 128" : ""))
        }
      }, tensorTypes: [],
      remarks: [
        "All matrices are quantized, embedding and head among them; routers and norms are not.",
        "Scales and biases are those of BF16 weights.",
      ])
  }

  private static func compressedTensors(_ weights: NormalWeights) -> TargetOffer {
    TargetOffer(
      target: Dialect.Target.compressedTensors.rawValue,
      types: schemes(of: .compressedTensors, weights), tensorTypes: [],
      remarks: [
        "Round to nearest, as llm-compressor does without data. NAME-experts leaves all but routed "
          + "experts as they are.",
        "Embedding, head, routers and norms stay. Scales are those of BF16 weights; a scale for a "
          + "whole row is counted for rows of \(NormalWeights.columns).",
      ])
  }

  private static func modelOpt(_ weights: NormalWeights) -> TargetOffer {
    TargetOffer(
      target: Dialect.Target.modelOpt.rawValue, types: schemes(of: .modelOpt, weights),
      tensorTypes: [],
      remarks: [
        "Round to nearest, as ModelOpt does with the largest weight. nvfp4-experts leaves all but "
          + "routed experts as they are.",
        "Embedding, head, routers and norms stay, and so do activations, for which there is no data.",
      ])
  }

  /// What can be written under a program's names.
  private static func schemes(
    of maker: CompressedScheme.Maker, _ weights: NormalWeights
  ) -> [TypeOffer] {
    CompressedRecipe.names(of: maker).compactMap { name in
      guard let scheme = CompressedRecipe(named: name, of: maker)?.scheme else { return nil }
      if let groups = scheme.groups {
        return TypeOffer(
          name, .blocks, bitsPerWeight: bits(groups),
          signalToNoise: weights.signalToNoise(of: groups), note: scheme.description)
      }
      guard let shape = Shape([NormalWeights.rows, NormalWeights.columns]) else { return nil }
      let block = scheme.block(of: shape)
      return TypeOffer(
        name, .blocks, bitsPerWeight: 8 + 16 / Double(block.rows * block.columns),
        signalToNoise: weights.signalToNoise(
          of: BlockQuantizer(
            blockRows: block.rows, blockColumns: block.columns, scaleFormat: .sourceType)),
        note: scheme.description)
    }
  }
}
