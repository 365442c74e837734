"""Importance matrices, metadata overrides and splits beside llama-quantize's."""

import filecmp
import shutil
import struct

import numpy as np
from safetensors.torch import load_file, save_file

from peers import llama

from .gguf import GGUFReader, MIXES, compare, make_model

# Those that cannot do without an importance matrix, and those that it changes.
NEEDY = ["q2_k_s", "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs"]
WEIGHED = [name for name in MIXES if name not in ("q8_0", "tq1_0", "tq2_0", "q2_0")]
OVERRIDES = [
    "--override-kv", "general.name=str:another name",
    "--override-kv", "deepseek2.rope.freq_base=float:5000.5",
    "--override-kv", "deepseek2.context_length=int:99",
    "--override-kv", "tokenizer.ggml.add_bos_token=bool:false",
    # Changes the mix: more layers, so that others are among those with more bits.
    "--override-kv", "deepseek2.block_count=int:12",
]


def write_matrix(model, folder, name="matrix", without="attn_q_a."):
    """Random sums for most tensors in both formats; an expert that no token reached."""
    from gguf import GGUFWriter
    random = np.random.default_rng(7)
    entries = {}
    for tensor in GGUFReader(str(model)).tensors:
        if len(tensor.shape) < 2 or without in tensor.name:
            continue
        matrices = int(tensor.shape[2]) if len(tensor.shape) > 2 else 1
        sums = random.gamma(0.5, 1.0, (matrices, int(tensor.shape[0]))).astype(np.float32)
        counts = random.integers(1, 50, matrices).astype(np.float32)
        if matrices > 2:
            counts[1] = 0
        entries[tensor.name] = (sums, counts)
    new, old = folder / f"{name}.gguf", folder / f"{name}.dat"
    writer = GGUFWriter(new, "")
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", ["some text.txt", "more.txt"])
    writer.add_uint32("imatrix.chunk_count", 11)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name, (sums, counts) in entries.items():
        writer.add_tensor(name + ".in_sum2", sums)
        writer.add_tensor(name + ".counts", counts.reshape(-1, 1))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = struct.pack("<i", len(entries))
    for name, (sums, _) in entries.items():
        data += struct.pack("<i", len(name)) + name.encode()
        data += struct.pack("<ii", 3, sums.size) + sums.tobytes()
    data += struct.pack("<ii", 11, 8) + b"some.txt"
    old.write_bytes(data)
    return new, old


def check(report, name, path, source, file_type, flags, folder, mtp="drop"):
    """The same file as llama-quantize makes of the converter's."""
    found, expected = folder / "found.gguf", folder / "expected.gguf"
    report.run("convert", path, found, "--to", "gguf", "--quant", file_type, "--mtp", mtp,
               "--overwrite", *flags)
    llama.quantize(source, expected, file_type, *flags)
    compare(report, f"{name} → gguf {file_type} {flags[0]}", found, expected)


def check_refusal(report, path, source, file_type, flags, folder):
    """A matrix that is missing, or has no entry for a tensor, ends both."""
    found = folder / "found.gguf"
    found.unlink(missing_ok=True)
    report.run("convert", path, found, "--to", "gguf", "--quant", file_type, "--mtp", "drop",
               *flags, expect=64)
    refused = False
    try:
        llama.quantize(source, folder / "expected.gguf", file_type, *flags)
    except llama.PeerRefused:
        refused = True
    report.check(f"{file_type} with{'' if flags else 'out'} a matrix: refused, as by the peer",
                 refused and not found.exists())


def check_splits(report, path, folder):
    """--keep-split: each split the peer's, from splits of the converter's and of Fathom's."""
    for maker in ("converter", "fathom"):
        source = folder / f"{maker}.gguf"
        if maker == "converter":
            llama.convert(path, source, "f32", "--split-max-size", "700K")
        else:
            report.run("convert", path, source, "--to", "gguf", "--quant", "f32", "--mtp", "drop",
                       "--max-shard-size", 700_000)
        first = sorted(folder.glob(f"{maker}-00001-of-*.gguf"))[0]
        for file_type in ("q4_k_m", "f16"):
            report.run("convert", first, folder / "found.gguf", "--to", "gguf", "--quant",
                       file_type, "--keep-split", "--overwrite")
            llama.quantize(first, folder / "expected.gguf", file_type, "--keep-split")
            found = sorted(folder.glob("found-*.gguf"))
            expected = sorted(folder.glob("expected-*.gguf"))
            same = len(found) == len(expected) > 2 and all(
                filecmp.cmp(*pair, shallow=False) for pair in zip(found, expected))
            report.check(f"{maker}'s {len(expected)} splits → {file_type} --keep-split", same,
                         f"{len(found)} files")
            for part in found + expected:
                part.unlink()
        # All together again: what llama-quantize's COPY gives.
        report.run("convert", first, folder / "found.gguf", "--to", "gguf", "--overwrite")
        llama.quantize(first, folder / "expected.gguf", "COPY")
        compare(report, f"{maker}'s splits joined", folder / "found.gguf", folder / "expected.gguf")


def check_hostile(report, path, folder):
    """What cannot be quantized is refused by both; what can gives the same file."""
    name, norm = "model.layers.3.mlp.experts.1.down_proj.weight", "model.norm.weight"
    types = [*MIXES, "f16", "bf16"]
    changes = {
        "an infinity": (name, float("inf")), "a NaN": (name, float("nan")),
        "3e38": (name, 3e38), "denormals": (name, 1e-40), "an infinite norm": (norm, float("inf")),
    }
    for what, (key, value) in changes.items():
        changed, source = folder / "hostile", folder / "hostile.gguf"
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(path, changed)
        for file in changed.glob("*.safetensors"):
            tensors = load_file(str(file))
            if key in tensors:
                tensors = {other: tensor.clone() for other, tensor in tensors.items()}
                tensors[key].view(-1)[7:8 if what != "denormals" else None] = value
                file.unlink()
                save_file(tensors, str(file))
        llama.convert(changed, source)
        for file_type in types if what == "an infinity" else types[::3]:
            found, expected = folder / "found.gguf", folder / "expected.gguf"
            found.unlink(missing_ok=True)
            try:
                llama.quantize(source, expected, file_type)
            except llama.PeerRefused:
                report.run("convert", changed, found, "--to", "gguf", "--quant", file_type, "--mtp",
                           "drop", expect=65)
                report.check(f"{what} → {file_type}: refused, as by the peer", not found.exists())
                continue
            report.run("convert", changed, found, "--to", "gguf", "--quant", file_type, "--mtp",
                       "drop")
            compare(report, f"{what} → {file_type}", found, expected)


def run(report, folder):
    """Every type that importance changes, in both formats of the matrix."""
    for model, types in (("whole-blocks", WEIGHED + NEEDY), ("fallbacks", WEIGHED[::2] + NEEDY[::2])):
        path, source = make_model(model, folder), folder / f"{model}-f32.gguf"
        llama.convert(path, source)
        matrices = write_matrix(source, folder)
        # Without a weight for every tensor these are refused, here as there.
        whole = write_matrix(source, folder, "whole", "token_embd")
        for file_type in NEEDY if model == "whole-blocks" else []:
            # What needs one in an IQ3_XS file is in this matrix.
            partial = [["--imatrix", matrices[0]]] if file_type != "iq3_xs" else []
            for flags in ([], *partial):
                report.attempt(f"{file_type} {flags}", check_refusal, report, path, source,
                               file_type, flags, folder)
        if model == "whole-blocks":
            report.attempt(f"{model} q1_0", check, report, model, path, source, "q1_0", ["--pure"],
                           folder)
        for file_type in types:
            for matrix in whole if file_type in NEEDY and file_type != "iq3_xs" else matrices:
                name = f"{model} with {matrix.name}"
                report.attempt(name, check, report, name, path, source, file_type,
                               ["--imatrix", matrix], folder)
        for flags in (["--include-weights", "ffn_down"], ["--exclude-weights", "exps"],
                      ["--exclude-weights", "attn", "--exclude-weights", "blk.1."]):
            report.attempt(f"{model} {flags}", check, report, f"{model} {' '.join(flags)}", path,
                           source, "q4_k_m", ["--imatrix", matrices[0], *flags], folder)
        report.attempt(f"{model} overrides", check, report, f"{model} with overrides", path, source,
                       "q4_k_m", OVERRIDES, folder)
    report.attempt("splits", check_splits, report, path, folder)
    report.attempt("hostile values", check_hostile, report, make_model("tied-bf16", folder), folder)
