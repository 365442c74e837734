"""DeepSeek's model-parallel shards, by the steps of DeepSeek-V3's `inference/convert.py`."""

import json
import shutil

import torch
from safetensors.torch import save_file

from .compressed import section_in
from .deepseek_v4 import from_fp4, from_fp8
from .folder import read_checkpoint

# Networks that DeepSeek's inference code computes.
NETWORKS = ("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2")

# Module in Hugging Face's names → (module in DeepSeek's, the dimension that shards divide).
MODULES = {
    "embed_tokens": ("embed", 0), "lm_head": ("head", 0), "norm": ("norm", None),
    "input_layernorm": ("attn_norm", None), "post_attention_layernorm": ("ffn_norm", None),
    "q_proj": ("wq", 0), "q_a_proj": ("wq_a", None), "q_a_layernorm": ("q_norm", None),
    "q_b_proj": ("wq_b", 0), "kv_a_proj_with_mqa": ("wkv_a", None),
    "kv_a_layernorm": ("kv_norm", None), "kv_b_proj": ("wkv_b", 0), "o_proj": ("wo", 1),
    # Of DeepSeek-V3.2's script alone.
    "wk": ("wk", None), "k_norm": ("k_norm", None), "weights_proj": ("weights_proj", None),
    "gate": ("gate", None), "gate_proj": ("w1", 0), "down_proj": ("w2", 1), "up_proj": ("w3", 0),
}
# What the script has no names for: the parts of an MTP layer, by its rule for all others.
MTP_MODULES = {"enorm": ("enorm", None), "hnorm": ("hnorm", None), "eh_proj": ("eh_proj", None),
               "head": ("head", 0)}
PARTS = [("self_attn", "attn"), ("mlp", "ffn"), ("weight_scale_inv", "scale"),
         ("e_score_correction_bias", "bias")]


def translate(name, modules=MODULES):
    """(name in DeepSeek's shards, dimension that is divided)."""
    name = name.removeprefix("model.")
    for old, new in PARTS:
        name = name.replace(old, new)
    module = name.split(".")[-2]
    if module == "wq_b":
        # The indexer's has its name already, and is not divided.
        return name, None
    new, dimension = modules[module]
    return name.replace(module, new), dimension


def shard(stored, count, experts, modules=MODULES):
    """Tensors → one dictionary of tensors per shard."""
    shards = [{} for _ in range(count)]
    own = experts // count
    for name, tensor in stored.items():
        name, dimension = translate(name, modules)
        for rank, tensors in enumerate(shards):
            if ".experts." in name:
                if int(name.split(".")[-3]) // own == rank:
                    tensors[name] = tensor
            elif dimension is None:
                tensors[name] = tensor
            else:
                assert tensor.size(dimension) % count == 0, name
                size = tensor.size(dimension) // count
                tensors[name] = tensor.narrow(dimension, rank * size, size).contiguous()
    return shards


# What DeepSeek-V4's `inference/convert.py` divides, whose names are those of the checkpoint.
MODULES_OF_V4 = {"embed": 0, "head": 0, "wq_b": 0, "wo_a": 0, "wo_b": 1, "attn_sink": 0,
                 "weights_proj": 0}


def shard_v4(stored, count, experts):
    """DeepSeek-V4 as it is published → one dictionary of tensors per shard, MTP layers too.

    The first half of the output is decoded, since its code multiplies by it in BF16, and experts' bytes
    are called the two codes of FP4 that each is.
    """
    shards = [{} for _ in range(count)]
    own = experts // count
    for name, tensor in stored.items():
        parts = name.split(".")
        key = parts[-1] if parts[-1] in MODULES_OF_V4 else parts[-2] if len(parts) > 1 else name
        side = MODULES_OF_V4.get(key)
        for rank, tensors in enumerate(shards):
            if ".experts." in name:
                if int(parts[-3]) // own == rank:
                    tensors[name] = (tensor.view(torch.float4_e2m1fn_x2)
                                     if tensor.dtype == torch.int8 else tensor)
            elif side is None:
                tensors[name] = tensor
            else:
                assert tensor.size(side) % count == 0, name
                size = tensor.size(side) // count
                tensors[name] = tensor.narrow(side, rank * size, size).contiguous()
    for tensors in shards:
        for name in [name for name in tensors if name.endswith("wo_a.weight")]:
            scales = tensors.pop(name.removesuffix("weight") + "scale")
            tensors[name] = from_fp8(tensors[name], scales).bfloat16()
    return shards


def join_v4(shards, experts):
    """One dictionary of tensors per shard → the numbers of the whole model, under the same names.

    Each part goes where the network's code has it: shard i holds the i-th part of the side that its class
    divides and the i-th of the experts; what every shard has is the same in all of them.
    """
    whole, own = {}, experts // len(shards)
    for name in sorted({name for tensors in shards for name in tensors}):
        parts = name.split(".")
        key = parts[-1] if parts[-1] in MODULES_OF_V4 else parts[-2] if len(parts) > 1 else name
        holders = [rank for rank, tensors in enumerate(shards) if name in tensors]
        if ".experts." in name:
            assert holders == [int(parts[-3]) // own], name
            whole[name] = shards[holders[0]][name]
            continue
        assert holders == list(range(len(shards))), name
        pieces = [tensors[name] for tensors in shards]
        if key in MODULES_OF_V4:
            # torch joins no FP8.
            side, kind = MODULES_OF_V4[key], pieces[0].dtype
            octets = kind.itemsize == 1
            joined = torch.cat([piece.view(torch.uint8) if octets else piece for piece in pieces],
                               side)
            whole[name] = joined.view(kind) if octets else joined
        else:
            assert all(torch.equal(piece.view(torch.uint8), pieces[0].view(torch.uint8))
                       for piece in pieces), name
            whole[name] = pieces[0]
    return whole


def meant_by_v4(stored):
    """Joined tensors of DeepSeek-V4 → the numbers that they mean, scales multiplied in."""
    meant = {}
    for name, tensor in stored.items():
        if name.endswith(".scale") and name.removesuffix("scale") + "weight" in stored:
            continue
        scales = stored.get(name.removesuffix("weight") + "scale")
        if tensor.dtype == torch.float4_e2m1fn_x2:
            meant[name] = from_fp4(tensor, scales)
        elif tensor.dtype == torch.float8_e4m3fn:
            meant[name] = from_fp8(tensor, scales)
        else:
            meant[name] = tensor if tensor.dtype == torch.int64 else tensor.float()
    return meant


def is_main(config, name):
    """Whether a tensor belongs to the main model: the script skips DeepSeek-V3's layer 61."""
    parts = name.split(".")
    return parts[1] != "layers" or int(parts[2]) < config["num_hidden_layers"]


def convert(source, output, count):
    """What the script makes of a checkpoint: shards without MTP layers, and the tokenizer."""
    config, stored = read_checkpoint(source)
    main = {name: tensor for name, tensor in stored.items() if is_main(config, name)}
    output.mkdir(parents=True)
    for rank, tensors in enumerate(shard(main, count, config["n_routed_experts"])):
        save_file(tensors, str(output / f"model{rank}-mp{count}.safetensors"))
    for path in source.glob("*token*"):
        shutil.copyfile(path, output / path.name)


def mtp_tensors(source):
    """Tensors of the MTP layers under their names in shards, undivided."""
    config, stored = read_checkpoint(source)
    modules = {**MODULES, **MTP_MODULES}
    return {translate(name, modules)[0]: tensor for name, tensor in stored.items()
            if not is_main(config, name)}


def plain_samples(folder):
    """Checkpoints that the script can read: not those in compressed-tensors' formats."""
    configs = {path: read_config(path) for path in sorted(folder.glob("tiny-*"))}
    return [path for path, config in configs.items() if config["model_type"] in NETWORKS
            and section_in(config).get("quant_method", "fp8") == "fp8"]


def dimension(native):
    """The dimension that is divided, by the name of a tensor in shards."""
    if ".indexer." in native:
        return None
    sides = {new: side for new, side in [*MODULES.values(), *MTP_MODULES.values()]}
    return sides[native.split(".")[-2]]


def read_config(source):
    """A folder's config.json."""
    return json.loads((source / "config.json").read_text())
