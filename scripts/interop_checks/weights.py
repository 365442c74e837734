"""`fathom diff` beside the same sums in F64 by torch."""

import math

import torch

from makers.samples import SAMPLES
from peers.folder import read_checkpoint

from .conversion import plain_weights


def expected(a, b):
    """SQNR in dB, cosine, largest difference and share of equal values."""
    a, b = a.double().flatten(), b.double().flatten()
    noise = float(((a - b) ** 2).sum())
    return (10 * math.log10(float((a ** 2).sum()) / noise) if noise else None,
            float((a @ b) / (a.norm() * b.norm())) if noise else 1.0,
            float((a - b).abs().max()), float((a == b).double().mean()))


def check(report, path, name, options, folder):
    """Every tensor of a conversion."""
    output = folder / f"{path.name}-{name}"
    report.run("convert", path, output, "--to", "hf", *options)
    rows = {row["name"]: row for row in report.run_json("diff", path, output)["tensors"]}
    before = plain_weights(*read_checkpoint(path), "float32")
    after = plain_weights(*read_checkpoint(output), "float32")
    worst, different = 0.0, 0
    for key, weight in before.items():
        sqnr, cosine, largest, equal = expected(weight, after[key])
        row = rows.pop(key)
        different += sqnr is not None
        if (sqnr is None) != (row["sqnrDb"] is None) or largest != row["maxAbsDifference"] \
                or equal != row["equalValues"]:
            worst = math.inf
            continue
        worst = max(worst, abs(cosine - row["cosine"]),
                    0 if sqnr is None else abs(sqnr - row["sqnrDb"]) / 100)
    report.check(f"{path.name} → {name}: diff's numbers are torch's", worst < 1e-6 and not rows,
                 f"{different} tensors differ, error {worst:.1e}, {len(rows)} too many")


def run(report, folder):
    """Samples rounded to other types."""
    for sample in ("tiny-fp8", "tiny-fp8-block32", "tiny-tied", "tiny-bf16", "tiny-trained"):
        for name in ("bf16", "f16", "fp8"):
            if name == "fp8" and "fp8" in sample or name == "fp8" and sample == "tiny-trained":
                continue
            report.attempt(f"{sample} {name}", check, report, SAMPLES / sample, name,
                           ["--quant", name], folder)
