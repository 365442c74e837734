"""Signals at random moments, each run resumed until it is done."""

import json
import random
import signal
import time

from .conversions import CONVERSIONS, Watcher, kill_after, noted_bytes, run, start
from .conversions import unfinished, work_folder, wrong_outputs


SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_kills(setting, report, count, seed):
    """Ends `count` runs in all, each half of them without standard input, output and error."""
    chance = random.Random(seed)
    landed = resumed = saved = 0
    round_number = 0
    began = time.monotonic()
    while landed < count:
        conversion = CONVERSIONS[round_number % len(CONVERSIONS)]
        round_number += 1
        reference, seconds = setting.reference(conversion)
        place = setting.empty("kills", conversion)
        work = work_folder(place, conversion)
        with Watcher(place, reference) as watcher:
            kills = []
            for _ in range(chance.randint(1, 4)):
                number = chance.choice(SIGNALS)
                is_closed = chance.random() < 0.5
                process = start(
                    setting.command(conversion, place, "--resume"), closed=is_closed)
                moment = chance.uniform(0, seconds)
                if not kill_after(process, moment, number):
                    break
                kills.append(f"{moment:.3f} {number.name}{' closed' if is_closed else ''}")
                landed += 1
                wrong = wrong_outputs(place, reference)
                if wrong:
                    report.check(f"{conversion.name} killed after {kills}", False, str(wrong))
            noted = noted_bytes(work)
            code, text, messages = run(setting.command(conversion, place, "--resume"))
        wrong = wrong_outputs(place, reference, complete=True) + watcher.found
        wrong += unfinished(place, conversion)
        if code == 66 and conversion.frees:
            # The output had its name and the source was gone when the run was killed.
            resumed += 1
        elif code != 0:
            wrong.append(f"exit {code}: {messages}")
        else:
            result = json.loads(text)
            # What the journal called safe is not written again.
            if result["bytesKept"] < noted or "anew" in messages:
                wrong.append(f"kept {result['bytesKept']} of {noted} bytes noted")
            resumed += result["resumed"]
            saved += result["bytesKept"]
        if wrong:
            report.check(f"{conversion.name} killed after {kills} s", False, str(wrong)[:500])
    report.check(
        f"{landed} kills in {round_number} conversions, each resumed to the same bytes", True,
        f"{resumed} went on from what was kept, {saved // round_number} bytes on average; "
        f"seed {seed}, {time.monotonic() - began:.0f} s")
