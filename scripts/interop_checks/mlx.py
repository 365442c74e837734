"""`fathom convert --to mlx`, and MLX models as input of every command, beside mlx-lm."""

import json

import numpy as np
from safetensors.numpy import load_file, save_file

from makers.samples import SAMPLES, make_tokens
from peers import mlx_models
from peers.folder import store, write_checkpoint, write_without_mtp
from peers.mlx_models import KINDS, PLAIN
from peers.network import make_config
from peers.tokenizer import write_tokenizer
from peers.values import make_values

# mlx computes attention and norms in other steps than Fathom, all in F32.
LOGITS_BOUND = 2e-4
COMBINATIONS = [(kind, group) for kind, (_, _, groups) in KINDS.items() for group in groups]


def make_model(folder):
    """A BF16 model whose rows are groups in all places but some, and an MTP layer."""
    config = make_config(
        vocab_size=288, hidden_size=256, intermediate_size=384, moe_intermediate_size=160,
        num_hidden_layers=3, first_k_dense_replace=1, num_attention_heads=4, q_lora_rank=128,
        kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32,
        n_routed_experts=6, n_group=2, topk_group=1, num_experts_per_tok=2, n_shared_experts=1)
    path = folder / "source"
    write_checkpoint(path, config, store(config, make_values(config, 71)), shards=2)
    write_tokenizer(path)
    return path


def arguments(kind, group):
    """Fathom's options for a kind and groups."""
    sizes = ["--group-size", group] if kind in KINDS and KINDS[kind][0] == "affine" else []
    return ["--quant", kind, *sizes]


def check_same(report, name, theirs, ours):
    """Tensor for tensor, with the same documents."""
    expected, found = mlx_models.read(theirs), mlx_models.read(ours)
    names = sorted(expected.keys() ^ found.keys())
    differing = [key for key in expected.keys() & found.keys() if expected[key] != found[key]]
    report.check(f"{name}: mlx-lm's {len(expected)} tensors, in its shards",
                 not names and not differing, ", ".join((names + sorted(differing))[:4]))
    for document in ("config.json", "model.safetensors.index.json"):
        texts = [(folder / document).read_text() for folder in (theirs, ours)]
        if document == "config.json":
            # mlx-lm leaves the section of an FP8 source in a config whose weights are plain.
            parsed = [json.loads(text) for text in texts]
            for config in parsed:
                if "quantization" not in config:
                    config.pop("quantization_config", None)
            texts = [json.dumps(config, indent=4) for config in parsed]
        report.check(f"{name}: {document} as mlx-lm writes it", texts[0] == texts[1])


def check_out(report, path, folder, kind, group=None):
    """One conversion beside mlx-lm's."""
    name = f"{path.name} → {kind}" + (f", groups of {group}" if group else "")
    theirs, ours = folder / "theirs", folder / "ours"
    for output in (theirs, ours):
        if output.exists():
            for file in output.iterdir():
                file.unlink()
            output.rmdir()
    if kind in PLAIN:
        mlx_models.convert(path, theirs, dtype=PLAIN[kind])
        config = json.loads((theirs / "config.json").read_text())
        if "torch_dtype" in config:
            # Fathom says what it stored.
            config["torch_dtype"] = PLAIN[kind]
            (theirs / "config.json").write_text(json.dumps(config, indent=4))
    else:
        mlx_models.convert(path, theirs, kind, group)
    report.run("convert", path, ours, "--to", "mlx", *arguments(kind, group))
    check_same(report, name, theirs, ours)


def check_int4(report, path, folder):
    """INT4 of compressed-tensors is carried: alone, and with the rest quantized on top."""
    for kind, group in ((None, None), ("8bit", 32)):
        name = f"{path.name} → mlx" + (f" {kind}" if kind else "")
        theirs, ours = folder / f"int4-{kind}-theirs", folder / f"int4-{kind}-ours"
        mlx_models.convert(path, theirs, kind, group)
        options = arguments(kind, group) if kind else []
        report.run("convert", path, ours, "--to", "mlx", *options)
        check_same(report, name, theirs, ours)


def check_shards(report, path, folder):
    """Shards are filled in mlx-lm's order."""
    theirs, ours = folder / "their-shards", folder / "our-shards"
    mlx_models.convert(path, theirs, "4bit", 32, limit=200_000)
    report.run("convert", path, ours, "--to", "mlx", "--quant", "4bit", "--group-size", 32,
               "--max-shard-size", 200_000)
    check_same(report, f"{path.name} in shards", theirs, ours)


def check_recipe(report, path, folder, types, bits, exact):
    """A recipe that was searched for: mlx-lm quantizes by it to the same bytes, and runs it."""
    name = f"{path.name} → recipe of {types}"
    recipe = folder / f"{types}.json"
    write_tokens(folder)
    report.run("recipe", path, "--to", "mlx", "--bpw", bits, "--types", types, "--groups", 12,
               "--tokens", folder / "tokens.safetensors", "-o", recipe)
    chosen = json.loads(recipe.read_text())
    used = {rule["type"] for rule in chosen["rules"]}
    report.check(f"{name}: types are mixed", len(used) > 1, str(sorted(used)))
    theirs, ours = folder / f"{types}-theirs", folder / f"{types}-ours"
    report.run("convert", path, ours, "--to", "mlx", "--recipe", recipe)
    if exact:
        usual = mlx_models.setting(chosen["default"])
        kind = chosen["default"].partition("-g")[0]
        mlx_models.convert(path, theirs, kind, usual["group_size"],
                           quantized_by=mlx_models.predicate(chosen))
        check_same(report, name, theirs, ours)
    compare_logits(report, name, ours, folder)


def check_logits(report, path, folder, kind, group):
    """mlx-lm loads Fathom's files and computes from them what Fathom computes."""
    output = folder / f"logits-{kind}"
    report.run("convert", path, output, "--to", "mlx", *arguments(kind, group))
    compare_logits(report, f"{path.name} → {kind}", output, folder)


def write_tokens(folder):
    """Tokens for a pass, as a file and as numbers."""
    input_ids = make_tokens(41, (1, 24), 288)
    save_file({"input_ids": np.array(input_ids, np.int64)}, folder / "tokens.safetensors")
    return input_ids


def compare_logits(report, name, output, folder):
    """Logits of a folder, by Fathom and by mlx-lm."""
    verdict = report.run_json("validate", output)
    report.check(f"{name}: validates", verdict["verdict"] == "valid",
                 json.dumps(verdict["findings"])[:300] if verdict["findings"] else "")
    input_ids = write_tokens(folder)
    result = folder / f"{output.name}.safetensors"
    report.run("logits", output, "--tokens", folder / "tokens.safetensors", "-o", result)
    found = load_file(result)["logits"]
    expected = np.array(mlx_models.logits(output, input_ids))
    worst = float(np.abs(expected - found).max())
    report.check(f"{name}: logits as mlx-lm computes them in F32",
                 worst < LOGITS_BOUND, f"largest difference {worst:.1e}")


def run(report, folder):
    """Every mode, bits and groups; shards; logits."""
    source = make_model(folder)
    plain = folder / "bf16"
    report.run("convert", source, plain, "--to", "hf", "--mtp", "drop")
    quantized = folder / "tiny-trained"
    write_without_mtp(SAMPLES / quantized.name, quantized)
    for kind, group in COMBINATIONS:
        report.attempt(kind, check_out, report, plain, folder, kind, group)
    for kind in PLAIN:
        report.attempt(kind, check_out, report, plain, folder, kind)
    for kind, group in (("bf16", None), ("4bit", 32), ("mxfp8", 32)):
        report.attempt(f"fp8 {kind}", check_out, report, quantized, folder, kind, group)
    report.attempt("int4", check_int4, report, SAMPLES / "tiny-int4", folder)
    report.attempt("shards", check_shards, report, plain, folder)
    for kind, group in (("bf16", None), ("4bit", 64), ("6bit", 32), ("mxfp4", None),
                        ("mxfp8", None), ("nvfp4", None)):
        report.attempt(f"logits {kind}", check_logits, report, plain, folder, kind, group)
    # mlx-lm leaves plain what the usual groups do not divide, whatever groups a module would have.
    for types, bits, exact in (("2bit-g32,4bit-g32,mxfp4,8bit-g32", 5, True),
                               ("3bit,4bit,6bit,bf16", 7, True),
                               ("2bit,3bit-g128,nvfp4,mxfp8,8bit-g32,bf16", 8, False)):
        report.attempt(f"recipe {types}", check_recipe, report, plain, folder, types, bits, exact)
