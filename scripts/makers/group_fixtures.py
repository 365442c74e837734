"""Records what MLX, compressed-tensors and ModelOpt make of the number sets of Tests/Support/NumberSet.swift.

    scripts/make group-fixtures

Made with mlx 0.32.4 (CPU, x86-64), compressed-tensors 0.20.0, ModelOpt 0.47.0 and torch 2.13.0. Writes
Tests/CodecsTests/Fixtures/group-encoded.txt, a line `SCHEME TYPE SET ROWS COLUMNS LOST FNV-1A` for
every scheme of `GroupScheme.table` and for FP8: the hash is that of codes, scales and offsets, one
after the other. Numbers that the type does not hold become 1. LOST counts groups that the peer
loses at the end of its range; they are hashed as groups of zeros.
group-decoded.txt has a line `SCHEME TYPE FNV-1A` for the values, in that type, of made-up
codes, scales and offsets, hashed as F32.
"""
import pathlib

import torch

from peers import groups
from peers.number_sets import SETS, SplitMix64, fnv1a, numbers

FIXTURES = pathlib.Path(__file__).resolve().parent.parent.parent / "Tests/CodecsTests/Fixtures"
FINITE = [name for name in SETS if name not in ("infinities", "nans")]
FP8 = {"fp8-channel": None, "fp8-16x48": (16, 48)}


def matrix(name, rows, columns, dtype):
    values = torch.from_numpy(numbers(name, rows * columns, 11)).reshape(rows, columns).to(dtype)
    return torch.where(torch.isfinite(values), values, torch.ones_like(values))


def encoded_line(scheme, kind, name, rows, columns):
    weights = matrix(name, rows, columns, groups.TYPES[kind])
    lost = 0
    if scheme in FP8:
        data = b"".join(groups.quantize_fp8(weights, FP8[scheme]))
    else:
        factor = groups.factor_of(scheme, weights)
        parts = groups.quantize(scheme, weights, factor)
        lost = int(parts.lost.sum())
        if lost:
            marks = torch.from_numpy(parts.lost).repeat_interleave(columns // parts.lost.shape[1], 1)
            weights = torch.where(marks, torch.zeros_like(weights), weights)
            parts = groups.quantize(scheme, weights, factor)
        data = parts.together()
    return f"{scheme} {kind} {name} {rows} {columns} {lost} {fnv1a(data)}"


def encoded():
    for kind in groups.TYPES:
        for scheme in groups.NAMES + list(FP8):
            for name in FINITE:
                yield encoded_line(scheme, kind, name, 8, 512)
            # Words of zero points that are not full, and rows whose codes do not fill theirs.
            yield encoded_line(scheme, kind, "cauchy", 11, 128)
            if "channel" in scheme:
                yield encoded_line(scheme, kind, "cauchy", 11, 100)


def random_bytes(seed, count):
    random = SplitMix64(seed)
    return bytes(random.next() & 255 for _ in range(count))


def decoded():
    for scheme in groups.NAMES:
        for kind in groups.value_types(scheme):
            values = groups.dequantize(scheme, kind, random_bytes, numbers)
            yield f"{scheme} {kind} {fnv1a(values)}"


def main():
    torch.set_num_threads(1)
    (FIXTURES / "group-encoded.txt").write_text("\n".join(sorted(encoded())) + "\n")
    (FIXTURES / "group-decoded.txt").write_text("\n".join(sorted(decoded())) + "\n")


main()
