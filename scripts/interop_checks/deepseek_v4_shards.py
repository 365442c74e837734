"""DeepSeek-V4 in the shards of DeepSeek's own code, beside the steps of its `inference/convert.py`."""

import json

import torch
from safetensors import safe_open

from peers import deepseek_v4 as v4
from peers import native

from .compare import same_bits
from .deepseek_v4_gguf import told
from .networks import fresh

# Heads, groups and blocks of FP8 that four shards get equal parts of.
SIZES = {
    "layer_types": [v4.SLIDING, v4.SPARSE, v4.HEAVY, v4.SPARSE], "num_hidden_layers": 4,
    "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 128}, "hidden_size": 256, "head_dim": 128,
    "qk_rope_head_dim": 32, "num_attention_heads": 8, "q_lora_rank": 128, "o_groups": 4,
    "o_lora_rank": 128, "index_head_dim": 64, "index_n_heads": 16, "n_routed_experts": 8,
    "moe_intermediate_size": 128, "vocab_size": 320,
}
# `ModelArgs` of the network's `inference/model.py`, but for what a run decides.
KEYS = {
    "dtype", "scale_fmt", "expert_dtype", "vocab_size", "dim", "moe_inter_dim", "n_layers",
    "n_hash_layers", "n_mtp_layers", "n_heads", "n_routed_experts", "n_shared_experts",
    "n_activated_experts", "score_func", "route_scale", "swiglu_limit", "q_lora_rank", "head_dim",
    "rope_head_dim", "norm_eps", "o_groups", "o_lora_rank", "window_size", "compress_ratios",
    "compress_rope_theta", "original_seq_len", "rope_theta", "rope_factor", "beta_fast",
    "beta_slow", "index_n_heads", "index_head_dim", "index_topk", "hc_mult", "hc_sinkhorn_iters",
    "hc_eps",
}


def run(report, folder):
    """Published, in one shard and in several; what cannot be divided or said."""
    model = v4.make_model(601, **SIZES)
    predictors = [v4.make_predictor(602, model.config)]
    written, _ = v4.publish(v4.plain(model, predictors))
    config = v4.published_config(model, predictors=1)
    path = v4.write(fresh(folder / "v4-whole"), config, written)
    for count in (1, 2, 4):
        report.attempt(f"{count} shards", check, report, path, written, config, count, folder)
    output = fresh(folder / "v4-shards")
    said = told(report, "convert", path, output, "--to", "deepseek", "--mp", 8, expect=64)
    report.check("V4 → 8 shards: refused, since a group of heads would be cut",
                 "groups of heads" in said, said.strip()[-120:])
    model = v4.make_model(603, **{**SIZES, "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 16}})
    path = fresh(folder / "v4-other")
    model.save_pretrained(path)
    said = told(report, "convert", path, output, "--to", "deepseek", "--quant", "bf16", expect=64)
    report.check("V4 with other ratios → shards: refused by the layer",
                 "16 in layer" in said, said.strip()[-120:])


def check(report, path, written, config, count, folder):
    """Names, types, shapes and bytes of every shard, and the config's keys."""
    output = fresh(folder / "v4-shards")
    report.run("convert", path, output, "--to", "deepseek", "--mp", count)
    wrong = []
    for rank, expected in enumerate(native.shard_v4(written, count, config["n_routed_experts"])):
        file = output / f"model{rank}-mp{count}.safetensors"
        with safe_open(str(file), "pt") as found:
            names = set(found.keys())
            wrong += sorted(names ^ expected.keys())
            for name in names & expected.keys():
                if not same_bits(found.get_tensor(name), expected[name]):
                    wrong.append(name)
    report.check(f"V4 → {count} shards: names, types, shapes and bytes are the script's", not wrong,
                 f"{len(wrong)}: {', '.join(wrong[:3])}")
    document = json.loads((output / "config.json").read_text())
    want = {"dim": 256, "n_hash_layers": config["num_hash_layers"], "rope_factor": 16,
            "original_seq_len": 64, "compress_ratios": config["compress_ratios"],
            "expert_dtype": "fp4", "dtype": "fp8", "scale_fmt": "ue8m0", "n_mtp_layers": 1,
            "norm_eps": 1e-6, "rope_head_dim": 32}
    report.check(f"V4 → {count} shards: the config has the keys of ModelArgs",
                 document.keys() == KEYS and all(document[key] == want[key] for key in want),
                 str({key: document.get(key) for key in want if document.get(key) != want[key]}))
    report.run("validate", output, expect=65)
