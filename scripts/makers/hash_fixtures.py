"""Known answers of hashes, by the PyPI package blake3, which wraps the authors' own code.

    scripts/make hash-fixtures

Tests/PlatformTests/Fixtures/blake3.json: messages are bytes counted modulo 251, as in the authors'
test vectors, of lengths around every border of the tree: blocks of 64 bytes, chunks of 1 KiB, the
lanes of the kernels, pieces of 1 MiB.

Tests/CommandTests/Fixtures/hashes.json: what `fathom hash` has to say of each sample.
"""

import json
from pathlib import Path

from blake3 import __version__, blake3

from peers.hashes import checkpoint_hash, tensor_hashes

ROOT = Path(__file__).resolve().parent.parent.parent
MESSAGES = ROOT / "Tests/PlatformTests/Fixtures/blake3.json"
SAMPLES = ROOT / "Tests/CommandTests/Fixtures/hashes.json"
CHUNK, PIECE = 1 << 10, 1 << 20
BORDERS = [0, 64, CHUNK, 2 * CHUNK, 3 * CHUNK, 4 * CHUNK, 7 * CHUNK, 8 * CHUNK, 16 * CHUNK,
           31 * CHUNK, 64 * CHUNK, 100 * CHUNK, PIECE, 2 * PIECE, 3 * PIECE]


def write(path, cases):
    """A document with one line for each case."""
    lines = ",\n  ".join(json.dumps(case) for case in cases)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{{"peer": "blake3 {__version__}", "cases": [\n  {lines}\n]}}\n')


def main():
    """Both documents."""
    lengths = sorted({max(0, border + step) for border in BORDERS for step in (-1, 0, 1)})
    message = bytes(range(251)) * (max(lengths) // 251 + 1)
    write(MESSAGES, [{"length": n, "hash": blake3(message[:n]).hexdigest()} for n in lengths])
    samples = sorted(path for path in (ROOT / "Samples").glob("tiny-*"))
    write(SAMPLES, [
        {"sample": path.name, "tensors": len(hashes), "checkpoint": checkpoint_hash(hashes)}
        for path in samples for hashes in [tensor_hashes(path)]])


if __name__ == "__main__":
    main()
