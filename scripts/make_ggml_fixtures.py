#!/usr/bin/env python3
"""Records what ggml makes of the number sets of Tests/Support/NumberSet.swift.

    scripts/make_ggml_fixtures.py [LIBGGML-BASE.SO]

Needs numpy; builds ggml with scripts/build-llama where no library is given. Writes
Tests/CodecsTests/Fixtures/ggml-encoded.txt, a line `TYPE SET IMPORTANCE FNV-1A` for every type
that is written, and ggml-decoded.txt, a line `TYPE FNV-1A` for every type. Values are hashed as
little-endian F32 with one pattern for NaN. Where the gguf package is installed its decoder must
agree with ggml's, or the script fails.
"""
import ctypes
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "Tests/CodecsTests/Fixtures"
COLUMNS, ROWS = 512, 8

# id, elements and bytes of a block, and whether Fathom writes the type.
TYPES = {
    "Q4_0": (2, 32, 18, True), "Q4_1": (3, 32, 20, True), "Q5_0": (6, 32, 22, True),
    "Q5_1": (7, 32, 24, True), "Q8_0": (8, 32, 34, True), "Q2_K": (10, 256, 84, True),
    "Q3_K": (11, 256, 110, True), "Q4_K": (12, 256, 144, True), "Q5_K": (13, 256, 176, True),
    "Q6_K": (14, 256, 210, True), "IQ4_NL": (20, 32, 18, True), "IQ4_XS": (23, 256, 136, True),
    "TQ1_0": (34, 256, 54, True), "TQ2_0": (35, 256, 66, True), "MXFP4": (39, 32, 17, True),
    "NVFP4": (40, 64, 36, True), "IQ1_S": (19, 256, 50, False), "IQ1_M": (29, 256, 56, False),
    "IQ2_XXS": (16, 256, 66, False), "IQ2_XS": (17, 256, 74, False),
    "IQ2_S": (22, 256, 82, False), "IQ3_XXS": (18, 256, 98, False),
    "IQ3_S": (21, 256, 110, False),
}
SETS = ("normal cauchy sparse constant denormal huge bits ties zeros infinities above below "
        "scaled outliers nans adjacent mixed").split()
MASK = (1 << 64) - 1


class SplitMix64:
    def __init__(self, state):
        self.state = state

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


def bell(bits):
    total = sum((bits >> (16 * field)) & 0xFFFF for field in range(4)) - 131070
    return np.float32(total) * np.float32(2.0 ** -18)


def from_bits(pattern):
    return np.array([pattern], np.uint32).view(np.float32)[0]


def number(name, random):
    bits = random.next()
    value, zero = bell(bits), np.float32(0.0 if bits & 1 == 0 else -0.0)
    match name:
        case "normal" | "constant" | "mixed":
            return value
        case "cauchy":
            return (np.float32(((bits >> 8) & 0xFFFF) - 0x8000)
                    / np.float32(1 + ((bits >> 32) & 0xFFFF)))
        case "sparse":
            return value if random.next() & 15 == 0 else zero
        case "denormal":
            return from_bits(bits & 0x807FFFFF)
        case "huge":
            return value * np.float32(2.0 ** 127)
        case "bits":
            pattern = bits & 0xFFFFFFFF
            return from_bits(pattern & ~0x40000000 if (pattern >> 23) & 255 == 255 else pattern)
        case "ties":
            return np.float32(((bits >> 20) & 31) - 16) * np.float32(0.5)
        case "zeros":
            return zero
        case "infinities":
            chance = random.next() & 255
            return np.float32({0: np.inf, 1: -np.inf}.get(chance, value))
        case "above":
            return np.float32(1) + value * np.float32(2.0 ** -20)
        case "below":
            return np.float32(-1) + value * np.float32(2.0 ** -12)
        case "scaled":
            return value * np.float32(2.0 ** -(random.next() & 63))
        case "outliers":
            return value * np.float32(64) if random.next() & 31 == 0 else value
        case "adjacent":
            return from_bits(0xBF800000 | ((bits >> 9) & 3))
        case "nans":
            return np.float32(np.nan) if random.next() & 127 == 0 else value


def numbers(name, count, seed):
    random, held, out = SplitMix64(seed), np.float32(0), np.empty(count, np.float32)
    for index in range(count):
        if name == "constant":
            if index % 48 == 0:
                held = bell(random.next())
            out[index] = held
        elif name == "mixed":
            if index % 16 == 0:
                held = from_bits((1 + random.next() % 250) << 23)
            out[index] = held * number(name, random)
        else:
            out[index] = number(name, random)
    return out


def weights(count, seed):
    random, out = SplitMix64(seed), np.empty(count, np.float32)
    for index in range(count):
        bits = random.next()
        root = np.float32(bits & 0xFFFF) * np.float32(2.0 ** -14)
        out[index] = 0 if bits >> 60 == 0 else root * root
    return out


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in bytes(data):
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return f"{value:016x}"


def encoded(library, kind, values, importance):
    ident, elements, size, _ = TYPES[kind]
    out = ctypes.create_string_buffer(values.size // elements * size)
    quantize = library.ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                         ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    quantize(ident, values.ctypes.data, out, 0, ROWS, COLUMNS,
             None if importance is None else importance.ctypes.data)
    return out.raw


def decoded(library, kind, data):
    _, elements, size, _ = TYPES[kind]
    out = np.empty(len(data) // size * elements, np.float32)
    function = getattr(library, "dequantize_row_" + kind.lower().replace("_k", "_K"))
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    function(data, out.ctypes.data, out.size)
    out[np.isnan(out)] = np.float32(np.nan)
    return out


def check_gguf(kind, data, values):
    """gguf-py's decoder, a second witness; it knows no sign of zero that ggml does not."""
    try:
        from gguf import GGMLQuantizationType, quants
    except ImportError:
        return
    size = TYPES[kind][2]
    try:
        other = quants.dequantize(
            np.frombuffer(data, np.uint8).reshape(-1, size), GGMLQuantizationType[kind])
    except (NotImplementedError, KeyError):
        print("gguf has no decoder for", kind)
        return
    other = np.asarray(other, np.float32).reshape(-1)
    finite = ~np.isnan(values)
    same = (other.view(np.uint32) == values.view(np.uint32)) | ~finite
    if not same.all():
        print(kind, "gguf differs in", int((~same).sum()), "of", same.size,
              "equal as numbers:", bool((other == values)[finite].all()))


def main():
    if len(sys.argv) > 1:
        path = sys.argv[1]
    else:
        folder = subprocess.run([ROOT / "scripts/build-llama", "ggml"], check=True, text=True,
                                stdout=subprocess.PIPE).stdout.strip()
        path = folder + "/lib/libggml-base.so"
    library = ctypes.CDLL(path)
    np.seterr(all="ignore")
    importance = weights(COLUMNS, 7)
    lines = []
    for name in SETS:
        values = numbers(name, ROWS * COLUMNS, 11)
        for kind in (k for k, row in TYPES.items() if row[3]):
            for word, matrix in (("plain", None), ("weighted", importance)):
                answer = fnv1a(encoded(library, kind, values, matrix))
                lines.append(f"{kind} {name} {word} {answer}")
    (FIXTURES / "ggml-encoded.txt").write_text("\n".join(sorted(lines)) + "\n")
    lines = []
    for kind, (_, elements, size, _) in TYPES.items():
        random = SplitMix64(5)
        data = bytes(random.next() & 255 for _ in range(4096 // elements * size))
        values = decoded(library, kind, data)
        check_gguf(kind, data, values)
        lines.append(f"{kind} {fnv1a(values.tobytes())}")
    (FIXTURES / "ggml-decoded.txt").write_text("\n".join(sorted(lines)) + "\n")


main()
