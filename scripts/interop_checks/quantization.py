"""`fathom convert --quant fp8` against torch doing the same formula."""

import torch
from safetensors.torch import load_file, save_file

from makers.samples import SAMPLES
from peers import fp8
from peers.folder import SCALE, dequantize_all, read_checkpoint
from peers.network import expected_tensors

from .compare import same_bits
from .outputs import check_folder, check_tensors, check_valid
from .unseen import make_unseen

# name of the variation → (options, block, powers of two)
VARIATIONS = {
    "128x128": ([], (128, 128), False),
    "32x64": (["--block-size", "32x64"], (32, 64), False),
    "128x128 ue8m0": (["--scale-format", "ue8m0"], (128, 128), True),
    "48x16 ue8m0": (["--block-size", "48x16", "--scale-format", "ue8m0"], (48, 16), True),
}


def quantized(config, stored, block, power_of_two):
    """The linear layers in FP8 by torch, everything else as it is."""
    result = {}
    linear = {tensor.name for tensor in expected_tensors(config) if tensor.kind == "linear"}
    for name, tensor in stored.items():
        if name in linear:
            codes, scales = fp8.quantize(tensor.float(), block, power_of_two)
            result[name], result[name + SCALE] = codes, scales
        else:
            result[name] = tensor
    return result


def check_quantized(report, path, variation, folder):
    """Codes and scales bit for bit, and a config that says so."""
    options, block, power_of_two = VARIATIONS[variation]
    name = f"{path.name} → fp8 {variation}"
    output = folder / f"{path.name}-{variation.replace(' ', '-')}"
    report.run("convert", path, output, "--to", "hf", "--quant", "fp8", *options)
    config, stored = read_checkpoint(path)
    found = check_tensors(report, name, output, quantized(config, stored, block, power_of_two))
    section = found.get("quantization_config", {})
    report.check(
        f"{name}: config.json describes the blocks",
        section.get("quant_method") == "fp8" and section.get("fmt") == "e4m3"
        and section.get("weight_block_size") == list(block)
        and (section.get("scale_fmt") == "ue8m0") == power_of_two, str(section))
    check_folder(report, name, path, output)
    check_valid(report, name, output)


def check_zero_block(report, folder):
    """A block of zeros has to come back as zeros: 0 / 0 would make it NaN."""
    path, _ = make_unseen("f16", folder)
    key = "model.layers.0.mlp.gate_proj.weight"
    for shard in path.glob("*.safetensors"):
        tensors = load_file(str(shard))
        tensors[key][:128] = 0
        tensors[key][128:, 128:] = -0.0
        save_file(tensors, str(shard), metadata={"format": "pt"})
    output = folder / "zero-block"
    report.run("convert", path, output, "--to", "hf", "--quant", "fp8")
    config, stored = read_checkpoint(output)
    back = dequantize_all(config, stored)[key]
    zero = torch.equal(back[:128], torch.zeros_like(back[:128]))
    report.check("a block of zeros stays zero in fp8", zero and bool(back.isfinite().all()))


def round_trip(report, name, middle, folder):
    """FP8 → plain → FP8: what comes back byte for byte, printed; what must, checked."""
    path = SAMPLES / name
    config, stored = read_checkpoint(path)
    section = config["quantization_config"]
    rows, columns = section["weight_block_size"]
    plain, again = folder / f"{name}-{middle}", folder / f"{name}-{middle}-again"
    if not plain.exists():
        report.run("convert", path, plain, "--to", "hf", "--quant", middle)
    options = ["--scale-format", "ue8m0"] if section.get("scale_fmt") else []
    report.run("convert", plain, again, "--to", "hf", "--quant", "fp8",
               "--block-size", f"{rows}x{columns}", *options)
    _, found = read_checkpoint(again)
    keys = [key for key in stored if key.endswith(SCALE)]
    codes = codes_same = scales_same = scales = values_same = 0
    for key in keys:
        weight = key.removesuffix(SCALE)
        old, new = stored[weight].view(torch.uint8), found[weight].view(torch.uint8)
        codes += old.numel()
        codes_same += int((old == new).sum())
        scales += stored[key].numel()
        scales_same += int((stored[key].float() == found[key].float()).sum())
        block = (rows, columns)
        values_same += int((fp8.dequantize(stored[weight], stored[key], block)
                            == fp8.dequantize(found[weight], found[key], block)).sum())
    line = f"{name} → {middle} → fp8"
    report.note(
        f"{line}: {codes_same / codes:.4%} of codes, "
        f"{scales_same / scales:.2%} of scales, {values_same / codes:.4%} of values the same")
    if section.get("scale_fmt") == "ue8m0":
        # A code times a power of two has four significant bits: no plain type rounds it.
        report.check(f"{line}: every value comes back", values_same == codes)
    elif middle == "f32":
        # A product is off by one bit in 24 at most, which no code notices.
        report.check(f"{line}: every code comes back", codes_same == codes)


def run(report, folder):
    """Plain sources of each type, zero blocks, round trips."""
    sources = [SAMPLES / "tiny-bf16", SAMPLES / "tiny-tied"]
    unseen = ("f16", "epsilon", "all-dense")
    sources += [make_unseen(name, folder / "sources")[0] for name in unseen]
    for path in sources:
        for variation in VARIATIONS:
            name = f"{path.name} → fp8 {variation}"
            report.attempt(name, check_quantized, report, path, variation, folder)
    report.attempt("zero blocks", check_zero_block, report, folder / "zeros")
    for name in ("tiny-fp8", "tiny-fp8-block32", "tiny-ue8m0", "tiny-e8m0"):
        for middle in ("bf16", "f32"):
            report.attempt(f"{name} round trip", round_trip, report, name, middle, folder)
