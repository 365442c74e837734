"""Writes Samples/malformed/<rule>/: one checkpoint per rule of `fathom validate`, with one fault.

    scripts/make malformed

Each folder's expected.json names the rule, the first tensor that the finding is about (in the
order of the network; of the files for what nothing expects), the severity, and whether only
`--deep` can see it. Samples/hostile comes from `damage.hostile_files`.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from makers.damage import hostile_files
from makers.damage.packed_faults import PACKED_FAULTS, wrong_shape_declared
from peers.folder import SCALE, shard_name, size_of, write_json
from makers.damage.sound_checkpoints import SHARDS, Fault, PackedFault, layer_names, micro_config, names_in_file

SAMPLES = Path(__file__).resolve().parent.parent.parent / "Samples"
ELSEWHERE = "../elsewhere.safetensors"


def missing_tensor(fault):
    """Three of four experts are gone: one finding, not eighteen."""
    parts = [f".mlp.experts.{expert}." for expert in (1, 2, 3)]
    names = layer_names(fault, 1)
    fault.remove(*[name for name in names if any(part in name for part in parts)])
    fault.write()
    return "model.layers.1.mlp.experts.1.gate_proj.weight"


def unexpected_tensor(fault):
    """A plain query projection beside the low-rank one."""
    name = "model.layers.1.self_attn.q_proj.weight"
    fault.shards[1][name] = torch.zeros(36, 24, dtype=torch.bfloat16)
    fault.write()
    return name


def wrong_shape(fault):
    """q_b_proj transposed; its scales keep their shape."""
    name = "model.layers.1.self_attn.q_b_proj.weight"
    codes = fault.tensor(name).view(torch.uint8).T.contiguous()
    fault.replace(name, codes.view(torch.float8_e4m3fn))
    fault.write()
    return name


def wrong_type(fault):
    """The correction bias rounded to BF16."""
    name = "model.layers.1.mlp.gate.e_score_correction_bias"
    fault.replace(name, fault.tensor(name).bfloat16())
    fault.write()
    return name


def missing_scale(fault):
    """An FP8 weight without its scales."""
    name = "model.layers.1.mlp.experts.0.down_proj.weight" + SCALE
    fault.remove(name)
    fault.write()
    return name


def orphan_scale(fault):
    """Scales for the router, which is BF16."""
    name = "model.layers.1.mlp.gate.weight" + SCALE
    fault.shards[1][name] = torch.ones(1, 2)
    fault.write()
    return name


def wrong_scale_shape(fault):
    """A grid without its row of partial blocks: what a division rounding down gives."""
    name = "model.layers.0.self_attn.kv_a_proj_with_mqa.weight" + SCALE
    fault.replace(name, fault.tensor(name)[:-1].contiguous())
    fault.write()
    return name


def missing_shard(fault):
    """The last shard was never downloaded."""
    fault.write()
    fault.path(1).unlink()
    return sorted(fault.shards[1])[0]


def truncated_shard(fault):
    """The last shard lacks three bytes."""
    fault.write()
    path = fault.path(1)
    last = names_in_file(path)[-1]
    path.write_bytes(path.read_bytes()[:-3])
    return last


def index_mismatch(fault):
    """The index names a file outside the folder."""
    fault.write()
    name = "model.layers.1.self_attn.o_proj.weight"
    fault.edit_index(lambda index: index["weight_map"].update({name: ELSEWHERE}))
    return name


def index_mismatch_lies(fault):
    """The index places a tensor in the other shard."""
    fault.write()
    name = "model.layers.0.self_attn.o_proj.weight"
    fault.edit_index(lambda index: index["weight_map"].update({name: shard_name(1, SHARDS)}))
    return name


def duplicate_tensor(fault):
    """One tensor in both shards, with other values."""
    name = "model.layers.0.input_layernorm.weight"
    fault.shards[1][name] = fault.tensor(name) + 1
    fault.write()
    size = size_of(fault.tensor(name))

    def correct(index):
        index["weight_map"][name] = shard_name(0, SHARDS)
        index["metadata"]["total_size"] -= size

    fault.edit_index(correct)
    return name


def mtp_mismatch_absent(fault):
    """An MTP layer is declared, and none of its tensors is there."""
    names = layer_names(fault, 2)
    fault.remove(*names)
    fault.write()
    return names[0]


def mtp_mismatch_undeclared(fault):
    """An MTP layer is there, and the config says that there is none."""
    fault.config["num_nextn_predict_layers"] = 0
    fault.write()
    return names_in_file(fault.path(1), "model.layers.2.")[0]


def non_finite(fault):
    """One NaN among the codes of an expert."""
    name = "model.layers.1.mlp.experts.2.up_proj.weight"
    fault.tensor(name).view(torch.uint8)[3, 5] = 0x7F
    fault.write()
    return name


def shared_copy_differs(fault):
    """The MTP layer's copy of the embedding has one other bit."""
    name = "model.layers.2.embed_tokens.weight"
    fault.tensor(name).view(torch.int16)[-1, -1] ^= 1
    fault.write()
    return name


def metadata_mismatch(fault):
    """The index states another total size. Loaders do not mind."""
    fault.write()
    fault.edit_index(lambda index: index["metadata"].update(total_size=12345))
    return None


def metadata_mismatch_quantization(fault):
    """FP8 weights, and a config that lost its quantization_config."""
    del fault.config["quantization_config"]
    fault.write()
    return "model.layers.0.self_attn.q_a_proj.weight"


def zero_extent(fault):
    """The last third of a shard is zeros, as an interrupted download leaves it."""
    fault.write()
    path = fault.path(1)
    content = path.read_bytes()
    start = len(content) * 2 // 3
    path.write_bytes(content[:start] + bytes(len(content) - start))
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + length])
    places = {name: entry["data_offsets"][0] + 8 + length
              for name, entry in header.items() if name != "__metadata__"}
    return min((place, name) for name, place in places.items() if place >= start)[1]


def stray_file(fault):
    """Beside the shards lies a file that the index does not name."""
    fault.write()
    name = "model.norm.weight"
    save_file({name: fault.tensor(name)}, fault.path(0).parent / "consolidated.safetensors")
    return None


FAULTS = [
    missing_tensor, unexpected_tensor, wrong_shape, wrong_type, missing_scale, orphan_scale,
    wrong_scale_shape, missing_shard, truncated_shard, index_mismatch, index_mismatch_lies,
    duplicate_tensor, mtp_mismatch_absent, mtp_mismatch_undeclared, non_finite,
    shared_copy_differs, metadata_mismatch, metadata_mismatch_quantization, zero_extent,
    stray_file,
]
DEEP = {non_finite, shared_copy_differs, wrong_shape_declared, zero_extent}
WARNINGS = {metadata_mismatch, stray_file}
VARIANTS = ("-absent", "-undeclared", "-lies", "-quantization", "-packed", "-zero", "-declared")


def rule_of(name):
    """Folder name without what tells variants of a rule apart."""
    for variant in VARIANTS:
        name = name.removesuffix(variant)
    return name


def main():
    """Every malformed checkpoint, a sound one to compare with, and the hostile files."""
    for damage in FAULTS + PACKED_FAULTS:
        name = damage.__name__.replace("_", "-")
        folder = SAMPLES / "malformed" / name
        tensor = damage((PackedFault if damage in PACKED_FAULTS else Fault)(folder))
        expected = {
            "rule": rule_of(name), "tensor": tensor, "deep": damage in DEEP,
            "severity": "warning" if damage in WARNINGS else "error",
        }
        write_json(folder / "expected.json", expected)
    for name, sound in (("none", Fault), ("none-packed", PackedFault)):
        sound(SAMPLES / "malformed" / name).write()
        write_json(SAMPLES / "malformed" / name / "expected.json",
                   {"rule": None, "tensor": None, "deep": True, "severity": None})
    hostile_files.write_all(SAMPLES / "hostile", micro_config())


if __name__ == "__main__":
    main()
