"""`fathom hash` beside the authors' BLAKE3 over what the formats' own readers give."""

import torch
from safetensors.torch import save_file

from makers.samples import SAMPLES
from peers.folder import write_json
from peers.hashes import checkpoint_hash, tensor_hashes

from .unseen import make_unseen


def compare(report, name, model):
    """Every tensor, and the list of all."""
    found = report.run_json("hash", model)
    expected = tensor_hashes(model)
    different = [row["name"] for row in found["tensors"]
                 if expected.pop(row["name"], None) != row["hash"]]
    report.check(f"{name}: hashes are those of the peers", not different and not expected,
                 f"{len(found['tensors'])} tensors, different {different[:3]}")
    report.check(f"{name}: and that of the list",
                 found["checkpoint"] == checkpoint_hash(tensor_hashes(model)))
    return found["checkpoint"]


def check_sizes(report, folder):
    """Tensors around the sizes at which work is cut: none, one element, pieces of 1 MiB."""
    path = folder / "sizes"
    path.mkdir()
    generator = torch.Generator().manual_seed(7)
    sizes = [0, 1, 2, 1023, 1024, 1025, 1 << 20, (1 << 20) + 1, 3 << 20, (5 << 20) - 1]
    tensors = {
        f"bytes.{size}": torch.randint(0, 256, (size,), generator=generator, dtype=torch.uint8)
        for size in sizes
    }
    tensors["scalar"] = torch.tensor(0.5)
    tensors["empty"] = torch.zeros(0, 7, dtype=torch.bfloat16)
    tensors["wide"] = torch.randn(3, 500_001, generator=generator).bfloat16()
    save_file(tensors, str(path / "model.safetensors"))
    write_json(path / "config.json", {})
    compare(report, "sizes", path)


def run(report, folder):
    """Folders in several shards, and files of llama.cpp's types."""
    check_sizes(report, folder)
    for name in ("wide", "ue8m0", "f16"):
        path, _ = make_unseen(name, folder)
        before = compare(report, name, path)
        output = folder / f"{name}-shards"
        report.run("convert", path, output, "--to", "hf", "--max-shard-size", "150KB")
        after = compare(report, f"{name}, cut anew", output)
        report.check(f"{name}: the shards do not matter", before == after)
    for file_type in ("f32", "q8_0", "q4_k_m", "iq4_xs"):
        model = folder / f"{file_type}.gguf"
        report.run("convert", SAMPLES / "tiny-trained", model, "--to", "gguf", "--quant", file_type)
        compare(report, model.name, model)
