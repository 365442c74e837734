internal import Models
package import Platform
package import Tensors

/// Names of tensors in DeepSeek's own model-parallel shards, `model{i}-mp{n}.safetensors`, and how
/// each tensor is divided among the shards.
///
/// Source: DeepSeek-V3's and DeepSeek-V3.2-Exp's `inference/convert.py`. It has no names for what joins an MTP layer to the
/// stream; those follow the same rule: `model.` goes, and what its table does not list stays.
package enum NativeNames {
  /// How a tensor is divided among shards; the scales of an FP8 weight go with it.
  package enum Division: Sendable, Hashable, CaseIterable {
    /// Every shard has all of it.
    case replicated
    /// Shard i has the i-th part of its rows: output features, or tokens.
    case rows
    /// Shard i has the i-th part of its columns: input features.
    case columns
    /// One shard has all of it: that which owns its routed expert.
    case expert

    /// The shape of what one of so many shards has; each has as much as any other.
    package func part(of shape: Shape, among shards: Int) -> Shape {
      var dimensions = shape.dimensions
      switch self {
      case .replicated, .expert: return shape
      case .rows: dimensions[0] /= shards
      case .columns: dimensions[1] /= shards
      }
      guard let part = Shape(dimensions) else { preconditionFailure("a part is smaller") }
      return part
    }
  }

  /// A module as both sides write it, without what stands before: `model.layers.N.`, `layers.N.`.
  struct Row: Sendable {
    let huggingFace: ExactText
    let native: ExactText
    var division = Division.replicated
    var endings = matrix
  }

  /// The last part of a name on both sides.
  typealias Ending = (huggingFace: ExactText, native: ExactText)

  /// A matrix, or the weight of a norm, which has no scales.
  static let matrix: [Ending] = [("weight", "weight"), ("weight_scale_inv", "scale")]
  /// The router has a bias of its own.
  static let router: [Ending] = [("weight", "weight"), ("e_score_correction_bias", "bias")]

  /// A norm that subtracts the mean has a bias too.
  static let shiftedNorm: [Ending] = [("weight", "weight"), ("bias", "bias")]

  /// What `{e}` stands for in the names of experts.
  static let expertMark: ExactText = "{e}"

  /// Modules outside the layers.
  static let outer: [Row] = [
    Row(huggingFace: "model.embed_tokens", native: "embed", division: .rows),
    Row(huggingFace: "model.norm", native: "norm"),
    Row(huggingFace: "lm_head", native: "head", division: .rows),
  ]

  /// Modules of a layer, those of MTP layers last.
  static let layer: [Row] =
    [
      Row(huggingFace: "input_layernorm", native: "attn_norm"),
      Row(huggingFace: "post_attention_layernorm", native: "ffn_norm"),
      Row(huggingFace: "self_attn.q_proj", native: "attn.wq", division: .rows),
      Row(huggingFace: "self_attn.q_a_proj", native: "attn.wq_a"),
      Row(huggingFace: "self_attn.q_a_layernorm", native: "attn.q_norm"),
      Row(huggingFace: "self_attn.q_b_proj", native: "attn.wq_b", division: .rows),
      Row(huggingFace: "self_attn.kv_a_proj_with_mqa", native: "attn.wkv_a"),
      Row(huggingFace: "self_attn.kv_a_layernorm", native: "attn.kv_norm"),
      Row(huggingFace: "self_attn.kv_b_proj", native: "attn.wkv_b", division: .rows),
      Row(huggingFace: "self_attn.o_proj", native: "attn.wo", division: .columns),
      // Of DeepSeek-V3.2, which no shard has a part of.
      Row(huggingFace: "self_attn.indexer.wq_b", native: "attn.indexer.wq_b"),
      Row(huggingFace: "self_attn.indexer.wk", native: "attn.indexer.wk"),
      Row(
        huggingFace: "self_attn.indexer.k_norm", native: "attn.indexer.k_norm",
        endings: shiftedNorm),
      Row(huggingFace: "self_attn.indexer.weights_proj", native: "attn.indexer.weights_proj"),
      Row(huggingFace: "mlp.gate", native: "ffn.gate", endings: router),
    ] + projections("mlp.", "ffn.") + projections("mlp.shared_experts.", "ffn.shared_experts.")
    + projections("mlp.experts.{e}.", "ffn.experts.{e}.").map {
      Row(huggingFace: $0.huggingFace, native: $0.native, division: .expert)
    } + [
      Row(huggingFace: "embed_tokens", native: "embed", division: .rows),
      Row(huggingFace: "enorm", native: "enorm"),
      Row(huggingFace: "hnorm", native: "hnorm"),
      Row(huggingFace: "eh_proj", native: "eh_proj"),
      Row(huggingFace: "shared_head.norm", native: "shared_head.norm"),
      Row(huggingFace: "shared_head.head", native: "shared_head.head", division: .rows),
    ]

  /// The three matrices of a gated MLP.
  private static func projections(_ huggingFace: ExactText, _ native: ExactText) -> [Row] {
    [
      Row(huggingFace: huggingFace + "gate_proj", native: native + "w1", division: .rows),
      Row(huggingFace: huggingFace + "down_proj", native: native + "w2", division: .columns),
      Row(huggingFace: huggingFace + "up_proj", native: native + "w3", division: .rows),
    ]
  }

  /// A tensor's name in the other dialect.
  package struct Translation: Sendable, Hashable {
    /// The name.
    package let name: ExactText
    /// How the tensor is divided.
    package let division: Division
    /// Index of its routed expert, nil elsewhere.
    package let expert: Int?
  }

  /// The native name of a tensor; nil for one that the dialect cannot name.
  package static func native(of huggingFace: ExactText) -> Translation? {
    let place = Place(huggingFace, layers: "model.layers.")
    guard let row = (place.layer == nil ? outerByOther : layerByOther)[place.module],
      let ending = row.endings.first(where: { $0.huggingFace == place.ending })
    else { return nil }
    return Translation(
      name: place.name(row.native, ending: ending.native, layers: "layers."),
      division: row.division, expert: place.expert.flatMap { Int($0.text) })
  }

  /// The Hugging Face name of a native tensor; nil for one that is no such.
  package static func huggingFace(of native: ExactText) -> Translation? {
    let place = Place(native, layers: "layers.")
    guard let row = (place.layer == nil ? outerByNative : layerByNative)[place.module],
      let ending = row.endings.first(where: { $0.native == place.ending })
    else { return nil }
    return Translation(
      name: place.name(row.huggingFace, ending: ending.huggingFace, layers: "model.layers."),
      division: row.division, expert: place.expert.flatMap { Int($0.text) })
  }

  private static let outerByOther = index(outer, by: \.huggingFace)
  private static let layerByOther = index(layer, by: \.huggingFace)
  private static let outerByNative = index(outer, by: \.native)
  private static let layerByNative = index(layer, by: \.native)

  private static func index(_ rows: [Row], by name: (Row) -> ExactText) -> [ExactText: Row] {
    Dictionary(uniqueKeysWithValues: rows.map { (name($0), $0) })
  }

  /// The parts of a name, with the numbers of layer and expert taken out.
  private struct Place {
    private(set) var layer: ExactText?
    private(set) var expert: ExactText?
    let module: ExactText
    let ending: ExactText

    init(_ name: ExactText, layers: ExactText) {
      var parts = (name.without(prefix: layers) ?? name).split(separator: ".")
      if name.hasPrefix(layers), parts.count > 1, parts[0].isNumber {
        layer = parts.removeFirst()
      } else {
        parts = name.split(separator: ".")
      }
      ending = parts.popLast() ?? ""
      if let place = parts.firstIndex(of: "experts"), place + 1 < parts.count,
        parts[place + 1].isNumber
      {
        expert = parts[place + 1]
        parts[place + 1] = NativeNames.expertMark
      }
      module = ExactText(parts.joined(separator: "."))
    }

    func name(_ module: ExactText, ending: ExactText, layers: ExactText) -> ExactText {
      let filled = module.replacing(NativeNames.expertMark, with: expert ?? "")
      return "\(layer.map { "\(layers)\($0)." } ?? "")\(filled).\(ending)"
    }
  }
}
