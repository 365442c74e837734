"""GGUF files as input, those of the peers and Fathom's own, and what llama.cpp makes of the latter."""

import json

import numpy as np
import torch
from safetensors.torch import load_file

from makers.samples import SAMPLES
from peers import llama
from peers.folder import read_checkpoint

from .conversion import main_weights, plain_weights
from .gguf import MIXES, compare, make_model
from .outputs import check_tensors

# Those that llama.cpp loads and whose latent norms have the same epsilon there.
LOADED = ["tiny-fp8", "tiny-fp8-block32", "tiny-bf16", "tiny-ue8m0", "tiny-tied"]
FALLING = ["q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k"]


def fathom_logits(report, model, ids, folder):
    """(tokens, vocabulary) as `fathom logits` computes them."""
    tokens, output = folder / "ids.json", folder / "logits.safetensors"
    tokens.write_text(json.dumps([int(value) for value in ids]))
    report.run("logits", model, "--tokens", tokens, "-o", output, "--mtp", "drop", "--overwrite")
    return load_file(str(output))["logits"][0].numpy()


def check_logits(report, path, folder):
    """Fathom, llama.cpp and transformers agree on an F32 file, MTP kept or not."""
    expected = load_file(str(path / "expected.safetensors"))
    ids, reference = expected["input_ids"][0].numpy(), expected["logits"][0].numpy()
    for mtp in ("keep", "drop"):
        model = folder / "logits.gguf"
        report.run("convert", path, model, "--to", "gguf", "--quant", "f32", "--mtp", mtp,
                   "--overwrite")
        peer = llama.logits(model, ids, folder)
        own = fathom_logits(report, model, ids, folder)
        worst = max(float(np.abs(peer - own).max()), float(np.abs(own - reference).max()))
        report.check(f"{path.name} → gguf f32 --mtp {mtp}: llama.cpp, transformers and Fathom agree",
                     worst < 2e-4, f"difference {worst:.1e}")


def check_loads(report, path, folder):
    """llama.cpp loads every file type and computes finite logits; the closer the type, the closer
    they are to those of the source."""
    ids = np.arange(24) * 11 % 320
    divergences = []
    for file_type in MIXES:
        model = folder / "loads.gguf"
        report.run("convert", path, model, "--to", "gguf", "--quant", file_type, "--overwrite")
        finite = bool(np.isfinite(llama.logits(model, ids, folder)).all())
        report.check(f"{path.name} → gguf {file_type}: llama.cpp runs it, MTP included", finite)
        if file_type in FALLING:
            verdict = report.run_json("verify", path, model)
            divergences.append((file_type, verdict["main"]["klMean"]))
    order = sorted(divergences, key=lambda pair: FALLING.index(pair[0]))
    values = [value for _, value in order]
    report.check(f"{path.name}: KL rises as bits fall", values == sorted(values) and values[0] > 0,
                 ", ".join(f"{name} {value:.1e}" for name, value in order))


def check_again(report, path, folder):
    """From the converter's file Fathom makes what llama-quantize makes of it."""
    source, found, expected = (folder / f"again-{part}.gguf" for part in ("from", "ours", "theirs"))
    for outtype, file_type, *flags in (
            ("bf16", "q4_k_m"), ("f16", "iq4_xs"), ("f32", "q2_k"), ("bf16", "f16"),
            ("q8_0", "q4_k_m", "--allow-requantize"), ("q8_0", "f32", "--allow-requantize")):
        llama.convert(path, source, outtype)
        report.run("convert", source, found, "--to", "gguf", "--quant", file_type, "--overwrite",
                   *flags)
        llama.quantize(source, expected, file_type, *flags)
        compare(report, f"{path.name} as {outtype} GGUF → {file_type}", found, expected)


def check_back(report, path, folder):
    """The converter's F32 file gives the weights back; validate finds nothing wrong with it."""
    source, output = folder / "back.gguf", folder / f"{path.name}-back"
    llama.convert(path, source)
    verdict = report.run_json("validate", source, "--deep")
    report.check(f"{path.name}: the converter's file validates", verdict["verdict"] == "valid",
                 json.dumps(verdict["findings"])[:300] if verdict["findings"] else "")
    report.run("convert", source, output, "--to", "hf", "--quant", "f32")
    config, stored = read_checkpoint(path)
    main = main_weights(config, plain_weights(config, stored, "float32"))
    check_tensors(report, f"{path.name} → converter → hf f32", output, main)


def check_splits(report, path, folder):
    """llama.cpp loads Fathom's splits, and Fathom the converter's."""
    parts, whole = folder / "parts.gguf", folder / "whole.gguf"
    report.run("convert", path, parts, "--to", "gguf", "--quant", "f32", "--max-shard-size", 600_000)
    report.run("convert", path, whole, "--to", "gguf", "--quant", "f32")
    first = sorted(folder.glob("parts-00001-of-*.gguf"))[0]
    ids = list(range(12))
    same = np.array_equal(llama.logits(first, ids, folder), llama.logits(whole, ids, folder))
    report.check(f"{path.name} in splits: llama.cpp computes the same from them", same)
    llama.convert(path, folder / "theirs.gguf", "f32", "--split-max-size", "600K")
    last = sorted(folder.glob("theirs-*-of-*.gguf"))[-1]
    output = folder / "from-splits"
    report.run("convert", last, output, "--to", "hf", "--quant", "f32")
    config, stored = read_checkpoint(path)
    main = main_weights(config, plain_weights(config, stored, "float32"))
    check_tensors(report, f"{path.name} in the converter's splits → hf f32", output, main)


def run(report, folder):
    """Logits, every type in llama.cpp, quantizing again, back to Hugging Face, splits."""
    torch.manual_seed(0)
    for name in LOADED:
        report.attempt(f"{name} logits", check_logits, report, SAMPLES / name, folder)
    path = make_model("whole-blocks", folder)
    for check in (check_loads, check_again):
        report.attempt(f"{path.name} {check.__name__}", check, report, path, folder)
    report.attempt("fallbacks again", check_again, report, make_model("fallbacks", folder), folder)
    readable = [path for path in SAMPLES.glob("tiny-*") if path.name not in llama.UNREAD]
    for sample in sorted(readable):
        report.attempt(f"{sample.name} back", check_back, report, sample, folder)
    report.attempt("splits", check_splits, report, SAMPLES / "tiny-fp8", folder)
