package import Models
package import Platform

/// The network on which mixes are weighed where no model is named.
package enum ReferenceModel {
  /// What it is called.
  package static let name = "DeepSeek-V3"

  /// The keys of its config on which tensors depend: those of `Samples/deepseek-v3`.
  static let keys = """
    {"model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168,
     "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
     "num_nextn_predict_layers": 1, "num_attention_heads": 128, "num_key_value_heads": 128,
     "n_shared_experts": 1, "n_routed_experts": 256, "routed_scaling_factor": 2.5,
     "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128,
     "qk_nope_head_dim": 128, "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
     "moe_layer_freq": 1, "first_k_dense_replace": 3, "norm_topk_prob": true,
     "scoring_func": "sigmoid", "topk_method": "noaux_tc", "max_position_embeddings": 163840,
     "rms_norm_eps": 1e-06, "rope_theta": 10000, "tie_word_embeddings": false,
     "torch_dtype": "bfloat16"}
    """

  /// Its config, weights being plain.
  ///
  /// - Throws: never, unless the text above is no config.
  package static func config() throws(Fault) -> ModelConfig {
    try ModelConfig(json: JSONValue(parsing: Array(keys.utf8), file: name), file: name)
  }
}
