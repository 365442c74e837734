internal import Platform

extension Architecture {
  /// The networks, each a row.
  ///
  /// Sources: the config classes of transformers 5.23 for `defaults`, the modules of mlx-lm 0.32 for
  /// `mlx`, llama.cpp's converter for `preTokenizer`.
  public static let all: [Architecture] = [deepSeekV3]

  /// DeepSeek-V3, R1 and V3.1; Moonlight, GigaChat 3, Kanana 2; Kimi-K2 under a name of its own.
  static let deepSeekV3 = Architecture(
    modelTypes: ["deepseek_v3", "kimi_k2"], className: "DeepseekV3ForCausalLM",
    defaults: [
      "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
      "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128,
      "n_shared_experts": 1, "n_routed_experts": 256, "routed_scaling_factor": 2.5,
      "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "qk_nope_head_dim": 128, "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
      "first_k_dense_replace": 3, "norm_topk_prob": true, "max_position_embeddings": 4096,
      "rms_norm_eps": 1e-6,
    ],
    scoring: .sigmoid, selections: [.groupsByTwoBest], hasCorrectionBias: true,
    canNormalize: true, envelope: nil,
    mlx: MLXModule(
      modelType: nil, hasJointKeysAndValues: false,
      defaults: [
        "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1, "norm_topk_prob": true,
        "first_k_dense_replace": 0, "moe_layer_freq": 1, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6, "rope_theta": 10000, "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
        "attention_bias": false,
      ],
      mtp: .leftOutOnly(layer: 61), ties: false),
    preTokenizer: "deepseek-v3")
}
