package import Models
package import Platform

/// What a tensor may be that the config does not imply, told by its name: parts of networks that are
/// this one with something added, and what loaders leave out everywhere.
///
/// Sources: the classes of transformers 5.23, llama.cpp's table of tensor names, DeepSeek's own code.
package struct TensorKind: Sendable {
  /// What it is, with the network that has it, or why no pass needs it.
  package let text: String
  /// Whether every loader of the network computes the same without it.
  package let isHarmless: Bool
  /// Whether every published checkpoint of the network has it, so that there is nothing to say.
  package let isPublished: Bool
  /// Parts of a name, one of which is there.
  private let parts: [ExactText]
  /// Ends of a name, one of which is there.
  private let ends: [ExactText]
  /// Beginnings of a name, one of which is there.
  private let beginnings: [ExactText]

  private init(
    _ text: String, isHarmless: Bool = false, isPublished: Bool = false, parts: [ExactText] = [],
    ends: [ExactText] = [], beginnings: [ExactText] = []
  ) {
    self.isPublished = isPublished
    self.text = text
    self.isHarmless = isHarmless
    self.parts = parts
    self.ends = ends
    self.beginnings = beginnings
  }

  /// The kind of a name; nil for one that says nothing.
  package static func of(_ name: ExactText) -> TensorKind? { all.first { $0.matches(name) } }

  /// The kind of a name that the config does not imply.
  package static func of(_ name: ExactText, in config: ModelConfig) -> TensorKind? {
    spare(name, in: config) ?? of(name)
  }

  /// The kind of what some files of a network have and no loader of it asks for; nil for others.
  package static func spare(_ name: ExactText, in config: ModelConfig) -> TensorKind? {
    guard let layer = ModelConfig.layer(of: name) else { return nil }
    let rest = name.without(prefix: "model.layers.\(layer).")
    if layer >= config.layers, !config.architecture.hasCopies,
      rest == "embed_tokens.weight" || rest == "shared_head.head.weight"
    {
      return spareCopy
    }
    if config.architecture.normsExperts, !config.hasExperts(layer: layer),
      rest == "post_mlp_layernorm.weight"
    {
      return unusedNorm
    }
    if let v4 = config.v4 {
      return v4.hashesTokens(inLayer: layer) && rest == "mlp.gate.e_score_correction_bias"
        ? unusedBias : nil
    }
    let isIndexer = rest?.hasPrefix("self_attn.indexer.") == true
    return isIndexer && config.indexer != nil && !config.hasIndexer(layer: layer)
      ? unusedIndexer : nil
  }

  private static let spareCopy = TensorKind(
    "a copy of the embedding table or the head, in place of which loaders take the main model's",
    isHarmless: true)

  private static let unusedNorm = TensorKind(
    "the norm of what experts give in a layer without experts, which published checkpoints have and "
      + "no loader runs",
    isHarmless: true, isPublished: true)

  private static let unusedBias = TensorKind(
    "a correction bias in a layer whose tokens have their experts by a table, where no loader reads it",
    isHarmless: true)

  private static let unusedIndexer = TensorKind(
    "an indexer in a layer that takes over the keys of the one before it, where no loader runs it",
    isHarmless: true)

  private func matches(_ name: ExactText) -> Bool {
    parts.contains(where: name.contains) || ends.contains(where: name.hasSuffix)
      || beginnings.contains(where: name.hasPrefix)
  }

  /// The first that matches counts.
  private static let all: [TensorKind] = [
    TensorKind(
      "computed anew from rope_theta by every loader", isHarmless: true,
      ends: ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"]),
    TensorKind(
      "scales of a cache or of activations, which runtimes with FP8 caches alone use",
      isHarmless: true,
      ends: [
        ".k_scale", ".v_scale", ".q_scale", ".kv_scale", ".output_scale", ".prob_output_scale",
        ".input_scale", ".input_global_scale", ".input_zero_point", ".activation_scale",
        ".act_scale",
        ".output_zero_point", ".k_zero_point", ".v_zero_point",
      ]),
    TensorKind(
      "another part of the model, which sees or hears", isHarmless: true,
      beginnings: [
        "vision_tower.", "mm_projector.", "vision_model.", "multi_modal_projector.", "visual.",
        "audio_tower.", "model.vision_tower.", "model.mm_projector.", "model.visual.",
        "model.multi_modal_projector.", "v.", "mm.",
      ]),
    TensorKind(
      "a LoRA adapter that was not merged: merge it with PEFT's merge_and_unload first",
      parts: [".lora_A.", ".lora_B.", ".lora_embedding_", ".base_layer.", ".lora_a", ".lora_b"]),
    TensorKind(
      "the lightning indexer of DeepSeek-V3.2 and GLM-5: model_type deepseek_v32 or glm_moe_dsa",
      parts: [".indexer.", ".indexers_proj."]),
    TensorKind(
      "DeepSeek-V4's hyper-connections, compressor or sinks: model_type deepseek_v4",
      parts: [".hc_", "hc_head", ".compressor.", "attn_sink", ".tid2eid", ".sinks"]),
    TensorKind("DeepSeek-V4.1's engram memory: model_type deepseek_v41", parts: ["engram"]),
    TensorKind(
      "A.X-K1's norm of what the experts give: model_type axk1",
      parts: ["post_mlp_layernorm", "post_ffw_norm", "post_feedforward_layernorm"]),
    TensorKind(
      "linear attention of Kimi-Linear, Kimi-K3 or Ring: model_type kimi_linear, kimi_k3, "
        + "bailing_hybrid",
      parts: [".A_log", ".dt_bias", "conv1d", ".f_a_proj.", ".g_a_proj.", ".ssm_"]),
    TensorKind(
      "LongCat-Flash's double layers: model_type longcat_flash",
      parts: [".mlps.", ".self_attn.0.", ".self_attn.1.", ".router.classifier"]),
    TensorKind(
      "norms of whole queries and keys, as other networks have them",
      parts: [".q_norm.", ".k_norm.", ".attn_q_norm", ".attn_k_norm"]),
    TensorKind(
      "a gate on what the attention gives", parts: [".self_attn.gate_proj", ".attn_gate"]),
    TensorKind(
      "experts of a layer in one stack, as mistral4 and transformers 5 have them",
      ends: [".experts.gate_up_proj", ".experts.down_proj", "ffn_gate_up_exps.weight"]),
    TensorKind(
      "the head, in place of which loaders take the embedding table: tie_word_embeddings is true",
      ends: ["lm_head.weight"]),
    TensorKind(
      "AWQ's or GPTQ's codes", ends: [".qweight", ".qzeros", ".scales", ".g_idx"]),
    TensorKind(
      "bitsandbytes' codes",
      parts: [".absmax", ".quant_map", ".quant_state", ".SCB", ".weight_format"]),
    TensorKind("a bias, which this network does not have there", ends: [".bias"]),
  ]
}
