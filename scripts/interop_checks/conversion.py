"""`fathom convert --to hf`: dequantizing, casting, copying, sharding, MTP layers."""

import math
import shutil

import torch
from safetensors import safe_open

from makers.samples import SAMPLES, make_tokens
from peers.folder import (
    PLAIN, SCALE, dequantize_all, read_checkpoint, size_of, store, write_checkpoint,
)
from peers.network import mtp_layers, prefix_of, text_of
from peers.oracle import load_from_stored, load_models, outputs_of
from peers.values import make_values
from makers.damage.sound_checkpoints import micro_config

from .compare import largest_difference
from .outputs import check_folder, check_tensors, check_valid
from .unseen import make_unseen

TYPES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
FP8_SAMPLES = ["tiny-fp8", "tiny-fp8-block32", "tiny-mtp2", "tiny-ue8m0", "tiny-e8m0"]
PLAIN_SAMPLES = ["tiny-bf16", "tiny-no-qlora", "tiny-tied"]
# Scales at which products overflow, vanish, become subnormal or tie in some target type.
EXTREME_SCALES = [
    1.0, 2.0**-7, 0.0033482143, 146.2, 146.3, 1e4, 3e38, 1.2e-38, 1e-40, 1.4e-45, 2.0**-133, 6e-8,
    2.0**-24, 2.0**-10, 0.1, 1.0 + 2.0**-23, 1.9999999, 234.0, 7.5e35,
]
LARGEST_CODE = 448


def plain_weights(config, stored, type_name):
    """What dequantizing or casting to a plain type has to give, by torch.

    The correction bias stays in F32: rounding it would change the choice of experts.
    """
    target = PLAIN[type_name]
    return {
        name: weight if name.endswith("e_score_correction_bias") else weight.to(target)
        for name, weight in dequantize_all(config, stored).items()
    }


def check_plain_config(report, name, source, config, type_name):
    """No quantization_config, the new type, and nothing else changed."""
    wanted = dict(source, torch_dtype=type_name)
    wanted.pop("quantization_config", None)
    differing = sorted(key for key in wanted.keys() | config.keys()
                       if wanted.get(key) != config.get(key))
    report.check(f"{name}: config.json says {type_name} and keeps the rest", not differing,
                 ", ".join(differing))


def check_plain(report, path, quant, folder):
    """One conversion to a plain type."""
    name = f"{path.name} → {quant}"
    output = folder / f"{path.name}-{quant}"
    report.run("convert", path, output, "--to", "hf", "--quant", quant)
    config, stored = read_checkpoint(path)
    expected = plain_weights(config, stored, TYPES[quant])
    found = check_tensors(report, name, output, expected)
    check_plain_config(report, name, config, found, TYPES[quant])
    check_folder(report, name, path, output)
    check_valid(report, name, output)


def check_loads(report, path, folder):
    """transformers loads Fathom's BF16 folder as it is, and computes what it does from torch's."""
    output = folder / f"{path.name}-bf16"
    config, stored = read_checkpoint(path)
    weights = plain_weights(config, stored, "bfloat16")
    plain = {key: value for key, value in config.items() if key != "quantization_config"}
    input_ids = make_tokens(31, (1, 20), config["vocab_size"])
    expected = outputs_of(load_from_stored(plain, weights), input_ids)
    found = outputs_of(load_models(str(output), config), input_ids)
    worst = max(largest_difference(expected[key], found[key]) for key in expected)
    report.check(f"{path.name} → bf16: transformers loads it and gives {', '.join(expected)}",
                 expected.keys() == found.keys() and worst < 1e-6, f"difference {worst:.1e}")


def largest_scale(quant):
    """The largest scale under which no code overflows in a type: Fathom refuses others, where torch
    makes finite numbers infinite."""
    return torch.finfo(PLAIN[TYPES[quant]]).max / LARGEST_CODE


def edges(folder, scale_type, quant):
    """A checkpoint with all 256 codes under extreme scales; a network it is not."""
    largest = largest_scale(quant)
    config = micro_config()
    if scale_type == torch.float8_e8m0fnu:
        config["quantization_config"]["scale_fmt"] = "ue8m0"
    stored = store(config, make_values(config, seed=12), torch.float32)
    for name in [name for name in stored if name.endswith(SCALE)]:
        codes = stored[name.removesuffix(SCALE)]
        codes.view(torch.uint8).copy_(
            torch.arange(codes.numel()).remainder(256).view(codes.shape))
        count = stored[name].numel()
        if scale_type == torch.float32:
            cycle = ([scale for scale in EXTREME_SCALES if scale <= largest] * count)[:count]
            scales = torch.tensor(cycle)
        else:
            # Exponents in steps of 15 reach both ends of the range.
            steps = torch.arange(count) * 15 % (127 + int(math.log2(largest)) + 1)
            scales = steps.to(torch.uint8).view(torch.float8_e8m0fnu)
        stored[name] = scales.view(stored[name].shape)
    path = folder / f"edges-{quant}-{'f32' if scale_type == torch.float32 else 'e8m0'}"
    write_checkpoint(path, config, stored, shards=2)
    return path


def check_overflow(report, quant, folder):
    """One scale under which a code overflows stops the conversion, and nothing is left of it."""
    path = edges(folder / "overflow", torch.float32, quant)
    config, stored = read_checkpoint(path)
    name = next(name for name in stored if name.endswith(SCALE))
    for factor, code in ((0.999, 0), (1.01, 65)):
        scale = largest_scale(quant) * factor
        stored[name].view(-1)[0] = scale
        shutil.rmtree(path)
        write_checkpoint(path, config, stored, shards=2)
        output = folder / f"overflow-{quant}-{code}"
        report.run("convert", path, output, "--to", "hf", "--quant", quant, expect=code)
        report.check(f"a scale of {scale:.4g} as {quant}: exit {code}",
                     output.exists() == (code == 0))


def is_mtp(config, name):
    """Whether a tensor belongs to an MTP layer."""
    layers = text_of(config)["num_hidden_layers"]
    extra = range(layers, layers + mtp_layers(config))
    return any(name.startswith(f"{prefix_of(config)}model.layers.{layer}.") for layer in extra)


def main_weights(config, weights):
    """The text network without MTP layers, under plain names: what llama.cpp's converter reads."""
    prefix = prefix_of(config)
    return {name.removeprefix(prefix): weight for name, weight in weights.items()
            if name.startswith(prefix) and not is_mtp(config, name)}


def check_mtp(report, path, folder):
    """`--mtp drop` and `--mtp only` part the tensors between them."""
    config, stored = read_checkpoint(path)
    weights = plain_weights(config, stored, "bfloat16")
    main = {name: weight for name, weight in weights.items() if not is_mtp(config, name)}
    extra = {name: weight for name, weight in weights.items() if is_mtp(config, name)}
    for choice, expected in (("drop", main), ("only", extra)):
        name, output = f"{path.name} → bf16 --mtp {choice}", folder / f"{path.name}-{choice}"
        report.run("convert", path, output, "--to", "hf", "--quant", "bf16", "--mtp", choice)
        found = check_tensors(report, name, output, expected)
        check_folder(report, name, path, output)
        if choice == "drop":
            report.check(f"{name}: config.json declares no MTP layer",
                         found["num_nextn_predict_layers"] == 0)
            check_valid(report, name, output)


def check_copy(report, path, folder):
    """Without --quant nothing changes but the shards, which stay below --max-shard-size."""
    limit = 150_000
    name, output = f"{path.name} in shards of {limit} bytes", folder / f"{path.name}-copy"
    report.run("convert", path, output, "--to", "hf", "--max-shard-size", limit)
    config, stored = read_checkpoint(path)
    found = check_tensors(report, name, output, stored)
    report.check(f"{name}: config.json is the same", found == config)
    check_folder(report, name, path, output)
    too_large = []
    for shard in output.glob("*.safetensors"):
        with safe_open(str(shard), framework="pt") as file:
            sizes = [size_of(file.get_tensor(key)) for key in file.keys()]
        # A tensor is never split: one that is larger than the limit has a file of its own.
        if sum(sizes) > limit and len(sizes) > 1:
            too_large.append(shard.name)
    report.check(f"{name}: no shard is larger", not too_large, ", ".join(too_large))


def run(report, folder):
    """Samples, unseen checkpoints, edges."""
    unseen = [make_unseen(name, folder)[0] for name in ("no-q-lora", "wide", "two-shared")]
    sources = [SAMPLES / name for name in FP8_SAMPLES + PLAIN_SAMPLES] + unseen
    for quant in TYPES:
        limits = [edges(folder, scales, quant) for scales in (torch.float32, torch.float8_e8m0fnu)]
        report.attempt(f"overflow as {quant}", check_overflow, report, quant, folder)
        for path in sources + limits:
            report.attempt(f"{path.name} → {quant}", check_plain, report, path, quant, folder)
    for path in [SAMPLES / name for name in FP8_SAMPLES] + unseen:
        report.attempt(f"{path.name} → bf16 → transformers", check_loads, report, path, folder)
    for path in (SAMPLES / "tiny-fp8", SAMPLES / "tiny-mtp2", SAMPLES / "tiny-tied"):
        report.attempt(f"{path.name} --mtp", check_mtp, report, path, folder)
    for name in ("tiny-fp8", "tiny-e8m0", "tiny-tied"):
        report.attempt(f"{name} copied", check_copy, report, SAMPLES / name, folder)
