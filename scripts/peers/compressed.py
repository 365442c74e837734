"""Checkpoints in the formats of compressed-tensors, written and read by the library itself.

Quantizing is llm-compressor's round to nearest: least and largest weight of a group in the weight's
own type (`_get_min_max`), `calculate_qparams`, and the format's compressor.
"""

import copy
import json
import tempfile
from pathlib import Path

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.format import infer_module_format
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.entrypoints.convert import CompressedTensorsDequantizer
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import dequantize
from compressed_tensors.quantization.quant_scheme import PRESET_SCHEMES
from compressed_tensors.quantization.utils import (
    calculate_qparams, generate_gparam, maybe_pad_tensor_for_block_quant,
)
from compressed_tensors.utils import match_name

from .network import expected_tensors, text_of

WEIGHT = ".weight"
# What stays as it is: heads and tables, the router, and what joins an MTP layer.
IGNORED = ["lm_head", r"re:.*embed_tokens$", r"re:.*mlp\.gate$", r"re:.*eh_proj$",
           r"re:.*shared_head\.head$"]
# Kimi-K2-Thinking's list: routed experts alone are stored.
EXPERTS_ONLY = ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*",
                r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"]
# Kimi-K2.5's: the vision tower and what joins it stay too.
TEXT_EXPERTS_ONLY = [*EXPERTS_ONLY, "re:vision_tower.*", "re:mm_projector.*"]
# Modules that engines join to one: they have one global scale.
JOINED = [("gate_proj", "up_proj"), ("q_a_proj", "kv_a_proj_with_mqa")]


def integers(bits, group, symmetric=True):
    """A scheme of `pack-quantized`; group None is a row."""
    return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(
        num_bits=bits, type="int", symmetric=symmetric,
        strategy="group" if group else "channel", group_size=group))


def preset(name, **weights):
    """One of the library's own schemes, with some arguments of its weights changed."""
    scheme = copy.deepcopy(PRESET_SCHEMES[name])
    scheme["weights"] = QuantizationArgs(**{**scheme["weights"].model_dump(), **weights})
    return QuantizationScheme(targets=["Linear"], **scheme)


SCHEMES = {
    "fp8-block": preset("FP8_BLOCK"),
    "fp8-channel": preset("FP8_DYNAMIC"),
    "nvfp4": preset("NVFP4A16"),
    "mxfp4": preset("MXFP4A16"),
    **{f"int{bits}-{name}{suffix}": integers(bits, group, not suffix)
       for bits in (4, 8) for suffix in ("", "-asymmetric")
       for name, group in (("g32", 32), ("g64", 64), ("g128", 128), ("channel", None))},
}


def targeted(scheme, *targets):
    """The scheme for some modules."""
    return scheme.model_copy(update={"targets": list(targets)})


# Every format, each for some modules of a layer.
MIXED_GROUPS = [
    targeted(preset("FP8_BLOCK", block_structure=[48, 64]), r"re:.*self_attn\.q_a_proj$",
             r"re:.*self_attn\.kv_a_proj_with_mqa$"),
    targeted(SCHEMES["fp8-channel"], r"re:.*self_attn\.o_proj$"),
    targeted(preset("FP8_DYNAMIC", strategy="tensor"), r"re:.*layers\.0\.self_attn\.q_b_proj$"),
    targeted(preset("INT8"), r"re:.*layers\.1\.self_attn\.q_b_proj$"),
    targeted(SCHEMES["int8-g32"], r"re:.*self_attn\.kv_b_proj$"),
    targeted(SCHEMES["nvfp4"], r"re:.*mlp\.(gate|up)_proj$", r"re:.*shared_experts\..*"),
    targeted(SCHEMES["int4-g32-asymmetric"], r"re:.*mlp\.down_proj$"),
    targeted(SCHEMES["int4-g32"], r"re:.*experts\.0\..*"),
    targeted(SCHEMES["mxfp4"], r"re:.*experts\.1\..*"),
    targeted(SCHEMES["int4-g64"], r"re:.*experts\.2\..*"),
    targeted(SCHEMES["int8-channel-asymmetric"], r"re:.*experts\.3\..*"),
    targeted(SCHEMES["int4-channel"], r"re:.*experts\.4\..*"),
    targeted(preset("MXFP8A16"), r"re:.*experts\.5\..*"),
]


def bounds(weight, args):
    """Least and largest weight of what shares a scale, in the shape of the scales."""
    if args.strategy == "block":
        rows, columns = args.block_structure
        padded = maybe_pad_tensor_for_block_quant(weight, (rows, columns))
        grid = padded.unflatten(-1, (-1, columns)).unflatten(0, (-1, rows)).transpose(1, 2)
        return grid.amin(dim=(-1, -2)), grid.amax(dim=(-1, -2))
    if args.strategy == "tensor":
        return weight.amin().reshape(1), weight.amax().reshape(1)
    groups = weight.unflatten(-1, (-1, args.group_size or weight.shape[-1]))
    return groups.amin(dim=-1), groups.amax(dim=-1)


def compress(weight, scheme, joined=()):
    """A weight (F32, F16 or BF16) as the library stores it: what follows the module's name.

    `joined` are the weights that share its global scale.
    """
    args = scheme.weights
    state = {"weight": weight}
    factor = None
    if args.strategy == "tensor_group":
        largest = max(part.abs().max() for part in (weight, *joined)).reshape(1)
        factor = state["weight_global_scale"] = generate_gparam(-largest, largest)
    scale, zero = calculate_qparams(*bounds(weight, args), args, factor)
    # A module's parameter has the weight's type. Zero points of zero are not there at all: adding
    # them would take the sign of −0.
    state["weight_scale"] = scale.to(weight.dtype)
    if not args.symmetric:
        state["weight_zero_point"] = zero
    return BaseCompressor.get_value_from_registry(format_of(scheme).value).compress(state, scheme)


def joined_with(name):
    """The names of the weights that engines join this one with."""
    parent, _, last = name.removesuffix(WEIGHT).rpartition(".")
    for group in JOINED:
        if last in group:
            return [f"{parent}.{other}{WEIGHT}" for other in group if other != last]
    return []


def section_in(config):
    """A configuration's `quantization_config`, which `kimi_k25` keeps with its text network."""
    return config.get("quantization_config") or text_of(config).get("quantization_config") or {}


def with_section(config, section):
    """The configuration with another section, in the same place; None for no section."""
    if "text_config" in config:
        return {**config, "text_config": with_section(config["text_config"], section)}
    result = {key: value for key, value in config.items() if key != "quantization_config"}
    return result if section is None else {**result, "quantization_config": section}


def section_of(groups, ignored):
    """The `quantization_config`, as llm-compressor writes it."""
    groups = [scheme.model_copy(update={"format": format_of(scheme)}) for scheme in groups]
    kinds = sorted({scheme.format.value for scheme in groups})
    section = QuantizationConfig(
        config_groups={f"group_{index}": scheme for index, scheme in enumerate(groups)},
        format=kinds[0] if len(kinds) == 1 else "mixed-precision", ignore=list(ignored),
        quantization_status="compressed")
    return json.loads(section.model_dump_json(exclude={"moe_sparsity_config"}))


def format_of(scheme):
    """The format that the library takes for a scheme."""
    return infer_module_format(torch.nn.Linear, scheme)


def scheme_of(module, groups, ignored):
    """The scheme of a linear module: the first group that names it; None for what stays."""
    # Names on the list of a network in a larger model are those that it has by itself.
    own = module.removeprefix("language_model.")
    if any(match_name(name, entry) for name in (module, own) for entry in ignored):
        return None
    return next((scheme for scheme in groups if "Linear" in scheme.targets
                 or any(match_name(module, target) for target in scheme.targets)), None)


def compress_all(config, plain, scheme=None, ignored=tuple(IGNORED), groups=(), shape_type=None):
    """Plain tensors → (config, tensors) of a checkpoint in one scheme, or in several."""
    groups = list(groups) or [scheme]
    linear = {tensor.name for tensor in expected_tensors(config)
              if tensor.kind in ("linear", "head", "join")}
    stored = {}
    for name, tensor in plain.items():
        module = name.removesuffix(WEIGHT)
        scheme = scheme_of(module, groups, ignored) if name in linear else None
        if scheme is None:
            stored[name] = tensor
            continue
        partners = [plain[other] for other in joined_with(name) if other in plain]
        for key, part in compress(tensor, scheme, partners).items():
            if key == "weight_shape" and shape_type:
                part = part.to(shape_type)
            stored[f"{module}.{key}"] = part.contiguous()
    return with_section(config, section_of(groups, ignored)), stored


class Dequantizer(CompressedTensorsDequantizer):
    """The library's converter of whole checkpoints; in F32 it is given F32 scales."""

    def __init__(self, config, dtype):
        with tempfile.TemporaryDirectory() as folder:
            document = {"quantization_config": section_in(config)}
            (Path(folder) / "config.json").write_text(json.dumps(document))
            super().__init__(folder, dtype=dtype)

    def process(self, tensors):
        tensors = dict(tensors)
        if self.dtype == torch.float32:
            tensors.update({name: tensor.float() for name, tensor in tensors.items()
                            if name.endswith("weight_scale")
                            and tensor.dtype in (torch.bfloat16, torch.float16)})
            tensors.update(self.nvfp4(tensors))
        return super().process(tensors)

    def nvfp4(self, tensors):
        """The format's own compressor rounds to BF16: its steps again, in F32."""
        plain = {}
        for name in [name for name in tensors if name.endswith("weight_global_scale")]:
            module = name.removesuffix(".weight_global_scale")
            scheme = SCHEMES["nvfp4"]
            packed = tensors.pop(f"{module}.weight_packed")
            rows, columns = packed.shape
            plain[f"{module}.weight"] = dequantize(
                unpack_fp4_from_uint8(packed, rows, 2 * columns, torch.float32),
                tensors.pop(f"{module}.weight_scale").float(), args=scheme.weights,
                global_scale=tensors.pop(name), dtype=torch.float32)
        return plain


def decompress_all(config, stored, dtype=torch.float32):
    """What the library makes of a checkpoint's tensors: name → plain tensor of a type, or what was
    not stored in its formats as it is."""
    return Dequantizer(config, dtype).validate(stored)


def validated(folder):
    """The library's reading of a folder's `quantization_config`; raises where it is none."""
    config = json.loads((Path(folder) / "config.json").read_text())
    return QuantizationConfig.model_validate(config["quantization_config"])
