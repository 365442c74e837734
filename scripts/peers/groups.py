"""What MLX, compressed-tensors and ModelOpt make of a matrix, by the names of Fathom's `GroupScheme`s."""

import re
import warnings
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import quantize as quantize_values
from compressed_tensors.quantization.quant_scheme import FP8_BLOCK, FP8_DYNAMIC, MXFP4A16, NVFP4A16
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam
from compressed_tensors.quantization.utils import maybe_pad_tensor_for_block_quant

with warnings.catch_warnings():
    # It warns of every transformers that it was not tried with; nothing here goes through both.
    warnings.simplefilter("ignore")
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
MLX_TYPES = {torch.float32: mx.float32, torch.float16: mx.float16, torch.bfloat16: mx.bfloat16}
GROUPS = (32, 64, 128)
MLX_FLOATS = {"mlx-mxfp4": ("mxfp4", 32, 4), "mlx-mxfp8": ("mxfp8", 32, 8),
              "mlx-nvfp4": ("nvfp4", 16, 4)}
NAMES = (
    [f"mlx-affine-{bits}-g{group}" for bits in (2, 3, 4, 5, 6, 8) for group in GROUPS]
    + list(MLX_FLOATS)
    + [f"int{bits}-{size}{suffix}" for bits in (4, 8) for suffix in ("", "-asymmetric")
       for size in [f"g{group}" for group in GROUPS] + ["channel"]]
    + ["mxfp4", "nvfp4", "modelopt-nvfp4"]
)


@dataclass
class Parts:
    """Bytes as files hold them; lost marks groups that the peer loses, (rows, groups)."""

    codes: bytes
    scales: bytes
    offsets: bytes
    lost: np.ndarray

    def together(self):
        return self.codes + self.scales + self.offsets


def raw(tensor):
    """The bytes of a torch tensor; a copy has the usual strides even where it has one element."""
    return tensor.clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8).numpy().tobytes()


def to_mlx(tensor):
    """The same array in mlx, BF16 by way of its bits."""
    bits = {4: np.uint32, 2: np.uint16}[tensor.element_size()]
    return mx.array(np.frombuffer(raw(tensor), bits)).reshape(tensor.shape).view(
        MLX_TYPES[tensor.dtype])


def raw_mlx(array):
    return np.array(mx.contiguous(array).view(mx.uint8)).tobytes()


def largest(weights, group):
    """The largest magnitude of each group, (rows, groups), in the weights' type."""
    return weights.unflatten(-1, (-1, group or weights.shape[-1])).abs().amax(dim=-1)


def mlx_parts(weights, group, bits, mode):
    parts = mx.quantize(to_mlx(weights), group_size=group, bits=bits, mode=mode)
    lost = np.zeros((weights.shape[0], weights.shape[1] // group), bool)
    if mode in ("mxfp4", "mxfp8"):
        # The exponent of a scale below 2⁻¹²⁷ wraps around.
        scale = largest(weights, group) / torch.tensor(6.0 if bits == 4 else 448.0,
                                                       dtype=weights.dtype)
        lost = ((scale > 0) & (scale.double() <= 2.0 ** -128)).numpy()
    return Parts(raw_mlx(parts[0]), raw_mlx(parts[1]),
                 raw_mlx(parts[2]) if len(parts) > 2 else b"", lost)


def scheme_of(name):
    """compressed-tensors' description of a scheme."""
    if name in ("mxfp4", "nvfp4"):
        return QuantizationScheme(targets=["Linear"], **{"mxfp4": MXFP4A16, "nvfp4": NVFP4A16}[name])
    bits, size, asymmetric = re.fullmatch(r"int(\d)-(g\d+|channel)(-asymmetric)?", name).groups()
    group = None if size == "channel" else int(size[1:])
    return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(
        num_bits=int(bits), type="int", symmetric=asymmetric is None,
        strategy="group" if group else "channel", group_size=group))


def bounds(weights, group):
    """llm-compressor's `_get_min_max` of a weight that it has flattened into groups."""
    parts = weights.unflatten(-1, (-1, group or weights.shape[-1])).unsqueeze(0)
    return torch.amin(parts, dim=(0, -1)), torch.amax(parts, dim=(0, -1))


def global_scale(weights):
    """llm-compressor's `get_global_scale` of one matrix."""
    largest = weights.abs().max()
    return generate_gparam(-largest.reshape(1), largest.reshape(1))


def factor_of(name, weights):
    """NVFP4's number for one matrix, as the peer finds it; None for other schemes.

    ModelOpt divides zeros by zero; what stands there is a number of no meaning.
    """
    if name == "nvfp4":
        return global_scale(weights)
    if name == "modelopt-nvfp4":
        factor = NVFP4QTensor.get_weights_scaling_factor_2(weights)
        return torch.where(factor == 0, torch.ones_like(factor), factor)
    return None


def compressed_parts(weights, name, factor=None):
    scheme = scheme_of(name)
    args = scheme.weights
    factor = factor if name == "nvfp4" else None
    scale, zero = calculate_qparams(*bounds(weights, args.group_size), args, factor)
    # As the module's parameter holds it, which has the weight's type.
    state = {"weight": weights, "weight_scale": scale.to(weights.dtype), "weight_zero_point": zero}
    if factor is not None:
        state["weight_global_scale"] = factor
    kind = name + "-pack-quantized" if name in ("mxfp4", "nvfp4") else "pack-quantized"
    packed = BaseCompressor.get_value_from_registry(kind).compress(state, scheme)
    lost = ~torch.isfinite(scale).numpy() if name == "mxfp4" else np.zeros(scale.shape, bool)
    offsets = raw(packed["weight_zero_point"]) if not args.symmetric else b""
    return Parts(raw(packed["weight_packed"]), raw(packed["weight_scale"]), offsets, lost)


def quantize(name, weights, factor=None):
    """The parts of a matrix (rows, columns) of F32, F16 or BF16.

    `factor` is NVFP4's global scale; the other schemes have none.
    """
    if name in MLX_FLOATS:
        mode, group, bits = MLX_FLOATS[name]
        return mlx_parts(weights, group, bits, mode)
    if name.startswith("mlx-affine-"):
        bits, group = re.fullmatch(r"mlx-affine-(\d)-g(\d+)", name).groups()
        return mlx_parts(weights, int(group), int(bits), "affine")
    if name == "modelopt-nvfp4":
        return modelopt_parts(weights, factor)
    return compressed_parts(weights, name, factor)


def modelopt_parts(weights, factor):
    """ModelOpt's NVFP4; `factor` is `weight_scale_2`."""
    codes, scales, _ = NVFP4QTensor.quantize(weights, 16, weights_scaling_factor_2=factor)
    # What nothing is left of is divided by zero there.
    lost = (scales.float() * factor == 0).numpy()
    return Parts(raw(codes._quantized_data), raw(scales), b"", lost)


def quantize_fp8(weights, block=None):
    """compressed-tensors' `float-quantized` FP8 → codes, scales in F32, (rows, groups) marked lost.

    By blocks of (rows, columns), or per channel.
    """
    if block is None:
        args = QuantizationArgs(**FP8_DYNAMIC["weights"].model_dump())
        low, high = bounds(weights, None)
    else:
        args = FP8_BLOCK["weights"].model_copy(update={"block_structure": list(block)})
        padded = maybe_pad_tensor_for_block_quant(weights, block)
        grid = padded.unflatten(-1, (-1, block[1])).unflatten(0, (-1, block[0])).transpose(1, 2)
        low, high = grid.amin(dim=(-1, -2)), grid.amax(dim=(-1, -2))
    scale, _ = calculate_qparams(low, high, args)
    codes = quantize_values(weights, scale, None, args, dtype=torch.float8_e4m3fn)
    return raw(codes), raw(scale.float())


def value_types(name):
    """The types in which a peer gives a scheme's values."""
    if name.startswith("mlx-"):
        return ["F32"]
    return ["BF16"] if name in ("mxfp4", "nvfp4") else ["F32"] if "modelopt" in name else list(TYPES)


def made_up_scales(kind, count, random_bytes):
    """Scales that are stored in a byte, none of them NaN: E8M0 or positive E4M3."""
    modulus = {"F8_E8M0": 255, "F8_E4M3": 127}[kind]
    return np.array([byte % modulus for byte in random_bytes(13, count)], np.uint8)


def dequantize(name, kind, random_bytes, numbers, rows=16, columns=512):
    """The F32 bytes of a peer's values for made-up codes (seed 5), scales (13) and offsets (17).

    NVFP4's global scale is 37.5. Sixteen rows, because compressed-tensors 0.20 cannot unpack zero
    points of one word.
    """
    if name.startswith("mlx-"):
        return dequantize_mlx(name, random_bytes, numbers, rows, columns)
    if name == "modelopt-nvfp4":
        return dequantize_modelopt(random_bytes, rows, columns)
    scheme, dtype = scheme_of(name), TYPES[kind]
    args = scheme.weights
    groups = columns // (args.group_size or columns)
    codes = np.frombuffer(random_bytes(5, rows * columns * args.num_bits // 8), np.uint8)
    state = {"weight_packed": torch.from_numpy(codes.copy()).reshape(rows, -1)}
    if name in ("mxfp4", "nvfp4"):
        stored = {"mxfp4": "F8_E8M0", "nvfp4": "F8_E4M3"}[name]
        scales = torch.from_numpy(made_up_scales(stored, rows * groups, random_bytes))
        state["weight_scale"] = scales.reshape(rows, groups)
        if name == "nvfp4":
            state["weight_scale"] = state["weight_scale"].view(torch.float8_e4m3fn)
            state["weight_global_scale"] = torch.tensor([37.5])
        return raw(decompress(name + "-pack-quantized", state, scheme).float())
    state["weight_packed"] = state["weight_packed"].view(torch.int32)
    state["weight_shape"] = torch.tensor([rows, columns])
    scales = torch.from_numpy(numbers("scaled", rows * groups, 13))
    state["weight_scale"] = scales.reshape(rows, groups).to(dtype)
    if not args.symmetric:
        words = -(-rows * args.num_bits // 32) * groups
        zeros = np.frombuffer(random_bytes(17, 4 * words), np.int32)
        state["weight_zero_point"] = torch.from_numpy(zeros.copy()).reshape(-1, groups)
    return raw(decompress("pack-quantized", state, scheme).float())


def dequantize_modelopt(random_bytes, rows, columns):
    codes = np.frombuffer(random_bytes(5, rows * columns // 2), np.uint8)
    scales = torch.from_numpy(made_up_scales("F8_E4M3", rows * columns // 16, random_bytes))
    stored = NVFP4QTensor(
        (rows, columns), torch.float32, torch.from_numpy(codes.copy()).reshape(rows, -1))
    values = stored.dequantize(
        scale=scales.reshape(rows, -1).view(torch.float8_e4m3fn), block_sizes={-1: 16},
        double_scale=torch.tensor(37.5))
    # Its table has no sign of zero; the others' arithmetic keeps it.
    signs = torch.from_numpy(np.stack([codes & 8, codes >> 4 & 8], -1)).reshape(rows, columns)
    return raw(torch.where((values == 0) & (signs == 8), -values.abs(), values))


def decompress(kind, state, scheme):
    return BaseCompressor.get_value_from_registry(kind).decompress(state, scheme)["weight"]


def dequantize_mlx(name, random_bytes, numbers, rows, columns):
    if name in MLX_FLOATS:
        mode, group, bits = MLX_FLOATS[name]
    else:
        bits, group = map(int, re.fullmatch(r"mlx-affine-(\d)-g(\d+)", name).groups())
        mode = "affine"
    words = np.frombuffer(random_bytes(5, rows * columns * bits // 8), np.uint32)
    codes, count = mx.array(words.reshape(rows, -1)), rows * columns // group
    if mode == "affine":
        scales, biases = (mx.array(numbers(kind, count, seed).reshape(rows, -1))
                          for kind, seed in (("scaled", 13), ("normal", 17)))
        return raw_mlx(mx.dequantize(codes, scales, biases, group, bits))
    stored = "F8_E4M3" if mode == "nvfp4" else "F8_E8M0"
    scales = mx.array(made_up_scales(stored, count, random_bytes).reshape(rows, -1))
    return raw_mlx(mx.dequantize(codes, scales, None, group, bits, mode, dtype=mx.float32))
