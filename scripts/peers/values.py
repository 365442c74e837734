"""Seeded values for every tensor of a network."""

import zlib

import numpy as np

from .network import expected_tensors, prefix_of, source_of_copy, text_of


def value_of(tensor, seed):
    """Seeded F32 values, scaled so that logits have a standard deviation of about 2.

    The generator is keyed by the tensor's name: a new tensor does not change the others. The
    correction bias is wide enough to change the router's choice, and no norm is all ones.
    """
    key = [seed, zlib.crc32(tensor.name.encode())]
    noise = np.random.default_rng(key).standard_normal(tensor.shape, dtype=np.float32)
    fan_in = np.float32(np.sqrt(tensor.shape[-1]))
    return {
        "linear": lambda: noise / fan_in,
        "join": lambda: noise / fan_in,
        "router": lambda: noise * np.float32(1.5) / fan_in,
        "head": lambda: noise * np.float32(2) / fan_in,
        "table": lambda: noise,
        "norm": lambda: 1 + noise * np.float32(0.2),
        "shift": lambda: noise * np.float32(0.3),
        "bias": lambda: noise * np.float32(0.15),
        "vision": lambda: noise * np.float32(0.1),
    }[tensor.kind]()


def make_values(config, seed, gains=None):
    """Name → F32 array for all tensors; `gains` scales those whose name has a given part."""
    values, copies = {}, {}
    for tensor in expected_tensors(config):
        source = source_of_copy(config, tensor)
        if source == tensor.name:
            values[tensor.name] = value_of(tensor, seed)
        else:
            copies[tensor.name] = source
    text = text_of(config)
    if text["tie_word_embeddings"]:
        # The embedding is the head too, so it has to have the head's scale.
        scale = np.float32(2 / np.sqrt(text["hidden_size"]))
        values[f"{prefix_of(config)}model.embed_tokens.weight"] *= scale
    for part, gain in (gains or {}).items():
        for name in values:
            if part in name:
                values[name] *= np.float32(gain)
    # Real copies: safetensors refuses to save tensors that share memory.
    values.update({name: values[source].copy() for name, source in copies.items()})
    return values
