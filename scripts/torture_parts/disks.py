"""File systems that fill up at random points."""

import os
import random
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from .calls import environment
from .conversions import CONVERSIONS, run, work_folder, wrong_outputs

ROOM = 1 << 30


@contextmanager
def mounted(folder, size):
    """A file system in memory with so many bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "fathom-torture", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def mounted_image(folder, size):
    """An ext4 file system in a file, filled up but for so many bytes."""
    image = folder.with_suffix(".img")
    with open(image, "wb") as file:
        file.truncate(ROOM)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        with open(folder / "filler", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - size)
        (folder / "place").mkdir()
        yield folder / "place"
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        image.unlink()


def make_room(folder):
    """More space than any conversion needs."""
    filler = folder.parent / "filler"
    if filler.exists():
        filler.unlink()
    else:
        subprocess.run(["mount", "-o", f"remount,size={ROOM}", str(folder)], check=True)


def can_mount(folder):
    """Whether this user may mount file systems."""
    try:
        with mounted(folder / "try", 1 << 20):
            return True
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False


def run_disks(setting, report, library, count, seed):
    """Lets `count` disks fill up, a third of them ext4 and the others in memory."""
    if not can_mount(setting.folder):
        return report.note("no file system may be mounted here: full disks are left out")
    chance = random.Random(seed)
    began = time.monotonic()
    wrong = kept = 0
    conversions = [conversion for conversion in CONVERSIONS if not conversion.frees]
    for number in range(count):
        conversion = conversions[number % len(conversions)]
        reference, _ = setting.reference(conversion)
        total = sum(map(len, reference.values()))
        size = chance.randrange(total)
        place = mounted_image if number % 3 == 2 else mounted
        with place(setting.folder / f"disk-{number}", size) as folder:
            faults, safe = one(setting, conversion, library, folder, reference)
        kept += safe
        if faults:
            wrong += 1
            report.check(f"{conversion.name} on {size} of {total} bytes", False,
                         "; ".join(faults)[:600])
    report.check(f"{count} disks that filled up, each conversion resumed to the same bytes",
                 wrong == 0, f"{kept} had work to keep; seed {seed}, "
                 f"{time.monotonic() - began:.0f} s")


def run_tight_disks(setting, report):
    """Disks that hold the source and half of the output: enough where the source goes meanwhile."""
    if not can_mount(setting.folder):
        return
    for conversion in CONVERSIONS:
        if not conversion.frees or "gguf" not in conversion.options:
            continue
        reference, _ = setting.reference(conversion)
        output = sum(map(len, reference.values()))
        with mounted(setting.folder / "tight", setting.size(conversion) + output // 2) as folder:
            place = folder / "place"
            place.mkdir()
            setting.copy_source(conversion, place)
            command = setting.command(conversion, place, flush=0.02)
            plain = [part for part in command if part[:2] != "--" or part[-7:] != "-source"]
            code, _, messages = run(plain)
            report.check(f"{conversion.name}: does not fit beside the source",
                         code == 73 and "does not fit" in messages, messages.strip().split("\n")[-1])
            run(command, expect=0)
            wrong = wrong_outputs(place, reference, complete=True)
            report.check(f"{conversion.name}: fits as the source goes", not wrong, str(wrong)[:300] if wrong else "")


def one(setting, conversion, library, folder, reference):
    """A disk that fills up, twice, and the run after room was made."""
    faults = []
    # Before anything is written, the space is known not to suffice.
    code, _, messages = run(setting.command(conversion, folder))
    if code != 73 or "does not fit" not in messages or any(folder.iterdir()):
        faults.append(f"not refused: exit {code}: {messages}; {list(folder.iterdir())}")
    # Somebody else takes the space while the work goes on.
    roomy = environment(library, folder, MISHAP_ROOMY="1")
    for more in (), ("--resume",):
        code, _, messages = run(setting.command(conversion, folder, *more), environment=roomy)
        if code != 73 or "No space left on device" not in messages:
            faults.append(f"exit {code}: {messages}")
        faults += [f"incomplete {name}" for name in wrong_outputs(folder, reference)]
        is_kept = work_folder(folder, conversion).exists()
        if is_kept != ("--resume" in messages):
            faults.append(f"kept {is_kept}, but says {messages!r}")
    make_room(folder)
    code, _, messages = run(setting.command(conversion, folder, "--resume"))
    if code != 0:
        faults.append(f"resumed: exit {code}: {messages}")
    return faults + wrong_outputs(folder, reference, complete=True), is_kept
