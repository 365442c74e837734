"""NVFP4 checkpoints as NVIDIA's ModelOpt exports them, made and restored by its own quantizer.

What engines join to one matrix has one `weight_scale_2`, as its export has it.
"""

import fnmatch

import torch

from .compressed import WEIGHT, joined_with
from .groups import NVFP4QTensor
from .network import expected_tensors

GROUP = 16


def factor(weights):
    """`weight_scale_2` of weights that are joined, by the largest of all."""
    return torch.stack([NVFP4QTensor.get_weights_scaling_factor_2(part) for part in weights]).max()


def is_left_out(module, excluded):
    """Whether a list of names and patterns has a module."""
    return any(fnmatch.fnmatchcase(module, entry) for entry in excluded)


def compress_all(config, plain, excluded):
    """Plain tensors → those of a checkpoint whose linear modules are NVFP4, but for some."""
    linear = {tensor.name for tensor in expected_tensors(config)
              if tensor.kind in ("linear", "head", "join")}
    stored = {}
    for name, tensor in plain.items():
        module = name.removesuffix(WEIGHT)
        if name not in linear or is_left_out(module, excluded):
            stored[name] = tensor
            continue
        partners = [plain[other] for other in joined_with(name) if other in plain]
        codes, scales, whole = NVFP4QTensor.quantize(
            tensor, GROUP, weights_scaling_factor_2=factor([tensor, *partners]))
        stored |= {name: codes._quantized_data, f"{name}_scale": scales, f"{name}_scale_2": whole}
    return stored


def decompress_all(stored):
    """name → plain tensor in F32, or what is not stored as codes as it is."""
    plain = {}
    for name, tensor in stored.items():
        if name.endswith((f"{WEIGHT}_scale", f"{WEIGHT}_scale_2", ".input_scale")):
            continue
        scale = stored.get(f"{name}_scale")
        if scale is None:
            plain[name] = tensor
            continue
        rows, columns = tensor.shape[0], 2 * tensor.shape[1]
        plain[name] = NVFP4QTensor((rows, columns), torch.float32, tensor).dequantize(
            scale=scale, double_scale=stored[f"{name}_scale_2"], block_sizes={-1: GROUP})
    return plain
