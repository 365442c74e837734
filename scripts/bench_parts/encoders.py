"""Block encoders beside ggml's own, one thread, in one run of `ggml-compare`."""

import os
import re
import subprocess

from bench_parts.measure import SCRIPTS, print_table

# Those that search a grid of points, with an importance for each column.
TYPES = ("IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ3_S")
# What is asked of them: so many times ggml's speed.
BAR = 8
# `IQ1_M avx2: 2.5 → 27.0 (×10.8) |* 2.4 → 25.1 (×10.5) | decode …`, in million elements a second;
# the pair behind the star is the one with an importance, and the only one of types that need it.
LINE = re.compile(r"^(\S+) (avx2|avx512|neon):.*?(?:\|\* |: )([0-9.]+) → ([0-9.]+) \(×[0-9.]+\) \| decode")


def bench(program):
    """A row for each type and level: both speeds and their ratio."""
    folder = subprocess.run(
        [SCRIPTS / "build-llama", "ggml"], check=True, text=True, stdout=subprocess.PIPE)
    library = f"{folder.stdout.strip()}/lib/libggml-base.so"
    # Bytes are for the tests; here a few are compared on the way.
    compared = subprocess.run(
        [program, library, *TYPES], check=True, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "ELEMENTS": "2048"})
    rows = []
    for line in compared.stdout.splitlines():
        if found := LINE.match(line):
            kind, level, theirs, ours = found.groups()
            ratio = float(ours) / float(theirs)
            rows.append((kind, level, theirs, ours, f"{ratio:.1f} ×",
                         "" if ratio >= BAR else f"below {BAR}"))
    if len({row[0] for row in rows}) != len(TYPES):
        raise SystemExit(f"ggml-compare has measured something else:\n{compared.stdout}")
    print_table(
        "Encoding F32 with an importance, one thread, million weights a second, against "
        "ggml_quantize_chunk of llama.cpp as its releases are built",
        ("type", "level", "ggml", "fathom", "speed", ""), rows)
