"""Has llama-imatrix measure samples, for the tests of `fathom imatrix`.

    scripts/make imatrix-fixtures

Builds llama-imatrix with scripts/build-llama. Writes Tests/ReferenceTests/Fixtures/imatrix.json: for
each sample the chunks of token ids, and of every tensor the counts and, of its sums, how many
they are and some of them.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from interop_checks.gguf import GGUFReader
from interop_checks.imatrix import chunks_of
from peers import llama
from peers.folder import write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHUNK = 32
TEXT = "".join(chr(97 + (i * i * 7 + i * 3) % 26) + " " * (i % 5 == 0) for i in range(300))
# With experts and an MTP layer, which llama-imatrix leaves out, and without.
SAMPLES = ["tiny-bf16", "tiny-youtu"]


def sampled(values):
    """Some of many numbers: the first, and one in 17."""
    return [float(value) for value in values[::17]]


def measure(name, folder):
    """One sample's tensors."""
    model, text, output = (folder / part for part in ("model.gguf", "text.txt", "matrix.gguf"))
    llama.convert(ROOT / "Samples" / name, model)
    text.write_text(TEXT)
    llama.run([llama.ROOT / "bin" / "llama-imatrix", "-m", model, "-f", text, "-o", output, "-c",
               CHUNK, "-b", CHUNK, *llama.EXACT, "-t", 1, "--no-ppl", "--process-output"])
    found = {tensor.name: tensor.data.flatten() for tensor in GGUFReader(str(output)).tensors}
    tensors = [
        {"name": key.removesuffix(".in_sum2"), "count": len(values), "sums": sampled(values),
         "tokens": [int(n) for n in found[key.replace(".in_sum2", ".counts")]]}
        for key, values in sorted(found.items()) if key.endswith(".in_sum2")]
    return {"sequences": chunks_of(ROOT / "Samples" / name, model, text, CHUNK), "tensors": tensors}


def main():
    """All samples."""
    subprocess.run([ROOT / "scripts/build-llama", "llama-imatrix"], check=True, stdout=sys.stderr)
    cases = []
    for name in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            cases.append({"name": name, **measure(name, pathlib.Path(folder))})
    write_json(ROOT / "Tests/ReferenceTests/Fixtures/imatrix.json", cases)


if __name__ == "__main__":
    main()
