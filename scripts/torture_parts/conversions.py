"""The conversions that are tortured, one row each, and what must hold of their outputs."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple


class Conversion(NamedTuple):
    """A target: name, source (fp8 or bf16), options, name of the output, and how it is made."""

    name: str
    source: str
    options: tuple
    output: str = "out"
    split: float = 0  # most bytes of a file, as a part of the source's size; 0 for one file
    frees: bool = False  # whether the source is deleted on the way


# A new format is a new row.
CONVERSIONS = [
    Conversion("hf bf16", "fp8", ("--to", "hf", "--quant", "bf16")),
    Conversion("hf bf16, shards", "fp8", ("--to", "hf", "--quant", "bf16"), split=0.3),
    Conversion("hf fp8", "bf16", ("--to", "hf", "--quant", "fp8")),
    Conversion("hf copy", "fp8", ("--to", "hf"), split=0.3),
    # Its file is the source's, whose blocks it shares where the file system can do that.
    Conversion("hf copy, same file", "bf16", ("--to", "hf")),
    Conversion("gguf q8_0", "fp8", ("--to", "gguf", "--quant", "q8_0"), "out.gguf"),
    Conversion("gguf q8_0, splits", "fp8", ("--to", "gguf", "--quant", "q8_0"), "out.gguf", 0.3),
    Conversion("gguf q4_k_m", "fp8", ("--to", "gguf", "--quant", "q4_k_m"), "out.gguf"),
    Conversion("mlx 4bit", "bf16", ("--to", "mlx", "--quant", "4bit", "--group-size", "32"), split=0.1),
    Conversion("mlx mxfp4", "fp8", ("--to", "mlx", "--quant", "mxfp4")),
    Conversion("compressed-tensors int4", "bf16",
               ("--to", "compressed-tensors", "--quant", "int4-g32"), split=0.1),
    Conversion("compressed-tensors fp8", "fp8", ("--to", "compressed-tensors"), split=0.3),
    Conversion("deepseek", "bf16", ("--to", "deepseek", "--mp", "2")),
    Conversion("hf bf16, source freed", "fp8", ("--to", "hf", "--quant", "bf16"), frees=True),
    Conversion("gguf q8_0, source freed", "fp8", ("--to", "gguf", "--quant", "q8_0"), "out.gguf",
               0.3, True),
    Conversion("mlx 4bit, source freed", "fp8", ("--to", "mlx", "--quant", "4bit"), frees=True),
]


class Setting:
    """A command, a place to work in, and sources."""

    def __init__(self, fathom, folder, sources):
        self.fathom, self.folder, self.sources = str(fathom), Path(folder), sources
        self.references = {}
        self.folder.mkdir(parents=True, exist_ok=True)

    def size(self, conversion):
        """Bytes of the conversion's source."""
        return sum(path.stat().st_size for path in self.sources[conversion.source].iterdir())

    def command(self, conversion, place, *more, flush=0.05):
        """The command that converts into `place`, with progress noted so often."""
        size = self.size(conversion)
        source = freed(place) if conversion.frees else self.sources[conversion.source]
        command = [self.fathom, "convert", str(source), str(place / conversion.output),
                   *conversion.options, "--flush-every", f"{max(1, int(size * flush))}", "--format", "json", *more]
        if conversion.split:
            command += ["--max-shard-size", f"{int(size * conversion.split)}"]
        if conversion.frees:
            command += ["--free-source", "--yes-delete-source"]
        return command

    def reference(self, conversion):
        """Digest of the output of an uninterrupted run, with its seconds."""
        if conversion.name not in self.references:
            place = self.empty("reference", conversion)
            start = time.monotonic()
            run(self.command(conversion, place), expect=0)
            seconds = time.monotonic() - start
            self.references[conversion.name] = (outputs(place), seconds)
            shutil.rmtree(place)
        return self.references[conversion.name]

    def empty(self, name, conversion):
        """An empty folder, and a source beside it where that will be deleted."""
        place = self.folder / name
        for path in place, freed(place):
            shutil.rmtree(path, ignore_errors=True)
        place.mkdir(parents=True)
        if conversion.frees:
            self.copy_source(conversion, place)
        return place

    def copy_source(self, conversion, place):
        """The source that a conversion into `place` deletes."""
        shutil.copytree(self.sources[conversion.source], freed(place))


def freed(place):
    """Where a source is that will be deleted; outputs may be named after the last folder."""
    return place.with_name(place.name + "-source") / "model"


def make_sources(fathom, fp8, bf16):
    """The two sources: an FP8 checkpoint, and what Fathom makes of it in BF16."""
    if not bf16.exists():
        run([str(fathom), "convert", str(fp8), str(bf16), "--to", "hf", "--quant", "bf16"],
            expect=0)
    return {"fp8": fp8, "bf16": bf16}


def run(command, expect=None, environment=None):
    """Runs to the end; returns exit code, standard output, standard error."""
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=600,
        env={**os.environ, **(environment or {})})
    if expect is not None and result.returncode != expect:
        raise AssertionError(
            f"{' '.join(command)}: exit {result.returncode}, expected {expect}: {result.stderr}")
    return result.returncode, result.stdout, result.stderr


def outputs(place):
    """Every file under a final name: path below `place` → its bytes."""
    found = {}
    for path in sorted(place.rglob("*")):
        parts = path.relative_to(place).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            found["/".join(parts)] = path.read_bytes()
    return found


def work_folder(place, conversion):
    """Where unfinished work lies."""
    return place / f".{conversion.output}.fathom-part"


def noted_bytes(work):
    """Bytes that the journal of unfinished work calls safe, told from its text alone."""
    try:
        lines = (work / "journal").read_bytes().split(b"\n")[1:-1]
    except FileNotFoundError:
        return 0
    ends = {}
    for line in lines:
        try:
            record = json.loads(line[9:])
        except ValueError:
            break
        if "written" in record:
            segment = record["written"]
            ends[segment["file"]] = segment["from"] + segment["bytes"]
    return sum(ends.values())


def unfinished(place, conversion):
    """What is left beside a complete output: unfinished work, or a source that should be gone."""
    left = [path.name for path in place.iterdir() if path.name.startswith(".")]
    if conversion.frees:
        left += [path.name for path in freed(place).glob("model*.safetensors")]
    return left


def wrong_outputs(place, reference, complete=False):
    """What is wrong with the files under final names: none may ever be incomplete."""
    found = outputs(place)
    wrong = [name for name, data in found.items() if reference.get(name) != data]
    if complete:
        wrong += [f"no {name}" for name in reference.keys() - found.keys()]
    return wrong


class Watcher:
    """Looks all the time whether a file under a final name is incomplete."""

    def __init__(self, place, reference):
        self.place = place
        self.sizes = {name: len(data) for name, data in reference.items()}
        self.found, self.looks, self.ends = [], 0, False
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.ends:
            self.looks += 1
            for name, size in self.sizes.items():
                try:
                    seen = os.stat(self.place / name).st_size
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if seen != size:
                    self.found.append(f"{name}: {seen} of {size} bytes")
            time.sleep(0.0005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()


def start(command, environment=None, closed=False):
    """Starts a command without waiting for it, perhaps with the descriptors 0 to 2 closed."""
    if closed:
        command = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **(environment or {})})


def kill_after(process, seconds, number=signal.SIGKILL):
    """Sends a signal after some time; returns whether the process still ran then."""
    try:
        process.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        process.communicate()
        return True
