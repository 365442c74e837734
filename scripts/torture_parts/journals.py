"""Journals that are damaged at every byte and cut at every length, beside work that a kill left.

After each damage, whatever command is tried, every tensor of the source must be whole somewhere: in
the source, in the work or in the output; and `--resume` must come to the same bytes wherever the
head of the journal is whole in either of its two copies.
"""

import hashlib
import json
import random
import shutil
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from .calls import environment
from .conversions import outputs, run

FILES = ("journal", "journal-copy")
# Tensors are looked for by their bytes, so that the conversion must keep them.
OPTIONS = ("--to", "hf", "--max-shard-size", "400KB", "--flush-every", "60KB", "--threads", "1")
WORKERS = 2
# After one in so many damages the commands that must be refused are tried too.
REFUSALS = 8


class Place(NamedTuple):
    """A folder with a source, and an output that is being made of it."""

    fathom: str
    folder: Path
    frees: bool
    options: tuple = ()

    @property
    def source(self):
        return self.folder / "model"

    @property
    def work(self):
        return self.folder / ".out.fathom-part"

    def command(self, *more):
        """The conversion."""
        frees = ("--free-source", "--yes-delete-source") if self.frees else ()
        return [self.fathom, "convert", str(self.source), str(self.folder / "out"), *OPTIONS,
                *self.options, *frees, *more]


def tensors(folder):
    """Digests of the tensors that are whole in the safetensors files of a folder."""
    found = set()
    for path in folder.glob("*.safetensors") if folder.exists() else ():
        data = path.read_bytes()
        if len(data) < 8:
            continue
        start = 8 + struct.unpack("<Q", data[:8])[0]
        if len(data) < start:
            continue
        for name, entry in json.loads(data[8:start]).items():
            if name == "__metadata__":
                continue
            first, end = entry["data_offsets"]
            if start + end <= len(data):
                digest = hashlib.blake2b(data[start + first:start + end]).hexdigest()
                found.add((name, entry["dtype"], tuple(entry["shape"]), digest))
    return found


def everywhere(place):
    """What is whole in source, work or output."""
    return (tensors(place.source) | tensors(place.work / "output")
            | tensors(place.folder / "out"))


def begin(place, sample, library):
    """Starts a conversion that is killed in its middle; returns the source's tensors."""
    shutil.copytree(sample, place.source)
    (place.source / "expected.safetensors").unlink(missing_ok=True)
    everything = tensors(place.source)
    # As a second shard is about to go, or when some notes have been made.
    at = ({"MISHAP_NAME": "unlink", "MISHAP_COUNTED": str(place.source / "model-"),
           "MISHAP_AT": "2"} if place.frees else
          {"MISHAP_NAME": "fdatasync", "MISHAP_COUNTED": str(place.work / "journal-copy"),
           "MISHAP_AT": "5"})
    code, _, messages = run(place.command(), environment=environment(
        library, place.folder, MISHAP_KIND="kill", **at))
    if code != -9:
        raise AssertionError(f"not killed: exit {code}: {messages}")
    return everything


def restore(saved, folder):
    """Puts back what a kill left, with its times."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-a", str(saved), str(folder)], check=True)


def damages(files, step, chance):
    """(label, file, bytes) of every `step`-th damage to one of the two files."""
    for name, whole in files.items():
        for place in range(chance.randrange(step), len(whole), step):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << chance.randrange(8)
            yield f"{name} damaged at {place}", name, bytes(damaged)
        for size in range(chance.randrange(step), len(whole), step):
            yield f"{name} cut at {size}", name, whole[:size]


def one(place, everything, reference, damage, other, refuses):
    """One damage, the commands that must not touch anything, and the run that goes on."""
    label, name, data = damage
    (place.work / name).write_bytes(data)
    wrong = []
    output = str(place.folder / "out")
    commands = [place.command()]
    if refuses and place.frees:
        commands += [place.command("--overwrite"), [place.fathom, "pack", str(other), output],
                     [place.fathom, "convert", str(other), output, "--to", "hf", "--overwrite"]]
    before = outputs(place.work)
    for command in commands if refuses else ():
        code, _, messages = run(command)
        if code != 73 or outputs(place.work) != before:
            wrong.append(f"{label}: {' '.join(command[1:])}: exit {code}: {messages}")
    if refuses and everything - everywhere(place):
        wrong.append(f"{label}: {len(everything - everywhere(place))} tensors are lost")
    code, text, messages = run(place.command("--resume", "--format", "json"))
    if everything - everywhere(place):
        wrong.append(f"{label}: {len(everything - everywhere(place))} tensors are lost by --resume")
    if code != 0 or not json.loads(text)["resumed"]:
        wrong.append(f"{label}: --resume: exit {code}: {messages}")
    elif outputs(place.folder / "out") != reference:
        wrong.append(f"{label}: --resume: other bytes")
    return wrong


def both(place, everything, files, other, saved):
    """Damage to both files at once: nothing is lost, and nothing is touched that is not proved."""
    wrong = []
    whole = files[FILES[0]]
    head = whole.index(b"\n")
    cases = {"both empty": b"", "both without a head": b"X" + whole[1:],
             "both cut in the head": whole[:head // 2], "both heads alone": whole[:head + 1],
             "both gone": None}
    for label, data in cases.items():
        restore(saved, place.folder)
        for name in FILES:
            if data is None:
                (place.work / name).unlink()
            else:
                (place.work / name).write_bytes(data)
        output = str(place.folder / "out")
        for command in (place.command(), place.command("--overwrite"), place.command("--resume"),
                        [place.fathom, "pack", str(other), output],
                        [place.fathom, "pack", str(other), output, "--overwrite"]):
            code, _, messages = run(command)
            lost = everything - everywhere(place)
            if lost:
                wrong.append(f"{label}: {' '.join(command[1:])}: {len(lost)} tensors are lost")
            # A head alone says what was begun: only what nobody can prove stops it.
            if code == 0 and (place.frees or "alone" not in label):
                wrong.append(f"{label}: {' '.join(command[1:])}: exit 0")
            if code == 0:
                break
            if code not in (73, 74):
                wrong.append(f"{label}: {' '.join(command[1:])}: exit {code}: {messages}")
    return wrong


def run_journals(setting, report, library, sample, step, seed):
    """Damages every `step`-th byte of the journals of conversions that keep and delete a source."""
    for frees, options in ((True, ()), (False, ()), (True, ("--no-manifest",))):
        folder = setting.folder / "journals"
        shutil.rmtree(folder, ignore_errors=True)
        torture_journals(
            Place(setting.fathom, folder / "begun", frees, options), report, library, sample,
            setting.sources["bf16"], step, random.Random(seed))


def torture_journals(begun, report, library, sample, other, step, chance):
    """Does it to one conversion."""
    began = time.monotonic()
    clean = begun._replace(folder=begun.folder.with_name("clean"), frees=False)
    shutil.copytree(sample, clean.source)
    run(clean.command(), expect=0)
    reference = outputs(clean.folder / "out")
    everything = begin(begun, sample, library)
    files = {name: (begun.work / name).read_bytes() for name in FILES}
    # A place for each worker; the copies keep the times of the source's files.
    free = [begun._replace(folder=begun.folder.with_name(f"place-{number}"))
            for number in range(WORKERS)]

    def attempt(numbered):
        number, damage = numbered
        place = free.pop()
        restore(begun.folder, place.folder)
        wrong = one(place, everything, reference, damage, other, number % REFUSALS == 0)
        free.append(place)
        return wrong

    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(attempt, enumerate(damages(files, step, chance))))
    wrong = [fault for result in results for fault in result]
    wrong += both(free[0], everything, files, other, begun.folder)
    label = " ".join(("source freed" if begun.frees else "source kept", *begun.options))
    for fault in wrong[:20]:
        report.check(f"journals, {label}: {fault[:600]}", False)
    report.check(
        f"journals, {label}: {len(results)} damages to two files of {len(files[FILES[0]])} bytes, "
        "and to both at once", not wrong and files[FILES[0]] == files[FILES[1]],
        f"{len(wrong)} wrong, {time.monotonic() - began:.0f} s")
