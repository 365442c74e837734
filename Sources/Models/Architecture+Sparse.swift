internal import Platform

extension Architecture {
  /// DeepSeek-V3.2: DeepSeek-V3's network, whose queries see the keys that a lightning indexer
  /// chooses.
  package static let deepSeekV32: Architecture = {
    var row = deepSeekV3
    row.modelTypes = ["deepseek_v32"]
    row.className = "DeepseekV32ForCausalLM"
    row.defaults = sparse([
      "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
      "num_hidden_layers": 61, "num_attention_heads": 128, "q_lora_rank": 1536,
      "v_head_dim": 128, "qk_nope_head_dim": 128, "n_group": 8, "topk_group": 4,
      "max_position_embeddings": 163840, "rms_norm_eps": 1e-6, "index_n_heads": 64,
    ])
    row.readsLayerTypes = true
    row.ggufName = "deepseek32"
    row.indexing = Indexing(isInterleaved: false, canShare: false)
    row.mlx = MLXModule(
      modelType: nil, hasJointKeysAndValues: false,
      defaults: [
        "vocab_size": 102400, "hidden_size": 4096, "index_head_dim": 128, "index_n_heads": 64,
        "index_topk": 2048, "intermediate_size": 11008, "moe_intermediate_size": 1407,
        "num_hidden_layers": 30, "num_attention_heads": 32, "num_key_value_heads": 32,
        "n_shared_experts": .null, "routed_scaling_factor": 1.0, "kv_lora_rank": 512,
        "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
        "topk_method": "noaux_tc", "norm_topk_prob": true, "n_group": 1, "topk_group": 1,
        "num_experts_per_tok": 1, "moe_layer_freq": 1, "first_k_dense_replace": 0,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000,
        "attention_bias": false, "indexer_rope_interleave": false, "tie_word_embeddings": false,
      ],
      mtp: .leftOut, ties: false)
    return row
  }()

  /// GLM-5 and 5.1, and 5.2 and 5.3, most of whose layers take over the keys of one before them.
  static let glmMoeDSA: Architecture = {
    var row = glm4MoeLite
    row.modelTypes = ["glm_moe_dsa"]
    row.className = "GlmMoeDsaForCausalLM"
    row.hasHeadSize = true
    row.ggufName = "glm-dsa"
    row.hasCopies = false
    row.defaults = sparse([
      "vocab_size": 154880, "hidden_size": 6144, "intermediate_size": 12288,
      "num_hidden_layers": 78, "num_attention_heads": 64, "q_lora_rank": 2048,
      "v_head_dim": 256, "qk_nope_head_dim": 192, "n_group": 1, "topk_group": 1,
      "max_position_embeddings": 202752, "rms_norm_eps": 1e-5, "index_n_heads": 32,
    ])
    row.indexing = Indexing(isInterleaved: true, canShare: true)
    row.mlx = MLXModule(
      modelType: nil, hasJointKeysAndValues: false,
      defaults: ["indexer_rope_interleave": true, "tie_word_embeddings": false],
      mtp: .leftOut, ties: false, readsRopeParameters: true)
    return row
  }()

  /// What the classes of these networks take for absent keys.
  private static func sparse(_ own: JSONObject) -> JSONObject {
    var defaults: JSONObject = [
      "moe_intermediate_size": 2048, "n_shared_experts": 1, "n_routed_experts": 256,
      "routed_scaling_factor": 2.5, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
      "num_experts_per_tok": 8, "first_k_dense_replace": 3, "norm_topk_prob": true,
      "index_topk": 2048, "index_head_dim": 128,
    ]
    for key in own.keys { defaults[key] = own[key] }
    return defaults
  }
}
