package import Platform

/// llama.cpp's names for the tensors of DeepSeek-V3-family models: its architectures `deepseek2`,
/// `deepseek32`, `glm-dsa` and `mistral4`.
package enum DeepSeek2Names {
  /// Tensors outside the layers.
  static let outer: [NameRow] = [
    NameRow(huggingFace: "model.embed_tokens.weight", own: "token_embd.weight"),
    NameRow(huggingFace: "model.norm.weight", own: "output_norm.weight"),
    NameRow(huggingFace: "lm_head.weight", own: "output.weight"),
  ]

  /// Tensors of a layer, those of MTP layers included.
  ///
  /// Source: gguf-py's tensor map for `deepseek2` and llama.cpp's loader of it, whose `nextn`
  /// tensors are the MTP layers'.
  static let layer: [NameRow] = [
    NameRow(huggingFace: "input_layernorm.weight", own: "attn_norm.weight"),
    NameRow(huggingFace: "post_attention_layernorm.weight", own: "ffn_norm.weight"),
    NameRow(huggingFace: "self_attn.q_proj.weight", own: "attn_q.weight"),
    NameRow(huggingFace: "self_attn.q_a_proj.weight", own: "attn_q_a.weight"),
    NameRow(huggingFace: "self_attn.q_a_proj.bias", own: "attn_q_a.bias"),
    NameRow(huggingFace: "self_attn.q_a_layernorm.weight", own: "attn_q_a_norm.weight"),
    NameRow(huggingFace: "self_attn.q_b_proj.weight", own: "attn_q_b.weight"),
    NameRow(huggingFace: "self_attn.kv_a_proj_with_mqa.weight", own: "attn_kv_a_mqa.weight"),
    NameRow(huggingFace: "self_attn.kv_a_proj_with_mqa.bias", own: "attn_kv_a_mqa.bias"),
    NameRow(huggingFace: "self_attn.kv_a_layernorm.weight", own: "attn_kv_a_norm.weight"),
    NameRow(huggingFace: "self_attn.kv_b_proj.weight", own: "attn_k_b.weight", form: .keyHeads),
    NameRow(huggingFace: "self_attn.kv_b_proj.weight", own: "attn_v_b.weight", form: .valueHeads),
    // Files from before the split have it whole; it is read, never written.
    NameRow(huggingFace: "self_attn.kv_b_proj.weight", own: "attn_kv_b.weight"),
    NameRow(huggingFace: "self_attn.o_proj.weight", own: "attn_output.weight"),
    NameRow(huggingFace: "self_attn.o_proj.bias", own: "attn_output.bias"),
    NameRow(huggingFace: "self_attn.indexer.wq_b.weight", own: "indexer.attn_q_b.weight"),
    NameRow(huggingFace: "self_attn.indexer.wk.weight", own: "indexer.attn_k.weight"),
    NameRow(huggingFace: "self_attn.indexer.k_norm.weight", own: "indexer.k_norm.weight"),
    NameRow(huggingFace: "self_attn.indexer.k_norm.bias", own: "indexer.k_norm.bias"),
    NameRow(huggingFace: "self_attn.indexer.weights_proj.weight", own: "indexer.proj.weight"),
    NameRow(huggingFace: "mlp.gate_proj.weight", own: "ffn_gate.weight"),
    NameRow(huggingFace: "mlp.up_proj.weight", own: "ffn_up.weight"),
    NameRow(huggingFace: "mlp.down_proj.weight", own: "ffn_down.weight"),
    NameRow(huggingFace: "mlp.gate.weight", own: "ffn_gate_inp.weight"),
    NameRow(huggingFace: "mlp.gate.e_score_correction_bias", own: "exp_probs_b.bias"),
    NameRow(huggingFace: "mlp.shared_experts.gate_proj.weight", own: "ffn_gate_shexp.weight"),
    NameRow(huggingFace: "mlp.shared_experts.up_proj.weight", own: "ffn_up_shexp.weight"),
    NameRow(huggingFace: "mlp.shared_experts.down_proj.weight", own: "ffn_down_shexp.weight"),
    NameRow(
      huggingFace: "mlp.experts.{e}.gate_proj.weight", own: "ffn_gate_exps.weight",
      form: .experts),
    NameRow(
      huggingFace: "mlp.experts.{e}.up_proj.weight", own: "ffn_up_exps.weight", form: .experts),
    NameRow(
      huggingFace: "mlp.experts.{e}.down_proj.weight", own: "ffn_down_exps.weight",
      form: .experts),
    NameRow(
      huggingFace: "mlp.experts.{e}.gate_proj.weight", own: fusedName, form: .expertPairs,
      second: "mlp.experts.{e}.up_proj.weight"),
    NameRow(huggingFace: "eh_proj.weight", own: "nextn.eh_proj.weight"),
    NameRow(huggingFace: "enorm.weight", own: "nextn.enorm.weight"),
    NameRow(huggingFace: "hnorm.weight", own: "nextn.hnorm.weight"),
    NameRow(huggingFace: "embed_tokens.weight", own: "nextn.embed_tokens.weight"),
    NameRow(huggingFace: "shared_head.norm.weight", own: "nextn.shared_head_norm.weight"),
    NameRow(huggingFace: "shared_head.head.weight", own: "nextn.shared_head_head.weight"),
  ]

  /// Gates and ups of a layer's experts in one tensor, which llama.cpp's loader takes for any of these
  /// architectures.
  private static let fusedName: ExactText = "ffn_gate_up_exps.weight"

  /// Names that files of a network are not written with.
  static func unwritten(_ architecture: Architecture) -> Set<ExactText> {
    // Files from before the split have the joint matrix whole.
    let experts: Set<ExactText> =
      architecture.hasFusedGGUFExperts
      ? ["ffn_gate_exps.weight", "ffn_up_exps.weight"] : [fusedName]
    return experts.union(["attn_kv_b.weight"])
  }

  private static let layerByGGUF = Dictionary(uniqueKeysWithValues: layer.map { ($0.own, $0) })
  private static let outerByGGUF = Dictionary(uniqueKeysWithValues: outer.map { ($0.own, $0) })

  /// What a tensor of a GGUF file is; nil for names that the architecture does not have.
  ///
  /// - Returns: the Hugging Face name, with `{e}` for the expert in the name of a stack, the form, and
  ///   in a stack of pairs the name of the second.
  package static func origin(
    of gguf: ExactText
  ) -> (name: ExactText, form: WeightForm, second: ExactText?)? {
    if let row = outerByGGUF[gguf] { return (row.huggingFace, row.form, nil) }
    guard let layer = layerIndex(of: gguf) else { return nil }
    let own = gguf.without(prefix: "blk.\(layer).")
    guard let row = own.flatMap({ layerByGGUF[$0] }) else { return nil }
    let prefix: ExactText = "model.layers.\(layer)."
    return (prefix + row.huggingFace, row.form, row.second.map { prefix + $0 })
  }

  /// The names of the halves that a whole `attn_kv_b` stands for; none for any other tensor.
  package static func halves(ofJoint gguf: ExactText) -> [ExactText] {
    guard let layer = layerIndex(of: gguf), gguf == jointName(layer: layer) else { return [] }
    return ["blk.\(layer).attn_k_b.weight", "blk.\(layer).attn_v_b.weight"]
  }

  /// The name of a layer's whole `attn_kv_b`.
  package static func jointName(layer: Int) -> ExactText { "blk.\(layer).attn_kv_b.weight" }

  /// The layer that a tensor's name puts it in; nil outside `blk.N.`.
  package static func layerIndex(of gguf: ExactText) -> Int? {
    guard let digits = gguf.without(prefix: "blk.")?.split(separator: ".", maxSplits: 1).first,
      (1...6).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return Int(digits.text)
  }

  /// The order in which llama-quantize writes tensors: those outside the layers first, then layer
  /// after layer, within each by name.
  package static func precedes(_ one: ExactText, _ other: ExactText) -> Bool {
    let (first, second) = (layerIndex(of: one) ?? -1, layerIndex(of: other) ?? -1)
    return first == second ? one < other : first < second
  }
}
