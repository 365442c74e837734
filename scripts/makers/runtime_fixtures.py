"""Has ggml and torch round activations, and llama.cpp compute logits, for the tests of `--as`.

    scripts/make runtime-fixtures [--fathom PATH]

Builds llama.cpp's tools with scripts/build-llama. Writes Tests/ReferenceTests/Fixtures/rounding.json:
rows of numbers, and what they become as Q8_0 and Q8_K (ggml's code for any processor), as FP8 with a
scale per 128 (DeepSeek's `act_quant`, in torch), as BF16 and as F16; and
Tests/CommandTests/Fixtures/runtime.json: the logits of llama.cpp's last tokens on files of a sample,
with the attention and cache that users have.
"""
import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

from peers import llama
from peers.folder import write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SAMPLE, TOKENS, LAST = "tiny-trained", 128, 12
# One kind of matrix is quantized, so that one rounding does not follow another: which code a number
# becomes can depend on the last bits of a sum.
RULES = ["attn_q_a=q8_0", "attn_kv_a_mqa=q4_k", "attn_k_b=q8_0", "attn_v_b=q8_0", "ffn_down=q4_k",
         "ffn_gate_exps=bf16"]
PLAIN = ["--tensor-type", ".=f32", "--output-tensor-type", "f32", "--token-embedding-type", "f32"]
# Bytes of a block of so many numbers.
BLOCKS = {"q8_0": (32, 34), "q8_K": (256, 4 + 256 + 32)}


def by_ggml(values, name):
    """What a row becomes when ggml stores it in a type and reads it again."""
    base = ctypes.CDLL(str(llama.ROOT / "lib" / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    kernels = ctypes.CDLL(str(llama.ROOT / "lib" / "libggml-cpu.so"))
    count, size = BLOCKS[name]
    row = np.ascontiguousarray(values, dtype=np.float32)
    stored = np.zeros(len(row) // count * size, dtype=np.uint8)
    found = np.zeros_like(row)
    length = ctypes.c_int64(len(row))
    pointer = ctypes.c_void_p
    getattr(kernels, f"quantize_row_{name}")(
        row.ctypes.data_as(pointer), stored.ctypes.data_as(pointer), length)
    getattr(base, f"dequantize_row_{name}")(
        stored.ctypes.data_as(pointer), found.ctypes.data_as(pointer), length)
    return found


def by_deepseek(values):
    """`act_quant` of DeepSeek's kernel.py, block size 128, on BF16 activations."""
    blocks = torch.from_numpy(values).bfloat16().float().reshape(-1, 128)
    scale = blocks.abs().amax(dim=1, keepdim=True) / 448.0
    return ((blocks / scale).to(torch.float8_e4m3fn).float() * scale).flatten().numpy()


def rows():
    """Rows as activations are: of several sizes, with outliers, with zeros, with blocks of zeros."""
    generator = np.random.default_rng(31)
    for scale in (1e-3, 1.0, 40.0):
        row = (generator.standard_normal(512) * scale).astype(np.float32)
        row[generator.integers(0, 512, 8)] *= 30
        row[generator.integers(0, 512, 40)] = 0
        yield row
    row = generator.standard_normal(512).astype(np.float32)
    row[:128], row[5:7] = 1e-8, [-1e-8, 0]
    yield row


def rounding():
    """Rows and what they become."""
    cases = []
    for row in rows():
        values = torch.from_numpy(row)
        found = {
            "bytes": by_ggml(row, "q8_0"), "signedBytes": by_ggml(row, "q8_K"),
            "fp8": by_deepseek(row), "bf16": values.bfloat16().float().numpy(),
            "f16": values.half().float().numpy(),
        }
        cases.append({"values": row.tolist(), **{k: v.tolist() for k, v in found.items()}})
    return cases


def runtime(fathom):
    """llama.cpp's logits of the last tokens of a sample, rule by rule."""
    path = ROOT / "Samples" / SAMPLE
    ids = [0, *(int(i) for i in np.random.default_rng(5).integers(2, 280, TOKENS - 1))]
    cases = []
    for rule in RULES:
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder) / "model.gguf"
            subprocess.run([fathom, "convert", path, model, "--to", "gguf", "--quant", "q8_0",
                            "--tensor-type", rule, *PLAIN],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            logits = llama.logits(model, ids, folder, default=True)[-LAST:]
            cases.append({"name": rule, "tokens": ids,
                          "logits": [[float(f"{v:.7g}") for v in row] for row in logits]})
    return cases


def main():
    """Both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fathom", default=ROOT / ".build" / "release" / "fathom")
    arguments = parser.parse_args()
    subprocess.run([ROOT / "scripts/build-llama"], check=True, stdout=sys.stderr)
    tests = ROOT / "Tests"
    write_json(tests / "ReferenceTests/Fixtures/rounding.json", rounding())
    write_json(tests / "CommandTests/Fixtures/runtime.json", runtime(arguments.fathom))


if __name__ == "__main__":
    main()
