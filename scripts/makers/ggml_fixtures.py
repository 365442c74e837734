"""Records what ggml makes of the number sets of Tests/Support/NumberSet.swift.

    scripts/make ggml-fixtures [LIBGGML-BASE.SO]

Needs numpy; builds ggml with scripts/build-llama where no library is given. Writes
Tests/CodecsTests/Fixtures/ggml-encoded.txt, a line `TYPE SET IMPORTANCE FNV-1A` for every type
that is written, and ggml-decoded.txt, a line `TYPE FNV-1A` for every type. Values are hashed as
little-endian F32 with one pattern for NaN. Where the gguf package is installed its decoder must
agree with ggml's, or the script fails.

ggml ends the process at a block for which it finds no point of a grid, or a scale that is NaN. Such
a block is recorded as Fathom writes it: with a scale that is NaN and zeros otherwise.
"""
import ctypes
import os
import pathlib
import subprocess
import sys

import numpy as np

from peers.number_sets import SETS, SplitMix64, fnv1a, numbers, weights

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "Tests/CodecsTests/Fixtures"
COLUMNS, ROWS = 512, 8

# id, elements and bytes of a block, and whether Fathom writes the type.
TYPES = {
    "Q4_0": (2, 32, 18, True), "Q4_1": (3, 32, 20, True), "Q5_0": (6, 32, 22, True),
    "Q5_1": (7, 32, 24, True), "Q8_0": (8, 32, 34, True), "Q2_K": (10, 256, 84, True),
    "Q3_K": (11, 256, 110, True), "Q4_K": (12, 256, 144, True), "Q5_K": (13, 256, 176, True),
    "Q6_K": (14, 256, 210, True), "IQ4_NL": (20, 32, 18, True), "IQ4_XS": (23, 256, 136, True),
    "TQ1_0": (34, 256, 54, True), "TQ2_0": (35, 256, 66, True), "MXFP4": (39, 32, 17, True),
    "NVFP4": (40, 64, 36, True), "IQ1_S": (19, 256, 50, True), "IQ1_M": (29, 256, 56, True),
    "IQ2_XXS": (16, 256, 66, True), "IQ2_XS": (17, 256, 74, True), "IQ2_S": (22, 256, 82, True),
    "IQ3_XXS": (18, 256, 98, True), "IQ3_S": (21, 256, 110, True), "Q1_0": (41, 128, 18, True),
    "Q2_0": (42, 64, 18, True),
}
# Written only with an importance.
WEIGHED = {"IQ1_S", "IQ2_XXS", "IQ2_XS"}


def encoded(library, kind, values, importance):
    ident, elements, size, _ = TYPES[kind]
    if not kind.startswith("IQ") or kind.startswith("IQ4"):
        return quantized(library, kind, values, importance)
    library.ggml_quantize_init(ident)
    whole = attempt(lambda: quantized(library, kind, values, importance))
    if whole is not None:
        return whole
    blocks = []
    for start in range(0, values.size, elements):
        part = values[start:start + elements].copy()
        column = start % COLUMNS
        columns = None if importance is None else importance[column:column + elements].copy()
        block = attempt(lambda: quantized(library, kind, part, columns))
        blocks.append(refused(kind) if block is None else block)
    return b"".join(blocks)


def quantized(library, kind, values, importance):
    ident, elements, size, _ = TYPES[kind]
    out = ctypes.create_string_buffer(values.size // elements * size)
    quantize = library.ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                         ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    columns = min(COLUMNS, values.size)
    quantize(ident, values.ctypes.data, out, 0, values.size // columns, columns,
             None if importance is None else importance.ctypes.data)
    return out.raw


def attempt(work):
    """What a process of its own makes of the work; None where that process is ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(writing, work())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        data = pipe.read()
    return data if os.waitpid(child, 0)[1] == 0 else None


def refused(kind):
    block = bytearray(TYPES[kind][2])
    if kind == "IQ1_M":
        block[53], block[55] = 0xE0, 0x70
    else:
        block[1] = 0x7E
    return bytes(block)


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
                if matrix is None and kind in WEIGHED:
                    continue
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
