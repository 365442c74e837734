"""Millions of weights in groups, quantized by Fathom's codecs and by MLX,
compressed-tensors and ModelOpt."""

import subprocess
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch

from peers import groups

ROWS, COLUMNS = 512, 2048
FP8 = {"fp8-1x2048": None, "fp8-128x128": (128, 128)}


def made_matrix(seed):
    """Bands of different kinds: as weights are, of every size, sparse, negative, with ties."""
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(ROWS, COLUMNS, generator=random)
    sizes = torch.randint(-30, 10, (ROWS, COLUMNS // 32), generator=random)
    scale = torch.exp2(sizes.float()).repeat_interleave(32, 1)
    band = ROWS // 8
    values[:3 * band] *= 0.02
    values[3 * band:5 * band] *= scale[:2 * band]
    values[5 * band:6 * band] *= torch.rand(band, COLUMNS, generator=random) < 0.1
    values[6 * band:7 * band] = -values[6 * band:7 * band].abs()
    values[7 * band:] = torch.randint(-24, 25, (band, COLUMNS), generator=random) * 0.125
    return values


def run_program(report, name, weights, factor):
    """Codes, scales and offsets; every kernel level has agreed on them."""
    kind = next(key for key, dtype in groups.TYPES.items() if dtype == weights.dtype)
    program = Path(report.fathom).with_name("group-codes")
    command = [program, name, kind, str(ROWS), str(COLUMNS)]
    if factor is not None:
        command.append(repr(float(factor)))
    result = subprocess.run(command, input=groups.raw(weights), capture_output=True, timeout=300)
    if result.returncode != 0:
        raise RuntimeError(f"group-codes {name}: {result.stdout[:200]}")
    return np.frombuffer(result.stdout, np.uint8)


def differing(found, parts):
    """Bytes that differ outside the groups that the peer loses, and how many groups these are."""
    expected = np.frombuffer(parts.together(), np.uint8)
    if found.size != expected.size:
        return expected.size, 0
    same = found == expected
    count = len(parts.codes)
    lost = parts.lost.reshape(-1)
    same[:count].reshape(lost.size, -1)[lost] = True
    same[count:count + len(parts.scales)].reshape(lost.size, -1)[lost] = True
    return int((~same).sum()), int(lost.sum())


def check_scheme(report, name, matrix):
    """All three types of weights."""
    words = []
    for kind, dtype in groups.TYPES.items():
        weights = matrix.to(dtype)
        factor = groups.factor_of(name, weights)
        found = run_program(report, name, weights, factor)
        if name in FP8:
            parts = groups.Parts(*groups.quantize_fp8(weights, FP8[name]), b"", np.zeros(1, bool))
        else:
            parts = groups.quantize(name, weights, factor)
        count, lost = differing(found, parts)
        if count or lost > ROWS * COLUMNS // 32 // 100:
            words.append(f"{kind}: {count} bytes, {lost} groups lost")
    report.check(f"{name}: {3 * matrix.numel()} weights have the peer's bytes", not words,
                 "; ".join(words))


def check_affine_rounding(report, matrix):
    """`BlockScales` says how far mlx's BF16 arithmetic is from F32's."""
    for bits in (2, 4, 8):
        codes, scales, biases = mx.quantize(groups.to_mlx(matrix.bfloat16()), 64, bits)
        rough = mx.dequantize(codes, scales, biases, 64, bits).astype(mx.float32)
        wide = [part.astype(mx.float32) for part in (scales, biases)]
        values = mx.dequantize(codes, *wide, 64, bits)
        products = mx.abs(mx.dequantize(codes, wide[0], mx.zeros_like(wide[1]), 64, bits))
        bound = 2.0 ** -8 * (products + mx.abs(values) + 2.0 ** -8 * products)
        worst = mx.max((mx.abs(rough - values) - bound) / mx.maximum(bound, 1e-30)).item()
        report.check(f"mlx {bits} bit: BF16 differs from F32 as stated", worst <= 0,
                     f"{worst + 1:.3f} of the bound")


def run(report, _):
    """All schemes of `GroupScheme.table`, and FP8."""
    matrix = made_matrix(5)
    for name in groups.NAMES + list(FP8):
        report.attempt(name, check_scheme, report, name, matrix)
    report.attempt("rounding", check_affine_rounding, report, matrix)
