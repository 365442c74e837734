"""Unseen checkpoints of the networks beside DeepSeek-V3: other sizes, defaults, new configs.

`differs` names the peers that compute something else, or cannot load it: then they are not asked.
"""

from peers.families import (
    AXK1, GLM5, GLM52, GLM_LITE, V2, V2_LITE, V32, YOUTU, make_family, make_kimi_k25, make_mistral3,
    make_mistral4,
)
from peers.folder import store, write_checkpoint, write_json
from peers.network import make_config
from peers.oracle import saved_config
from peers.tokenizer import special_of, write_tokenizer
from peers.values import make_values

# Rows are whole groups of 32, so that every form of quantizing takes them.
SIZES = dict(
    vocab_size=320, hidden_size=128, intermediate_size=224, num_hidden_layers=3,
    num_attention_heads=4, q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32,
    qk_rope_head_dim=16, v_head_dim=40)
EXPERTS = dict(
    moe_intermediate_size=32, n_routed_experts=12, num_experts_per_tok=4, n_group=1, topk_group=1,
    n_shared_experts=1, first_k_dense_replace=1)
# V2's other choice, which llama.cpp makes too.
GREEDY = {"topk_method": "greedy", "routed_scaling_factor": 2.0}
# Trained networks are calmer than random ones: what llama.cpp rounds flips no expert.
CALM = {"down_proj": 0.2, "gate.weight": 3, "e_score_correction_bias": 3}


def case(seed, config, absent=(), **rest):
    """One row: `absent` keys are left out of config.json, where they are the class's defaults."""
    return {"seed": seed, "config": config, "absent": absent, "tokens": (1, 26), **rest}


def moe(base, **changes):
    """A network with experts."""
    return make_family(base, **{**SIZES, **EXPERTS, **changes})


# Queries see 7 of 26 keys.
CHOICE = {"index_n_heads": 32, "index_head_dim": 64, "index_topk": 7}
# GLM-5.2 in six layers; with DeepSeek's epsilon all peers' inner norms are the same.
SHARED = {**CHOICE, "rms_norm_eps": 1e-6, "num_hidden_layers": 6, "n_routed_experts": 4,
          "indexer_types": ["full", "full", "shared", "shared", "full", "shared"]}
YARN_PARAMETERS = {
    "rope_type": "yarn", "rope_theta": 1000000, "factor": 40, "beta_fast": 32, "beta_slow": 1,
    "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096,
}


# Keys that llama.cpp's loader of mistral4 reads and its converter leaves out.
FURTHER = ("attention.temperature_scale", "attention.temperature_length", "expert_gating_func")


CASES = {
    # transformers alone has it; every layer's norm is stored, and those of dense ones not run.
    "axk1": case(340, moe(AXK1, n_group=4, topk_group=2), alone=True),
    "axk1-saved": case(341, saved_config(moe(AXK1, n_group=2, topk_group=1, num_hidden_layers=4,
                                             first_k_dense_replace=2)), alone=True),
    # Queries are scaled from position 7 on.
    "mistral4": case(327, make_mistral3(original=7, **SIZES, **EXPERTS), further=FURTHER,
                     block="32x32"),
    # llama.cpp's converter knows it in its envelope alone.
    "mistral4-alone": case(
        328, make_mistral4(original=3, beta=0.4, **{**SIZES, **EXPERTS, "n_group": 4,
                                                    "topk_group": 2, "n_shared_experts": 2}),
        differs=("converter",), further=FURTHER, block="32x32"),
    "mistral4-saved": case(
        329, saved_config(make_mistral4(original=5, **SIZES, **EXPERTS)),
        differs=("converter",), further=FURTHER, block="32x32"),
    "mistral4-defaults": case(
        330, make_mistral4(original=8192, **{**SIZES, **EXPERTS, "first_k_dense_replace": 0}),
        absent=("n_group", "topk_group", "routed_scaling_factor", "norm_topk_prob",
                "n_shared_experts", "rms_norm_eps", "first_k_dense_replace",
                "num_experts_per_tok", "rope_parameters", "rope_interleave"),
        differs=("converter", "mlx-lm's converter"), further=FURTHER, block="32x32"),
    "v32": case(318, moe(V32, **CHOICE, n_group=4, topk_group=2)),
    # As many keys as there are tokens, or more: plain attention.
    "v32-all-keys": case(319, moe(V32, **{**CHOICE, "index_topk": 26}, rope_scaling=None,
                                  num_nextn_predict_layers=0)),
    "v32-saved": case(
        320, saved_config(moe(V32, **CHOICE, num_nextn_predict_layers=0)),
        differs=("mlx-lm's converter",)),
    "v32-defaults": case(
        321, moe(V32, **{**CHOICE, "index_topk": 2048, "index_n_heads": 64, "index_head_dim": 128},
                 n_routed_experts=32, n_group=8, topk_group=4, num_experts_per_tok=8,
                 first_k_dense_replace=3, num_hidden_layers=4, num_nextn_predict_layers=0,
                 rope_scaling=None),
        absent=("index_topk", "index_n_heads", "index_head_dim", "n_group", "topk_group",
                "num_experts_per_tok", "first_k_dense_replace", "routed_scaling_factor",
                "n_shared_experts", "rope_theta", "rope_scaling", "scoring_func", "topk_method",
                "moe_layer_freq", "norm_topk_prob", "rms_norm_eps", "num_nextn_predict_layers"),
        differs=("converter", "mlx-lm's converter")),
    "glm5": case(322, moe(GLM5, **CHOICE, rms_norm_eps=1e-6)),
    "glm5-yarn": case(323, moe(GLM5, **CHOICE, rms_norm_eps=1e-6, num_nextn_predict_layers=0,
                               rope_parameters=YARN_PARAMETERS),
                      differs=("llama.cpp",), warning="yarn_log_multiplier"),
    "glm5-saved": case(
        324, saved_config(moe(GLM5, **CHOICE, rms_norm_eps=1e-6, num_nextn_predict_layers=0)),
        differs=("mlx-lm's converter",)),
    # mlx-lm refuses layers without an indexer.
    "glm52": case(325, moe(GLM52, **SHARED), differs=("mlx-lm", "mlx-lm's converter")),
    # What is shared by two numbers.
    "glm52-numbers": case(
        326, moe(GLM52, **{**SHARED, "index_topk_freq": 2, "index_skip_topk_offset": 2,
                           "max_position_embeddings": 4096, "num_nextn_predict_layers": 0,
                           "indexer_types": [["full", "shared"][max(i - 1, 0) % 2]
                                             for i in range(6)]}),
        absent=("indexer_types",), differs=("mlx-lm", "mlx-lm's converter")),
    # With DeepSeek's epsilon all peers' inner norms are the same.
    "glm": case(301, moe(GLM_LITE, rms_norm_eps=1e-6)),
    "glm-dense-ends": case(
        302, moe(GLM_LITE, rms_norm_eps=1e-6, first_k_dense_replace=2, num_hidden_layers=4,
                 num_nextn_predict_layers=0, n_shared_experts=2,
                 mlp_layer_types=["dense"] * 2 + ["sparse"] * 2)),
    "glm-saved": case(
        303, saved_config(moe(GLM_LITE, rms_norm_eps=1e-6, num_nextn_predict_layers=0)),
        differs=("mlx-lm's converter",)),
    # llama.cpp and mlx-lm take other values for what is not there, and an epsilon of 1e-5.
    "glm-defaults": case(
        304, moe(GLM_LITE), tokens=(1, 9),
        absent=("first_k_dense_replace", "n_group", "topk_group", "norm_topk_prob",
                "routed_scaling_factor", "num_experts_per_tok", "rms_norm_eps",
                "n_shared_experts"),
        differs=("converter", "llama.cpp", "mlx-lm"), warning="epsilon"),
    "kimi": case(305, make_kimi_k25(**SIZES, **EXPERTS, rms_norm_eps=1e-6)),
    # llama.cpp knows layers without a low-rank query by their number.
    "v2-lite": case(
        306, make_family(V2_LITE, **{**SIZES, **EXPERTS, "num_hidden_layers": 26,
                                     "hidden_size": 64, "intermediate_size": 96,
                                     "n_routed_experts": 4, "num_experts_per_tok": 2,
                                     "q_lora_rank": None, "n_shared_experts": 2}),
        tokens=(1, 12)),
    "v2-groups": case(307, moe(V2, n_group=4, topk_group=2), differs=("llama.cpp",),
                      warning="group"),
    "v2-one-group": case(308, moe(V2, **GREEDY, n_shared_experts=2)),
    # mlx-lm's module cannot be without rope_scaling, nor with a config of transformers 5.
    "v2-no-yarn": case(
        309, moe(V2, **GREEDY, rope_scaling=None, rope_theta=50000.0),
        differs=("mlx-lm's converter",)),
    "v2-saved": case(
        310, saved_config(moe(V2, **GREEDY)), differs=("mlx-lm's converter",)),
    "v2-defaults": case(
        311, moe(V2_LITE, first_k_dense_replace=0, n_shared_experts=2, rope_scaling=None),
        absent=("first_k_dense_replace", "n_shared_experts", "routed_scaling_factor",
                "topk_method", "norm_topk_prob", "n_group", "topk_group", "scoring_func",
                "rms_norm_eps", "tie_word_embeddings", "rope_theta", "rope_scaling"),
        differs=("converter", "mlx-lm's converter")),
    # mlx-lm's module has no tied head.
    "v2-tied": case(312, moe(V2, **GREEDY, tie_word_embeddings=True),
                    differs=("mlx-lm", "mlx-lm's converter")),
    "youtu": case(313, make_family(YOUTU, **SIZES), differs=("mlx-lm's converter",)),
    "youtu-head": case(
        314, make_family(YOUTU, **SIZES, tie_word_embeddings=False), absent=("rope_interleave",),
        differs=("mlx-lm's converter",)),
    "youtu-saved": case(
        315, saved_config(make_family(YOUTU, **SIZES)), differs=("mlx-lm's converter",)),
    "v3-saved": case(
        316, saved_config(make_config(**{**SIZES, **EXPERTS, "n_group": 4, "topk_group": 2},
                                      num_nextn_predict_layers=0)),
        differs=("mlx-lm's converter",)),
    # The class's own: 8 groups of which 4, 8 experts a token, 3 dense layers, one MTP layer.
    "v3-defaults": case(
        317, make_config(**{**SIZES, **EXPERTS, "num_hidden_layers": 4, "n_routed_experts": 32,
                            "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
                            "first_k_dense_replace": 3}, rope_scaling=None),
        absent=("n_group", "topk_group", "num_experts_per_tok", "first_k_dense_replace",
                "routed_scaling_factor", "n_shared_experts", "norm_topk_prob", "rms_norm_eps",
                "num_nextn_predict_layers", "rope_theta", "rope_scaling", "scoring_func",
                "topk_method", "moe_layer_freq", "tie_word_embeddings"),
        differs=("converter", "mlx-lm's converter")),
}


def make_case(name, folder):
    """Writes one checkpoint; returns (its folder, its row)."""
    row = CASES[name]
    config, path = row["config"], folder / name
    stored = store(config, make_values(config, row["seed"], CALM))
    write_checkpoint(path, config, stored, shards=2)
    # The whole configuration knew the tensors; config.json has what is not default.
    write_json(path / "config.json",
               {key: value for key, value in config.items() if key not in row["absent"]})
    write_tokenizer(path, special_of(config))
    return path, row
