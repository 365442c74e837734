internal import Models
internal import Platform
internal import Tensors

/// llama.cpp's names for the tensors of DeepSeek-V4: its architecture `deepseek4`.
///
/// Source: llama.cpp's converter and loader of it, of October 2026.
enum DeepSeek4Names {
  /// Tensors outside the layers; what puts streams together is the last layer's, or that of the layer
  /// that predicts.
  private static func outer(head: ExactText) -> [NameRow] {
    [
      NameRow(huggingFace: "model.embed_tokens.weight", own: "token_embd.weight"),
      NameRow(huggingFace: "model.norm.weight", own: "output_norm.weight"),
      NameRow(huggingFace: "lm_head.weight", own: "output.weight"),
    ] + mixer(head + "hc_head.hc_", "output_hc_")
  }

  /// Tensors of a layer.
  private static let layer: [NameRow] =
    [
      ("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm"),
      ("self_attn.q_a_proj", "attn_q_a"), ("self_attn.q_a_norm", "attn_q_a_norm"),
      ("self_attn.q_b_proj", "attn_q_b"), ("self_attn.kv_proj", "attn_kv"),
      ("self_attn.kv_norm", "attn_kv_a_norm"), ("self_attn.o_a_proj", "attn_output_a"),
      ("self_attn.o_b_proj", "attn_output_b"),
      ("self_attn.compressor.indexer.q_b_proj", "indexer.attn_q_b"),
      ("self_attn.compressor.indexer.scorer.weights_proj", "indexer.proj"),
      ("mlp.gate", "ffn_gate_inp"), ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
      ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
      ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
    ].map(module)
    + [
      NameRow(huggingFace: "self_attn.sinks", own: "attn_sinks.weight"),
      NameRow(huggingFace: "mlp.gate.e_score_correction_bias", own: "exp_probs_b.bias"),
      NameRow(huggingFace: "mlp.gate.tid2eid", own: "ffn_gate_tid2eid.weight"),
    ] + mixer("attn_hc.", "hc_attn_") + mixer("ffn_hc.", "hc_ffn_")
    + compressor("self_attn.compressor.", "attn_compressor_")
    + compressor("self_attn.compressor.indexer.", "indexer_compressor_")
    + ["gate", "up", "down"].map { (projection: ExactText) in
      NameRow(
        huggingFace: "mlp.experts.{e}." + projection + "_proj.weight",
        own: "ffn_" + projection + "_exps.weight", form: .experts)
    }
    + ["enorm", "hnorm"].map { (norm: ExactText) in module(norm, "nextn." + norm) }
    + [
      module("shared_head.norm", "nextn.shared_head_norm"),
      NameRow(
        huggingFace: "e_proj.weight", own: "nextn.eh_proj.weight", form: .beside,
        second: "h_proj.weight"),
    ]

  private static func module(_ own: ExactText, _ name: ExactText) -> NameRow {
    NameRow(huggingFace: own + ".weight", own: name + ".weight")
  }

  private static func mixer(_ own: ExactText, _ name: ExactText) -> [NameRow] {
    (["fn", "base", "scale"] as [ExactText]).map {
      NameRow(huggingFace: own + $0, own: name + $0 + ".weight")
    }
  }

  private static func compressor(_ own: ExactText, _ name: ExactText) -> [NameRow] {
    [("kv_proj", "kv"), ("gate_proj", "gate"), ("kv_norm", "norm")].map {
      module(own + $0.0, name + $0.1)
    } + [NameRow(huggingFace: own + "position_bias", own: name + "ape.weight")]
  }

  /// All of them.
  ///
  /// - Parameter predictor: the layer that a file is of that has none of the others.
  static func table(predictor: Int?) -> NameTable {
    NameTable(before: outer(head: head(of: predictor)), layer: layer) { "blk.\($0)." }
  }

  private static func head(of predictor: Int?) -> ExactText {
    predictor.map { "model.layers.\($0)." } ?? "model."
  }

  private static let layerByName = Dictionary(uniqueKeysWithValues: layer.map { ($0.own, $0) })

  /// What a tensor of a file is, as `DeepSeek2Names` has it.
  static func origin(
    of name: ExactText, predictor: Int?
  ) -> (name: ExactText, form: WeightForm, second: ExactText?)? {
    if let row = outer(head: head(of: predictor)).first(where: { $0.own == name }) {
      return (row.huggingFace, row.form, nil)
    }
    guard let layer = DeepSeek2Names.layerIndex(of: name),
      let row = name.without(prefix: "blk.\(layer).").flatMap({ layerByName[$0] })
    else { return nil }
    let prefix: ExactText = "model.layers.\(layer)."
    return (prefix + row.huggingFace, row.form, row.second.map { prefix + $0 })
  }
}
