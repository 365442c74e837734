"""All parts, as `scripts/torture` runs them at length and `scripts/interop` in short."""

import subprocess
from pathlib import Path

from . import checkpoint
from .calls import run_calls
from .conversions import Setting, make_sources
from .disks import run_disks, run_tight_disks
from .journals import run_journals
from .kills import run_kills
from .passes import run_passes
from .sharing import run_sharing

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = ROOT / "Samples/tiny-fp8"
PARTS = ("kills", "calls", "disks", "journals", "passes")


def torture(report, folder, fathom, parts, kills, disks, step, seed, journal_step=1):
    """Runs the parts asked for in a folder."""
    library = Path(subprocess.run(
        [ROOT / "scripts/mishaps"], check=True, capture_output=True, text=True).stdout.strip())
    checkpoint.write(folder / "medium")
    small, medium = (
        Setting(fathom, folder / f"{name}-work",
                make_sources(fathom, source, folder / f"{name}-bf16"))
        for name, source in (("small", SAMPLE), ("medium", folder / "medium")))
    if "kills" in parts:
        report.attempt("kills", run_kills, medium, report, kills, seed)
    if "calls" in parts:
        report.attempt("calls", run_calls, small, report, library, step, seed)
    if "disks" in parts:
        report.attempt("disks", run_disks, small, report, library, disks, seed)
        report.attempt("tight disks", run_tight_disks, medium, report)
        report.attempt("shared blocks", run_sharing, medium, report)
    if "journals" in parts:
        report.attempt(
            "journals", run_journals, small, report, library, SAMPLE, journal_step, seed)
    if "passes" in parts:
        report.attempt(
            "passes", run_passes, report, str(fathom), folder / "medium", folder / "passes", kills,
            seed)
