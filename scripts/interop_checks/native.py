"""DeepSeek's model-parallel shards against the steps of its `convert.py`, and the way back."""

import json

import torch
from safetensors.torch import load_file

from makers.samples import SAMPLES, make_tokens
from peers import native
from peers.folder import read_checkpoint, store, write_checkpoint
from peers.network import make_config
from peers.oracle import load_from_stored, outputs_of
from peers.tokenizer import write_tokenizer
from peers.values import make_values

from .compare import largest_difference, same_bits
from .outputs import check_tensors, check_valid
from .unseen import SIZES

COUNTS = [1, 2, 4, 8]
# Keys of `ModelArgs` in DeepSeek-V3's inference/model.py, which takes no others.
MODEL_ARGS = {
    "max_batch_size", "max_seq_len", "dtype", "scale_fmt", "vocab_size", "dim", "inter_dim",
    "moe_inter_dim", "n_layers", "n_dense_layers", "n_heads", "n_routed_experts",
    "n_shared_experts", "n_activated_experts", "n_expert_groups", "n_limited_groups", "score_func",
    "route_scale", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
    "v_head_dim", "original_seq_len", "rope_theta", "rope_factor", "beta_fast", "beta_slow",
    "mscale",
}
# Those that DeepSeek-V3.2's has beside them.
INDEX_ARGS = {"index_n_heads", "index_head_dim", "index_topk"}
# What its code has built in, and no key for.
BUILT_IN = {"rms_norm_eps": 1e-6, "norm_topk_prob": True}
WIDE = {**SIZES, "vocab_size": 320, "num_attention_heads": 8, "intermediate_size": 384,
        "moe_intermediate_size": 128, "n_routed_experts": 16, "n_group": 4, "topk_group": 2,
        "num_experts_per_tok": 4, "qk_nope_head_dim": 20, "v_head_dim": 16}
UNSEEN = {
    "plain": dict(seed=201, config=make_config(**WIDE)),
    "f16": dict(seed=202, config=make_config(torch_dtype="float16", **WIDE)),
    "no-q-lora": dict(seed=203, config=make_config(block=(16, 8), **{**WIDE, "q_lora_rank": None})),
    "ue8m0": dict(seed=204, scales=torch.float8_e8m0fnu,
                  config=make_config(block=(16, 16), scale_fmt="ue8m0",
                                     **{**WIDE, "num_nextn_predict_layers": 2})),
}


def make_unseen(name, folder):
    """A checkpoint that no fixture holds and that divides by eight."""
    row = UNSEEN[name]
    config = row["config"]
    config.setdefault("num_nextn_predict_layers", 1)
    path = folder / name
    stored = store(config, make_values(config, row["seed"], None), row.get("scales", torch.float32))
    write_checkpoint(path, config, stored, shards=3)
    write_tokenizer(path)
    return path


def divides(config, count):
    """Whether heads, experts, vocabulary and whole FP8 blocks can be dealt out to `count` shards."""
    if count == 1:
        return True
    block = (config.get("quantization_config") or {}).get("weight_block_size", [1, 1])
    heads, nope, rope, value = (config[key] for key in (
        "num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    shared = config["moe_intermediate_size"] * config["n_shared_experts"]
    rows = [heads * (nope + rope), heads * (nope + value), config["intermediate_size"], shared]
    columns = [heads * value, config["intermediate_size"], shared]
    whole = [heads, config["vocab_size"], config["n_routed_experts"]]
    return (all(size % count == 0 for size in whole)
            and all(size % count == 0 and size // count % block[0] == 0 for size in rows)
            and all(size % count == 0 and size // count % block[1] == 0 for size in columns))


def check_files(report, path, count, folder):
    """Files of the main model byte for byte, with MTP layers dropped and kept."""
    expected = folder / f"{path.name}-{count}-theirs"
    native.convert(path, expected, count)
    names = sorted(file.name for file in expected.glob("*.safetensors"))
    for mtp in ("drop", "keep"):
        output = folder / f"{path.name}-{count}-{mtp}"
        report.run("convert", path, output, "--to", "deepseek", "--mp", count, "--mtp", mtp)
        differing = [name for name in names
                     if (output / name).read_bytes() != (expected / name).read_bytes()]
        tokenizer = [file.name for file in expected.glob("*token*")
                     if (output / file.name).read_bytes() != file.read_bytes()]
        others = sorted(file.name for file in output.glob("model*") if file.name not in names)
        report.check(f"{path.name} → {count} shards, --mtp {mtp}: convert.py's bytes",
                     not differing and not tokenizer and not others,
                     ", ".join(differing + tokenizer + others))
    keys = json.loads((output / "config.json").read_text()).keys()
    source = json.loads((path / "config.json").read_text())
    known = MODEL_ARGS | (INDEX_ARGS if "index_topk" in source else set())
    report.check(f"{path.name} → {count} shards: ModelArgs takes every key of config.json",
                 keys <= known, ", ".join(keys - known))
    return output


def check_mtp(report, path, output, count):
    """Files of the MTP layers: put together by torch they are the source's tensors."""
    expected = native.mtp_tensors(path)
    parts = [load_file(str(output / f"mtp{rank}-mp{count}.safetensors")) for rank in range(count)
             ] if expected else []
    found = {}
    for name in sorted(set().union(*parts)):
        pieces = [part[name] for part in parts if name in part]
        side = None if ".experts." in name else native.dimension(name)
        found[name] = pieces[0] if side is None else torch.cat(
            [piece.view(torch.uint8) if piece.element_size() == 1 else piece for piece in pieces],
            side).view(pieces[0].dtype)
    differing = [name for name in expected.keys() | found.keys()
                 if name not in found or name not in expected
                 or not same_bits(found[name], expected[name])]
    report.check(f"{path.name} → {count} shards: {len(expected)} MTP tensors beside them",
                 not differing, ", ".join(sorted(differing)[:3]))


def check_back(report, path, output, folder):
    """The source's tensors come back; the logits are those of transformers."""
    name = f"{output.name} → hf"
    back = folder / f"{output.name}-back"
    report.run("convert", output, back, "--to", "hf")
    config, stored = read_checkpoint(path)
    found = check_tensors(report, name, back, stored)
    kept = {key: found.get(key) for key in config if key in found and found[key] != config[key]}
    report.check(f"{name}: config.json says what DeepSeek's can", kept.keys() <= BUILT_IN.keys(),
                 ", ".join(f"{key} {value}" for key, value in kept.items()))
    check_valid(report, name, back)
    verdict = report.run_json("validate", output, "--deep")
    report.check(f"{output.name}: validates", verdict["verdict"] == "valid",
                 json.dumps(verdict["findings"])[:300])


def check_logits(report, path, output, folder):
    """`fathom logits` of the shards, against transformers."""
    config, stored = read_checkpoint(path)
    ids = make_tokens(41, (1, 20), config["vocab_size"])
    expected = outputs_of(load_from_stored({**config, **BUILT_IN}, stored), ids)
    tokens, logits = folder / "ids.json", folder / f"{output.name}.safetensors"
    tokens.write_text(json.dumps(ids.tolist()))
    report.run("logits", output, "--tokens", tokens, "-o", logits)
    found = load_file(str(logits))
    worst = max(largest_difference(expected[key], found[key]) for key in expected)
    report.check(f"{output.name}: {', '.join(sorted(expected))} as transformers computes them",
                 expected.keys() == found.keys() and worst < 2e-4, f"difference {worst:.1e}")


def check_refused(report, path, count, folder):
    """Shards that would cut heads or blocks are refused with the largest number that is possible."""
    output = folder / f"{path.name}-refused"
    report.run("convert", path, output, "--to", "deepseek", "--mp", count, expect=64)
    report.check(f"{path.name} → {count} shards: refused, nothing written", not output.exists())


def check_theirs(report, path, count, folder):
    """What convert.py writes comes without a config: Hugging Face's beside it will do."""
    theirs = folder / f"{path.name}-{count}-theirs"
    (theirs / "config.json").write_bytes((path / "config.json").read_bytes())
    output = folder / f"{theirs.name}-back"
    report.run("convert", theirs, output, "--to", "hf")
    config, stored = read_checkpoint(path)
    main = {name: tensor for name, tensor in stored.items() if native.is_main(config, name)}
    check_tensors(report, f"{theirs.name} with Hugging Face's config → hf", output, main)


def check_source(report, path, folder):
    """One checkpoint with every number of shards."""
    config = native.read_config(path)
    for count in COUNTS:
        if not divides(config, count):
            check_refused(report, path, count, folder)
            continue
        output = check_files(report, path, count, folder)
        check_mtp(report, path, output, count)
        check_back(report, path, output, folder)
        check_theirs(report, path, count, folder)
    check_logits(report, path, output, folder)


def run(report, folder):
    """Samples and unseen checkpoints."""
    sources = native.plain_samples(SAMPLES) + [make_unseen(name, folder) for name in UNSEEN]
    for path in sources:
        report.attempt(path.name, check_source, report, path, folder)
