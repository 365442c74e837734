"""A short, seeded part of what `scripts/torture` does to conversions and importance matrices."""

from torture_parts.all import PARTS, torture


def run(report, folder):
    """Some kills, some calls that fail, some disks that fill up, some damage to journals."""
    torture(report, folder, report.fathom, PARTS, kills=12, disks=7, step=251, seed=6,
            journal_step=997)
