"""What torch makes of the sample checkpoints, as hashes: the known answers of ConversionTests.

For each sample the JSON holds, per output tensor, the first 16 hexadecimal digits of the SHA-256 of
its bytes. `bf16`, `f16` and `f32` are `(weight.float() * scale).to(dtype)` for FP8 weights and
`.to(dtype)` for the others; `fp8-f32` and `fp8-ue8m0` are `(weight.float() / scale)` as
`float8_e4m3fn` in blocks of 128 x 128 with scales amax / 448, or the power of two above. The router's
correction bias stays F32. Which tensors are quantized is read from the sample with FP8 weights.
Samples in compressed-tensors' formats are decompressed by the library; `compressed NAME` is what it
makes of a sample's weights in BF16.

    scripts/make conversion-fixtures
"""

import glob
import hashlib
import json
import os

import torch
from safetensors.torch import load_file

from peers import compressed
from peers.network import prefix_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
BLOCK = 128
SUFFIX = "_scale_inv"
LINEAR = {"q_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj",
          "gate_proj", "up_proj", "down_proj"}


# The sample whose rows are whole groups of 128, and what it is compressed to.
COMPRESSED = "tiny-trained"
SCHEMES = ["fp8-channel", "int4-g32", "int4-g128-asymmetric", "int4-channel-asymmetric",
           "int8-channel", "int8-g64-asymmetric", "nvfp4", "mxfp4"]


def digest(tensor):
    data = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


def load(folder):
    tensors = {}
    for path in sorted(glob.glob(folder + "/model*.safetensors")):
        tensors.update(load_file(path))
    return tensors


def spread(scales, shape, rows, columns):
    full = scales.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
    return full[: shape[0], : shape[1]]


def plain(tensors, block):
    """Names and what they are before the last rounding."""
    for name, tensor in sorted(tensors.items()):
        if name.endswith(SUFFIX):
            continue
        if tensor.dtype == torch.float8_e4m3fn:
            scales = tensors[name + SUFFIX].to(torch.float32)
            tensor = tensor.float() * spread(scales, tensor.shape, *block)
        yield name, tensor


def quantize(weight, power_of_two):
    rows, columns = weight.shape
    grid = (-(-rows // BLOCK), -(-columns // BLOCK))
    padded = torch.zeros(grid[0] * BLOCK, grid[1] * BLOCK)
    padded[:rows, :columns] = weight.float()
    tiles = padded.view(grid[0], BLOCK, grid[1], BLOCK)
    scales = tiles.abs().amax(dim=(1, 3)) / 448
    if power_of_two:
        # The exponent of frexp is exact, where log2 may round: m * 2**e with m in [0.5, 1).
        mantissa, exponent = torch.frexp(scales)
        exponent = torch.where(mantissa == 0.5, exponent - 1, exponent)
        scales = torch.ldexp(torch.ones_like(scales), exponent)
    codes = (weight.float() / spread(scales, weight.shape, BLOCK, BLOCK)).to(torch.float8_e4m3fn)
    return codes, scales


def answers(folder):
    with open(folder + "/config.json") as file:
        config = json.load(file)
    tensors = load(folder)
    quantization = compressed.section_in(config) or None
    if quantization and quantization["quant_method"] == "compressed-tensors":
        return decompressed(config, tensors)
    block = quantization["weight_block_size"] if quantization else None
    result = {}
    for name, tensor in plain(tensors, block):
        hashes = {}
        for key, dtype in TYPES.items():
            keep = name.endswith("e_score_correction_bias")
            hashes[key] = digest(tensor if keep else tensor.to(dtype))
        if quantization is None:
            linear = name.endswith(".weight") and name.split(".")[-2] in LINEAR
            for key, power_of_two in (("fp8-f32", False), ("fp8-ue8m0", True)):
                if linear:
                    codes, scales = quantize(tensor, power_of_two)
                    hashes[key] = digest(codes)
                    result.setdefault(name + SUFFIX, {})[key] = digest(scales)
                else:
                    hashes[key] = digest(tensor)
        result[name] = hashes
    return result


def decompressed(config, tensors):
    """The library rounds to BF16 by itself; F16 is rounded from what it gives with F32 scales."""
    whole = compressed.decompress_all(config, tensors, torch.float32)
    rounded = compressed.decompress_all(config, tensors, torch.bfloat16)
    result = {}
    for name, tensor in sorted(whole.items()):
        # What is no part of the text network is carried as it is.
        beside = not name.startswith(prefix_of(config))
        keep = beside or name.endswith("e_score_correction_bias")
        tensor = tensors[name] if beside else tensor
        result[name] = {
            key: digest(tensor if keep else (rounded[name] if key == "bf16" else tensor).to(dtype))
            for key, dtype in TYPES.items()}
    return result


def compressions(folder):
    """Name → scheme → digest, from the weights in BF16."""
    with open(folder + "/config.json") as file:
        config = json.load(file)
    block = config["quantization_config"]["weight_block_size"]
    weights = {name: tensor if name.endswith("e_score_correction_bias") else tensor.bfloat16()
               for name, tensor in plain(load(folder), block)}
    result = {}
    for scheme in SCHEMES:
        _, stored = compressed.compress_all(config, weights, compressed.SCHEMES[scheme])
        for name, tensor in stored.items():
            result.setdefault(name, {})["compressed " + scheme] = digest(tensor)
    return result


def main():
    folder = ROOT + "/Tests/ConversionTests/Fixtures"
    os.makedirs(folder, exist_ok=True)
    for sample in sorted(glob.glob(ROOT + "/Samples/tiny-*")):
        path = f"{folder}/{os.path.basename(sample)}.json"
        result = answers(sample)
        if os.path.basename(sample) == COMPRESSED:
            for name, hashes in compressions(sample).items():
                result.setdefault(name, {}).update(hashes)
        with open(path, "w") as file:
            file.write("{\n")
            lines = [f'  "{name}": {json.dumps(hashes)}' for name, hashes in sorted(result.items())]
            file.write(",\n".join(lines))
            file.write("\n}\n")
        print(f"{path}: {len(result)} tensors")


if __name__ == "__main__":
    main()
