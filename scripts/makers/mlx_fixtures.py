"""Makes Tests/ConversionTests/Fixtures/mlx.txt: what mlx-lm makes of a sample.

    scripts/make mlx-fixtures

One line for each kind and groups, with two hashes, the first 16 digits of SHA-256 over all tensors
in the order of their names, each as `name type shape` and its bytes: of the tensors as stored, and
as `mlx.core.dequantize` decodes them from scales and biases in F32.
"""

import hashlib
import tempfile
from pathlib import Path

from makers.samples import SAMPLES
from peers import mlx_models
from peers.folder import write_without_mtp
from peers.mlx_models import KINDS

SAMPLE = "tiny-trained"
TARGET = SAMPLES.parent / "Tests" / "ConversionTests" / "Fixtures" / "mlx.txt"


def digest(tensors):
    """The hash of name → (type, shape, bytes)."""
    sha = hashlib.sha256()
    for name, (kind, shape, data) in sorted(tensors.items()):
        sha.update(f"{name} {kind} {list(shape)}\n".encode())
        sha.update(data)
    return sha.hexdigest()[:16]


def digests(folder):
    """The hashes of a model as it is stored, and decoded."""
    stored = {name: value[:3] for name, value in mlx_models.read(folder).items()}
    decoded = {name: ("F32", value.shape, value.tobytes())
               for name, value in mlx_models.decoded(folder).items()}
    return f"{digest(stored)} {digest(decoded)}"


def main():
    """Writes the fixture."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        # mlx-lm leaves MTP layers out at layer 61 alone.
        source = Path(folder) / SAMPLE
        write_without_mtp(SAMPLES / SAMPLE, source)
        for kind, group in [(kind, group) for kind in KINDS for group in KINDS[kind][2]]:
            output = Path(folder) / f"{kind}-{group}"
            mlx_models.convert(source, output, kind, group)
            lines.append(f"{kind} {group} {digests(output)}")
        # Not F16 and F32: mlx-lm rounds FP8 to BF16 before.
        output = Path(folder) / "bf16"
        mlx_models.convert(source, output)
        lines.append(f"bf16 0 {digests(output)}")
    TARGET.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
