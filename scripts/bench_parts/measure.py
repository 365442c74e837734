"""Wall time and peak memory of commands, and tables of them."""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

SCRIPTS = Path(__file__).resolve().parent.parent
# How often each program is run; tables have the medians.
ROUNDS = 3


class Run(NamedTuple):
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run(command, **options):
    """Runs a command to its end; a failing one ends the benchmark."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=output, **options)
        # The kernel's own account of this one child, not of all children so far.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"exit {process.returncode}: {' '.join(map(str, command))}")
        output.seek(0)
        return Run(
            seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output.read())


def folder_bytes(folder):
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


def read_once(folder):
    """Fills the page cache."""
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as file:
            while file.read(1 << 24):
                pass


def median(runs):
    """Median seconds of several runs."""
    return statistics.median(run.seconds for run in runs)


def cpu_median(runs):
    """Median processor time of several runs, in seconds."""
    return statistics.median(run.cpu_seconds for run in runs)


def cpu(runs):
    """The same as text: it says whether other work interfered."""
    return f"{cpu_median(runs):.2f} s"


def peak(runs):
    """Largest peak memory of several runs, as text."""
    return f"{max(run.peak_bytes for run in runs) / 1e6:,.0f} MB"


def print_table(title, columns, rows):
    """A Markdown table, numbers to the right."""
    print(f"\n## {title}\n")
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]

    def line(cells):
        first = str(cells[0]).ljust(widths[0])
        rest = [str(cell).rjust(width) for cell, width in zip(cells[1:], widths[1:])]
        return "| " + " | ".join([first, *rest]) + " |"

    print(line(columns))
    print("|" + "|".join(
        "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)
    ) + "|")
    for row in rows:
        print(line(row))


def describe_machine():
    """One line on the processor, one on memory."""
    info = open("/proc/cpuinfo").read()
    fields = dict(
        line.split(":", 1) for line in info.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    wanted = ("avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vbmi", "asimd", "bf16")
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    memory = int(next(
        line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1])
    return (f"{fields.get('model name', os.uname().machine)}, {os.cpu_count()} cores, "
            f"{memory * 1024 / 1e9:.0f} GB; {' '.join(f for f in wanted if f in flags)}")
