"""Checkpoints of any size made of seeded random bytes, without any library."""

import json
import random
import struct

from peers.network import expected_tensors, make_config

BLOCK = (128, 128)

# Some 100 MB in FP8: long enough for a kill to land in the middle.
MEDIUM = make_config(
    block=BLOCK, vocab_size=4096, hidden_size=1024, intermediate_size=2816,
    moe_intermediate_size=512, num_hidden_layers=4, first_k_dense_replace=1,
    num_attention_heads=8, q_lora_rank=384, kv_lora_rank=256, qk_nope_head_dim=128,
    qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=12, n_group=4, topk_group=2,
    num_experts_per_tok=4,
)

# E4M3 without its NaNs, and high bytes of BF16 and F32 numbers between 2⁻¹⁵ and 2.
CODES = bytes(byte & 0xF7 if byte & 0x7F == 0x7F else byte for byte in range(256))
HIGH = bytes((byte & 0x80) | (0x38 + byte % 8) for byte in range(256))


def entries(config):
    """(name, safetensors type, shape, bytes per element) of everything that is stored."""
    for tensor in expected_tensors(config):
        kind = "linear" if tensor.kind == "linear" else "F32" if tensor.kind == "bias" else "BF16"
        if kind == "linear":
            grid = tuple(-(-size // block) for size, block in zip(tensor.shape, BLOCK))
            yield tensor.name, "F8_E4M3", tensor.shape, 1
            yield tensor.name + "_scale_inv", "F32", grid, 4
        else:
            yield tensor.name, kind, tensor.shape, 4 if kind == "F32" else 2


def values(source, kind, count):
    """The bytes of so many elements."""
    if kind == "F8_E4M3":
        return source.randbytes(count).translate(CODES)
    width = {"BF16": 2, "F32": 4}[kind]
    data = bytearray(source.randbytes(count * width))
    data[width - 1::width] = bytes(data[width - 1::width]).translate(HIGH)
    return bytes(data)


def write(folder, config=MEDIUM, shards=6, seed=1):
    """Writes a checkpoint whose shards follow the layers, as published ones do."""
    source = random.Random(seed)
    folder.mkdir(parents=True)
    stored = list(entries(config))
    weight_map, total = {}, 0
    per_shard = -(-len(stored) // shards)
    for number in range(shards):
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        header, data = {}, []
        end = 0
        for key, kind, shape, width in stored[number * per_shard:(number + 1) * per_shard]:
            count = 1
            for size in shape:
                count *= size
            header[key] = {"dtype": kind, "shape": list(shape),
                           "data_offsets": [end, end + count * width]}
            end += count * width
            weight_map[key] = name
            data.append(values(source, kind, count))
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / name, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + b"".join(data))
        total += end
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
