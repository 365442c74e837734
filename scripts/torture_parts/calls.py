"""Failures of one call of the system after another, a crash or a power cut before each."""

import errno
import json
import random
import signal

from .conversions import CONVERSIONS, noted_bytes, outputs, run, unfinished, work_folder
from .conversions import wrong_outputs

# What can go wrong with a call, and the exit codes that may follow from it.
MISHAPS = [
    ("kill", (-signal.SIGKILL,), False),
    ("powercut", (-signal.SIGKILL,), False),
    ("interrupt", (130,), False),
    (str(errno.EIO), (0, 73, 74), False),
    (str(errno.EIO), (0, 73, 74), True),
    (str(errno.ENOSPC), (0, 73, 74), True),
    (str(errno.EROFS), (0, 73, 74), True),
]


def environment(library, place, log=None, **more):
    """What the preloaded library is told."""
    values = {"LD_PRELOAD": str(library), "MISHAP_UNDER": str(place)}
    if log:
        values["MISHAP_LOG"] = str(log)
    return {**values, **more}


def run_calls(setting, report, library, step, seed):
    """Lets every `step`-th call of each small conversion go wrong in every way."""
    chance = random.Random(seed)
    for conversion in CONVERSIONS:
        reference, _ = setting.reference(conversion)
        place = setting.empty("calls", conversion)
        log = setting.folder / "calls.log"
        log.unlink(missing_ok=True)
        run(setting.command(conversion, place), expect=0,
            environment=environment(library, place, log))
        lines = log.read_text().splitlines()
        count = len(lines)
        notes = [number for number, line in enumerate(lines)
                 if " fdatasync " in line and line.endswith("/journal")]
        copies = sum(" fdatasync " in line and line.endswith("/journal-copy") for line in lines)
        # A run that notes nothing has nothing to keep: that would pass for good.
        report.check(f"{conversion.name}: notes are flushed, each twice",
                     len(notes) > 5 and copies == len(notes), f"{len(notes)} and {copies}")
        # The first line says what is begun. The threads' calls come in another order each time, but
        # not in a very different one.
        safe = notes[2] + 30 if len(notes) > 2 else 0
        tried = wrong = 0
        for kind, codes, stays in MISHAPS:
            for number in range(1 + chance.randrange(step), count + 1, step):
                tried += 1
                faults = one(
                    setting, conversion, library, (kind, codes, stays, number), reference,
                    must_keep=codes[0] < 0 and number > safe)
                if faults:
                    wrong += 1
                    report.check(
                        f"{conversion.name}: {kind}{' from' if stays else ' at'} call {number}",
                        False, "; ".join(faults)[:600])
        report.check(f"{conversion.name}: {tried} mishaps at {count} calls", wrong == 0)


def one(setting, conversion, library, mishap, reference, must_keep):
    """One mishap, and the run that goes on after it; returns what was wrong."""
    kind, codes, stays, number = mishap
    place = setting.empty("calls", conversion)
    more = {"MISHAP_KIND": kind, "MISHAP_AT": str(number)}
    if stays:
        more["MISHAP_STAYS"] = "1"
    code, _, messages = run(
        setting.command(conversion, place), environment=environment(library, place, **more))
    faults = [f"incomplete {name}" for name in wrong_outputs(place, reference)]
    late = bool(outputs(place)) and code != 0
    if code not in codes and not (kind == "interrupt" and code == 0):
        faults.append(f"exit {code}: {messages}")
    if code == 0:
        faults += wrong_outputs(place, reference, complete=True)
    if code > 0:
        lines = messages.strip().splitlines()
        # With --format json the fault is said as a document too, behind the words.
        if lines and lines[-1].startswith('{"schema":"fathom.error/1"'):
            lines = lines[:-1]
        if not lines or not all(line.startswith("fathom: ") for line in lines):
            faults.append(f"says {messages!r}")
        noted = noted_bytes(work_folder(place, conversion))
        if noted and not late and not any("--resume" in line for line in lines):
            faults.append(f"does not say how to go on: {messages!r}")
    again, result, messages = run(setting.command(conversion, place, "--resume"))
    if again == 66 and conversion.frees and not wrong_outputs(place, reference, complete=True):
        # The output had its name and the source was gone when the run ended.
        return faults
    # What was noted was flushed before, so that it outlives a power cut.
    if again != 0 or "anew" in messages:
        faults.append(f"resumed: exit {again}: {messages}")
    elif must_keep and not json.loads(result)["resumed"]:
        faults.append("nothing was kept")
    faults += wrong_outputs(place, reference, complete=True)
    left = unfinished(place, conversion)
    if left:
        faults.append(f"left {left}")
    return faults
