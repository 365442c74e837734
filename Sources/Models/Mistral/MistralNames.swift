package import Platform

/// The names of tensors in Mistral's own files of Mistral-Large-3, `consolidated*.safetensors`.
///
/// Rotary pairs stand in them as in DeepSeek-V3's, (2i, 2i + 1): llama.cpp's `MistralMoeModel` and
/// vLLM's `MistralLarge3ForCausalLM` rename the tensors and permute none.
package enum MistralNames {
  /// Names outside the layers.
  private static let outer: [(mistral: ExactText, own: ExactText)] = [
    ("tok_embeddings.", "model.embed_tokens."), ("norm.", "model.norm."), ("output.", "lm_head."),
  ]
  /// Modules of a layer.
  private static let layer: [(mistral: ExactText, own: ExactText)] = [
    ("attention_norm.", "input_layernorm."), ("ffn_norm.", "post_attention_layernorm."),
    ("attention.wq.", "self_attn.q_proj."), ("attention.wq_a.", "self_attn.q_a_proj."),
    ("attention.q_a_norm.", "self_attn.q_a_layernorm."),
    ("attention.wq_b.", "self_attn.q_b_proj."),
    ("attention.wkv_a_with_mqa.", "self_attn.kv_a_proj_with_mqa."),
    ("attention.kv_a_norm.", "self_attn.kv_a_layernorm."),
    ("attention.wkv_b.", "self_attn.kv_b_proj."), ("attention.wo.", "self_attn.o_proj."),
    ("gate.", "mlp.gate."),
  ]
  /// Matrices of an MLP.
  private static let projections: [(mistral: ExactText, own: ExactText)] = [
    ("w1.", "gate_proj."), ("w2.", "down_proj."), ("w3.", "up_proj."),
  ]
  /// MLPs of a layer: before the expert's number where it has one.
  private static let blocks: [(mistral: ExactText, own: ExactText, isNumbered: Bool)] = [
    ("feed_forward.", "mlp.", false), ("shared_experts.", "mlp.shared_experts.", false),
    ("experts.", "mlp.experts.", true),
  ]
  /// What stands beside codes of FP8: scales of the weight, and of what it is multiplied with.
  private static let scales: [(mistral: ExactText, own: ExactText)] = [
    ("qscale_weight", "weight_scale"), ("qscale_act", "input_scale"),
  ]

  /// Hugging Face's name of a tensor; the same for what the network does not have.
  package static func own(of mistral: ExactText) -> ExactText {
    translate(mistral, layers: ("layers.", "model.layers."), \.mistral, \.own)
  }

  /// Mistral's name of a tensor that Hugging Face calls so; the same for what it has none for.
  package static func stored(of own: ExactText) -> ExactText {
    translate(own, layers: ("model.layers.", "layers."), \.own, \.mistral)
  }

  private typealias Pair = (mistral: ExactText, own: ExactText)

  private static func translate(
    _ name: ExactText, layers: (from: ExactText, to: ExactText), _ from: KeyPath<Pair, ExactText>,
    _ to: KeyPath<Pair, ExactText>
  ) -> ExactText {
    func component(_ rest: ExactText) -> ExactText {
      scales.first { $0[keyPath: from] == rest }?[keyPath: to] ?? rest
    }
    func module(_ rest: ExactText, _ rows: [Pair]) -> ExactText? {
      for row in rows {
        if let end = rest.without(prefix: row[keyPath: from]) {
          return row[keyPath: to] + component(end)
        }
      }
      return nil
    }
    guard let numbered = name.without(prefix: layers.from), let (layer, rest) = number(numbered)
    else { return module(name, outer) ?? name }
    let prefix: ExactText = "\(layers.to)\(layer)."
    if let found = module(rest, self.layer) { return prefix + found }
    // The shared experts first: in Hugging Face's names the dense MLP's begins theirs.
    for row in blocks.reversed() {
      let pair: Pair = (row.mistral, row.own)
      guard var end = rest.without(prefix: pair[keyPath: from]) else { continue }
      var block = prefix + pair[keyPath: to]
      if row.isNumbered {
        guard let (expert, matrix) = number(end) else { continue }
        (block, end) = (block + "\(expert).", matrix)
      }
      if let found = module(end, projections) { return block + found }
    }
    return name
  }

  /// The digits before the first dot, and what follows it.
  private static func number(_ text: ExactText) -> (digits: ExactText, rest: ExactText)? {
    let parts = text.split(separator: ".", maxSplits: 1)
    guard parts.count == 2, !parts[0].isEmpty,
      parts[0].utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return (parts[0], parts[1])
  }
}
