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

# What DeepSeek's published headers add up to.
V3_TOTALS = {"tensors": 91_991, "elements": 684_531_386_000, "bytes": 688_574_839_360}
V3_SHARDS = 163
