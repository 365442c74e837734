"""Known answers of compressed-tensors and of Python's `re`: compressed-tensors.json of ModelsTests.

Which modules it stores under which config and in which tensors, and what patterns match.

    scripts/make compressed-fixtures
"""

import json
import re
from copy import deepcopy
from pathlib import Path

import torch
from compressed_tensors.compressors import compress_module
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config

FILE = (Path(__file__).resolve().parent.parent.parent / "Tests" / "ModelsTests" / "Fixtures"
        / "compressed-tensors.json")

# path of a module → class, output and input features
MODULES = {
    "model.embed_tokens": ("Embedding", 96, 128),
    "model.layers.0.self_attn.q_a_proj": ("Linear", 40, 128),
    "model.layers.0.self_attn.kv_a_proj_with_mqa": ("Linear", 72, 128),
    "model.layers.0.self_attn.kv_b_proj": ("Linear", 64, 64),
    "model.layers.0.mlp.gate_proj": ("Linear", 192, 128),
    "model.layers.0.mlp.down_proj": ("Linear", 128, 192),
    "model.layers.1.mlp.experts.0.gate_proj": ("Linear", 64, 128),
    "model.layers.1.mlp.experts.10.down_proj": ("Linear", 128, 64),
    "model.layers.1.mlp.shared_experts.up_proj": ("Linear", 64, 128),
    "model.layers.11.eh_proj": ("Linear", 128, 256),
    "model.layers.11.shared_head.head": ("Linear", 96, 128),
    "lm_head": ("Linear", 96, 128),
}

INT4 = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
# What Kimi-K2-Thinking's config.json says, nulls included.
KIMI = {
    "config_groups": {"group_0": {
        "input_activations": None, "output_activations": None, "targets": ["Linear"],
        "weights": {
            "actorder": None, "block_structure": None, "dynamic": False, "group_size": 32,
            "num_bits": 4, "observer": "minmax", "observer_kwargs": {}, "strategy": "group",
            "symmetric": True, "type": "int"}}},
    "format": "pack-quantized",
    "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*",
               r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"],
    "kv_cache_scheme": None, "quant_method": "compressed-tensors",
    "quantization_status": "compressed",
}
FP8_INPUTS = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}


def config(weights, targets=("Linear",), ignore=(), **rest):
    """A config of one group."""
    group = {"targets": list(targets), "weights": weights}
    if "input_activations" in rest:
        group["input_activations"] = rest.pop("input_activations")
    return {"quant_method": "compressed-tensors", "quantization_status": "compressed",
            "config_groups": {"group_0": group}, "ignore": list(ignore), **rest}


CONFIGS = {
    "Kimi-K2-Thinking": KIMI,
    "int4 asymmetric": config({**INT4, "symmetric": False}, format="pack-quantized"),
    "int4 g64 by group_size alone": config(
        {"num_bits": 4, "type": "INT", "group_size": 64}, format="pack-quantized"),
    "int4 channel": config(
        {"num_bits": 4, "strategy": "channel"}, format="pack-quantized"),
    "int8 channel asymmetric by group_size -1": config(
        {"num_bits": 8, "group_size": -1, "symmetric": False}, format="pack-quantized"),
    "int8 one a byte": config(
        {"num_bits": 8, "strategy": "channel"}, format="int-quantized",
        input_activations={"num_bits": 8, "strategy": "token", "dynamic": True}),
    "int8 naive by tensor, static inputs": config(
        {"num_bits": 8}, format="naive-quantized",
        input_activations={"num_bits": 8, "strategy": "tensor", "symmetric": False}),
    "fp8 block": config(
        {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]},
        format="float-quantized",
        input_activations={"num_bits": 8, "type": "float", "strategy": "group",
                           "group_size": 128, "dynamic": True},
        ignore=["lm_head", r"re:.*eh_proj$", "re:.*shared_head.head$"]),
    "fp8 block as a text": config(
        {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": "64x32"},
        format="float-quantized", input_activations=FP8_INPUTS),
    "fp8 channel": config(
        {"num_bits": 8, "type": "float", "strategy": "channel"}, format="float-quantized",
        input_activations=FP8_INPUTS, ignore=["Embedding", "lm_head"],
        targets=["Linear", "Embedding"]),
    "fp8 tensor naive": config(
        {"num_bits": 8, "type": "float", "strategy": "tensor"}, format="naive-quantized"),
    "nvfp4 with inputs": config(
        {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16,
         "scale_dtype": "torch.float8_e4m3fn"}, format="nvfp4-pack-quantized",
        input_activations={"num_bits": 4, "type": "float", "strategy": "tensor_group",
                           "group_size": 16, "dynamic": "local"}),
    "nvfp4": config(
        {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16,
         "scale_dtype": "torch.float8_e4m3fn"}, format="nvfp4-pack-quantized"),
    "mxfp4": config(
        {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32,
         "scale_dtype": "torch.uint8"}, format="mxfp4-pack-quantized"),
    "mxfp8": config(
        {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32,
         "scale_dtype": "torch.uint8"}, format="mxfp8-quantized"),
    "embeddings too": config(
        {"num_bits": 8, "type": "float", "strategy": "channel"}, targets=["Embedding"],
        format="float-quantized", input_activations=FP8_INPUTS),
    "mixed, the names before patterns before classes": {
        "quant_method": "compressed-tensors", "quantization_status": "compressed",
        "format": "mixed-precision", "config_groups": {
            "a": {"targets": ["Linear"], "weights": {**INT4, "group_size": 64}},
            "b": {"targets": [r"re:model\.layers\.1\.mlp\.experts\.\d+\.down_proj",
                              r"re:.*experts\.(0|10)\.(gate|down)_proj"],
                  "weights": {"num_bits": 4, "type": "float", "strategy": "group",
                              "group_size": 32, "scale_dtype": "torch.uint8"}},
            "c": {"targets": ["model.layers.0.self_attn.q_a_proj", r"re:.*experts\.0\..*"],
                  "weights": {"num_bits": 8, "type": "float", "strategy": "channel"},
                  "input_activations": FP8_INPUTS},
            "d": {"targets": ["re:.*self_attn.*"], "weights": None}},
        "ignore": ["lm_head", "re:.*eh_proj", r"re:.*shared_head\.head"]},
}

PATTERNS = [
    "re:.*self_attn.*", r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", "re:.*gate$", "re:mlp",
    "re:model", "re:^model.layers.[0-2]", r"re:^model\.layers\.(?:[3-9]|1[0-9])\..*mlp.*",
    r"re:.*layers\.(?P<layer>\d+)\.eh_proj", "re:.*(?=head)", r"re:(?!model).*",
    "re:.*[Ee]xperts[.][0-9]+[.](gate|up|down)_proj$", "re:(?i)MODEL.*HEAD$", "re:.*\\.q_[a&&b]",
    "re:.*[[]", "re:lm_head\\Z", "re:.*\\bdown_proj\\b", "re:.{3,7}head", "re:", "re:.*proj{1}$",
    "re:(?s:.+)head", r"re:.*\w+_proj_with_mqa", "lm_head", "re:lm", "head", "re:.*[^]a-z_]head",
    "re:(", r"re:.*(?<=lm_)head", r"re:(l)m_head\1", "re:*", r"re:\p{L}+", r"re:\h+", "re:[z-a]",
]


def model():
    """The modules, empty."""
    root = torch.nn.Module()
    for path, (kind, rows, columns) in MODULES.items():
        *parents, last = path.split(".")
        parent = root
        for name in parents:
            if not hasattr(parent, name):
                parent.add_module(name, torch.nn.Module())
            parent = getattr(parent, name)
        module = (torch.nn.Linear(columns, rows, bias=False) if kind == "Linear"
                  else torch.nn.Embedding(rows, columns))
        parent.add_module(last, module.bfloat16())
    return root


NAMES = {torch.bfloat16: "BF16", torch.float32: "F32", torch.int32: "I32", torch.int64: "I64",
         torch.int8: "I8", torch.uint8: "U8", torch.float8_e4m3fn: "F8_E4M3"}


def stored(section):
    """What the library stores of each module; None where the config does not fit it."""
    network = model()
    section = QuantizationConfig.model_validate(section)
    # Once compressed it would not make the scales anew.
    apply_quantization_config(network, section, show_progress=False)
    found = {}
    for path in MODULES:
        module = network.get_submodule(path)
        scheme = getattr(module, "quantization_scheme", None)
        if scheme is None or scheme.weights is None:
            found[path] = None
            continue
        for name, value in module.named_parameters():
            if name.endswith("scale"):
                value.data.fill_(1)
        group = scheme.weights.group_size
        if group and MODULES[path][2] % group:
            continue
        module = deepcopy(module)
        compress_module(module, scheme.format or (
            None if section.format == "mixed-precision" else section.format))
        found[path] = {name: [NAMES[tensor.dtype], list(tensor.shape)]
                       for name, tensor in sorted(module.state_dict().items())}
    return found


def matches(pattern):
    """Which modules a pattern names; None where Python refuses it."""
    try:
        if not pattern.startswith("re:"):
            return [path for path in MODULES if path == pattern]
        return [path for path in MODULES if re.match(pattern[3:], path)]
    except re.error:
        return None


def main():
    """Asks the library and writes."""
    document = {
        "modules": {path: {"class": kind, "shape": [rows, columns]}
                    for path, (kind, rows, columns) in MODULES.items()},
        "patterns": [{"target": pattern, "matches": matches(pattern)} for pattern in PATTERNS],
        "configs": [{"name": name, "quantization_config": section, "stored": stored(section)}
                    for name, section in CONFIGS.items()],
    }
    FILE.write_text(json.dumps(document, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
