"""Records what every command says and writes on the samples, and compares two such records.

    python scripts/record.py --fathom BINARY -o RECORD.json
    python scripts/record.py --compare BEFORE.json AFTER.json

A change that only moves code leaves the record as it was: exit codes, reports, plans and the hash
of every file written. What differs is printed, for a change that rewords sentences.
"""

import argparse
import difflib
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent / "Samples"

# What differs from run to run without the code being another.
VOLATILE = [
    (re.compile(r"[^\s\"]*fathom-record-\w+"), "FOLDER"),
    (re.compile(r"\d+(\.\d+)? [KMG]?i?B/s"), "SPEED"),
    (re.compile(r"\b\d+(\.\d+)? (s|ms|min|h|MB/s|GB/s|kB/s|tokens/s)\b"), "TIME"),
    (re.compile(r'"(seconds|peakMemory|peak_memory|peakBytes|memory)": ?[\d.e+-]+'), r'"\1": N'),
    (re.compile(r'(time|timestamp|elapsed)="[^"]*"'), r'\1="T"'),
    (re.compile(r"\d+(\.\d+)? (kB|MB|GB|KiB|MiB|GiB) (of memory|resident|at most)"), "MEMORY"),
    (re.compile(r"\b20\d\d-\d\d-\d\dT[\d:.]+Z?"), "DATE"),
]

PLANS = [
    ("hf", []), ("hf", ["--quant", "bf16"]), ("hf", ["--quant", "f32"]),
    ("hf", ["--quant", "f16"]), ("hf", ["--quant", "fp8"]),
    ("hf", ["--quant", "fp8", "--block-size", "32x64", "--scale-format", "ue8m0"]),
    ("hf", ["--quant", "bf16", "--mtp", "drop", "--max-shard-size", "100KB"]),
    ("hf", ["--quant", "bf16", "--mtp", "only"]),
    ("gguf", []), ("gguf", ["--quant", "f32"]), ("gguf", ["--quant", "bf16", "--mtp", "drop"]),
    ("gguf", ["--quant", "q8_0", "--max-shard-size", "200KB"]),
    ("gguf", ["--quant", "q4_0", "--pure"]), ("gguf", ["--quant", "q4_k_m"]),
    ("gguf", ["--quant", "q4_0", "--tensor-type", "ffn_.*_exps=q8_0", "--override-kv",
              "deepseek2.context_length=int:77", "--embed-provenance"]),
    ("mlx", []), ("mlx", ["--quant", "bf16"]), ("mlx", ["--quant", "4bit", "--group-size", "32"]),
    ("mlx", ["--quant", "8bit", "--layout", "mlx-swift", "--group-size", "32"]),
    ("mlx", ["--quant", "mxfp4"]), ("mlx", ["--quant", "nvfp4"]),
    ("compressed-tensors", ["--quant", "fp8-channel"]),
    ("compressed-tensors", ["--quant", "int4-g8"]),
    ("compressed-tensors", ["--quant", "nvfp4-experts"]),
    ("compressed-tensors", ["--quant", "int8-channel"]),
    ("deepseek", ["--mp", "2"]), ("deepseek", ["--quant", "bf16"]),
    ("deepseek", ["--quant", "fp8", "--mp", "2"]),
]
LOOKS = [
    ["inspect"], ["inspect", "--format", "json"], ["inspect", "--layers"],
    ["inspect", "--experts"], ["inspect", "--tensors", "*norm*"], ["inspect", "--stats"],
    ["inspect", "--format", "html", "-o", "out/page.html"],
    ["validate"], ["validate", "--format", "json"], ["validate", "--deep", "--format", "json"],
    ["hash"], ["hash", "--format", "json"],
]
VERIFY = [["--format", "text"], ["--format", "json", "-o", "out/v.json"],
          ["--format", "html", "-o", "out/v.html"], ["--format", "junit"],
          ["--format", "markdown"], ["--isolate", "--blame", "--format", "json"]]


def settled(text):
    """Output without what differs from run to run."""
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return text


def digest(path):
    """The hash of a file; of a report in text, without what is measured in it."""
    data = path.read_bytes()
    if path.suffix in {".html", ".json"}:
        data = settled(data.decode("utf-8", "replace")).encode()
    return hashlib.sha256(data).hexdigest()


class Recorder:
    """Runs commands in one folder that holds the samples under `S`."""

    def __init__(self, fathom, folder):
        self.fathom = str(Path(fathom).resolve())
        self.folder = folder
        self.rows = {}

    def run(self, *arguments):
        """One command; its row holds the exit code, both streams and what it wrote."""
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        done = subprocess.run([self.fathom, *arguments], cwd=self.folder, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=300)
        files = {str(p.relative_to(out)): digest(p)
                 for p in sorted(out.rglob("*")) if p.is_file()}
        self.rows[" ".join(arguments)] = {
            "exit": done.returncode,
            "stdout": settled(done.stdout.decode("utf-8", "replace")),
            "stderr": settled(done.stderr.decode("utf-8", "replace")), "files": files}
        return done.returncode == 0

    def keep(self, produced, name):
        """Keeps an output as a further input."""
        target = self.folder / "kept" / name
        target.parent.mkdir(exist_ok=True)
        shutil.move(self.folder / "out" / produced, target)
        return f"kept/{name}"

    def looks(self, model):
        """Every command that only reads one model."""
        for arguments in LOOKS:
            self.run(arguments[0], model, *arguments[1:])

    def conversions(self, sample):
        """Every plan, carried out, and what is read back from it."""
        model = f"S/{sample}"
        for number, (target, options) in enumerate(PLANS):
            produced = "m.gguf" if target == "gguf" and "--max-shard-size" not in options else "m"
            words = ["--to", target, *options, "--threads", "1"]
            self.run("convert", model, f"out/{produced}", *words, "--dry-run", "--format", "json")
            if not self.run("convert", model, f"out/{produced}", *words):
                continue
            if sample not in {"tiny-fp8", "tiny-k-quants"} or "--embed-provenance" in options:
                continue
            if not (self.folder / "out" / produced).exists():
                continue
            kept = self.keep(produced, f"{sample}-{number}{Path(produced).suffix}")
            self.looks(kept)
            self.run("diff", model, kept)
            if "only" not in options:
                for form in VERIFY:
                    self.run("verify", model, kept, "--tokens", "S/tokens.json", *form)
            for back in ("hf", "gguf", "mlx"):
                name = "m.gguf" if back == "gguf" else "m"
                self.run("convert", kept, f"out/{name}", "--to", back, "--threads", "1")

    def everything(self):
        """All samples, the sound, the malformed and the hostile."""
        samples = sorted(p.name for p in SAMPLES.iterdir()
                         if p.is_dir() and p.name.startswith("tiny"))
        (self.folder / "S/tokens.json").write_text("[[1,5,9,200,3,77,14,30]]")
        for sample in samples:
            self.looks(f"S/{sample}")
            self.run("logits", f"S/{sample}", "--tokens", "S/tokens.json", "-o", "out/l.safetensors")
            self.run("logits", f"S/{sample}", "--text", "Hello, world 12", "-o", "out/l.safetensors")
            self.run("pack", f"S/{sample}", "out/p")
            self.run("verify", f"S/{sample}", f"S/{sample}", "--tokens", "S/tokens.json")
            self.run("verify", f"S/{sample}", "--record", "--tokens", "S/tokens.json", "-o",
                     "out/f.baseline")
            self.conversions(sample)
        for path in sorted((SAMPLES / "malformed").iterdir()):
            for arguments in (["inspect"], ["validate"], ["validate", "--deep", "--format", "json"]):
                self.run(arguments[0], f"S/malformed/{path.name}", *arguments[1:])
            self.run("convert", f"S/malformed/{path.name}", "out/m.gguf", "--to", "gguf")
        for kind in ("hostile", "hostile-gguf"):
            for path in sorted((SAMPLES / kind).glob("*.*")):
                self.run("inspect", f"S/{kind}/{path.name}")
        self.run("inspect", "S/deepseek-v3")


def resettled(row):
    """A row as it would be recorded now."""
    return row and {**row, "stdout": settled(row["stdout"]), "stderr": settled(row["stderr"])}


def compare(before, after):
    """Prints what differs; the number of rows that do."""
    differing = 0
    for name in sorted(before.keys() | after.keys()):
        old, new = (resettled(record.get(name)) for record in (before, after))
        if old == new:
            continue
        differing += 1
        print(f"== {name}")
        if old is None or new is None:
            print("  only in one record")
            continue
        if old["exit"] != new["exit"]:
            print(f"  exit {old['exit']} → {new['exit']}")
        for stream in ("stdout", "stderr"):
            lines = difflib.unified_diff(
                old[stream].splitlines(), new[stream].splitlines(), lineterm="", n=0)
            print("\n".join(f"  {line}" for line in list(lines)[2:42]))
        for file in sorted(old["files"].keys() | new["files"].keys()):
            if old["files"].get(file) != new["files"].get(file):
                print(f"  file {file} differs")
    print(f"{len(before)} commands before, {len(after)} after, {differing} differ")
    return differing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fathom")
    parser.add_argument("-o", "--output")
    parser.add_argument("--compare", nargs=2)
    options = parser.parse_args()
    if options.compare:
        rows = [json.loads(Path(path).read_text()) for path in options.compare]
        sys.exit(1 if compare(*rows) else 0)
    with tempfile.TemporaryDirectory(prefix="fathom-record-") as name:
        folder = Path(name)
        shutil.copytree(SAMPLES, folder / "S")
        recorder = Recorder(options.fathom, folder)
        recorder.everything()
    Path(options.output).write_text(json.dumps(recorder.rows, indent=1, sort_keys=True))
    codes = [row["exit"] for row in recorder.rows.values()]
    print(f"{len(codes)} commands recorded; {codes.count(0)} ended with 0")


if __name__ == "__main__":
    main()
