"""DeepSeek-V4 in the shards of DeepSeek's own code, beside the steps of its `inference/convert.py`.

That code runs on GPUs alone. What its shards mean is computed by transformers: a loader of their own
joins them, decodes codes by the definition and gives the numbers to `DeepseekV4ForCausalLM`.
"""

import json
import shutil

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from peers import deepseek_v4 as v4
from peers import native
from peers.folder import read_checkpoint

from .compare import largest_difference, same_bits
from .deepseek_v4_gguf import told
from .networks import fresh
from .outputs import check_valid

LARGEST_DIFFERENCE = 2e-4

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
    for experts in ("fp4", "fp8"):
        report.attempt(f"V4 shards, experts in {experts}", check_experts, report, folder, experts)
    report.attempt("faults of shards", check_faults, report, folder)
    model = v4.make_model(603, **{**SIZES, "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 16}})
    path, output = fresh(folder / "v4-other"), fresh(folder / "v4-shards")
    model.save_pretrained(path)
    said = told(report, "convert", path, output, "--to", "deepseek", "--quant", "bf16", expect=64)
    report.check("V4 with other ratios → shards: refused by the layer",
                 "16 in layer" in said, said.strip()[-120:])


def check_experts(report, folder, experts):
    """A checkpoint in all numbers of shards, and what is wrong with some."""
    model = v4.make_model(601, **SIZES)
    predictors = [v4.make_predictor(602, model.config)]
    written, meant = v4.publish(v4.plain(model, predictors), experts)
    v4.give(model, meant, predictors)
    config = v4.published_config(model, experts=experts, predictors=1)
    path = v4.write(fresh(folder / "v4-whole"), config, written)
    case = {"model": model, "predictors": predictors, "written": written, "meant": meant,
            "config": config, "path": path, "experts": experts}
    for count in (1, 2, 4):
        report.attempt(f"{count} shards", check, report, case, count, folder)
    output = fresh(folder / "v4-none")
    said = told(report, "convert", path, output, "--to", "deepseek", "--mp", 8, expect=64)
    report.check("V4 → 8 shards: refused, since a group of heads would be cut",
                 "groups of heads" in said, said.strip()[-120:])


def load(folder, count):
    """The tensors of each shard."""
    shards = []
    for rank in range(count):
        with safe_open(str(folder / f"model{rank}-mp{count}.safetensors"), "pt") as file:
            shards.append({name: file.get_tensor(name) for name in file.keys()})
    return shards


def check(report, case, count, folder):
    """What shards are, what they mean, and what comes back of them."""
    name = f"V4, experts in {case['experts']}, in {count} shards"
    output = fresh(folder / f"v4-shards{count}")
    report.run("convert", case["path"], output, "--to", "deepseek", "--mp", count)
    found = load(output, count)
    wrong = []
    for tensors, expected in zip(found, native.shard_v4(
            case["written"], count, case["config"]["n_routed_experts"])):
        wrong += sorted(tensors.keys() ^ expected.keys())
        wrong += [key for key in tensors.keys() & expected.keys()
                  if not same_bits(tensors[key], expected[key])]
    report.check(f"{name}: names, types, shapes and bytes are the script's", not wrong,
                 f"{len(wrong)}: {', '.join(wrong[:3])}")
    document = json.loads((output / "config.json").read_text())
    want = {"dim": 256, "n_hash_layers": case["config"]["num_hash_layers"], "rope_factor": 16,
            "original_seq_len": 64, "compress_ratios": case["config"]["compress_ratios"],
            "expert_dtype": "fp4" if case["experts"] == "fp4" else None, "dtype": "fp8",
            "scale_fmt": "ue8m0", "n_mtp_layers": 1, "norm_eps": 1e-6, "rope_head_dim": 32}
    report.check(f"{name}: the config has the keys of ModelArgs",
                 document.keys() == KEYS and all(document[key] == want[key] for key in want),
                 str({key: document.get(key) for key in want if document.get(key) != want[key]}))
    verdict = report.run_json("validate", output, "--deep")
    report.check(f"{name}: validate, read through", not verdict["findings"],
                 json.dumps(verdict["findings"])[:300])
    check_meaning(report, name, case, found, output, folder)
    check_back(report, name, case, output, folder)


def check_meaning(report, name, case, shards, output, folder):
    """Logits from the shards: by a loader of their own in transformers, and of the checkpoint."""
    from .deepseek_v4 import draw_ids, found_logits

    config = case["config"]
    meant = native.meant_by_v4(native.join_v4(shards, config["n_routed_experts"]))
    other = v4.make_model(604, **SIZES)
    predictors = [v4.make_predictor(605, other.config)]
    v4.give(other, meant, predictors)
    for length in (9, 33, 140):
        ids = draw_ids(length, other, length)
        found = found_logits(report, output, ids, folder)
        expected = v4.logits_of(other, ids)
        report.check(f"{name}: {length} tokens, logits of the shards by transformers and of the "
                     "checkpoint are the same",
                     same_bits(expected, v4.logits_of(case["model"], ids)))
        worst = max(
            largest_difference(expected, found["logits"]),
            largest_difference(v4.predict(other, predictors[0], ids), found["mtp_logits"]))
        report.check(f"{name}: {length} tokens, logits and MTP logits as they are computed there",
                     worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")


def check_back(report, name, case, output, folder):
    """The checkpoint again: every bit but those of codes that mean the same numbers."""
    back = fresh(folder / "v4-back")
    report.run("convert", output, back, "--to", "hf")
    check_valid(report, f"{name} → hf", back)
    config, tensors = read_checkpoint(back)
    written = case["written"]
    halves = {key for key in written if ".wo_a." in key}
    differing = [key for key in written.keys() - halves
                 if key not in tensors or not same_bits(tensors[key], written[key])]
    report.check(f"{name} → hf: every tensor but the output's first half has its bits",
                 not differing and tensors.keys() == written.keys(), ", ".join(differing[:3]))
    meant = native.meant_by_v4({key: tensors[key] for key in halves})
    report.check(f"{name} → hf: the output's first half is FP8 of the same numbers",
                 all(tensors[key].dtype == written[key].dtype for key in halves)
                 and all(torch.equal(meant[key], case["meant"][key]) for key in meant))
    ids = torch.tensor([list(range(3, 60))])
    report.check(f"{name} → hf: transformers loads it, and computes as with the checkpoint",
                 same_bits(v4.logits_of(v4.load(back), ids), v4.logits_of(case["model"], ids)))
    # Who begins and ends a text stands in no key of DeepSeek's.
    lost = {"bos_token_id", "eos_token_id"}
    differing = [key for key in case["config"].keys() | config.keys()
                 if key not in lost and case["config"].get(key) != config.get(key)]
    report.check(f"{name} → hf: the config is the checkpoint's", not differing, str(differing))


def check_faults(report, folder):
    """Shards that do not belong together, by what is said of them."""
    whole, halves = folder / "v4-shards4", folder / "v4-shards2"
    tokens = folder / "v4-ids.json"
    tokens.write_text("[[1, 2, 3]]")

    def damaged():
        path = fresh(folder / "v4-damaged")
        shutil.copytree(whole, path)
        return path

    def stops(name, path, word, code=65):
        for command in (("logits", path, "--tokens", tokens, "-o", folder / "v4-none.safetensors"),
                        ("convert", path, fresh(folder / "v4-none"), "--to", "hf")):
            said = told(report, *command, expect=code)
            report.check(f"V4 shards, {name}: {command[0]} stops and names it", word in said,
                         said.strip()[-160:])

    path = damaged()
    (path / "model2-mp4.safetensors").unlink()
    stops("one absent", path, "model2-mp4.safetensors", 66)
    path = damaged()
    for rank in (0, 1):
        shutil.copyfile(halves / f"model{rank}-mp2.safetensors", path / f"model{rank}-mp2.safetensors")
    stops("those of another number beside them", path, "another division")
    path = damaged()
    shutil.copyfile(halves / "model1-mp2.safetensors", path / "model2-mp4.safetensors")
    stops("one of another number under the name of one", path, "model2-mp4.safetensors")
    path = damaged()
    with safe_open(str(path / "model3-mp4.safetensors"), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    changed = "layers.1.attn.compressor.norm.weight"
    tensors[changed] = tensors[changed] + 1
    save_file(tensors, str(path / "model3-mp4.safetensors"))
    stops("one with another norm", path, changed)
    for key, value, word in (("o_groups", 8, "o_a_proj"), ("hc_mult", 2, "attn_hc"),
                             ("n_layers", 3, "layers.3."), ("head_dim", 64, "q_b_proj"),
                             ("n_hash_layers", 1, "tid2eid")):
        path = damaged()
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, key: value}))
        stops(f"{key} {value} in the config", path, word)
