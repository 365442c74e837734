internal import Models
internal import Platform

/// What is known of the keys of a `config.json`: which ones the network is built from, which ones
/// change nothing that is computed, and which ones belong to a network that Fathom does not compute.
///
/// Sources: the config classes of transformers 5.23 and of the networks' own code.
enum ConfigVocabulary {
  /// A key that another network has.
  struct Foreign: Sendable {
    /// What it is about.
    let meaning: String
    /// Values that switch it off, null beside them.
    let neutral: [JSONValue]
    /// A key that switches it off where it is false.
    var gate: String?

    /// Nothing is known: null alone says nothing.
    static let nothing = Foreign(meaning: "", neutral: [])

    /// Whether a value leaves the network as it is.
    func isNeutral(_ value: JSONValue, in object: JSONObject) -> Bool {
      if let gate, object[gate] == .bool(false) { return true }
      switch value {
      case .null: return true
      case .array(let elements): return elements.allSatisfy { isNeutral($0, in: object) }
      case .object(let fields): return fields.keys.isEmpty
      default:
        return neutral.contains { $0 == value || $0.number != nil && $0.number == value.number }
      }
    }
  }

  /// Keys that `ModelConfig` reads.
  static let read: Set<String> = [
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
    "num_attention_heads", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
    "v_head_dim", "rms_norm_eps", "attention_bias", "tie_word_embeddings", "rope_interleave",
    "max_position_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "torch_dtype",
    "dtype", "quantization_config", "compression_config", "hidden_act", "moe_intermediate_size",
    "num_nextn_predict_layers", "num_mtp_layers", "first_k_dense_replace", "mlp_layer_types",
    "moe_layer_freq", "n_routed_experts", "num_local_experts", "num_experts", "n_shared_experts",
    "num_experts_per_tok", "n_group", "topk_group", "scoring_func", "topk_method",
    "norm_topk_prob", "routed_scaling_factor",
  ]

  /// Keys that `ModelConfig` reads of networks with an indexer.
  static func readOfIndexer(_ kind: Architecture.Indexing?) -> Set<String> {
    guard let kind else { return [] }
    let own: Set<String> = [
      "index_n_heads", "index_head_dim", "index_topk", "indexer_rope_interleave",
    ]
    return kind.canShare
      ? own.union([
        "indexer_types", "index_topk_pattern", "index_topk_freq", "index_skip_topk_offset",
      ]) : own
  }

  /// Keys that `ModelConfig` reads of DeepSeek-V4.
  static func readOfStreams(_ config: ModelConfig) -> Set<String> {
    guard config.v4 != nil else { return [] }
    return [
      "head_dim", "num_key_value_heads", "compress_ratios", "compress_rates", "compress_rate_csa",
      "compress_rate_hca", "compress_rope_theta", "layer_types", "num_hash_layers", "hc_mult",
      "hc_sinkhorn_iters", "hc_eps", "swiglu_limit", "sliding_window", "o_groups", "o_lora_rank",
      "index_n_heads", "index_head_dim", "index_topk", "partial_rotary_factor", "expert_dtype",
    ]
  }

  /// Keys of the section about positions that are read, or that no loader computes with.
  static let readOfPositions: Set<String> = [
    "rope_type", "type", "factor", "original_max_position_embeddings", "beta_fast", "beta_slow",
    "mscale", "mscale_all_dim", "attention_factor", "truncate", "rope_theta",
    "max_position_embeddings", "finetuned", "rope_interleave",
  ]

  /// Whether a key changes nothing that is computed.
  static func isHarmless(_ name: String) -> Bool {
    name.hasPrefix("_") || harmless.contains(name)
  }

  /// What is known of a key of another network; nil for others.
  static func foreign(_ name: String) -> Foreign? {
    if let row = foreign[name] { return row }
    return families.first { name.hasPrefix($0.prefix) }?.row
  }

  /// Sizes that follow from others, special tokens, ways of training and sampling, and what names the
  /// code, the tokenizer or other parts of a model.
  private static let harmless: Set<String> = [
    // Follow from other keys; every class sets them itself.
    "head_dim", "qk_head_dim", "num_key_value_heads", "num_key_value_groups", "architectures",
    // Training.
    "attention_dropout", "hidden_dropout", "initializer_range", "embedding_initializer_range",
    "aux_loss_alpha", "seq_aux", "ep_size", "output_router_logits", "router_aux_loss_coef",
    "router_jitter_noise", "pretraining_tp", "gradient_checkpointing", "use_cache",
    "attn_implementation", "max_window_layers", "moe_aux_loss_coef", "router_z_loss_coef",
    "resid_pdrop", "embd_pdrop", "attn_pdrop", "hidden_dropout_prob", "use_reentrant",
    // What transformers keeps in every config.
    "transformers_version", "auto_map", "id2label", "label2id", "num_labels", "problem_type",
    "return_dict", "use_return_dict", "output_attentions", "output_hidden_states", "torchscript",
    "is_encoder_decoder", "is_decoder", "add_cross_attention", "tie_encoder_decoder",
    "chunk_size_feed_forward", "tokenizer_class", "task_specific_params", "finetuning_task",
    "prefix", "tf_legacy_loss", "use_bfloat16", "cross_attention_hidden_size", "pruned_heads",
    "custom_pipelines", "name_or_path", "base_model_name_or_path", "unsloth_version",
    "unsloth_fixed", "quantization", "license", "language", "model_name", "model_max_length",
    "tokenizer_name", "mlx_version", "use_sliding_window",
    // Special tokens.
    "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id",
    "decoder_start_token_id", "image_token_id", "video_token_id", "media_placeholder_token_id",
    "image_token_index", "vision_start_token_id", "vision_end_token_id",
    // Sampling.
    "temperature", "top_k", "top_p", "min_p", "typical_p", "do_sample", "max_length",
    "max_new_tokens", "min_length", "min_new_tokens", "num_beams", "num_beam_groups",
    "num_return_sequences", "early_stopping", "length_penalty", "repetition_penalty",
    "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
    "begin_suppress_tokens",
    "suppress_tokens", "forced_bos_token_id", "forced_eos_token_id", "diversity_penalty",
    "exponential_decay_length_penalty", "remove_invalid_values", "output_scores",
    "return_dict_in_generate", "epsilon_cutoff", "eta_cutoff", "use_mtp",
    // Other parts of a model.
    "vision_config", "audio_config", "text_config",
  ]

  private static let indexer =
    "the lightning indexer of DeepSeek-V3.2 and GLM-5: model_type deepseek_v32 or glm_moe_dsa"
  private static let v4 = "DeepSeek-V4: model_type deepseek_v4"
  private static let temperature = "the query temperature of Mistral 4 and Mistral-Large-3"
  private static let longcat = "LongCat-Flash: model_type longcat_flash"
  private static let miniCPM = "the scales of MiniCPM3: model_type minicpm3"
  private static let kimiLinear = "Kimi-Linear: model_type kimi_linear"
  private static let window = "attention to a sliding window"
  private static let bias = "biases that this network does not have"

  private static func row(_ meaning: String, _ neutral: JSONValue...) -> Foreign {
    Foreign(meaning: meaning, neutral: neutral)
  }

  /// Keys of networks that compute something else, by what all of them begin with.
  private static let families: [(prefix: String, row: Foreign)] = [
    ("index_", row(indexer)), ("indexer_", row(indexer)),
    ("compress_", row(v4)), ("hc_", row(v4, 0, 1)),
    ("engram_", row("DeepSeek-V4.1's engram memory")),
    ("llama_4_", row(temperature, 0)), ("linear_", row("linear attention")),
    ("mamba_", row("layers of Mamba")), ("ssm_", row("state-space layers")),
    ("kda_", row("Kimi's delta attention")), ("zero_expert", row(longcat, 0)),
    ("mla_scale_", row(longcat, false)), ("altup_", row("another network's residual stream")),
  ]

  private static let foreign: [String: Foreign] = [
    "partial_rotary_factor": row("rotary positions on a part of the head", 1),
    "sliding_window": Foreign(
      meaning: window, neutral: [0, -1], gate: "use_sliding_window"),
    "sliding_window_pattern": Foreign(meaning: window, neutral: [], gate: "use_sliding_window"),
    "layer_types": row("layers of several kinds", "full_attention", "attention"),
    "attention_chunk_size": row("attention within chunks", 0),
    "no_rope_layers": row("layers without positions", 1),
    "no_rope_layer_interval": row("layers without positions", 0),
    "nope_layer_interval": row("layers without positions", 0),
    "mla_use_nope": row("attention without positions", false),
    "linear_attn_config": row(kimiLinear),
    "full_attention_interval": row("linear attention between layers of this kind", 1),
    "swiglu_limit": row("DeepSeek-V4's bound on SwiGLU", 0),
    "swiglu_alpha": row("another activation"),
    "activation_limit": row("a bound on the activation", 0),
    "num_hash_layers": row(v4, 0), "o_groups": row(v4), "o_lora_rank": row(v4),
    "attn_sink": row("attention sinks", false), "attention_sinks": row("attention sinks", false),
    "add_full_attention_sink_bias": row("attention sinks", false),
    "add_swa_attention_sink_bias": row("attention sinks", false),
    "attn_logit_softcapping": row("a soft cap on scores", 0),
    "final_logit_softcapping": row("a soft cap on logits", 0),
    "logits_soft_cap": row("a soft cap on logits", 0),
    "logit_scale": row("a factor on logits", 1), "logits_scaling": row("a factor on logits", 1),
    "embedding_multiplier": row("a factor on embeddings", 1),
    "residual_multiplier": row("a factor on layers", 1),
    "attention_multiplier": row("another scale of attention"),
    "attention_scale": row("another scale of attention"),
    "query_pre_attn_scalar": row("another scale of attention"),
    "attn_temperature_tuning": row(temperature, false, 0),
    "attn_scale": row(temperature, 0), "floor_scale": row(temperature, 0),
    "scale_emb": row(miniCPM, 1), "scale_depth": row(miniCPM), "dim_model_base": row(miniCPM),
    "expert_ffn_hidden_size": row(longcat), "ffn_hidden_size": row(longcat),
    "moe_topk": row(longcat), "num_layers": row(longcat),
    "router_bias": row(longcat, false),
    "use_qk_norm": row("norms of queries and keys", false),
    "qk_norm": row("norms of queries and keys", false),
    "use_qkv_bias": row(bias, false), "qkv_bias": row(bias, false), "use_bias": row(bias, false),
    "mlp_bias": row(bias, false), "moe_bias": row(bias, false), "o_bias": row(bias, false),
    "add_bias_linear": row(bias, false), "lm_head_bias": row(bias, false),
    "clip_qkv": row("bounds on queries, keys and values", 0),
    "alibi": row("other positions", false),
    "attn_output_gate": row("a gate on the attention's output", false),
    "attention_output_gate": row("a gate on the attention's output", false),
    "gated_attention": row("a gate on the attention's output", false),
    "num_kv_shared_layers": row("layers that share keys and values", 0),
    "moe_router_activation_func": row(kimiLinear, "sigmoid"),
    "moe_renormalize": row(kimiLinear, true),
    "moe_router_enable_expert_bias": row("a router without its correction bias", true),
    "use_grouped_topk": row(kimiLinear, true), "num_expert_group": row(kimiLinear, 1),
    "use_post_norm": row("norms behind the layers", false),
    "post_norm": row("norms behind the layers", false),
    "sandwich_norm": row("norms behind the layers", false),
    "hidden_activation": row("another activation", "silu"),
    "layer_norm_eps": row("norms of another kind"),
    "norm_type": row("norms of another kind", "rmsnorm", "rms_norm", "RMSNorm"),
    "gated_norm_rank": row("A.X-K2's gated norms: model_type axk2"),
    "kv_source_layers": row("layers that share keys and values: model_type mistral_large4"),
    "layer_group_size": row("linear attention between layers of this kind"),
    "short_conv_kernel_size": row("linear attention"),
    "per_layer_config": row("attention of several sizes: model_type dots3_note"),
    "shared_experts_intermediate_size": row("shared experts of a width of their own"),
    "learnable_sink_init": row("attention sinks"),
    "num_shared_experts": row("Kimi-Linear's spelling of n_shared_experts"),
    "num_experts_per_token": row("Kimi-Linear's spelling of num_experts_per_tok"),
    "residual_in_fp32": row("another residual stream", false),
    "parallel_attn": row("attention beside the MLP", false),
    "use_parallel_residual": row("attention beside the MLP", false),
  ]
}
