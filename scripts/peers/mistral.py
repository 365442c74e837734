"""Mistral's own form of a network like Mistral-Large-3: `params.json` and names of its own."""

import torch
from safetensors.torch import save_file

from .folder import write_json

# Hugging Face's modules, and Mistral's; the first that fits counts.
NAMES = (
    ("model.embed_tokens.", "tok_embeddings."), ("model.norm.", "norm."), ("lm_head.", "output."),
    ("model.layers.", "layers."), (".input_layernorm.", ".attention_norm."),
    (".post_attention_layernorm.", ".ffn_norm."), (".self_attn.q_proj.", ".attention.wq."),
    (".self_attn.q_a_proj.", ".attention.wq_a."),
    (".self_attn.q_a_layernorm.", ".attention.q_a_norm."),
    (".self_attn.q_b_proj.", ".attention.wq_b."),
    (".self_attn.kv_a_proj_with_mqa.", ".attention.wkv_a_with_mqa."),
    (".self_attn.kv_a_layernorm.", ".attention.kv_a_norm."),
    (".self_attn.kv_b_proj.", ".attention.wkv_b."), (".self_attn.o_proj.", ".attention.wo."),
    (".mlp.shared_experts.", ".shared_experts."), (".mlp.experts.", ".experts."),
    (".mlp.gate.", ".gate."), (".mlp.", ".feed_forward."), (".gate_proj.", ".w1."),
    (".down_proj.", ".w2."), (".up_proj.", ".w3."),
)


def mistral_name(name):
    """What Mistral's files call a tensor."""
    for own, mistral in NAMES:
        name = name.replace(own, mistral)
    return name


def plain_stored(stored):
    """Each expert by itself, where a layer's stand in stacks."""
    plain = {}
    for name, tensor in stored.items():
        if ".mlp.experts.gate_up_proj" in name or ".mlp.experts.down_proj" in name:
            front, end = name.split(".mlp.experts.")
            for expert, matrix in enumerate(tensor):
                parts = matrix.chunk(2) if end == "gate_up_proj" else (matrix,)
                words = ("gate_proj", "up_proj") if end == "gate_up_proj" else ("down_proj",)
                for word, part in zip(words, parts):
                    plain[f"{front}.mlp.experts.{expert}.{word}.weight"] = part.contiguous()
        else:
            plain[name] = tensor
    return plain


def params_of(config):
    """`params.json` of a `mistral4` configuration."""
    rope = config["rope_parameters"]
    return {
        "dim": config["hidden_size"],
        "head_dim": config["head_dim"],
        "hidden_dim": config["intermediate_size"],
        "kv_lora_rank": config["kv_lora_rank"],
        "llama_4_scaling": {
            "beta": rope["llama_4_scaling_beta"],
            "original_max_position_embeddings": rope["original_max_position_embeddings"],
        },
        "max_position_embeddings": config["max_position_embeddings"],
        "moe": {
            "expert_hidden_dim": config["moe_intermediate_size"],
            "expert_model_parallel": 1,
            "expert_parallel": 1,
            "first_k_dense_replace": config["first_k_dense_replace"],
            "num_expert_groups": config["n_group"],
            "num_expert_groups_per_tok": config["topk_group"],
            "num_experts": config["n_routed_experts"],
            "num_experts_per_tok": config["num_experts_per_tok"],
            "num_shared_experts": config["n_shared_experts"],
            "route_every_n": 1,
            "routed_scale": config["routed_scaling_factor"],
        },
        "n_heads": config["num_attention_heads"],
        "n_kv_heads": config["num_attention_heads"],
        "n_layers": config["num_hidden_layers"],
        "norm_eps": config["rms_norm_eps"],
        "q_lora_rank": config["q_lora_rank"],
        "qk_nope_head_dim": config["qk_nope_head_dim"],
        "qk_rope_head_dim": config["qk_rope_head_dim"],
        "rope_theta": rope["rope_theta"],
        "tied_embeddings": config["tie_word_embeddings"],
        "v_head_dim": config["v_head_dim"],
        "vocab_size": config["vocab_size"],
        "yarn": {
            "alpha": int(rope["beta_slow"]),
            "apply_scale": bool(rope["mscale_all_dim"]),
            "beta": int(rope["beta_fast"]),
            "factor": int(rope["factor"]),
            "original_max_position_embeddings": rope["original_max_position_embeddings"],
        },
    }


def fp8(stored):
    """Matrices of layers in FP8 with a scale each, and one of what they are multiplied with."""
    coded = {}
    for name, tensor in stored.items():
        if tensor.dim() != 2 or not name.startswith("layers.") or ".gate." in name:
            coded[name] = tensor
            continue
        scale = tensor.float().abs().max() / 448
        coded[name] = (tensor.float() / scale).to(torch.float8_e4m3fn)
        module = name.removesuffix(".weight")
        coded[f"{module}.qscale_weight"] = scale
        coded[f"{module}.qscale_act"] = torch.tensor(0.5)
    return coded


def decoded(coded):
    """The same as numbers, without the scales."""
    plain = {}
    for name, tensor in coded.items():
        if name.endswith(("qscale_weight", "qscale_act")):
            continue
        scale = coded.get(name.removesuffix(".weight") + ".qscale_weight")
        plain[name] = tensor if scale is None else (tensor.float() * scale).to(torch.float32)
    return plain


def write(folder, config, stored, in_fp8=False, vision=True):
    """A folder in Mistral's own form, of a `mistral4` configuration and its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {mistral_name(name): tensor for name, tensor in plain_stored(stored).items()}
    params = params_of(config)
    if in_fp8:
        tensors = fp8(tensors)
        params["quantization"] = {"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"}
    if vision:
        params["vision_encoder"] = {"hidden_size": 8}
        tensors["vision_encoder.ln_pre.weight"] = torch.ones(8, dtype=torch.bfloat16)
    save_file(tensors, str(folder / "consolidated.safetensors"))
    write_json(folder / "params.json", params)
    return tensors
