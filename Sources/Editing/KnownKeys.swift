internal import Platform

/// The keys that GGUF's specification and llama.cpp have for models, and those that decide how a file
/// is read.
///
/// Sources: llama.cpp's `docs/gguf.md` and gguf-py's `constants.py`.
enum KnownKeys {
  /// Keys about the model as a whole.
  private static let general = [
    "type", "quantization_version", "file_type", "name", "author", "version", "organization",
    "finetune", "basename", "description", "quantized_by", "size_label", "license", "license.name",
    "license.link", "url", "doi", "uuid", "repo_url", "source.url", "source.doi", "source.uuid",
    "source.repo_url", "source.huggingface.repository", "base_model.count", "dataset.count", "tags",
    "languages", "datasets", "sampling.sequence", "sampling.top_k", "sampling.top_p",
    "sampling.min_p", "sampling.temp", "sampling.penalty_last_n", "sampling.penalty_repeat",
    "sampling.xtc_probability", "sampling.xtc_threshold", "sampling.mirostat",
    "sampling.mirostat_tau", "sampling.mirostat_eta",
  ]

  /// Keys about the tokenizer.
  private static let tokenizer = [
    "ggml.model", "ggml.pre", "ggml.tokens", "ggml.token_type", "ggml.token_type_count",
    "ggml.scores", "ggml.merges", "ggml.bos_token_id", "ggml.eos_token_id", "ggml.eot_token_id",
    "ggml.eom_token_id", "ggml.unknown_token_id", "ggml.seperator_token_id",
    "ggml.padding_token_id", "ggml.cls_token_id", "ggml.mask_token_id", "ggml.add_bos_token",
    "ggml.add_eos_token", "ggml.add_sep_token", "ggml.add_space_prefix",
    "ggml.remove_extra_whitespaces", "ggml.precompiled_charsmap", "ggml.fim_pre_token_id",
    "ggml.fim_suf_token_id", "ggml.fim_mid_token_id", "ggml.fim_pad_token_id",
    "ggml.fim_rep_token_id", "ggml.fim_sep_token_id", "huggingface.json", "chat_template",
    "chat_templates", "chat_template.tool_use", "chat_template.rag",
  ]

  /// Keys about the network, behind the architecture's name.
  private static let network = [
    "context_length", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor",
    "rope.scaling.attn_factor", "rope.scaling.original_context_length",
    "rope.scaling.finetuned", "rope.scaling.yarn_log_multiplier",
    "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
    "attention.layer_norm_rms_epsilon", "expert_used_count", "expert_weights_scale",
    "expert_weights_norm", "expert_gating_func", "expert_group_count", "expert_group_used_count",
  ]

  /// All of them, for an architecture.
  static func all(_ architecture: String) -> [String] {
    general.map { "general.\($0)" } + tokenizer.map { "tokenizer.\($0)" }
      + network.map { "\(architecture).\($0)" }
  }

  /// Numbered ones: `general.base_model.0.name`.
  static func isNumbered(_ key: String) -> Bool {
    let parts = ExactText(key).split(separator: ".")
    guard parts.count > 3, parts[0] == "general", parts[1] == "base_model" || parts[1] == "dataset"
    else { return false }
    return parts[2].utf8.allSatisfy { (0x30...0x39).contains($0) }
  }

  /// Why a key of a GGUF file is not changed without `--force`; nil for others.
  static func warning(_ key: String) -> String? {
    let key = ExactText(key)
    if key == "general.architecture" { return "it decides how all tensors are read" }
    if key == "general.alignment" { return "it decides where tensors lie" }
    if key.hasPrefix("split.") { return "it says which files belong together" }
    if key.hasPrefix("fathom.") { return "it says what the file was made from" }
    let vocabulary: [ExactText] = [
      "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges",
      "tokenizer.ggml.scores", "tokenizer.ggml.model",
    ]
    return vocabulary.contains(key) ? "ids of tokens hang on it" : nil
  }
}
