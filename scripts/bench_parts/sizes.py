"""What the checkpoints to measure with are; nothing is imported here that takes memory."""

from peers.network import make_config

BLOCK = (128, 128)
SHARD_LIMIT = 500_000_000

# 1.4 B parameters; the proportions of a layer follow DeepSeek-V3's.
SMALL_V3 = make_config(
    block=BLOCK, vocab_size=77824, hidden_size=2048, intermediate_size=10944,
    moe_intermediate_size=768, num_hidden_layers=4, first_k_dense_replace=1,
    num_attention_heads=16, q_lora_rank=768, kv_lora_rank=512, qk_nope_head_dim=128,
    qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=32, n_group=4, topk_group=2,
    num_experts_per_tok=8,
)

# The same with DeepSeek-V3.2's indexer, in BF16 and without the MTP layer: at 512 tokens, too, most
# queries see fewer keys than there are.
SMALL_V32 = {
    **SMALL_V3, "architectures": ["DeepseekV32ForCausalLM"], "model_type": "deepseek_v32",
    "index_head_dim": 128, "index_n_heads": 32, "index_topk": 256, "num_nextn_predict_layers": 0,
}
del SMALL_V32["quantization_config"]

# Layers of models of 1, 2, 4 and 8 GB that are alike but for them.
SCALED_LAYERS = (6, 12, 24, 48)


def scaled(layers):
    """The network of the 1.4 B model with so many layers, few tokens and no MTP layer."""
    return {**SMALL_V3, "num_hidden_layers": layers, "vocab_size": 16_384,
            "intermediate_size": 6144, "num_nextn_predict_layers": 0}


# What DeepSeek's published headers add up to.
V3_TOTALS = {"tensors": 91_991, "elements": 684_531_386_000, "bytes": 688_574_839_360}
V3_SHARDS = 163


def forward_operations(config, tokens):
    """Multiplications and additions of a pass over one sequence, with the logits of every token."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    query = config["qk_nope_head_dim"] + config["qk_rope_head_dim"]
    key_value = config["qk_nope_head_dim"] + config["v_head_dim"]
    attention = (
        hidden * config["q_lora_rank"] + config["q_lora_rank"] * heads * query
        + hidden * (config["kv_lora_rank"] + config["qk_rope_head_dim"])
        + config["kv_lora_rank"] * heads * key_value + heads * config["v_head_dim"] * hidden)
    pairs = (tokens + 1) / 2 * heads * (query + config["v_head_dim"])
    dense = config["first_k_dense_replace"]
    width = config["moe_intermediate_size"]
    experts = config["num_experts_per_tok"] + config["n_shared_experts"]
    sparse = 3 * hidden * width * experts + hidden * config["n_routed_experts"]
    per_token = (
        config["num_hidden_layers"] * (attention + pairs)
        + dense * 3 * hidden * config["intermediate_size"]
        + (config["num_hidden_layers"] - dense) * sparse + hidden * config["vocab_size"])
    return 2 * per_token * tokens
