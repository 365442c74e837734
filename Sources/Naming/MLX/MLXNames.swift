package import Models
package import Platform

/// mlx-lm's names for the tensors of models of this family, those of its module `deepseek_v3`; the
/// other modules differ by whether `kv_b_proj` is whole.
package enum MLXNames {
  /// Which loader the names are for.
  package enum Layout: String, Sendable, Hashable, CaseIterable {
    /// mlx-lm keeps the two halves of `kv_b_proj` apart.
    case mlxLM = "mlx-lm"
    /// mlx-swift-lm has it whole.
    case mlxSwift = "mlx-swift"
  }

  /// What a stored tensor is of a module's parameter.
  package enum Component: String, Sendable, Hashable, CaseIterable {
    /// Numbers, or the codes of quantized ones.
    case weight
    /// Scales of groups.
    case scales
    /// Biases of groups.
    case biases
  }

  /// The order is that of the modules' parameters in mlx-lm 0.32, by which shards are filled; MTP
  /// layers, which it has none of, have theirs last.
  private static let layer: [NameRow] =
    attention + dense + experts
    + same([
      "mlp.gate.weight", "mlp.gate.e_score_correction_bias",
      "mlp.shared_experts.gate_proj.weight", "mlp.shared_experts.up_proj.weight",
      "mlp.shared_experts.down_proj.weight", "input_layernorm.weight",
      "post_attention_layernorm.weight", "enorm.weight", "hnorm.weight", "eh_proj.weight",
      "embed_tokens.weight", "shared_head.norm.weight", "shared_head.head.weight",
    ])

  private static let attention: [NameRow] =
    same([
      "self_attn.q_proj.weight", "self_attn.q_a_proj.weight", "self_attn.q_a_proj.bias",
      "self_attn.q_a_layernorm.weight", "self_attn.q_b_proj.weight",
      "self_attn.kv_a_proj_with_mqa.weight", "self_attn.kv_a_proj_with_mqa.bias",
      "self_attn.kv_a_layernorm.weight",
    ]) + halves + [joint] + same(["self_attn.o_proj.weight", "self_attn.o_proj.bias"])
    + same(
      ["wq_b.weight", "wk.weight", "k_norm.weight", "k_norm.bias", "weights_proj.weight"].map {
        "self_attn.indexer." + $0
      })

  private static let joint = NameRow(
    huggingFace: "self_attn.kv_b_proj.weight", own: "self_attn.kv_b_proj.weight")
  private static let halves = [
    NameRow(
      huggingFace: joint.huggingFace, own: "self_attn.embed_q.weight", form: .keyHeads),
    NameRow(
      huggingFace: joint.huggingFace, own: "self_attn.unembed_out.weight", form: .valueHeads),
  ]

  private static let projections: [ExactText] = [
    "gate_proj.weight", "up_proj.weight", "down_proj.weight",
  ]
  private static let dense = same(projections.map { "mlp." + $0 })
  private static let experts = projections.map {
    NameRow(
      huggingFace: "mlp.experts.\(NameRow.expertMark)." + $0, own: "mlp.switch_mlp." + $0,
      form: .experts)
  }

  private static func same(_ names: [ExactText]) -> [NameRow] {
    names.map { NameRow(huggingFace: $0, own: $0) }
  }

  static func table(_ layout: Layout, _ config: ModelConfig) -> NameTable {
    let isJoint = layout == .mlxSwift || config.architecture.mlx.hasJointKeysAndValues
    let others = isJoint ? halves.map(\.own) : [joint.own]
    func stored(_ rows: [NameRow]) -> [NameRow] {
      rows.map {
        NameRow(huggingFace: $0.huggingFace, own: config.storedName(of: $0.own), form: $0.form)
      }
    }
    return NameTable(
      before: stored(same(["model.embed_tokens.weight"])),
      layer: layer.filter { !others.contains($0.own) },
      after: stored(same(["model.norm.weight", "lm_head.weight"]))
    ) { config.storedName(of: "model.layers.\($0).") }
  }

  private static let byName = Dictionary(uniqueKeysWithValues: layer.map { ($0.own, $0) })

  /// The name of what a stored tensor is a component of, as it is where nothing is quantized; `.bias`
  /// and other parameters are their own.
  package static func component(of tensor: ExactText) -> (weight: ExactText, component: Component) {
    for component in [Component.scales, .biases] {
      guard let module = tensor.without(suffix: ".\(component.rawValue)") else { continue }
      return ("\(module).\(Component.weight.rawValue)", component)
    }
    return (tensor, .weight)
  }

  /// What a tensor is; names that the architecture does not have are their own.
  ///
  /// - Parameter weight: a name as `component(of:)` gives it.
  /// - Returns: the Hugging Face name, with `{e}` for the expert in the name of a stack, and the
  ///   form.
  package static func origin(of weight: ExactText) -> (name: ExactText, form: WeightForm) {
    guard let layer = ModelConfig.layer(of: weight) else { return (weight, .whole) }
    let prefix: ExactText = "model.layers.\(layer)."
    guard let row = weight.without(prefix: prefix).flatMap({ byName[$0] }) else {
      return (weight, .whole)
    }
    return (prefix + row.huggingFace, row.form)
  }

  /// The path of the module that a weight is a parameter of: what settings are named after.
  package static func module(of weight: ExactText) -> ExactText {
    weight.without(suffix: ".weight") ?? weight
  }
}

extension ModelConfig {
  /// Every tensor of an MLX model of this config where nothing is quantized, in the order in which
  /// mlx-lm fills its shards.
  package func mlxTensors(_ layout: MLXNames.Layout) -> [DialectTensor] {
    tensors(MLXNames.table(layout, self))
  }
}
