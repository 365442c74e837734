"""Tortures `fathom convert` and `fathom imatrix`; `scripts/torture` builds what this needs and starts it.

    python3 -m torture_parts.run --fathom PATH [--parts kills calls disks journals passes]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from interop_checks.report import Report
from torture_parts.all import PARTS, torture


def main():
    """Runs the parts asked for and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True, help="the command to torture")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--kills", type=int, default=300, help="runs to kill")
    parser.add_argument("--disks", type=int, default=50, help="disks to fill")
    parser.add_argument("--step", type=int, default=1, help="let every so many calls go wrong")
    parser.add_argument("--journal-step", type=int, default=1,
                        help="damage every so many bytes of journals")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report = Report(arguments.fathom)
    with tempfile.TemporaryDirectory(prefix="fathom-torture-") as folder:
        torture(report, Path(folder), **vars(arguments))
    sys.exit(report.finish())


if __name__ == "__main__":
    main()
