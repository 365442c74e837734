#!/usr/bin/env python3
"""What the samples and the corpora take: `bounds.py FOLDER`, FOLDER having the programs; see
`scripts/bounds`. A line for each kind of input: how many, the most memory, the most seconds."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "Samples"
MEMORY, SECONDS = 512 << 20, 5


def run(command):
    """Runs a command; returns its most memory in bytes, its seconds of the processor, its output."""
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(list(map(str, command)), stdout=output, stderr=subprocess.DEVNULL)
        _, status, use = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        seconds = use.ru_utime + use.ru_stime
        return use.ru_maxrss << 10, seconds, child.returncode, output.read().decode()


class Most:
    """The most that inputs of one kind took."""

    def __init__(self, name):
        self.name, self.count, self.faults = name, 0, []
        self.memory, self.seconds, self.slowest = 0, 0.0, ""

    def add(self, what, memory, seconds, code=0):
        """Takes a measurement in."""
        self.count += 1
        self.memory = max(self.memory, memory)
        if seconds >= self.seconds:
            self.seconds, self.slowest = seconds, what
        if memory > MEMORY or seconds > SECONDS or code < 0:
            self.faults.append(f"{what}: {memory >> 20} MB, {seconds:.1f} s, code {code}")

    def line(self):
        """The row of the table."""
        return (f"{self.name:22} {self.count:>5} {self.memory >> 20:>5} MB {self.seconds:>6.2f} s"
                f"  {self.slowest}")


def models(fathom, folder):
    """Every sample, by every command that reads a model."""
    headers = folder / "headers"
    headers.mkdir()
    shutil.copy(SAMPLES / "malformed/none/config.json", headers)
    rows = [("sound", sorted(SAMPLES.glob("tiny-*"))),
            ("malformed", sorted((SAMPLES / "malformed").iterdir())),
            ("hostile-gguf", sorted((SAMPLES / "hostile-gguf").glob("*.gguf"))),
            ("hostile", sorted((SAMPLES / "hostile").glob("*.safetensors")))]
    for name, paths in rows:
        most = Most(name)
        for path in paths:
            model = path
            if name == "hostile":
                shutil.copy(path, headers / "model.safetensors")
                model = headers
            output = folder / "output"
            for command in (["inspect"], ["validate", "--deep"], ["hash"], ["convert"], ["pack"]):
                tail = {"convert": [f"{output}.gguf", "--to", "gguf", "--quant", "q4_k_m"],
                        "pack": [output]}.get(command[0], [])
                memory, seconds, code, _ = run([fathom, command[0], model, *command[1:], *tail])
                most.add(f"{command[0]} {path.name}", memory, seconds, code)
            shutil.rmtree(output, ignore_errors=True)
            for left in folder.glob("output*"):
                left.unlink()
        yield most


def corpora(program):
    """Every input of every corpus, by its parser: one process for each parser."""
    for corpus in sorted((ROOT / "Fuzz/Corpora").iterdir()):
        paths = [path for kind in ("Corpora", "Regressions")
                 for path in sorted((ROOT / "Fuzz" / kind / corpus.name).glob("*"))]
        memory, _, code, output = run([program, corpus.name, *paths])
        most = Most(corpus.name)
        for line in output.splitlines():
            seconds, path, _ = line.split(" ")
            most.add(Path(path).name, memory, float(seconds), code)
        if most.count != len(paths):
            most.faults.append(f"{corpus.name}: ended after {most.count} inputs with code {code}")
        yield most


def main():
    """Prints a line for each kind, and what takes too much."""
    programs = Path(sys.argv[1])
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in (models(programs / "fathom", Path(folder)), corpora(programs / "read-inputs")):
            for most in rows:
                print(most.line(), flush=True)
                faults += most.faults
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
