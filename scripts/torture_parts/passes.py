"""Importance matrices whose runs are killed at random moments, each resumed until it is done."""

import json
import random
import time

from .conversions import kill_after, run, start

TOKENS = [[3 + (31 * sequence + 7 * token) % 4000 for token in range(96)] for sequence in range(6)]


def run_passes(report, fathom, model, folder, count, seed):
    """Kills `count` runs in all, of which each goes on with what the one before left."""
    folder.mkdir()
    tokens, output = folder / "tokens.json", folder / "matrix.gguf"
    tokens.write_text(json.dumps(TOKENS))
    command = [fathom, "imatrix", str(model), "--tokens", str(tokens), "-o", str(output)]
    began = time.monotonic()
    run([*command, "--keep-every", "0"], expect=0)
    seconds = time.monotonic() - began
    expected = output.read_bytes()
    output.unlink()
    chance = random.Random(seed)
    work = folder / ".matrix.gguf.fathom-part"
    landed = rounds = resumed = 0
    while landed < count:
        rounds += 1
        for _ in range(chance.randint(1, 4)):
            process = start([*command, "--keep-every", "1", "--resume"])
            if not kill_after(process, chance.uniform(0, seconds)):
                break
            landed += 1
            if output.exists() and output.read_bytes() != expected:
                report.check("a matrix under its name is complete", False, f"after {landed} kills")
        resumed += any(b'"pass"' in line for line in lines(work))
        if not output.exists() or work.exists():
            was_there = output.exists()
            code, _, messages = run([*command, "--keep-every", "1", "--resume"])
            # Of a run that was killed while it removed its work, the output is there.
            if code != 0 and not (was_there and "exists already" in messages):
                report.check("a killed run goes on", False, messages)
            if "damaged" in messages:
                report.check("what a killed run kept is whole", False, messages)
        left = [path.name for path in folder.iterdir() if path.name.endswith(".fathom-part")]
        if output.read_bytes() != expected or left:
            report.check("a resumed matrix is that of one run", False, f"{rounds} {left}")
        output.unlink()
    report.check(
        f"{landed} kills in {rounds} importance matrices, each resumed to the same bytes", True,
        f"{resumed} went on from what was kept; seed {seed}, {time.monotonic() - began:.0f} s")


def lines(work):
    """The lines of a journal."""
    journal = work / "journal"
    return journal.read_bytes().split(b"\n") if journal.exists() else []
