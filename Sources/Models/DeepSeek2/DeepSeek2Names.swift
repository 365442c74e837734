/// llama.cpp's names for the tensors of DeepSeek-V3-family models: its architecture `deepseek2`.
public enum DeepSeek2Names {
  /// How a tensor of a GGUF file relates to Hugging Face tensors.
  public enum Form: Sendable, Hashable, CaseIterable {
    /// It is one of them.
    case whole
    /// It stacks one matrix of every routed expert: (experts, rows, columns).
    case experts
    /// The key half of `kv_b_proj`, each head transposed: (heads, latent, nope).
    case keyHeads
    /// The value half of `kv_b_proj`: (heads, value, latent).
    case valueHeads
  }

  /// A name as both sides write it, without what stands before: `model.layers.N.` and `blk.N.`.
  struct Row: Sendable {
    let huggingFace: String
    let gguf: String
    var form = Form.whole
  }

  /// What `{e}` stands for in the names of experts.
  static let expertMark = "{e}"

  /// Tensors outside the layers.
  static let outer: [Row] = [
    Row(huggingFace: "model.embed_tokens.weight", gguf: "token_embd.weight"),
    Row(huggingFace: "model.norm.weight", gguf: "output_norm.weight"),
    Row(huggingFace: "lm_head.weight", gguf: "output.weight"),
  ]

  /// Tensors of a layer, those of MTP layers included.
  ///
  /// Source: gguf-py's tensor map for `deepseek2` and llama.cpp's loader of it, whose `nextn`
  /// tensors are the MTP layers'.
  static let layer: [Row] = [
    Row(huggingFace: "input_layernorm.weight", gguf: "attn_norm.weight"),
    Row(huggingFace: "post_attention_layernorm.weight", gguf: "ffn_norm.weight"),
    Row(huggingFace: "self_attn.q_proj.weight", gguf: "attn_q.weight"),
    Row(huggingFace: "self_attn.q_a_proj.weight", gguf: "attn_q_a.weight"),
    Row(huggingFace: "self_attn.q_a_proj.bias", gguf: "attn_q_a.bias"),
    Row(huggingFace: "self_attn.q_a_layernorm.weight", gguf: "attn_q_a_norm.weight"),
    Row(huggingFace: "self_attn.q_b_proj.weight", gguf: "attn_q_b.weight"),
    Row(huggingFace: "self_attn.kv_a_proj_with_mqa.weight", gguf: "attn_kv_a_mqa.weight"),
    Row(huggingFace: "self_attn.kv_a_proj_with_mqa.bias", gguf: "attn_kv_a_mqa.bias"),
    Row(huggingFace: "self_attn.kv_a_layernorm.weight", gguf: "attn_kv_a_norm.weight"),
    Row(huggingFace: "self_attn.kv_b_proj.weight", gguf: "attn_k_b.weight", form: .keyHeads),
    Row(huggingFace: "self_attn.kv_b_proj.weight", gguf: "attn_v_b.weight", form: .valueHeads),
    // Files from before the split have it whole; it is read, never written.
    Row(huggingFace: "self_attn.kv_b_proj.weight", gguf: "attn_kv_b.weight"),
    Row(huggingFace: "self_attn.o_proj.weight", gguf: "attn_output.weight"),
    Row(huggingFace: "self_attn.o_proj.bias", gguf: "attn_output.bias"),
    Row(huggingFace: "mlp.gate_proj.weight", gguf: "ffn_gate.weight"),
    Row(huggingFace: "mlp.up_proj.weight", gguf: "ffn_up.weight"),
    Row(huggingFace: "mlp.down_proj.weight", gguf: "ffn_down.weight"),
    Row(huggingFace: "mlp.gate.weight", gguf: "ffn_gate_inp.weight"),
    Row(huggingFace: "mlp.gate.e_score_correction_bias", gguf: "exp_probs_b.bias"),
    Row(huggingFace: "mlp.shared_experts.gate_proj.weight", gguf: "ffn_gate_shexp.weight"),
    Row(huggingFace: "mlp.shared_experts.up_proj.weight", gguf: "ffn_up_shexp.weight"),
    Row(huggingFace: "mlp.shared_experts.down_proj.weight", gguf: "ffn_down_shexp.weight"),
    Row(
      huggingFace: "mlp.experts.{e}.gate_proj.weight", gguf: "ffn_gate_exps.weight",
      form: .experts),
    Row(
      huggingFace: "mlp.experts.{e}.up_proj.weight", gguf: "ffn_up_exps.weight", form: .experts),
    Row(
      huggingFace: "mlp.experts.{e}.down_proj.weight", gguf: "ffn_down_exps.weight",
      form: .experts),
    Row(huggingFace: "eh_proj.weight", gguf: "nextn.eh_proj.weight"),
    Row(huggingFace: "enorm.weight", gguf: "nextn.enorm.weight"),
    Row(huggingFace: "hnorm.weight", gguf: "nextn.hnorm.weight"),
    Row(huggingFace: "embed_tokens.weight", gguf: "nextn.embed_tokens.weight"),
    Row(huggingFace: "shared_head.norm.weight", gguf: "nextn.shared_head_norm.weight"),
    Row(huggingFace: "shared_head.head.weight", gguf: "nextn.shared_head_head.weight"),
  ]

  private static let layerByGGUF = Dictionary(uniqueKeysWithValues: layer.map { ($0.gguf, $0) })
  private static let outerByGGUF = Dictionary(uniqueKeysWithValues: outer.map { ($0.gguf, $0) })

  /// What a tensor of a GGUF file is; nil for names that the architecture does not have.
  ///
  /// - Returns: the Hugging Face name, with `{e}` for the expert in the name of a stack, and the
  ///   form.
  public static func origin(of gguf: String) -> (name: String, form: Form)? {
    if let row = outerByGGUF[gguf] { return (row.huggingFace, row.form) }
    guard let layer = layerIndex(of: gguf) else { return nil }
    let prefix = "blk.\(layer)."
    guard gguf.hasPrefix(prefix), let row = layerByGGUF[String(gguf.dropFirst(prefix.count))] else {
      return nil
    }
    return ("model.layers.\(layer)." + row.huggingFace, row.form)
  }

  /// The layer that a tensor's name puts it in; nil outside `blk.N.`.
  public static func layerIndex(of gguf: String) -> Int? {
    let prefix = "blk."
    guard gguf.hasPrefix(prefix) else { return nil }
    let digits = gguf.dropFirst(prefix.count).prefix { $0 != "." }
    guard (1...6).contains(digits.utf8.count), digits.allSatisfy(\.isNumber) else { return nil }
    return Int(digits)
  }

  /// The order in which llama-quantize writes tensors: those outside the layers first, then layer
  /// after layer, within each by name.
  public static func precedes(_ one: String, _ other: String) -> Bool {
    let (first, second) = (layerIndex(of: one) ?? -1, layerIndex(of: other) ?? -1)
    return first == second ? one.utf8.lexicographicallyPrecedes(other.utf8) : first < second
  }
}
