"""Checkpoints that no fixture holds: other sizes and other branches of the network."""

from peers.folder import store, write_checkpoint
from peers.network import DEEPSEEK_V3, make_config
from peers.tokenizer import write_tokenizer
from peers.values import make_values

SIZES = dict(
    vocab_size=331, hidden_size=148, intermediate_size=212, moe_intermediate_size=36,
    num_hidden_layers=3, first_k_dense_replace=1, num_attention_heads=3, q_lora_rank=60,
    kv_lora_rank=44, qk_nope_head_dim=22, qk_rope_head_dim=12, v_head_dim=26,
    n_routed_experts=12, n_group=3, topk_group=2, num_experts_per_tok=5, n_shared_experts=1,
)

YARN = DEEPSEEK_V3["rope_scaling"]


def case(seed, tokens, shards=1, gains=None, **config):
    """One row of the table below."""
    return dict(seed=seed, tokens=tokens, shards=shards, gains=gains,
                config=make_config(**{**SIZES, **config}))


UNSEEN = {
    "one-group": case(101, (2, 33), block=(128, 128), shards=3, n_group=1, topk_group=1),
    "no-yarn": case(102, (1, 70), rope_scaling=None),
    "rope-theta": case(103, (1, 64), rope_scaling=None, rope_theta=50000.0),
    # cos and sin are scaled too where the two multipliers differ.
    "mscale-differs": case(104, (2, 40), rope_scaling={**YARN, "mscale": 0.6}),
    "yarn-short": case(105, (1, 90), rope_scaling={
        **YARN, "factor": 8, "original_max_position_embeddings": 32, "beta_fast": 24,
        "mscale": 0.707, "mscale_all_dim": 0.707}),
    "no-norm-topk": case(106, (2, 21), norm_topk_prob=False, routed_scaling_factor=16.0),
    "two-shared": case(107, (2, 21), block=(48, 80), n_shared_experts=2),
    "tied": case(108, (2, 21), tie_word_embeddings=True),
    "no-q-lora": case(109, (2, 21), block=(64, 32), q_lora_rank=None, shards=2),
    "two-mtp": case(110, (2, 21), block=(128, 128), num_nextn_predict_layers=2, shards=2),
    "three-mtp-f32": case(111, (1, 12), torch_dtype="float32", num_nextn_predict_layers=3),
    "no-mtp": case(112, (1, 12), block=(16, 16), num_nextn_predict_layers=0),
    "ue8m0": case(113, (2, 21), block=(128, 128), scale_fmt="ue8m0"),
    "all-dense": case(114, (1, 18), first_k_dense_replace=3, num_nextn_predict_layers=0),
    "all-experts": case(115, (1, 18), first_k_dense_replace=0, n_routed_experts=6, n_group=1,
                        topk_group=1, num_experts_per_tok=6),
    "f16": case(116, (1, 18), torch_dtype="float16"),
    "epsilon": case(117, (2, 21), rms_norm_eps=1e-4,
                    gains={"q_a_proj": 0.02, "kv_a_proj_with_mqa": 0.02}),
    "one-token": case(118, (3, 1), num_nextn_predict_layers=0),
    # Keys come in blocks of 256: whole ones, and a part of one.
    "long": case(120, (2, 600), block=(128, 128)),
    "wide": case(119, (1, 150), block=(128, 128), shards=4, hidden_size=392, num_attention_heads=7,
                 q_lora_rank=200, kv_lora_rank=136, intermediate_size=520, vocab_size=1003,
                 moe_intermediate_size=136, num_hidden_layers=4, qk_nope_head_dim=48,
                 qk_rope_head_dim=32, v_head_dim=40),
}


def make_unseen(name, folder):
    """Writes one checkpoint and returns (its folder, its row)."""
    row = UNSEEN[name]
    config = row["config"]
    path = folder / name
    stored = store(config, make_values(config, row["seed"], row["gains"]))
    write_checkpoint(path, config, stored, row["shards"])
    write_tokenizer(path)
    return path, row
