"""Compares Fathom with its peers; `scripts/interop` builds Fathom and starts this.

    python -m interop_checks.run --fathom PATH [--only PART …]
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from interop_checks import (
    cluster, compressed, containers, conversion, deepseek_v4, fixtures, forward, gguf, gguf_input,
    gguf_options, groups, hashes, imatrix, integers, interruptions, kimi, loaders, metadata,
    mistral, mlx, modelopt, native, networks, quantization, remote, reports, runtimes, text,
    verification, weights,
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
    "integers": integers.run,
    "modelopt": modelopt.run,
    "gguf": gguf.run,
    "gguf-input": gguf_input.run,
    "gguf-options": gguf_options.run,
    "imatrix": imatrix.run,
    "mlx": mlx.run,
    "native": native.run,
    "networks": networks.run,
    "mistral": mistral.run,
    "deepseek-v4": deepseek_v4.run,
    "loaders": loaders.run,
    "verification": verification.run,
    "runtimes": runtimes.run,
    "reports": reports.run,
    "weights": weights.run,
    "hashes": hashes.run,
    "containers": containers.run,
    "metadata": metadata.run,
    "interruptions": interruptions.run,
    "remote": remote.run,
    "cluster": cluster.run,
}


# They take longest, so they begin first: none is left running alone at the end.
LONG = ("networks", "loaders", "interruptions", "gguf", "text", "verification", "kimi")


def run_part(name, fathom):
    """One part in a process of its own: what it prints, its counts and its seconds."""
    # One thread makes torch's sums, and so the report, the same in every run.
    torch.set_num_threads(1)
    report, printed, start = Report(fathom), io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(printed), tempfile.TemporaryDirectory(
            prefix="fathom-interop-") as folder:
        report.part(name, PARTS[name], Path(folder))
    return printed.getvalue(), report.passed, report.failed, time.monotonic() - start


def main():
    """Runs the parts asked for, one on each processor, and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True, help="the command to check")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="some parts alone")
    arguments = parser.parse_args()
    names = arguments.only or list(PARTS)
    report = Report(arguments.fathom)
    with ProcessPoolExecutor(
            os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        ordered = sorted(names, key=lambda name: name not in LONG)
        runs = {name: pool.submit(run_part, name, arguments.fathom) for name in ordered}
        for name in names:
            printed, passed, failed, seconds = runs[name].result()
            print(printed, end="")
            report.note(f"{seconds:.0f} s")
            report.passed += passed
            report.failed += failed
    sys.exit(report.finish())


if __name__ == "__main__":
    main()
