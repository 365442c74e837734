"""Configurations of the networks beside DeepSeek-V3, with the values that their makers publish."""

import copy

from .network import DEEPSEEK_V3

# What every configuration here has in common with DeepSeek-V3's.
COMMON = {key: DEEPSEEK_V3[key] for key in (
    "attention_bias", "attention_dropout", "bos_token_id", "eos_token_id", "hidden_act",
    "initializer_range", "torch_dtype", "use_cache")}

GLM_LITE = {
    **COMMON,
    "architectures": ["Glm4MoeLiteForCausalLM"],
    "first_k_dense_replace": 1,
    "hidden_size": 2048,
    "intermediate_size": 10240,
    "kv_lora_rank": 512,
    "max_position_embeddings": 202752,
    "model_type": "glm4_moe_lite",
    "moe_intermediate_size": 1536,
    "n_group": 1,
    "n_routed_experts": 64,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 20,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 47,
    "num_key_value_heads": 20,
    "num_nextn_predict_layers": 1,
    "partial_rotary_factor": 1.0,
    "q_lora_rank": 768,
    "qk_nope_head_dim": 192,
    "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "routed_scaling_factor": 1.8,
    "tie_word_embeddings": False,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "transformers_version": "5.0.0rc0",
    "v_head_dim": 256,
    "vocab_size": 154880,
}

V2_LITE = {
    **COMMON,
    "architectures": ["DeepseekV2ForCausalLM"],
    "aux_loss_alpha": 0.001,
    "first_k_dense_replace": 1,
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v2",
    "moe_intermediate_size": 1408,
    "moe_layer_freq": 1,
    "n_group": 1,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "norm_topk_prob": False,
    "num_attention_heads": 16,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 27,
    "num_key_value_heads": 16,
    "pretraining_tp": 1,
    "q_lora_rank": None,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-06,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 0.707,
        "mscale_all_dim": 0.707,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 1.0,
    "scoring_func": "softmax",
    "seq_aux": True,
    "tie_word_embeddings": False,
    "topk_group": 1,
    "topk_method": "greedy",
    "transformers_version": "4.33.1",
    "v_head_dim": 128,
    "vocab_size": 102400,
}

V2 = {
    **V2_LITE,
    "hidden_size": 5120,
    "intermediate_size": 12288,
    "moe_intermediate_size": 1536,
    "n_group": 8,
    "n_routed_experts": 160,
    "num_attention_heads": 128,
    "num_hidden_layers": 60,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "routed_scaling_factor": 16.0,
    "topk_group": 3,
    "topk_method": "group_limited_greedy",
}

YOUTU = {
    **COMMON,
    "architectures": ["YoutuForCausalLM"],
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "kv_lora_rank": 512,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "youtu",
    "num_attention_heads": 16,
    "num_hidden_layers": 32,
    "num_key_value_heads": 16,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-06,
    "rope_interleave": True,
    "rope_scaling": None,
    "rope_theta": 1600000,
    "tie_word_embeddings": True,
    "transformers_version": "4.51.0",
    "v_head_dim": 128,
    "vocab_size": 128256,
}

V32 = {
    **DEEPSEEK_V3,
    "architectures": ["DeepseekV32ForCausalLM"],
    "index_head_dim": 128,
    "index_n_heads": 64,
    "index_topk": 2048,
    "model_type": "deepseek_v32",
}
del V32["quantization_config"]

# GLM-5; GLM-5.2 has most layers share the keys of one before them.
GLM5 = {
    **COMMON,
    "architectures": ["GlmMoeDsaForCausalLM"],
    "dtype": "bfloat16",
    "ep_size": 1,
    "first_k_dense_replace": 3,
    "head_dim": 64,
    "hidden_size": 6144,
    "index_head_dim": 128,
    "index_n_heads": 32,
    "index_topk": 2048,
    "indexer_rope_interleave": True,
    "intermediate_size": 12288,
    "kv_lora_rank": 512,
    "max_position_embeddings": 202752,
    "model_type": "glm_moe_dsa",
    "moe_intermediate_size": 2048,
    "moe_layer_freq": 1,
    "n_group": 1,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 64,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 78,
    "num_key_value_heads": 64,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 2048,
    "qk_head_dim": 256,
    "qk_nope_head_dim": 192,
    "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-05,
    "rope_interleave": True,
    "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"},
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "transformers_version": "5.0.2.dev0",
    "v_head_dim": 256,
    "vocab_size": 154880,
}
del GLM5["torch_dtype"]

GLM52 = {
    **GLM5,
    "index_share_for_mtp_iteration": True,
    "index_skip_topk_offset": 3,
    "index_topk_freq": 4,
    "indexer_types": ["full" if i < 3 or (i - 2) % 4 == 0 else "shared" for i in range(78)],
    "max_position_embeddings": 1048576,
    "rope_parameters": {"rope_theta": 8000000, "rope_type": "default"},
}

# Kimi-K2.5's text network; `kimi_k25` wraps it.
KIMI_TEXT = {
    **DEEPSEEK_V3,
    "first_k_dense_replace": 1,
    "max_position_embeddings": 262144,
    "model_type": "kimi_k2",
    "n_group": 1,
    "n_routed_experts": 384,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "num_nextn_predict_layers": 0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {**DEEPSEEK_V3["rope_scaling"], "factor": 64},
    "rope_theta": 50000,
    "routed_scaling_factor": 2.827,
    "topk_group": 1,
    "vocab_size": 163840,
}
del KIMI_TEXT["quantization_config"]

# The sizes of a vision tower of one layer, under the names that transformers reads.
VISION = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "merge_kernel_size": [2, 2],
    "model_type": "kimi_k25_vision",
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 4,
    "pos_emb_height": 4,
    "pos_emb_time": 2,
    "pos_emb_width": 4,
}


# Mistral-Small-4's text network, with the values of transformers' class.
MISTRAL4 = {
    **COMMON,
    "architectures": ["Mistral4ForCausalLM"],
    "bos_token_id": 1,
    "dtype": "bfloat16",
    "eos_token_id": 2,
    "first_k_dense_replace": 0,
    "head_dim": 128,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "kv_lora_rank": 256,
    "max_position_embeddings": 1048576,
    "model_type": "mistral4",
    "moe_intermediate_size": 2048,
    "n_group": 1,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 32,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 36,
    "num_key_value_heads": 32,
    "output_router_logits": False,
    "pad_token_id": 11,
    "pretraining_tp": 1,
    "q_lora_rank": 1024,
    "qk_head_dim": 128,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-06,
    "rope_interleave": True,
    "rope_parameters": {
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "factor": 128.0,
        "llama_4_scaling_beta": 0.1,
        "max_position_embeddings": 1048576,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 8192,
        "partial_rotary_factor": 0.5,
        "rope_theta": 10000.0,
        "rope_type": "yarn",
        "type": "yarn",
    },
    "routed_scaling_factor": 1.0,
    "tie_word_embeddings": False,
    "topk_group": 1,
    "v_head_dim": 128,
    "vocab_size": 131072,
}
del MISTRAL4["torch_dtype"]


# A.X-K1: DeepSeek-V3's network with a norm of what the experts give.
AXK1 = {
    **DEEPSEEK_V3,
    "architectures": ["AXK1ForCausalLM"],
    "first_k_dense_replace": 1,
    "max_position_embeddings": 131072,
    "model_type": "axk1",
    "n_routed_experts": 192,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "num_nextn_predict_layers": 0,
    "vocab_size": 163840,
}
del AXK1["quantization_config"]


def make_mistral4(original=8, beta=0.1, **overrides):
    """mistral4 with other sizes, whose queries are scaled from position `original` on."""
    changes = overrides.pop("rope_parameters", {})
    config = make_family(MISTRAL4, **overrides)
    nope, rope = config["qk_nope_head_dim"], config["qk_rope_head_dim"]
    config["head_dim"] = config["qk_head_dim"] = nope + rope
    config["rope_parameters"] |= {
        "llama_4_scaling_beta": beta, "original_max_position_embeddings": original,
        "partial_rotary_factor": rope / (nope + rope), **changes}
    return config


def make_mistral3(**overrides):
    """A whole `mistral3`: mistral4 with other sizes, and the names of a vision tower."""
    text = make_mistral4(**overrides)
    del text["architectures"]
    return {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "bos_token_id": text["bos_token_id"],
        "dtype": text["dtype"],
        "eos_token_id": text["eos_token_id"],
        "image_token_index": 10,
        "model_type": "mistral3",
        "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu",
        "spatial_merge_size": 2,
        "text_config": text,
        "tie_word_embeddings": False,
        "vision_config": {"hidden_size": 8, "model_type": "pixtral"},
        "vision_feature_layer": -1,
    }


def make_family(base, **overrides):
    """One of the configurations above with other sizes."""
    config = copy.deepcopy({**base, **overrides})
    if "num_attention_heads" in overrides:
        config["num_key_value_heads"] = overrides["num_attention_heads"]
    return config


def make_kimi_k25(**overrides):
    """A whole `kimi_k25`: the text network with other sizes, and a small vision tower."""
    text = make_family(KIMI_TEXT, **overrides)
    return {
        "architectures": ["KimiK25ForConditionalGeneration"],
        "bos_token_id": text["bos_token_id"],
        "eos_token_id": text["eos_token_id"],
        "model_type": "kimi_k25",
        "projection_hidden_size": VISION["hidden_size"],
        "text_config": text,
        "tie_word_embeddings": False,
        "torch_dtype": text["torch_dtype"],
        "vision_config": copy.deepcopy(VISION),
    }
