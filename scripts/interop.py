"""Compares Fathom with its peers; `scripts/interop` builds Fathom and starts this.

    python scripts/interop.py --fathom PATH [--only PART …]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from interop_checks import (
    compressed, containers, conversion, fixtures, forward, gguf, gguf_input, gguf_options, groups,
    hashes, interruptions, kimi, mlx, native, networks, quantization, reports, text, verification,
    weights,
)
from interop_checks.report import Report

# In the order in which a reader would ask: are the known answers true, does Fathom give them,
# does it convert exactly, does it measure rightly.
PARTS = {
    "fixtures": fixtures.run,
    "forward": forward.run,
    "text": text.run,
    "kimi": kimi.run,
    "conversion": conversion.run,
    "quantization": quantization.run,
    "groups": groups.run,
    "compressed": compressed.run,
    "gguf": gguf.run,
    "gguf-input": gguf_input.run,
    "gguf-options": gguf_options.run,
    "mlx": mlx.run,
    "native": native.run,
    "networks": networks.run,
    "verification": verification.run,
    "reports": reports.run,
    "weights": weights.run,
    "hashes": hashes.run,
    "containers": containers.run,
    "interruptions": interruptions.run,
}


def main():
    """Runs the parts asked for and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True, help="the command to check")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="some parts alone")
    arguments = parser.parse_args()
    # One thread makes torch's sums, and so the report, the same in every run.
    torch.set_num_threads(1)
    report = Report(arguments.fathom)
    for name in arguments.only or PARTS:
        with tempfile.TemporaryDirectory(prefix="fathom-interop-") as folder:
            report.part(name, PARTS[name], Path(folder))
    sys.exit(report.finish())


if __name__ == "__main__":
    main()
