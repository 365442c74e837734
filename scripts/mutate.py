#!/usr/bin/env python3
"""Runs the tests against changed code; see `scripts/mutate`.

    scripts/mutate [NAME ...] [--copy FOLDER] [--jobs N]

Each row of `Tests/mutants.json` is a change that some test must see: the name of the file, the text
that stands once in it, the part of that text that changes, what it becomes (nothing: it is left
out), what that breaks, and which tests must fail. A row with a `reason` may survive.

All changes are made at once in a copy of the tree, each behind a switch that the environment
variable FATHOM_MUTANT turns on, so that one build serves all and the product has no switches.
Without a mutant all those tests must pass. Exit code 1 where one survives without a reason.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "Tests" / "mutants.json"
VARIABLE = "FATHOM_MUTANT"
FLAGS = ["-c", "release", "--disable-testable-imports", "--disable-xctest"]
# Tests of a change that makes a program wait for ever have failed by then.
PATIENCE = 900
# Every room sees this one, directly or by another.
ROOM = "Locks"
SWITCH = f'''internal import Glibc

private let chosen = getenv("{VARIABLE}").map {{ String(cString: $0) }}

/// Whether the code is to be changed in the way that has this name.
public func mutant(_ name: String) -> Bool {{ chosen == name }}
'''


def find(mutant):
    """The file that a row is about, below the repository."""
    found = [path for path in (ROOT / "Sources").rglob(mutant["file"])]
    if len(found) != 1:
        sys.exit(f"{mutant['name']}: {len(found)} files are called {mutant['file']}")
    return found[0].relative_to(ROOT)


def switched(mutant):
    """The changing part with its switch."""
    name, original, changed = (mutant[key] for key in ("name", "original", "changed"))
    if not changed:
        return f'if !mutant("{name}") {{ {original} }}'
    if mutant.get("statement"):
        return f'if mutant("{name}") {{ {changed} }} else {{ {original} }}'
    return f'(mutant("{name}") ? ({changed}) : ({original}))'


def apply(mutants):
    """Texts of the files that change, by their paths below the repository."""
    texts = {}
    for mutant in mutants:
        path = find(mutant)
        text = texts.get(path) or (ROOT / path).read_text()
        place, part = mutant["text"], mutant["original"]
        if (ROOT / path).read_text().count(place) != 1 or place.count(part) != 1:
            sys.exit(f"{mutant['name']}: {path} does not have its text once")
        if text.count(place) != 1:
            sys.exit(f"{mutant['name']}: another mutant changes its text")
        texts[path] = text.replace(place, place.replace(part, switched(mutant)))
    for path, text in texts.items():
        if path.parts[1] != ROOM:
            texts[path] = f"internal import {ROOM}\n" + text.replace(
                f"internal import {ROOM}\n", "")
    return texts


def copy(folder, texts):
    """Writes the tree with the changed files; what is there and the same stays as it is."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
        check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    listed = {Path(name) for name in listed if name and (ROOT / name).is_file()}
    new = {path: texts[path].encode() if path in texts else (ROOT / path).read_bytes()
           for path in listed}
    new[Path("Sources") / ROOM / "Mutant.swift"] = SWITCH.encode()
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if inside.parts[0] != ".build" and path.is_file() and inside not in new:
            path.unlink()
    for path, data in new.items():
        target = folder / path
        if target.exists() and target.read_bytes() == data:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod((ROOT / path).stat().st_mode if (ROOT / path).exists() else 0o644)


def build(folder, jobs):
    """Builds everything once."""
    command = ["swift", "test", "list", *FLAGS, "-j", str(jobs)]
    log = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if log.returncode != 0:
        sys.exit(log.stdout[-6000:])


def run(folder, tests, name=None):
    """Runs tests with a mutant, or without; returns the exit code, the output and the seconds."""
    began = time.monotonic()
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if name:
        environment[VARIABLE] = name
    command = ["swift", "test", *FLAGS, "--skip-build", "--filter", "|".join(tests)]
    try:
        result = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
        code, text = result.returncode, result.stdout
    except subprocess.TimeoutExpired:
        code, text = 1, "no end"
    return code, text, time.monotonic() - began


def seen(text):
    """The first expectation that failed, on one line."""
    for line in text.splitlines():
        if "recorded an issue" in line:
            return line[line.index("Test "):][:200] if "Test " in line else line[:200]
    return text.strip().splitlines()[-1][:200] if text.strip() else "ended"


def main():
    """Builds, runs the tests without a mutant and with each, and says which survive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mutants to try; all by default")
    parser.add_argument(
        "--copy", type=Path, help="where the copy is made and kept, outside of the repository, so "
        "that later runs build less; by default in a folder that goes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="compilers at a time")
    arguments = parser.parse_args()
    mutants = json.loads(TABLE.read_text())
    unknown = set(arguments.names) - {mutant["name"] for mutant in mutants}
    if unknown:
        sys.exit(f"no mutants of these names: {' '.join(sorted(unknown))}")
    chosen = [mutant for mutant in mutants
              if not arguments.names or mutant["name"] in arguments.names]
    with tempfile.TemporaryDirectory(prefix="fathom-mutants-") as temporary:
        folder = (arguments.copy or Path(temporary)).resolve()
        if folder.is_relative_to(ROOT):
            sys.exit(f"{folder} is in the repository")
        copy(folder, apply(mutants))
        build(folder, arguments.jobs)
        sys.exit(attempt(folder, chosen))


def attempt(folder, mutants):
    """Tries the mutants; returns the exit code."""
    tests = sorted({test for mutant in mutants for test in mutant["tests"]})
    code, text, seconds = run(folder, tests)
    if code != 0:
        print(f"without a mutant: tests fail: {seen(text)}")
        return 1
    print(f"without a mutant: all tests pass, {seconds:.0f} s", flush=True)
    survivors = 0
    for mutant in mutants:
        code, text, seconds = run(folder, mutant["tests"], mutant["name"])
        if code != 0:
            verdict = f"seen: {seen(text)}"
        elif "reason" in mutant:
            verdict = f"survives, as it may: {mutant['reason']}"
        else:
            survivors += 1
            verdict = f"SURVIVES ({mutant['breaks']}): {' '.join(mutant['tests'])}"
        print(f"{mutant['name']}: {verdict}, {seconds:.0f} s", flush=True)
    print(f"{len(mutants)} mutants, {survivors} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    main()
