internal import Platform

extension Architecture {
  /// The networks, each a row.
  ///
  /// Sources: the config classes of transformers 5.23 for `defaults`, the modules of mlx-lm 0.32 for
  /// `mlx`, llama.cpp's converter for `preTokenizer`.
  package static let all: [Architecture] = [
    deepSeekV3, kimiK2, joyAI, deepSeekV2, glm4MoeLite, youtu, deepSeekV32, glmMoeDSA,
    mistral4, axk1, deepSeekV4,
  ]

  /// DeepSeek-V3, R1 and V3.1; Moonlight, GigaChat 3, Kanana 2.
  package static let deepSeekV3 = Architecture(
    modelTypes: ["deepseek_v3"], className: "DeepseekV3ForCausalLM",
    defaults: [
      "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
      "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128,
      "n_shared_experts": 1, "n_routed_experts": 256, "routed_scaling_factor": 2.5,
      "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "qk_nope_head_dim": 128, "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
      "first_k_dense_replace": 3, "norm_topk_prob": true, "max_position_embeddings": 4096,
      "rms_norm_eps": 1e-6,
      "num_nextn_predict_layers": 1,
    ],
    scoring: .sigmoid, selections: [.groupsByTwoBest], hasCorrectionBias: true,
    canNormalize: true,
    mlx: MLXModule(
      modelType: nil, hasJointKeysAndValues: false,
      defaults: [
        "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0, "norm_topk_prob": true,
        "first_k_dense_replace": 0, "moe_layer_freq": 1, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6, "rope_theta": 10000, "topk_method": "noaux_tc",
        "n_shared_experts": .null, "tie_word_embeddings": false, "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
        "attention_bias": false,
      ],
      mtp: .leftOutOnly(layer: 61), ties: false),
    preTokenizer: "deepseek-v3")

  /// Kimi-K2: DeepSeek-V3's network under a name, and with a tokenizer, of its own.
  static let kimiK2: Architecture = {
    var row = deepSeekV3
    row.modelTypes = ["kimi_k2"]
    row.preTokenizer = "kimi-k2"
    return row
  }()

  /// JoyAI-LLM-Flash: DeepSeek-V3's network, but that the layer that predicts further tokens is a
  /// dense one (its class in SGLang). transformers has no class for it.
  static let joyAI: Architecture = {
    var row = deepSeekV3
    row.modelTypes = ["joyai_llm_flash"]
    row.hasDensePredictors = true
    row.preTokenizer = "joyai-llm"
    return row
  }()

  /// DeepSeek-V2, V2-Lite, V2.5 and Coder-V2: a softmax router without a bias, whose weights are
  /// never divided by their sum.
  package static let deepSeekV2 = Architecture(
    modelTypes: ["deepseek_v2"], className: "DeepseekV2ForCausalLM",
    defaults: [
      "vocab_size": 102400, "hidden_size": 4096, "intermediate_size": 11008,
      "moe_intermediate_size": 1407, "num_hidden_layers": 32, "num_attention_heads": 32,
      "n_shared_experts": 2, "n_routed_experts": 64, "routed_scaling_factor": 1.0,
      "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "qk_nope_head_dim": 128, "topk_method": "greedy", "first_k_dense_replace": 0,
      "norm_topk_prob": false, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
    ],
    scoring: .softmax, selections: [.groupsByBest, .greedy], hasCorrectionBias: false,
    canNormalize: false,
    mlx: MLXModule(
      modelType: nil, hasJointKeysAndValues: true,
      defaults: [
        "first_k_dense_replace": 0, "moe_layer_freq": 1, "rms_norm_eps": 1e-6,
        "rope_theta": 10000, "n_shared_experts": .null, "tie_word_embeddings": false,
        "norm_topk_prob": false, "attention_bias": false,
      ],
      mtp: .refused, ties: false, needsScaling: true),
    preTokenizer: "deepseek-llm", otherPreTokenizers: ["deepseek-coder", "deepseek-v3"])

  /// GLM-4.7-Flash: DeepSeek-V3's network in other sizes.
  static let glm4MoeLite = Architecture(
    modelTypes: ["glm4_moe_lite"], className: "Glm4MoeLiteForCausalLM",
    defaults: [
      "vocab_size": 154880, "hidden_size": 2048, "intermediate_size": 10240,
      "moe_intermediate_size": 1536, "num_hidden_layers": 47, "num_attention_heads": 20,
      "n_shared_experts": 1, "n_routed_experts": 64, "routed_scaling_factor": 1.8,
      "kv_lora_rank": 512, "q_lora_rank": 768, "qk_rope_head_dim": 64, "v_head_dim": 256,
      "qk_nope_head_dim": 192, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 4,
      "first_k_dense_replace": 1, "norm_topk_prob": true, "max_position_embeddings": 202752,
      "rms_norm_eps": 1e-5,
    ],
    scoring: .sigmoid, selections: [.groupsByTwoBest], hasCorrectionBias: true,
    readsLayerTypes: true, canNormalize: true,
    mlx: MLXModule(
      modelType: nil, hasJointKeysAndValues: false,
      defaults: [
        "vocab_size": 154880, "hidden_size": 2048, "intermediate_size": 10240,
        "moe_intermediate_size": 1536, "num_hidden_layers": 47, "num_attention_heads": 20,
        "num_key_value_heads": 20, "n_shared_experts": 1, "n_routed_experts": 64,
        "routed_scaling_factor": 1.8, "kv_lora_rank": 512, "q_lora_rank": 768,
        "qk_rope_head_dim": 64, "qk_nope_head_dim": 192, "v_head_dim": 256,
        "num_experts_per_tok": 4, "max_position_embeddings": 202752, "rms_norm_eps": 1e-5,
        "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "first_k_dense_replace": 1,
        "moe_layer_freq": 1, "topk_method": "noaux_tc", "rope_theta": 1_000_000.0,
        "tie_word_embeddings": false, "attention_bias": false,
      ],
      mtp: .leftOut, ties: false, hasOwnInnerEpsilon: true),
    preTokenizer: "glm4", hasHeadSize: false,
    namedTokens: [
      "bos": "[gMASK]", "eot": "<|user|>", "unk": "<|endoftext|>", "eom": "<|observation|>",
    ])

  /// A.X-K1: DeepSeek-V3's network with one more norm, and without the bias of its routers: the class
  /// of transformers has one, zero in every published checkpoint, which lacks it.
  static let axk1: Architecture = {
    var row = Architecture(
      modelTypes: ["axk1"], className: "AXK1ForCausalLM",
      defaults: [
        "vocab_size": 163840, "hidden_size": 7168, "intermediate_size": 18432,
        "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 64,
        "n_shared_experts": 1, "n_routed_experts": 192, "routed_scaling_factor": 2.5,
        "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "qk_nope_head_dim": 128, "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
        "first_k_dense_replace": 1, "norm_topk_prob": true, "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
      ],
      scoring: .sigmoid, selections: [.groupsByTwoBest], hasCorrectionBias: false,
      readsLayerTypes: true, canNormalize: true,
      mlx: MLXModule(
        modelType: nil, hasJointKeysAndValues: false, defaults: [:], mtp: .refused, ties: false),
      preTokenizer: deepSeekV3.preTokenizer)
    row.normsExperts = true
    return row
  }()

  /// Youtu-LLM: the attention of DeepSeek-V3 with dense layers alone.
  static let youtu = Architecture(
    modelTypes: ["youtu", "youtu_llm"], className: "YoutuForCausalLM",
    defaults: [
      "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 6144,
      "num_hidden_layers": 32, "num_attention_heads": 16, "kv_lora_rank": 512,
      "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
      "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "tie_word_embeddings": true,
    ],
    scoring: .sigmoid, selections: [], hasCorrectionBias: false, canNormalize: false,

    mlx: MLXModule(
      modelType: "youtu_llm", hasJointKeysAndValues: true,
      defaults: [
        "rope_theta": 1_600_000, "tie_word_embeddings": true, "attention_bias": false,
      ],
      mtp: .refused, ties: true, hasOwnInnerEpsilon: true, ignoresTemperature: true),
    preTokenizer: "youtu")
}

extension Architecture.Envelope {
  /// The larger models that a network may be a part of, each a row.
  static let all: [Architecture.Envelope] = [
    // Kimi-K2.5 and later: Kimi-K2 with eyes.
    Architecture.Envelope(
      modelType: "kimi_k25", key: "text_config", prefix: "language_model.",
      otherPrefixes: [
        Prefix(stored: "model.language_model.", own: "model."),
        // What `save_pretrained` of transformers 5.23 makes of "layers": its renaming of the vision
        // tower's blocks is undone in the text network too. It reads such files.
        Prefix(stored: "language_model.model.blocks.", own: "model.layers."),
      ],
      others: [
        "vision_tower.", "mm_projector.", "vision_model.", "multi_modal_projector.",
        "model.vision_tower.", "model.mm_projector.",
      ], othersName: "vision tensors", usualType: Architecture.deepSeekV3.modelTypes[0]),
    // Mistral-Small-4: mistral4 with eyes; others of this kind hold networks of another family.
    Architecture.Envelope(
      modelType: "mistral3", key: "text_config", prefix: "language_model.",
      otherPrefixes: [Prefix(stored: "model.language_model.", own: "model.")],
      others: [
        "vision_tower.", "multi_modal_projector.", "model.vision_tower.",
        "model.multi_modal_projector.",
      ], othersName: "vision tensors", usualType: "mistral"),
  ]
}
