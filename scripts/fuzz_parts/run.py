"""Builds and runs the fuzz targets of `Fuzz/Targets`; `scripts/fuzz` starts this.

Programs, grown corpora, logs and the inputs that broke something lie in the folder that
FATHOM_FUZZ_FOLDER names, by default fathom-fuzz in the user's cache: builds with sanitizers share
nothing with ordinary ones. Exit code 1 where a target failed.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz_parts import seeds

ROOT = Path(__file__).resolve().parent.parent.parent
FUZZ = ROOT / "Fuzz"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
WORK = Path(os.environ.get("FATHOM_FUZZ_FOLDER") or CACHE / "fathom-fuzz")
TIMEOUT = 2
# AddressSanitizer keeps what was freed, and its notes, beside what the program uses: the limit for
# the program itself is checked without it.
MEMORY = {"address": 2048, "plain": 512}
LENGTHS = {"baseline": 16_384}
# Bytes of a checked-in corpus.
BUDGET = 32_000
# Swift's backtracer takes minutes for a program of this size, and its constant closures look like
# leaks.
ENVIRONMENT = dict(
    os.environ, FATHOM_FUZZ="1", SWIFT_BACKTRACE="enable=no",
    ASAN_OPTIONS="quarantine_size_mb=16:malloc_context_size=8:detect_leaks=0")


def build(kind):
    """Builds the targets, with AddressSanitizer or without, and returns the programs' folder."""
    command = ["swift", "build", "-c", "release", "--scratch-path", str(WORK / kind),
               "--sanitize=fuzzer"]
    if kind == "address":
        # Of several -sanitize= the compiler heeds the last one.
        command += ["--sanitize=address", "-Xswiftc", "-sanitize=fuzzer,address"]
    log = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    if log.returncode != 0:
        sys.exit(log.stdout[-4000:])
    return WORK / kind / "release"


def folders(target):
    """The corpus that grows, and what is read beside it."""
    grown = WORK / "corpora" / target
    grown.mkdir(parents=True, exist_ok=True)
    others = [FUZZ / "Corpora" / target, FUZZ / "Regressions" / target, WORK / "seeds" / target]
    return grown, [folder for folder in others if folder.is_dir()]


def options(target, kind):
    """What every call of a target's program is given."""
    return [f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY[kind]}", "-print_final_stats=1",
            f"-max_len={LENGTHS.get(target, 4096)}"]


class Run:
    """One target's run, which goes on after a pause of the machine that looked like a hang."""

    def __init__(self, target, kind, programs, arguments):
        self.target, self.kind, self.arguments = target, kind, arguments
        self.program = programs / f"fuzz-{target}"
        self.runs, self.coverage, self.features, self.memory = 0, 0, 0, 0
        self.seconds, self.failures = 0.0, []

    def execute(self):
        """Runs the program until time or runs are used up, or an input breaks it."""
        started = time.monotonic()
        while not self.failures:
            left = self.arguments.seconds - (time.monotonic() - started)
            if self.arguments.runs and self.runs >= self.arguments.runs:
                break
            if not self.arguments.runs and left < 1:
                break
            if self.step(left):
                break
        self.seconds = time.monotonic() - started
        return self

    def step(self, left):
        """Runs the program once; whether it came to its end."""
        grown, others = folders(self.target)
        crashes = WORK / "crashes"
        crashes.mkdir(parents=True, exist_ok=True)
        before = set(crashes.iterdir())
        limit = ([f"-runs={self.arguments.runs - self.runs}"] if self.arguments.runs
                 else [f"-max_total_time={max(1, int(left))}"])
        words = FUZZ / "Dictionaries" / f"{self.target}.txt"
        dictionary = [f"-dict={words}"] if words.exists() else []
        log_path = WORK / "logs" / f"{self.target}-{self.kind}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(log_path, "w") as log:
            code = subprocess.run(
                [str(self.program), *options(self.target, self.kind), *limit, *dictionary,
                 f"-artifact_prefix={crashes}/{self.target}-", str(grown), *map(str, others)],
                stdout=log, stderr=log, env=ENVIRONMENT).returncode
        self.read(log_path.read_text(errors="replace"))
        if code == 0:
            return True
        mine = [path for path in set(crashes.iterdir()) - before
                if path.name.startswith(self.target + "-")]
        for path in mine:
            if path.name.startswith(f"{self.target}-timeout-") and self.processor(path) < TIMEOUT:
                path.unlink()
            else:
                self.failures.append(path)
        if not mine:
            self.failures.append(log_path)
        return False

    def processor(self, path):
        """Seconds of the processor that an input takes."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([str(self.program), "-timeout=60", "-rss_limit_mb=4096", str(path)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def read(self, log):
        """Takes libFuzzer's numbers out of its log."""
        for line in re.finditer(r"^#\d+.* cov: (\d+) ft: (\d+)", log, re.MULTILINE):
            self.coverage = max(self.coverage, int(line[1]))
            self.features = max(self.features, int(line[2]))
        for name, value in re.findall(r"^stat::(\w+):\s+(\d+)", log, re.MULTILINE):
            if name == "number_of_executed_units":
                self.runs += int(value)
            elif name == "peak_rss_mb":
                self.memory = max(self.memory, int(value))

    def line(self):
        """The row of the table."""
        speed = self.runs / self.seconds if self.seconds else 0
        verdict = "clean" if not self.failures else "FAILED"
        return (f"{self.target:20} {self.runs:>10} runs {speed:>7.0f}/s {self.coverage:>6} edges"
                f" {self.memory:>5} MB  {verdict}")


def minimise(targets, programs, kind):
    """Replaces the checked-in corpora by the fewest small inputs that reach the same places."""
    for target in targets:
        grown, others = folders(target)
        fresh = WORK / "minimised" / target
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        # Places alone, not how often they are come by: a tenth of the inputs reaches them.
        subprocess.run(
            [str(programs / f"fuzz-{target}"), "-merge=1", "-set_cover_merge=1", "-use_counters=0",
             *options(target, kind), str(fresh), str(grown), *map(str, others)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        place = FUZZ / "Corpora" / target
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        # A sound one comes first, then the shortest, as many as may be.
        sound = WORK / "seeds" / target / seeds.sound(target)
        sizes = []
        for path in [sound, *sorted(fresh.iterdir(), key=lambda path: path.stat().st_size)]:
            size = path.stat().st_size
            if not sizes or sum(sizes) + size <= BUDGET:
                sizes.append(size)
                shutil.copy(path, place)
        print(f"{target:20} {len(sizes):>5} inputs {sum(sizes):>8} bytes", flush=True)


def main():
    """Reads the arguments, builds, runs, and prints a line per target."""
    known = sorted(path.name for path in (FUZZ / "Targets").iterdir())
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Runs the fuzz targets.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(known))
    parser.add_argument("--seconds", type=int, default=60, help="for each target; 60")
    parser.add_argument("--runs", type=int, help="for each target, in place of seconds")
    parser.add_argument("--jobs", type=int, default=1, help="targets that run at once")
    parser.add_argument("--plain", action="store_true",
                        help=f"without AddressSanitizer, within {MEMORY['plain']} MB")
    parser.add_argument("--minimise", action="store_true",
                        help="replaces Fuzz/Corpora by what reaches as much, and runs nothing")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(known)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    targets = arguments.targets or known
    kind = "plain" if arguments.plain else "address"
    seeds.write(WORK / "seeds")
    programs = build(kind)
    if arguments.minimise:
        return minimise(targets, programs, kind)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        runs = []
        for run in pool.map(
                lambda target: Run(target, kind, programs, arguments).execute(), targets):
            print(run.line(), flush=True)
            runs.append(run)
    failures = [path for run in runs for path in run.failures]
    for path in failures:
        print(f"look at {path}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
