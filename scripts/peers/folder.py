"""Checkpoint folders as Hugging Face lays them out: shards, index, config and side files."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import compressed, fp8
from .network import expected_tensors

SCALE = "_scale_inv"
PLAIN = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def write_json(path, value):
    """JSON the way Hugging Face writes it: two spaces, sorted keys, a newline at the end."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def plain_type(config):
    """The type of what is not quantized; transformers 5 writes `dtype` for it."""
    return PLAIN[config.get("torch_dtype") or config["dtype"]]


def store(config, values, scale_type=torch.float32):
    """F32 arrays → tensors in their stored types, each FP8 weight followed by its scales."""
    plain = plain_type(config)
    quantization = config.get("quantization_config")
    stored = {}
    for tensor in expected_tensors(config):
        value = torch.from_numpy(values[tensor.name])
        if ".k_norm." in tensor.name and config["model_type"] == "deepseek_v32":
            # DeepSeek has the norm of the indexer's key in F32, GLM in BF16, which loses nothing here.
            stored[tensor.name] = value.to(plain).float()
        elif tensor.kind == "bias":
            stored[tensor.name] = value
        elif tensor.kind == "linear" and quantization:
            block = quantization["weight_block_size"]
            power_of_two = quantization.get("scale_fmt") == "ue8m0"
            codes, scales = fp8.quantize(value, block, power_of_two)
            stored[tensor.name] = codes
            stored[tensor.name + SCALE] = scales.to(scale_type)
        else:
            stored[tensor.name] = value.to(plain)
    return stored


def dequantize_all(config, stored):
    """Stored tensors → F32 weights without scales, which is what transformers is given."""
    section = compressed.section_in(config)
    if section.get("quant_method") == "compressed-tensors":
        return {name: tensor.float()
                for name, tensor in compressed.decompress_all(config, stored).items()}
    weights = {}
    for name, tensor in stored.items():
        if name.endswith(SCALE):
            continue
        scales = stored.get(name + SCALE)
        if scales is None:
            weights[name] = tensor.float()
        else:
            block = section["weight_block_size"]
            weights[name] = fp8.dequantize(tensor, scales, block)
    return weights


def size_of(tensor):
    """Bytes of a tensor in a file."""
    return tensor.numel() * tensor.element_size()


def split(stored, count):
    """Deals tensors out in order to `count` shards of about the same size.

    Where there are several shards, every fifth scale goes to the shard after its weight's: real
    checkpoints promise no order, and a reader must not count on one.
    """
    total = sum(size_of(tensor) for tensor in stored.values())
    shards = [{} for _ in range(count)]
    done = scales = 0
    for name, tensor in stored.items():
        home = min(count - 1, done * count // total)
        done += size_of(tensor)
        if name.endswith(SCALE):
            scales += 1
            if scales % 5 == 0:
                home = (home + 1) % count
        shards[home][name] = tensor
    return shards


def shard_name(index, count):
    """File name of a shard, `index` from 0."""
    if count == 1:
        return "model.safetensors"
    return f"model-{index + 1:05d}-of-{count:05d}.safetensors"


def write_shards(folder, shards):
    """Writes the shards and, if there are several, their index."""
    weight_map, total = {}, 0
    for index, shard in enumerate(shards):
        name = shard_name(index, len(shards))
        save_file(shard, str(folder / name), metadata={"format": "pt"})
        weight_map.update({tensor: name for tensor in shard})
        total += sum(size_of(tensor) for tensor in shard.values())
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        write_json(folder / "model.safetensors.index.json", index)


def write_checkpoint(folder, config, stored, shards=1):
    """A whole checkpoint folder except the tokenizer."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id")}
    generation.update({"do_sample": True, "temperature": 0.6, "top_p": 0.95})
    write_json(folder / "generation_config.json", generation)
    write_shards(folder, split(stored, shards))


def read_checkpoint(folder):
    """(config, name → tensor) of a folder, however sharded; expected.safetensors is left out."""
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text())
    stored = {}
    for path in sorted(folder.glob("*.safetensors")):
        if path.name != "expected.safetensors":
            stored.update(load_file(str(path)))
    return config, stored


def write_without_mtp(source, output):
    """A copy without MTP layers, for peers that have none; the tokenizer is left out too."""
    config, stored = read_checkpoint(source)
    first = config["num_hidden_layers"]
    prefixes = tuple(f"model.layers.{first + layer}."
                     for layer in range(config["num_nextn_predict_layers"]))
    kept = {name: tensor for name, tensor in stored.items() if not name.startswith(prefixes)}
    write_checkpoint(output, {**config, "num_nextn_predict_layers": 0}, kept)
