"""Makes the checkpoints to measure with: seeded weights of 1.4 B, and DeepSeek-V3 as sparse files.

    python -m bench_parts.checkpoints small|indexed|sparse|trained-like|scaled-LAYERS FOLDER
"""

import json
import shutil
import struct
import sys
import zlib
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file

from peers import fp8
from peers.folder import SCALE, shard_name, size_of, write_json
from peers.network import DEEPSEEK_V3, expected_tensors, source_of_copy
from peers.tokenizer import write_tokenizer
from bench_parts.sizes import (
    BLOCK, SCALED_LAYERS, SHARD_LIMIT, SMALL_V3, SMALL_V32, V3_SHARDS, V3_TOTALS, scaled)


def stored_entries(config):
    """(name, safetensors type, shape, bytes per element) of everything a checkpoint stores."""
    for tensor in expected_tensors(config):
        if tensor.kind == "linear":
            block = config["quantization_config"]["weight_block_size"]
            yield tensor.name, "F8_E4M3", tensor.shape, 1
            yield tensor.name + SCALE, "F32", fp8.grid(tensor.shape, block), 4
        elif tensor.kind == "bias":
            yield tensor.name, "F32", tensor.shape, 4
        else:
            yield tensor.name, "BF16", tensor.shape, 2


def product(shape):
    """Elements of a shape."""
    count = 1
    for size in shape:
        count *= size
    return count


def seeded(config, tensor):
    """One tensor's stored form; copies have their original's seed and so its bytes."""
    generator = torch.Generator().manual_seed(zlib.crc32(source_of_copy(config, tensor).encode()))
    value = torch.randn(tensor.shape, generator=generator)
    if tensor.kind == "norm":
        return {tensor.name: (1 + 0.1 * value).bfloat16()}
    if tensor.kind == "shift":
        return {tensor.name: (0.1 * value).bfloat16()}
    if tensor.kind == "bias":
        return {tensor.name: 0.1 * value}
    if tensor.kind == "table":
        return {tensor.name: value.bfloat16()}
    value /= tensor.shape[-1] ** 0.5
    if tensor.kind == "linear" and "quantization_config" in config:
        codes, scales = fp8.quantize(value, BLOCK)
        return {tensor.name: codes, tensor.name + SCALE: scales}
    return {tensor.name: value.bfloat16()}


def make_small(folder):
    """The 2 GB checkpoint, FP8 as published."""
    make_seeded(SMALL_V3, folder)


def make_indexed(folder):
    """Its sibling with sparse attention, in BF16."""
    make_seeded(SMALL_V32, folder)


def make_seeded(config, folder):
    """Seeded weights of a network, one shard in memory at a time."""
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    shards, places, pending, total = 0, {}, {}, 0

    def flush():
        nonlocal shards, pending
        save_file(pending, str(temporary / f"{shards}.safetensors"), metadata={"format": "pt"})
        places.update({name: shards for name in pending})
        shards, pending = shards + 1, {}

    for tensor in expected_tensors(config):
        made = seeded(config, tensor)
        size = sum(map(size_of, made.values()))
        if pending and sum(map(size_of, pending.values())) + size > SHARD_LIMIT:
            flush()
        pending.update(made)
        total += size
    flush()
    for number in range(shards):
        (temporary / f"{number}.safetensors").rename(temporary / shard_name(number, shards))
    weight_map = {name: shard_name(number, shards) for name, number in places.items()}
    write_json(temporary / "config.json", config)
    write_json(temporary / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": weight_map})
    temporary.rename(folder)


TRAINED_LIKE = (
    "normal numbers of standard deviation 1 / √width, each row and each column of a matrix times a "
    "log-normal factor of σ 0.4, one number in a thousand times ten, rounded to BF16")


def trained_like(config, tensor, seed):
    """A tensor of BF16 whose exponents spread as those of trained weights do."""
    generator = torch.Generator().manual_seed(seed)
    value = torch.randn(tensor.shape, generator=generator)
    if value.dim() == 2:
        rows, columns = (
            torch.exp(0.4 * torch.randn(shape, generator=generator))
            for shape in ((tensor.shape[0], 1), (1, tensor.shape[1])))
        value *= rows * columns / tensor.shape[-1] ** 0.5
        value[torch.rand(tensor.shape, generator=generator) < 0.001] *= 10
    return value.float() if tensor.kind == "bias" else value.bfloat16()


def make_trained_like(folder):
    """The network of the 2 GB checkpoint in BF16, without its MTP layer, in one file."""
    config = {key: value for key, value in SMALL_V3.items() if key != "quantization_config"}
    config.update(torch_dtype="bfloat16", num_nextn_predict_layers=0, weights_made_as=TRAINED_LIKE)
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    tensors = {
        tensor.name: trained_like(config, tensor, seed)
        for seed, tensor in enumerate(expected_tensors(config))}
    save_file(tensors, str(temporary / "model.safetensors"), metadata={"format": "pt"})
    write_json(temporary / "config.json", config)
    temporary.rename(folder)


def make_sparse_v3(folder):
    """DeepSeek-V3 at full size: 163 files with true headers over holes, 641 GiB apparent."""
    if folder.exists():
        return
    print(f"making {folder} …", flush=True)
    entries = list(stored_entries(DEEPSEEK_V3))
    totals = {
        "tensors": len(entries),
        "elements": sum(product(shape) for _, _, shape, _ in entries),
        "bytes": sum(product(shape) * width for _, _, shape, width in entries),
    }
    if totals != V3_TOTALS:
        raise SystemExit(f"the tensor list gives {totals}, DeepSeek's headers {V3_TOTALS}")
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    headers, weight_map, done = [{} for _ in range(V3_SHARDS)], {}, 0
    ends = [0] * V3_SHARDS
    for name, kind, shape, width in entries:
        shard = min(V3_SHARDS - 1, done * V3_SHARDS // totals["bytes"])
        size = product(shape) * width
        headers[shard][name] = {
            "dtype": kind, "shape": list(shape), "data_offsets": [ends[shard], ends[shard] + size],
        }
        ends[shard] += size
        done += size
        weight_map[name] = shard_name(shard, V3_SHARDS)
    for shard, header in enumerate(headers):
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(temporary / shard_name(shard, V3_SHARDS), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + ends[shard])
    write_json(temporary / "config.json", DEEPSEEK_V3)
    write_json(temporary / "model.safetensors.index.json",
               {"metadata": {"total_size": totals["bytes"]}, "weight_map": weight_map})
    temporary.rename(folder)


if __name__ == "__main__":
    makers = {"small": make_small, "indexed": make_indexed, "sparse": make_sparse_v3,
              "trained-like": make_trained_like, "tokenizer": write_tokenizer}
    for count in SCALED_LAYERS:
        makers[f"scaled-{count}"] = partial(make_seeded, scaled(count))
    makers[sys.argv[1]](Path(sys.argv[2]))
