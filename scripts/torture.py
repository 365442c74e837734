"""Tortures `fathom convert`; `scripts/torture` builds what this needs and starts it.

    python3 scripts/torture.py --fathom PATH --mishaps LIBRARY [--parts kills calls disks]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from interop_checks.report import Report
from torture_parts import checkpoint
from torture_parts.calls import run_calls
from torture_parts.conversions import Setting, make_sources
from torture_parts.disks import run_disks, run_tight_disks
from torture_parts.kills import run_kills

SAMPLE = Path(__file__).resolve().parent.parent / "Samples/tiny-fp8"
PARTS = ("kills", "calls", "disks")


def main():
    """Runs the parts asked for and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True, help="the command to torture")
    parser.add_argument("--mishaps", required=True, help="the library to preload")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--kills", type=int, default=200, help="runs to kill")
    parser.add_argument("--disks", type=int, default=50, help="disks to fill")
    parser.add_argument("--step", type=int, default=1, help="let every so many calls go wrong")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report = Report(arguments.fathom)
    with tempfile.TemporaryDirectory(prefix="fathom-torture-") as folder:
        torture(report, Path(folder), arguments)
    sys.exit(report.finish())


def torture(report, folder, arguments):
    """Runs the parts asked for in a folder."""
    fathom, library = arguments.fathom, Path(arguments.mishaps).resolve()
    small = Setting(fathom, folder / "small", make_sources(fathom, SAMPLE, folder / "small-bf16"))
    medium = None
    if "kills" in arguments.parts or "disks" in arguments.parts:
        checkpoint.write(folder / "medium")
        medium = Setting(fathom, folder / "kills", make_sources(
            fathom, folder / "medium", folder / "medium-bf16"))
    if "kills" in arguments.parts:
        report.attempt("kills", run_kills, medium, report, arguments.kills, arguments.seed)
    if "calls" in arguments.parts:
        report.attempt("calls", run_calls, small, report, library, arguments.step, arguments.seed)
    if "disks" in arguments.parts:
        report.attempt("disks", run_disks, small, report, library, arguments.disks, arguments.seed)
        report.attempt("tight disks", run_tight_disks, medium, report)


if __name__ == "__main__":
    main()
