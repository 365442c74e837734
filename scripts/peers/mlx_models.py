"""What mlx-lm makes of a checkpoint: the steps of `mlx_lm.convert`, the tokenizer apart.

mlx-lm loads a tokenizer with transformers and saves it anew; the models here may have none.
"""

import json
import struct
from contextlib import contextmanager
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten, tree_map_with_path
from mlx_lm import utils
from mlx_lm.convert import MODEL_CONVERSION_DTYPES
from mlx_lm.models import deepseek_v3, switch_layers

GROUPS = (32, 64, 128)
# Fathom's names: mlx-lm's mode, bits and sizes of groups.
KINDS = {f"{bits}bit": ("affine", bits, GROUPS) for bits in (2, 3, 4, 5, 6, 8)}
KINDS |= {"mxfp4": ("mxfp4", 4, (32,)), "mxfp8": ("mxfp8", 8, (32,)), "nvfp4": ("nvfp4", 4, (16,))}
PLAIN = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}


class Bytes(int):
    """A limit that `make_shards`, which takes GiB, takes for bytes."""

    def __lshift__(self, _):
        return int(self)


@contextmanager
def shards_of(limit):
    """Shards of at most so many bytes, None for mlx-lm's own 5 GiB."""
    original = utils.make_shards
    if limit is not None:
        utils.make_shards = lambda weights: original(weights, Bytes(limit))
    yield
    utils.make_shards = original


def setting(name):
    """mlx-lm's parameters for a type as it stands in Fathom's recipes; False for plain numbers."""
    kind, _, size = name.partition("-g")
    if kind in PLAIN:
        return False
    mode, bits, groups = KINDS[kind]
    usual = 64 if mode == "affine" else groups[0]
    return {"group_size": int(size) if size else usual, "bits": bits, "mode": mode}


def predicate(recipe):
    """The `quant_predicate` that a recipe of Fathom's is, its rules being paths of modules."""
    settings = {rule["match"]: setting(rule["type"]) for rule in recipe["rules"]}
    usual = setting(recipe["default"])
    # What has the settings of the whole model needs none of its own.
    return lambda path, module: settings[path] != usual and settings[path] or bool(settings[path])


def convert(source, output, kind=None, group=None, dtype=None, limit=None, quantized_by=None):
    """Writes what `mlx_lm.convert` writes, with the weights quantized unless `kind` is None.

    `quantized_by` is its `quant_predicate`.
    """
    model, config = utils.load_model(Path(source), lazy=True)
    dtype = dtype or config.get("torch_dtype")
    if dtype in MODEL_CONVERSION_DTYPES:
        target = getattr(mx, dtype)
        chosen = getattr(model, "cast_predicate", lambda _: True)

        def cast(name, value):
            floating = mx.issubdtype(value.dtype, mx.floating)
            return value.astype(target) if floating and chosen(name) else value

        model.update(tree_map_with_path(cast, model.parameters()))
    if kind is not None:
        mode, bits, _ = KINDS[kind]
        model, config = utils.quantize_model(
            model, config, group, bits, mode=mode, quant_predicate=quantized_by)
    output = Path(output)
    with shards_of(limit):
        utils.save_model(output, model, donate_model=True)
    utils.save_config(config, output / "config.json")


def read(folder):
    """name → (type, shape, bytes, file) of every tensor of a folder."""
    tensors = {}
    for path in sorted(Path(folder).glob("model*.safetensors")):
        data = path.read_bytes()
        end = 8 + struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:end])
        assert header.pop("__metadata__", None) == {"format": "mlx"}, path
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            tensors[name] = (
                entry["dtype"], entry["shape"], data[end + first:end + last], path.name)
    return tensors


def decoded(folder):
    """name → F32 array of every weight of a model."""
    model, _ = utils.load_model(Path(folder))
    model.set_dtype(mx.float32)
    weights = dict(tree_flatten(model.parameters()))
    values = {}
    for path, module in model.named_modules():
        if not hasattr(module, "bits"):
            continue
        values[f"{path}.weight"] = mx.dequantize(
            module.weight, module.scales, module.get("biases"), module.group_size, module.bits,
            mode=module.mode, dtype=mx.float32)
        for name in ("weight", "scales", "biases"):
            weights.pop(f"{path}.{name}", None)
    return {name: np.array(value) for name, value in (weights | values).items()}


def logits(folder, input_ids):
    """Logits of mlx-lm's model with every number in F32, so that its sums alone are inexact."""
    model, _ = utils.load_model(Path(folder))
    model.set_dtype(mx.float32)
    return model(mx.array(input_ids)).astype(mx.float32)


def once(operation):
    """An operation of mlx with all sums in F32 and a result that is rounded once, as its kernels for
    GPUs have it; those for CPUs add up in 16 bits, or have F32 alone."""
    def compute(x, *rest, **named):
        def wide(value):
            half = isinstance(value, mx.array) and value.dtype in (mx.bfloat16, mx.float16)
            return value.astype(mx.float32) if half else value

        result = operation(wide(x), *map(wide, rest), **{k: wide(v) for k, v in named.items()})
        return result.astype(x.dtype)
    return compute


def attend(queries, keys, values, *, scale, mask, **_):
    """`scaled_dot_product_attention` as `once` has operations; queries are scaled before."""
    scores = (queries * scale).astype(mx.float32) @ keys.astype(mx.float32).swapaxes(-1, -2)
    weights = mx.softmax(scores + mask.astype(mx.float32), axis=-1)
    return (weights @ values.astype(mx.float32)).astype(queries.dtype)


def activate(gate, up):
    """`swiglu`, whose sigmoid the CPU computes in 16 bits."""
    return gate * mx.sigmoid(gate.astype(mx.float32)).astype(gate.dtype) * up


def embed(table, ids):
    """Rows of a quantized table, rounded once and not after the product with the scale too."""
    biases = table.get("biases")
    if biases is None:
        values = mx.dequantize(table["weight"][ids], table["scales"][ids], None, table.group_size,
                               table.bits, mode=table.mode, dtype=mx.float32)
        return values.astype(mx.bfloat16)
    values = mx.dequantize(
        table["weight"][ids], table["scales"][ids].astype(mx.float32),
        biases[ids].astype(mx.float32), table.group_size, table.bits, mode=table.mode)
    return values.astype(biases.dtype)


@contextmanager
def sums_in_f32(everywhere=True):
    """mlx on a CPU with results as a GPU's; without `everywhere` only where it computes none."""
    places = [(mx, "gather_mm", once(mx.gather_mm))]
    if everywhere:
        places += [
            (mx, "quantized_matmul", once(mx.quantized_matmul)),
            (mx, "gather_qmm", once(mx.gather_qmm)), (mx.fast, "rope", once(mx.fast.rope)),
            (mx.fast, "scaled_dot_product_attention", attend),
            (switch_layers, "swiglu", activate), (deepseek_v3, "swiglu", activate),
            (nn.QuantizedEmbedding, "__call__", embed),
        ]
    former = [(place, name, getattr(place, name)) for place, name, _ in places]
    for place, name, value in places:
        setattr(place, name, value)
    try:
        yield
    finally:
        for place, name, value in former:
            setattr(place, name, value)


def logits_in_16_bits(folder, input_ids, everywhere=True):
    """Logits of mlx-lm's model as it is loaded, with the activations that its users have."""
    model, _ = utils.load_model(Path(folder))
    with sums_in_f32(everywhere):
        return np.array(model(mx.array(input_ids)).astype(mx.float32))
