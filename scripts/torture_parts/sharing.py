"""File systems on which files share blocks: what stays what it is takes no room, and stays that."""

import os
import shutil
import subprocess
from contextlib import contextmanager

from .conversions import outputs, run
from .disks import can_mount

SIZE = 1 << 30


@contextmanager
def mounted(folder, kind):
    """An empty file system of a kind, in a file."""
    image = folder.with_suffix(".img")
    with open(image, "wb") as file:
        file.truncate(SIZE)
    subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        image.unlink()


def room(folder):
    """Bytes that are free once everything is on the disk."""
    os.sync()
    status = os.statvfs(folder)
    return status.f_bfree * status.f_frsize


def spoil(path):
    """Writes over all of a file, where it lies."""
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
        os.fsync(file.fileno())


def run_sharing(setting, report):
    """Copies a model whose file stays what it is, and edits one, on each such file system."""
    if not can_mount(setting.folder):
        return report.note("no file system may be mounted here: shared blocks are left out")
    original = setting.sources["bf16"]
    size = (original / "model.safetensors").stat().st_size
    plain = setting.folder / "plain"
    run([setting.fathom, "convert", str(original), str(plain), "--to", "hf"], expect=0)
    expected = outputs(plain)
    for kind in "btrfs", "xfs":
        if not shutil.which(f"mkfs.{kind}"):
            report.note(f"no mkfs.{kind} here: its shared blocks are left out")
            continue
        with mounted(setting.folder / kind, kind) as folder:
            source = folder / original.name
            shutil.copytree(original, source)
            weights = source / "model.safetensors"
            old = weights.read_bytes()
            before = room(folder)
            run([setting.fathom, "convert", str(source), str(folder / "out"), "--to", "hf"], expect=0)
            taken = before - room(folder)
            # One letter is exchanged for another, so that the tensors stay where they are.
            edited, key = folder / "edited.safetensors", ["--set", "format=str:tp", "--force"]
            run([setting.fathom, "edit", str(weights), *key, "-o", str(edited)], expect=0)
            taken_by_edit = before - taken - room(folder)
            spoil(weights)
            report.check(f"a copy on {kind} shares the blocks of its source", taken < size / 4,
                         f"takes {taken} of {size} bytes")
            report.check(f"an edited file on {kind} shares the blocks of the other",
                         taken_by_edit < size / 4, f"takes {taken_by_edit} of {size} bytes")
            report.check(f"a copy on {kind} is what it is elsewhere, whatever becomes of its source",
                         outputs(folder / "out") == expected)
            report.check(f"an edited file on {kind} has the old tensors",
                         edited.read_bytes() == old.replace(b'"format":"pt"', b'"format":"tp"', 1)
                         and edited.read_bytes() != old)
