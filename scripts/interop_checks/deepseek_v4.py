"""DeepSeek-V4: logits as transformers computes them, in every kind of layer and spelling."""

import json

import torch
from safetensors.torch import load_file

from peers import deepseek_v4 as v4
from peers.folder import read_checkpoint

from . import deepseek_v4_drafts, deepseek_v4_gguf, deepseek_v4_recipe, deepseek_v4_shards
from .compare import largest_difference, same_bits
from .networks import fresh
from .outputs import check_valid

LARGEST_DIFFERENCE = 2e-4
# Seed, sizes beside the usual, and lengths around the window and what is compressed.
CASES = {
    "usual": (401, {}, (1, 3, 4, 5, 8, 9, 15, 16, 17, 24, 33, 130, 400)),
    "published ratios": (402, {
        "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 128}, "index_topk": 20, "sliding_window": 128,
    }, (127, 128, 129, 257, 520)),
    "long window": (403, {
        "sliding_window": 300, "swiglu_limit": 0.5, "hc_mult": 2, "hc_sinkhorn_iters": 3,
        "o_groups": 4, "head_dim": 64, "qk_rope_head_dim": 32, "index_head_dim": 32,
        # No class reads it in a section.
        "rope_scaling": {**v4.SIZES["rope_scaling"], "truncate": False}}, (17, 300, 601)),
    "no tables, plain positions": (404, {
        "layer_types": None, "num_hidden_layers": 5, "num_hash_layers": 0, "rope_scaling": None,
        "head_dim": 48, "qk_rope_head_dim": 16, "q_lora_rank": 40}, (16, 17, 90)),
}
# Keys that other networks of the family have; transformers' class of this one takes and reads none.
IGNORED = {"rope_interleave": False, "norm_topk_prob": False, "n_group": 2, "topk_group": 2,
           "attention_bias": True}
# What transformers reads of published ratios alone.
PUBLISHED = {"layer_types": [v4.SLIDING, v4.SPARSE, v4.HEAVY, v4.SPARSE], "num_hidden_layers": 4,
             "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 128}}


def found_logits(report, model, ids, folder, *options):
    """What `fathom logits` writes."""
    tokens, output = folder / "v4-ids.json", folder / "v4-found.safetensors"
    tokens.write_text(json.dumps(ids.tolist()))
    report.run("logits", model, "--tokens", tokens, "-o", output, "--overwrite", *options)
    return load_file(str(output))


def draw_ids(seed, model, length):
    """Two sequences."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, model.config.vocab_size, (2, length), generator=generator)


def check_logits(report, name, model, path, lengths, folder, *options):
    """The logits of a folder at several lengths, against the model that it holds."""
    worst = {}
    for length in lengths:
        ids = draw_ids(length, model, length)
        found = found_logits(report, path, ids, folder, *options)["logits"]
        worst[length] = largest_difference(v4.logits_of(model, ids), found)
    place = max(worst, key=worst.get)
    report.check(f"{name}: logits as transformers computes them, of {len(lengths)} lengths",
                 worst[place] < LARGEST_DIFFERENCE,
                 f"largest difference {worst[place]:.1e}, {place} tokens")


def run(report, folder):
    """All of it."""
    for name, (seed, sizes, lengths) in CASES.items():
        model = v4.make_model(seed, **sizes)
        path = fresh(folder / "v4-saved")
        model.save_pretrained(path)
        check_valid(report, f"{name}, as transformers saves it", path)
        check_logits(report, name, model, path, lengths, folder)
    report.attempt("spellings", check_spellings, report, folder)
    report.attempt("published", check_published, report, folder, "fp4")
    report.attempt("published in FP8", check_published, report, folder, "fp8")
    report.attempt("loading", check_loading, report, folder)
    report.attempt("faults", check_faults, report, folder)
    deepseek_v4_gguf.run(report, folder)
    report.attempt("V4 shards", deepseek_v4_shards.run, report, folder)
    report.attempt("V4 drafts", deepseek_v4_drafts.run, report, folder)
    report.attempt("V4 recipes", deepseek_v4_recipe.run, report, folder)


def check_spellings(report, folder):
    """The names of the class itself, experts in stacks; a model in BF16."""
    model = v4.make_model(411)
    path = fresh(folder / "v4-own")
    config = json.loads(model.config.to_json_string(use_diff=False))
    v4.write(path, config, dict(model.state_dict()))
    check_logits(report, "names of the class", model, path, (33,), folder)
    model = v4.make_model(412, **PUBLISHED)
    stored = {name: tensor if name.endswith(("tid2eid", *v4.IN_F32)) else tensor.bfloat16()
              for name, tensor in v4.plain(model).items()}
    v4.give(model, {name: tensor if tensor.dtype == torch.int64 else tensor.float()
                    for name, tensor in stored.items()})
    path = v4.write(fresh(folder / "v4-bf16"), v4.published_config(model, quantized=False), stored)
    check_valid(report, "published names in BF16", path)
    check_logits(report, "published names in BF16", model, path, (5, 140), folder)


def check_published(report, folder, experts):
    """FP8 blocks, experts in FP4 or FP8, and a layer that predicts; read, and written plain."""
    model = v4.make_model(421, **PUBLISHED, hidden_size=256, moe_intermediate_size=160)
    predictors = [v4.make_predictor(422, model.config)]
    written, meant = v4.publish(v4.plain(model, predictors), experts)
    v4.give(model, meant, predictors)
    config = v4.published_config(model, experts=experts, predictors=1)
    path = v4.write(fresh(folder / f"v4-{experts}"), config, written)
    name = f"published, experts in {experts}"
    verdict = report.run_json("validate", path, "--deep")
    report.check(f"{name}: validates, read through", not verdict["findings"],
                 json.dumps(verdict["findings"])[:300])
    check_logits(report, name, model, path, (5, 33, 140), folder)
    ids = draw_ids(423, model, 21)
    found = found_logits(report, path, ids, folder)["mtp_logits"]
    worst = largest_difference(v4.predict(model, predictors[0], ids), found)
    report.check(f"{name}: MTP logits by DeepSeek's definition", worst < LARGEST_DIFFERENCE,
                 f"largest difference {worst:.1e}")
    output = fresh(folder / "v4-f32")
    report.run("convert", path, output, "--to", "hf", "--quant", "f32")
    check_valid(report, f"{name} → f32", output)
    config, tensors = read_checkpoint(output)
    differing = [key for key in meant
                 if key not in tensors or not same_bits(tensors[key], meant[key])]
    report.check(f"{name} → f32: every tensor has torch's bits, under its published name",
                 not differing and tensors.keys() == meant.keys(), ", ".join(differing[:3]))
    report.check(f"{name} → f32: the config says so",
                 "quantization_config" not in config and "expert_dtype" not in config)
    found = found_logits(report, output, ids, folder)
    first = found_logits(report, path, ids, folder)
    worst = largest_difference(first["logits"], found["logits"])
    report.check(f"{name} → f32: the same logits", worst < 1e-5,
                 f"largest difference {worst:.1e}")
    output = fresh(folder / "v4-bf16")
    report.run("convert", path, output, "--to", "hf", "--quant", "bf16")
    check_valid(report, f"{name} → bf16", output)
    _, tensors = read_checkpoint(output)
    # Tensors that are F32 in published checkpoints stay so.
    wanted = {key: value if value.dtype == torch.int64 or key.endswith(v4.IN_F32)
              else value.bfloat16() for key, value in meant.items()}
    differing = [key for key in wanted if not same_bits(tensors[key], wanted[key])]
    report.check(f"{name} → bf16: every tensor has torch's bits", not differing,
                 ", ".join(differing[:3]))
    output = fresh(folder / "v4-copy")
    report.run("convert", path, output, "--to", "hf", "--mtp", "drop")
    check_valid(report, f"{name} → a copy", output)
    _, tensors = read_checkpoint(output)
    kept = {key: value for key, value in written.items() if not key.startswith("mtp.")}
    differing = [key for key in kept
                 if key not in tensors or not same_bits(tensors[key], kept[key])]
    report.check(f"{name} → a copy without MTP: the same bytes",
                 not differing and tensors.keys() == kept.keys(), ", ".join(differing[:3]))
    for target, quant in (("mlx", "4bit"), ("compressed-tensors", "fp8-block"),
                          ("modelopt", "nvfp4")):
        report.run("convert", path, fresh(folder / "v4-none"), "--to", target, "--quant", quant,
                   expect=64)
    report.check(f"{name}: refused where it is not written", True)


def check_loading(report, folder):
    """What is published, and what Fathom makes of it, as transformers loads it from the files.

    Blocks are whole: of one that is cut at an edge transformers takes other scales, since it divides the
    rows by those of the grid.
    """
    for experts in ("fp4", "fp8"):
        model = v4.make_model(424, **PUBLISHED, hidden_size=256, moe_intermediate_size=128)
        predictors = [v4.make_predictor(425, model.config)]
        written, meant = v4.publish(v4.plain(model, predictors), experts)
        v4.give(model, meant, predictors)
        config = v4.published_config(model, experts=experts, predictors=1)
        path = v4.write(fresh(folder / f"v4-{experts}"), config, written)
        output, ids = fresh(folder / "v4-copy"), draw_ids(426, model, 21)
        report.run("convert", path, output, "--to", "hf", "--mtp", "drop")
        name = f"published, experts in {experts}"
        for what, place in ((name, path), (f"{name} → a copy without MTP", output)):
            loaded = v4.logits_of(v4.load(place), ids)
            report.check(f"{what}: transformers loads the numbers that are meant",
                         same_bits(loaded, v4.logits_of(model, ids)))
            worst = largest_difference(loaded, found_logits(report, place, ids, folder)["logits"])
            report.check(f"{what}: logits of the files as transformers computes them",
                         worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")


def check_faults(report, folder):
    """Each planted fault is named."""
    model = v4.make_model(431, **PUBLISHED)
    written, _ = v4.publish(v4.plain(model))
    config = v4.published_config(model)
    expert = "layers.2.ffn.experts.3.w2"
    faults = {
        "missing-tensor": lambda t: t.pop("layers.1.attn.indexer.compressor.ape"),
        "missing-scale": lambda t: t.pop(f"{expert}.scale"),
        "wrong-shape": lambda t: t.update({"layers.0.hc_attn_fn": t["layers.0.hc_attn_fn"][:-1]}),
        "wrong-type": lambda t: t.update({"layers.2.attn.attn_sink":
                                          t["layers.2.attn.attn_sink"].bfloat16()}),
        "wrong-scale-shape": lambda t: t.update({f"{expert}.scale": t[f"{expert}.scale"][:-1]}),
        "unexpected-tensor": lambda t: t.update(
            {"layers.0.attn.compressor.ape": torch.zeros(4, 64)}),
    }
    for rule, plant in faults.items():
        tensors = dict(written)
        before = set(tensors)
        plant(tensors)
        path = v4.write(fresh(folder / "v4-fault"), config, tensors)
        verdict = report.run_json("validate", path, expect=1)
        found = [(finding["rule"], finding["tensor"]) for finding in verdict["findings"]]
        changed = {name for name in before ^ set(tensors)} | {
            name for name in before & set(tensors) if tensors[name] is not written[name]}
        report.check(f"a planted fault is named: {rule}", found == [(rule, changed.pop())],
                     str(found[:3]))
    ids = draw_ids(432, model, 40)
    for key, value in IGNORED.items():
        same = v4.logits_of(v4.make_model(431, **PUBLISHED, **{key: value}), ids)
        path = v4.write(fresh(folder / "v4-fault"), {**config, key: value}, written)
        said = deepseek_v4_gguf.told(report, "validate", path, expect=65)
        report.check(f"{key} {value}, which transformers passes over, is refused by name",
                     same_bits(same, v4.logits_of(model, ids))
                     and f'"{key}"' in said and "no loader" in said, said.strip()[-120:])
    tensors = dict(written)
    tensors["layers.0.ffn.gate.tid2eid"] = torch.full_like(tensors["layers.0.ffn.gate.tid2eid"], 99)
    path = v4.write(fresh(folder / "v4-fault"), config, tensors)
    tokens = folder / "v4-ids.json"
    tokens.write_text("[[1, 2]]")
    report.run("logits", path, "--tokens", tokens, "-o", folder / "none.safetensors", expect=65)
    report.check("a table that names no expert stops the pass", True)
