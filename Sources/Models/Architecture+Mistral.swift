internal import Platform

extension Architecture {
  /// Mistral-Small-4: the attention of DeepSeek-V3 with queries that are scaled by their positions, a
  /// softmax router without a bias, and experts in stacks.
  ///
  /// Sources: transformers 5.23's `Mistral4Config` and `Mistral4ForCausalLM`, mlx-lm 0.32's `mistral4`,
  /// llama.cpp's `Mistral4Model`.
  static let mistral4: Architecture = {
    var row = Architecture(
      modelTypes: ["mistral4"], className: "Mistral4ForCausalLM",
      defaults: [
        "vocab_size": 131072, "hidden_size": 4096, "intermediate_size": 12288,
        "moe_intermediate_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 32,
        "n_shared_experts": 1, "n_routed_experts": 128, "routed_scaling_factor": 1.0,
        "kv_lora_rank": 256, "q_lora_rank": 1024, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "qk_nope_head_dim": 64, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 4,
        "first_k_dense_replace": 0, "norm_topk_prob": true,
        "max_position_embeddings": 1_048_576, "rms_norm_eps": 1e-6,
      ],
      scoring: .softmax, selections: [.groupsByTwoBest], hasCorrectionBias: false,
      canNormalize: true,
      mlx: MLXModule(
        modelType: nil, hasJointKeysAndValues: false,
        // It has no keys for what the first two say, and no other way.
        defaults: [
          "moe_layer_freq": 1, "topk_method": "noaux_tc", "rope_theta": 10000,
          "tie_word_embeddings": false, "attention_bias": false,
        ],
        mtp: .refused, ties: true, ignoresRopeLayout: false, readsRopeParameters: true),
      preTokenizer: "tekken")
    row.hasQueryTemperature = true
    row.hasStackedExperts = true
    row.hasFusedGGUFExperts = true
    row.ggufName = "mistral4"
    row.positions = [
      "type": "yarn", "rope_theta": 10000.0, "factor": 128.0,
      "original_max_position_embeddings": 8192, "beta_fast": 32.0, "beta_slow": 1.0,
      "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1,
    ]
    return row
  }()

  /// Mistral-Large-3 in Mistral's own files: mistral4's network, which llama.cpp runs as `deepseek2`.
  ///
  /// No config names it by a `model_type` of its own.
  static let mistralLarge3: Architecture = {
    var row = mistral4
    row.ggufName = deepSeekV3.ggufName
    row.hasFusedGGUFExperts = false
    return row
  }()

  /// The same under the name that vLLM has for it, `deepseek_v3`, which a section of the config alone
  /// tells from DeepSeek-V3. vLLM has no values for absent keys, and ranks groups by their best expert.
  static let relabelledMistralLarge3: Architecture = {
    var row = mistralLarge3
    row.className = "MistralLarge3ForCausalLM"
    row.defaults = [:]
    row.positions = nil
    row.hasTemperatureSection = true
    row.selections = [.groupsByBest]
    row.mlx.modelType = row.modelTypes[0]
    return row
  }()

  /// The row of this network under another of llama.cpp's architectures; itself where it has none.
  package func running(as ggufName: String) -> Architecture {
    self == .mistral4 && ggufName == Architecture.mistralLarge3.ggufName ? .mistralLarge3 : self
  }
}
