internal import Platform

extension Architecture {
  /// Networks that are known and not read, by `model_type`, with what they have that nothing here
  /// computes.
  static let lacking: [String: (name: String, parts: String)] = [
    "deepseek_v41": (
      "DeepSeek-V4.1",
      "engram memory, FP8 blocks of 32 × 32 and several layers that predict, for which there is no "
        + "other program to compare with"
    )
  ]

  /// DeepSeek-V4: V4-Flash and V4-Pro.
  ///
  /// Sources: transformers 5.23's `DeepseekV4Config`, mlx-lm's `deepseek_v4`, llama.cpp's
  /// `DeepseekV4Model`.
  package static let deepSeekV4: Architecture = {
    var row = Architecture(
      modelTypes: ["deepseek_v4"], className: "DeepseekV4ForCausalLM",
      defaults: [
        "vocab_size": 129280, "hidden_size": 4096, "moe_intermediate_size": 2048,
        "num_hidden_layers": 43, "num_attention_heads": 64, "num_key_value_heads": 1,
        "head_dim": 512, "q_lora_rank": 1024, "num_experts_per_tok": 6, "n_routed_experts": 256,
        "n_shared_experts": 1, "norm_topk_prob": true, "routed_scaling_factor": 1.5,
        "max_position_embeddings": 1_048_576, "num_hash_layers": 3, "sliding_window": 128,
        "o_groups": 8, "o_lora_rank": 1024, "index_n_heads": 64, "index_head_dim": 128,
        "index_topk": 512, "hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6,
        "swiglu_limit": 10.0, "num_nextn_predict_layers": 1, "rms_norm_eps": 1e-6,
      ],
      scoring: .sqrtSoftplus, selections: [.groupsByTwoBest], hasCorrectionBias: true,
      canNormalize: true,
      mlx: MLXModule(
        modelType: nil, hasJointKeysAndValues: false, defaults: [:], mtp: .leftOut, ties: false),
      preTokenizer: "deepseek-v3")
    row.hasStreams = true
    row.hasCopies = false
    row.ggufName = "deepseek4"
    return row
  }()
}
