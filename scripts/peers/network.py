"""Configurations of DeepSeek-V3 and its relatives, and the tensors that they imply.

The tensor list is written down here independently of Fathom's own, so that one can check the other.
"""

import copy
from typing import NamedTuple

# The values that DeepSeek publishes for DeepSeek-V3; every sample overrides some of them.
DEEPSEEK_V3 = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "ep_size": 1,
    "first_k_dense_replace": 3,
    "hidden_act": "silu",
    "hidden_size": 7168,
    "initializer_range": 0.02,
    "intermediate_size": 18432,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048,
    "moe_layer_freq": 1,
    "n_group": 8,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "quantization_config": {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
    },
    "rms_norm_eps": 1e-06,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "seq_aux": True,
    "tie_word_embeddings": False,
    "topk_group": 4,
    "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16",
    "transformers_version": "4.33.1",
    "use_cache": True,
    "v_head_dim": 128,
    "vocab_size": 129280,
}


class Expected(NamedTuple):
    """One tensor of a checkpoint: `linear` ones are what FP8 checkpoints quantize."""

    name: str
    shape: tuple
    kind: str  # linear, norm, table, head, router, bias, join, vision, shift


def make_config(block=None, scale_fmt=None, **overrides):
    """DeepSeek-V3's configuration with other sizes; `block` None leaves FP8 out."""
    config = copy.deepcopy(DEEPSEEK_V3)
    config.update(overrides)
    if "num_attention_heads" in overrides:
        config["num_key_value_heads"] = overrides["num_attention_heads"]
    if block is None:
        del config["quantization_config"]
    else:
        config["quantization_config"]["weight_block_size"] = list(block)
        if scale_fmt:
            config["quantization_config"]["scale_fmt"] = scale_fmt
    return config


def text_of(config):
    """The configuration of the text network, which `kimi_k25` keeps inside another."""
    return config.get("text_config", config)


def prefix_of(config):
    """What stands before the names of the text network."""
    return "language_model." if "text_config" in config else ""


def mtp_layers(config):
    """How many MTP layers the tensors hold: V2 and Youtu have no key for them."""
    return text_of(config).get("num_nextn_predict_layers", 0)


# Networks that name each layer's kind of MLP; those whose queries see chosen keys alone.
KINDS_OF_MLP = ("axk1", "glm4_moe_lite", "deepseek_v32", "glm_moe_dsa")
SPARSE_ATTENTION = ("deepseek_v32", "glm_moe_dsa")


# Networks whose routers have no bias.
UNBIASED = ("axk1", "deepseek_v2", "mistral4")


def is_stacked(config):
    """Whether a layer's experts stand in two stacks, gates above ups."""
    return config["model_type"] == "mistral4"


def has_indexer(config, layer):
    """Whether a layer chooses keys by itself: by its word, or by its place; MTP layers do."""
    if config["model_type"] not in SPARSE_ATTENTION:
        return False
    if config["model_type"] == "deepseek_v32" or layer >= config["num_hidden_layers"]:
        return True
    words = config.get("indexer_types")
    if words:
        return words[layer] == "full"
    every, offset = config.get("index_topk_freq", 1), config.get("index_skip_topk_offset", 2)
    return max(layer - offset + 1, 0) % every == 0


def indexer(config, prefix):
    """What chooses keys; FP8 checkpoints quantize two of its three matrices."""
    heads, size = config["index_n_heads"], config["index_head_dim"]
    hidden = config["hidden_size"]
    return [
        Expected(f"{prefix}.wq_b.weight", (heads * size, config["q_lora_rank"]), "linear"),
        Expected(f"{prefix}.wk.weight", (size, hidden), "linear"),
        Expected(f"{prefix}.k_norm.weight", (size,), "norm"),
        Expected(f"{prefix}.k_norm.bias", (size,), "shift"),
        Expected(f"{prefix}.weights_proj.weight", (heads, hidden), "join"),
    ]


def is_sparse(config, layer):
    """Whether a layer has experts: by its word in `mlp_layer_types`, which GLM has, or its place.

    MTP layers have no word there, and always experts.
    """
    words = config.get("mlp_layer_types") if config["model_type"] in KINDS_OF_MLP else None
    if words and layer < len(words):
        return words[layer] == "sparse"
    return "n_routed_experts" in config and layer >= config["first_k_dense_replace"]


def mlp(prefix, hidden, width):
    """The three matrices of a gated MLP."""
    return [
        Expected(f"{prefix}.gate_proj.weight", (width, hidden), "linear"),
        Expected(f"{prefix}.up_proj.weight", (width, hidden), "linear"),
        Expected(f"{prefix}.down_proj.weight", (hidden, width), "linear"),
    ]


def attention(config, prefix):
    """Multi-head latent attention, with a low-rank query or a plain one."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    rope, nope, value = (config[k] for k in ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"))
    rank, query = config["kv_lora_rank"], config["q_lora_rank"]
    if query is None:
        tensors = [Expected(f"{prefix}.q_proj.weight", (heads * (nope + rope), hidden), "linear")]
    else:
        tensors = [
            Expected(f"{prefix}.q_a_proj.weight", (query, hidden), "linear"),
            Expected(f"{prefix}.q_a_layernorm.weight", (query,), "norm"),
            Expected(f"{prefix}.q_b_proj.weight", (heads * (nope + rope), query), "linear"),
        ]
    return tensors + [
        Expected(f"{prefix}.kv_a_proj_with_mqa.weight", (rank + rope, hidden), "linear"),
        Expected(f"{prefix}.kv_a_layernorm.weight", (rank,), "norm"),
        Expected(f"{prefix}.kv_b_proj.weight", (heads * (nope + value), rank), "linear"),
        Expected(f"{prefix}.o_proj.weight", (hidden, heads * value), "linear"),
    ]


def experts(config, prefix):
    """Router, routed experts and the shared ones, which are stored as one MLP."""
    hidden, width = config["hidden_size"], config["moe_intermediate_size"]
    count = config["n_routed_experts"]
    tensors = [Expected(f"{prefix}.gate.weight", (count, hidden), "router")]
    if config["model_type"] not in UNBIASED:
        tensors.append(Expected(f"{prefix}.gate.e_score_correction_bias", (count,), "bias"))
    if is_stacked(config):
        tensors += [
            Expected(f"{prefix}.experts.gate_up_proj", (count, 2 * width, hidden), "linear"),
            Expected(f"{prefix}.experts.down_proj", (count, hidden, width), "linear"),
        ]
    else:
        for expert in range(count):
            tensors += mlp(f"{prefix}.experts.{expert}", hidden, width)
    return tensors + mlp(f"{prefix}.shared_experts", hidden, width * config["n_shared_experts"])


def block(config, prefix, layer):
    """A decoder layer: attention, and a dense MLP or experts."""
    hidden = config["hidden_size"]
    tensors = [Expected(f"{prefix}.input_layernorm.weight", (hidden,), "norm")]
    tensors += attention(config, f"{prefix}.self_attn")
    if has_indexer(config, layer):
        tensors += indexer(config, f"{prefix}.self_attn.indexer")
    tensors += [Expected(f"{prefix}.post_attention_layernorm.weight", (hidden,), "norm")]
    if config["model_type"] == "axk1":
        # Every layer has it, and those with experts run it.
        tensors += [Expected(f"{prefix}.post_mlp_layernorm.weight", (hidden,), "norm")]
    if is_sparse(config, layer):
        return tensors + experts(config, f"{prefix}.mlp")
    return tensors + mlp(f"{prefix}.mlp", hidden, config["intermediate_size"])


def text_tensors(config):
    """The weights of a text network under plain names."""
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    table = (config["vocab_size"], hidden)
    tensors = [Expected("model.embed_tokens.weight", table, "table")]
    for layer in range(layers + mtp_layers(config)):
        prefix = f"model.layers.{layer}"
        # GLM-5.2's MTP layer has no copies of embedding and head.
        copies = layer >= layers and config["model_type"] != "glm_moe_dsa"
        if copies:
            tensors += [Expected(f"{prefix}.embed_tokens.weight", table, "table")]
        if layer >= layers:
            tensors += [
                Expected(f"{prefix}.enorm.weight", (hidden,), "norm"),
                Expected(f"{prefix}.hnorm.weight", (hidden,), "norm"),
                Expected(f"{prefix}.eh_proj.weight", (hidden, 2 * hidden), "join"),
            ]
        tensors += block(config, prefix, layer)
        if layer >= layers:
            tensors += [Expected(f"{prefix}.shared_head.norm.weight", (hidden,), "norm")]
        if copies:
            tensors += [Expected(f"{prefix}.shared_head.head.weight", table, "head")]
    tensors += [Expected("model.norm.weight", (hidden,), "norm")]
    if not config["tie_word_embeddings"]:
        tensors += [Expected("lm_head.weight", table, "head")]
    return tensors


def pixtral_tensors(config):
    """A part of the vision tower of a `mistral3`: text networks are not asked for it."""
    width, hidden = config["vision_config"]["hidden_size"], config["text_config"]["hidden_size"]
    return [Expected("vision_tower.ln_pre.weight", (width,), "vision"),
            Expected("multi_modal_projector.linear_1.weight", (hidden, width), "vision")]


def vision_tensors(config):
    """Kimi-K2.5's vision tower and projector; every one has a bias."""
    if config["model_type"] == "mistral3":
        return pixtral_tensors(config)
    vision, hidden = config["vision_config"], config["text_config"]["hidden_size"]
    width, inner, patch = (vision[key] for key in
                           ("hidden_size", "intermediate_size", "patch_size"))
    merged = width * vision["merge_kernel_size"][0] * vision["merge_kernel_size"][1]
    shapes = {"vision_tower.patch_embed.proj": (width, 3, patch, patch)}
    for layer in range(vision["num_hidden_layers"]):
        prefix = f"vision_tower.encoder.blocks.{layer}"
        shapes |= {f"{prefix}.norm0": (width,), f"{prefix}.norm1": (width,),
                   f"{prefix}.wqkv": (3 * width, width), f"{prefix}.wo": (width, width),
                   f"{prefix}.mlp.fc0": (inner, width), f"{prefix}.mlp.fc1": (width, inner)}
    shapes |= {"vision_tower.encoder.final_layernorm": (width,), "mm_projector.pre_norm": (width,),
               "mm_projector.proj.0": (merged, merged), "mm_projector.proj.2": (hidden, merged)}
    places = (vision["pos_emb_height"], vision["pos_emb_width"], width)
    tensors = [Expected("vision_tower.patch_embed.pos_emb.weight", places, "vision")]
    for name, shape in shapes.items():
        tensors += [Expected(f"{name}.weight", shape, "vision"),
                    Expected(f"{name}.bias", shape[:1], "vision")]
    return tensors


def expected_tensors(config):
    """Every weight of the checkpoint in network order, without scales."""
    tensors = [tensor._replace(name=prefix_of(config) + tensor.name)
               for tensor in text_tensors(text_of(config))]
    return tensors + (vision_tensors(config) if "vision_config" in config else [])


def source_of_copy(config, tensor):
    """The tensor whose bytes this one repeats: MTP layers carry copies of embedding and head."""
    prefix, text = prefix_of(config), text_of(config)
    if not tensor.name.startswith(f"{prefix}model.layers."):
        return tensor.name
    if tensor.kind == "table" or (tensor.kind == "head" and text["tie_word_embeddings"]):
        return f"{prefix}model.embed_tokens.weight"
    return f"{prefix}lm_head.weight" if tensor.kind == "head" else tensor.name
