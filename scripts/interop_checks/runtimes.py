"""`--as RUNTIME`: logits as llama.cpp, mlx-lm and FP8 kernels compute them, far nearer than F32's."""

import json

import numpy as np
import torch
from safetensors.torch import load_file

from makers.samples import SAMPLES, TRAINED
from peers import fp8_runtime, llama, mlx_models
from peers.folder import read_checkpoint

from . import deepseek_v4_gguf as v4
from .compare import divergences

# File type of the trained sample → most of F32's mean KL divergence from llama.cpp that is left.
# Where one rounding follows another, few tokens part again, and they make the mean.
TRAINED_FILES = {"f32": 0.02, "bf16": 0.5, "q8_0": 0.2, "q4_k_m": 0.1, "q2_k": 0.2, "iq4_xs": 0.2,
                 "iq2_xs": 0.2, "iq3_s": 0.4}
# Of the middle token's distance next to nothing is left, but of BF16 by BF16, which llama.cpp adds up
# otherwise.
MIDDLE, MIDDLE_BF16 = 0.05, 0.5
# Kinds of DeepSeek-V4's matrices, in one type each.
V4_RULES = ("attn_q_a=q8_0", "attn_q_b=q4_0", "attn_kv.weight=q4_k", "attn_output_a=q8_0",
            "attn_output_b=q4_k", "attn_compressor=q8_0", "_ape=q8_0", "hc_attn_fn=q8_0",
            "output_hc_fn=q8_0", "indexer=q8_0", "ffn_down_exps=q4_k", "ffn_up_shexp=q8_0",
            "ffn_gate_exps=bf16")
V4_PLAIN = ("--tensor-type", ".=f32", "--output-tensor-type", "f32", "--token-embedding-type", "f32")
V4_SHARE = 0.5
# Whole files of random weights: how far it goes depends on the network.
V4_FILES = {"carried": 0.4, "q4_k_m": 0.5, "q2_k": 0.6, "q8_0": None}
# mlx-lm's settings → share of F32's KL divergence that is left. F16 tells more sums apart.
MLX = {"bf16": 0.2, "f16": 0.6, "8bit": 0.3, "4bit": 0.7, "mxfp4": 0.3, "mxfp8": 0.3, "nvfp4": 0.3}
FP8_SHARE = 0.05


class Text:
    """Tokens of the sample's text, and Fathom's logits of them."""

    def __init__(self, report, folder, rows):
        self.report, self.rows, self.folder = report, rows, folder
        self.tokens = folder / "runtime-ids.json"
        self.tokens.write_text(json.dumps(rows))

    def logits(self, model, *options):
        """(batch, tokens, vocabulary)"""
        output = self.folder / "runtime-logits.safetensors"
        self.report.run("logits", model, "--tokens", self.tokens, "-o", output, "--overwrite",
                        "--mtp", "drop", *options)
        return load_file(str(output))["logits"]

    def compare(self, runtime, model, theirs):
        """Shares of F32's distances from a runtime that are left when it is imitated: of the mean KL
        divergence and of the middle token's root mean square; and a line about them."""
        plain, imitated = self.logits(model), self.logits(model, "--as", runtime)
        kl = [float(divergences(theirs, found).mean()) for found in (plain, imitated)]
        middle = [float(((theirs - found) ** 2).mean(-1).sqrt().median())
                  for found in (plain, imitated)]
        costs = [float(divergences(plain, found).mean()) for found in (theirs, imitated)]
        line = (f"KL {kl[0]:.1e} in F32, {kl[1]:.1e} imitated; middle token {middle[0]:.1e}, "
                f"{middle[1]:.1e}; rounding costs {costs[0]:.1e}, imitated {costs[1]:.1e}")
        return kl[1] / kl[0], middle[1] / middle[0], line


def sample_text(report, folder, length=None):
    """Two pieces of what the sample's network did not learn."""
    rows = json.loads((SAMPLES / "text" / "unseen.json").read_text())[:2]
    return Text(report, folder, [row[:length] for row in rows])


def llama_logits(model, rows, folder):
    """With the attention and the cache that users have."""
    return torch.from_numpy(np.stack([llama.logits(model, row, folder, default=True)
                                      for row in rows]))


def check_llama(report, folder):
    """Whole files of a trained network."""
    text, model, matrix = sample_text(report, folder), folder / "as.gguf", folder / "as-matrix.gguf"
    report.run("imatrix", SAMPLES / TRAINED, "--tokens", text.tokens, "-o", matrix)
    for file_type, most in TRAINED_FILES.items():
        weighed = ["--imatrix", matrix] if file_type.startswith("iq") else []
        report.run("convert", SAMPLES / TRAINED, model, "--to", "gguf", "--quant", file_type,
                   "--mtp", "drop", "--overwrite", *weighed)
        share, middle, line = text.compare(
            "llama.cpp", model, llama_logits(model, text.rows, folder))
        report.check(f"{file_type} as llama.cpp: far nearer to it than F32", share < most and
                     middle < (MIDDLE_BF16 if file_type == "bf16" else MIDDLE), line)


def check_streams(report, folder):
    """DeepSeek-V4: kinds of matrices one by one, and whole files."""
    path, _, _ = v4.publish("usual", folder, v4.TEMPLATE)
    ids = np.random.default_rng(5).integers(2, 300, 260).tolist()
    text, model = Text(report, folder, [ids]), folder / "as-v4.gguf"
    cases = [(rule, V4_SHARE, ("--quant", "q8_0", "--tensor-type", rule, *V4_PLAIN))
             for rule in V4_RULES]
    cases.append(("caches alone", 0.05, ("--quant", "f32")))
    cases += [(name, most, () if name == "carried" else ("--quant", name))
              for name, most in V4_FILES.items()]
    for name, most, options in cases:
        report.run("convert", path, model, "--to", "gguf", "--overwrite", *options)
        share, _, line = text.compare("llama.cpp", model, llama_logits(model, text.rows, folder))
        if most is None:
            report.note(f"DeepSeek-V4 in {name} as llama.cpp: {line}")
        else:
            report.check(f"DeepSeek-V4, {name}, as llama.cpp: far nearer to it than F32",
                         share < most, line)


def check_mlx(report, folder):
    """mlx-lm's model in the type that its users have.

    Some of mlx's operations on a CPU add up in 16 bits where those on a GPU do in F32; these are put
    right first, which is most of what is between the two there.
    """
    text = sample_text(report, folder, 128)
    for kind, most in MLX.items():
        model = folder / f"as-mlx-{kind}"
        report.run("convert", SAMPLES / TRAINED, model, "--to", "mlx", "--quant", kind, "--mtp",
                   "drop")
        theirs = torch.from_numpy(mlx_models.logits_in_16_bits(model, text.rows))
        share, middle, line = text.compare("mlx", model, theirs)
        report.check(f"{kind} as mlx: far nearer to mlx-lm in 16 bits than F32",
                     share < most and (kind == "f16" or middle < MIDDLE), line)
    own = torch.from_numpy(mlx_models.logits_in_16_bits(folder / "as-mlx-bf16", text.rows, False))
    report.note(f"bf16, mlx's kernels for CPUs as they are: "
                f"{text.compare('mlx', folder / 'as-mlx-bf16', own)[2]}")


def check_fp8(report, folder):
    """FP8 products by DeepSeek's definition, in torch, with scales of both kinds."""
    text, plain, powers = (
        sample_text(report, folder, 128), folder / "as-plain", folder / "as-powers")
    report.run("convert", SAMPLES / TRAINED, plain, "--to", "hf", "--quant", "bf16")
    report.run("convert", plain, powers, "--to", "hf", "--quant", "fp8", "--scale-format", "ue8m0")
    for name, model in (("", SAMPLES / TRAINED), (", powers of two", powers)):
        theirs = fp8_runtime.logits(*read_checkpoint(model), torch.tensor(text.rows))
        share, middle, line = text.compare("deepseek-fp8", model, theirs)
        report.check(f"as deepseek-fp8{name}: far nearer to its definition in torch than F32",
                     share < FP8_SHARE and middle < MIDDLE, line)


def run(report, folder):
    """All runtimes."""
    report.attempt("llama.cpp", check_llama, report, folder)
    report.attempt("DeepSeek-V4 in llama.cpp", check_streams, report, folder)
    report.attempt("mlx", check_mlx, report, folder)
    report.attempt("deepseek-fp8", check_fp8, report, folder)
