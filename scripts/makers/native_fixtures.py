"""Known answers about DeepSeek's model-parallel shards.

    scripts/make native-fixtures

Writes Tests/ConversionTests/Fixtures/native.json: the first digits of the SHA-256 of every file that
the steps of DeepSeek's `convert.py`, done with torch, give for each sample and each number of shards
that it divides into; and the same of the tensors of MTP layers, which those steps leave out, under
the names that they would have.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import torch

from makers.samples import SAMPLES
from peers import native

FIXTURE = (Path(__file__).resolve().parent.parent.parent / "Tests" / "ConversionTests" / "Fixtures"
           / "native.json")
# Numbers of shards into which heads, experts, vocabulary and blocks divide.
SHARDS = {"tiny-eighths": [1, 2, 4, 8], "tiny-bf16": [1, 2, 4], "tiny-tied": [1, 2, 4]}


def digest(data):
    """First digits of a SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def bytes_of(tensor):
    """A tensor's bytes in a file."""
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def answers(source, folder):
    """Hashes of one sample."""
    files = {}
    for count in SHARDS.get(source.name, [1]):
        output = folder / f"{source.name}-{count}"
        native.convert(source, output, count)
        for path in sorted(output.glob("*.safetensors")):
            files[path.name] = digest(path.read_bytes())
    extra = {name: digest(bytes_of(tensor))
             for name, tensor in sorted(native.mtp_tensors(source).items())}
    return {"files": files, "mtp": extra}


def main():
    """All samples."""
    with tempfile.TemporaryDirectory() as folder:
        result = {source.name: answers(source, Path(folder))
                  for source in native.plain_samples(SAMPLES)}
    FIXTURE.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
