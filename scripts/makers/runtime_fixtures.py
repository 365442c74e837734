"""Has ggml and torch round activations, and llama.cpp compute logits, for the tests of `--as`.

    scripts/make runtime-fixtures [--fathom PATH]

Builds llama.cpp's tools with scripts/build-llama. Writes Tests/ReferenceTests/Fixtures/rounding.json:
rows of numbers, and what they become as Q8_0 and Q8_K (ggml's code for any processor), as FP8 with a
scale per 128 (DeepSeek's `act_quant`, in torch; by powers of two too), as BF16 and as F16;
Tests/CommandTests/Fixtures/runtime.json: the logits of llama.cpp's last tokens on files of a sample,
with the attention and cache that users have; and Tests/CommandTests/Fixtures/runtime-v4: a small
DeepSeek-V4 that llama.cpp runs, which stands in that file too. runtime-16-bits.json beside it has the
logits of mlx-lm on the sample in BF16, with a GPU's sums, and of torch by DeepSeek's FP8 products.
"""
import argparse
import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

from peers import deepseek_v4 as v4
from peers import fp8_runtime, llama, mlx_models
from peers.folder import read_checkpoint, write_json
from peers.tokenizer import write_tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SAMPLE, TOKENS, LAST = "tiny-trained", 128, 12
# One kind of matrix is quantized, so that one rounding does not follow another: which code a number
# becomes can depend on the last bits of a sum.
RULES = ["attn_q_a=q8_0", "attn_kv_a_mqa=q4_k", "attn_k_b=q8_0", "attn_v_b=q8_0", "ffn_down=q4_k",
         "ffn_gate_exps=bf16"]
# Of DeepSeek-V4; all matrices in F32 show what its caches round.
V4_RULES = ["attn_q_b=q8_0", "attn_output_a=q8_0", "attn_compressor=q8_0", "indexer=q8_0",
            "hc_attn_fn=q8_0", "ffn_up_exps=q8_0", "ffn_gate_exps=bf16", "none=q8_0"]
V4_SIZES = {
    "vocab_size": 288, "hidden_size": 64, "moe_intermediate_size": 32, "num_hidden_layers": 3,
    "num_attention_heads": 2, "head_dim": 128, "qk_rope_head_dim": 32, "q_lora_rank": 32,
    "n_routed_experts": 3, "num_hash_layers": 1, "o_lora_rank": 32, "index_head_dim": 64,
    "index_topk": 9, "index_n_heads": 16, "layer_types": [v4.SLIDING, v4.SPARSE, v4.HEAVY],
    "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 128},
}
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


def by_deepseek(values, powers=False):
    """`act_quant` of DeepSeek's kernel.py, block size 128, on BF16 activations."""
    codes, scales = fp8_runtime.act_quant(torch.from_numpy(values).bfloat16(), powers)
    return (codes * scales).flatten().numpy()


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
            "fp8": by_deepseek(row), "fp8ByPowersOfTwo": by_deepseek(row, True), "bf16": values.bfloat16().float().numpy(),
            "f16": values.half().float().numpy(),
        }
        cases.append({"values": row.tolist(), **{k: v.tolist() for k, v in found.items()}})
    return cases


def streamed(path):
    """Writes a small DeepSeek-V4 in the published form."""
    model = v4.make_model(83, **V4_SIZES)
    written, _ = v4.publish(v4.plain(model))
    v4.write(path, v4.published_config(model), written)
    write_tokenizer(path)


def runtime(fathom, path, rules, more=0):
    """llama.cpp's logits of the last tokens, rule by rule."""
    ids = [0, *(int(i) for i in np.random.default_rng(5).integers(2, 280, TOKENS + more - 1))]
    cases = []
    for rule in rules:
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder) / "model.gguf"
            subprocess.run([fathom, "convert", path, model, "--to", "gguf", "--quant", "q8_0",
                            "--tensor-type", rule, *PLAIN],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            logits = llama.logits(model, ids, folder, default=True)[-LAST:]
            cases.append({"name": rule, "model": str(path.relative_to(ROOT)), "tokens": ids,
                          "logits": written(logits)})
    return cases


def written(logits):
    """Rows of logits as they stand in a fixture."""
    return [[float(f"{v:.7g}") for v in row] for row in logits]


def in_16_bits(fathom):
    """What runtimes with 16-bit activations make of the sample's text."""
    path = ROOT / "Samples" / SAMPLE
    ids = json.loads((ROOT / "Samples/text/unseen.json").read_text())[0][:TOKENS]
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "model"
        subprocess.run([fathom, "convert", path, model, "--to", "mlx", "--quant", "bf16", "--mtp",
                        "drop"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = {"mlx": mlx_models.logits_in_16_bits(model, [ids])[0]}
    found["deepseek-fp8"] = fp8_runtime.logits(
        *read_checkpoint(path), torch.tensor([ids]))[0].tolist()
    return [{"name": name, "model": f"Samples/{SAMPLE}", "tokens": ids,
             "logits": written(logits[-LAST:])} for name, logits in found.items()]


def main():
    """Both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fathom", default=ROOT / ".build" / "release" / "fathom")
    arguments = parser.parse_args()
    subprocess.run([ROOT / "scripts/build-llama"], check=True, stdout=sys.stderr)
    tests = ROOT / "Tests"
    write_json(tests / "ReferenceTests/Fixtures/rounding.json", rounding())
    fixtures = tests / "CommandTests/Fixtures"
    write_json(fixtures / "runtime-16-bits.json", in_16_bits(arguments.fathom))
    streamed(fixtures / "runtime-v4")
    write_json(
        fixtures / "runtime.json",
        runtime(arguments.fathom, ROOT / "Samples" / SAMPLE, RULES)
        + runtime(arguments.fathom, fixtures / "runtime-v4", V4_RULES, more=40))


if __name__ == "__main__":
    main()
