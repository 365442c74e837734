"""What the manifest costs a conversion, and what a few tokens cost beside reading the weights."""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from .forward import pass_alone
from .measure import ROUNDS, cpu, cpu_median, median, print_table, run

# A conversion's name, and its options.
CONVERSIONS = {
    "FP8 → BF16": ("fp8", "--to", "hf", "--quant", "bf16"),
    "FP8 → GGUF Q8_0": ("fp8", "--to", "gguf", "--quant", "q8_0"),
    "FP8 → GGUF Q4_K_M": ("fp8", "--to", "gguf", "--quant", "q4_k_m"),
    "BF16 → MLX 4-bit": ("bf16", "--to", "mlx", "--quant", "4bit"),
}
FEW = 8


def bench_manifest(fathom, models, folder):
    """Processor time with the manifest, which hashes source and output, and without."""
    rows = []
    for name, (source, *options) in CONVERSIONS.items():
        output = folder / ("hashed.gguf" if "gguf" in options else "hashed")
        ways = {True: [], False: []}
        for _ in range(ROUNDS):
            for hashes, runs in ways.items():
                for leftover in folder.glob(output.name + "*"):
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
                os.sync()
                runs.append(run([fathom, "convert", models[source], output, *options,
                                 *([] if hashes else ["--no-manifest"])],
                                stderr=subprocess.DEVNULL))
        more = cpu_median(ways[True]) / cpu_median(ways[False]) - 1
        rows.append((name, cpu(ways[False]), cpu(ways[True]), f"{100 * more:.0f} %",
                     f"{median(ways[False]):.2f} s", f"{median(ways[True]):.2f} s"))
    for leftover in folder.glob("hashed*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    print_table("What the manifest takes (aim: 5 % of the processor time)",
                ("conversion", "CPU without", "CPU with", "more", "wall without", "wall with"), rows)


def read_bytes(command):
    """Bytes that a command has read by the time it ends, from the disk or the page cache."""
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with open(f"/proc/{process.pid}/io") as file:
        count = int(next(line for line in file if line.startswith("rchar")).split()[1])
    if process.wait():
        raise SystemExit(f"exit {process.returncode}: {command}")
    return count


def seconds_of_reading(model, count):
    """What one thread takes to read so many bytes of a model's files out of the page cache."""
    files = sorted(model.glob("*.safetensors")) if model.is_dir() else [model]
    buffer = memoryview(bytearray(1 << 20))
    start, left = time.perf_counter(), count
    for path in files:
        descriptor, offset = os.open(path, os.O_RDONLY), 0
        while left > 0 and (done := os.preadv(descriptor, [buffer[:left]], offset)):
            offset, left = offset + done, left - done
        os.close(descriptor)
    return time.perf_counter() - start


def bench_few_tokens(fathom, models, folder):
    """A pass over 8 tokens beside `pread` of the bytes that it reads, both from the page cache."""
    tokens, output, rows = folder / "few.json", folder / "logits.safetensors", []
    tokens.write_text(json.dumps([[12345 + 7919 * i for i in range(FEW)]]))
    for name, model in models.items():
        command = [fathom, "logits", model, "--tokens", tokens, "--mtp", "drop", "-o", output]
        output.unlink(missing_ok=True)
        count = read_bytes(command)
        passes, whole, reading = [], [], []
        for _ in range(ROUNDS):
            reading.append(seconds_of_reading(model, count))
            output.unlink(missing_ok=True)
            whole.append(run(command))
            output.unlink(missing_ok=True)
            with tempfile.TemporaryFile("w+") as messages:
                run([*command, "--profile"], stderr=messages)
                messages.seek(0)
                passes.append(pass_alone(messages.read())[0])
        base = statistics.median(reading)
        rows.append((name, f"{count / 1e6:,.0f} MB", f"{base:.3f} s",
                     f"{statistics.median(passes):.3f} s", f"{statistics.median(passes) / base:.1f}",
                     f"{median(whole):.3f} s", f"{median(whole) / base:.1f}"))
    output.unlink(missing_ok=True)
    print_table(f"{FEW} tokens beside reading the same bytes by one thread (aim: 1.3)",
                ("model", "read", "pread", "the pass alone", "ratio", "whole process", "ratio"),
                rows)


def bench(fathom, fp8, plain, folder):
    """Both tables."""
    bench_manifest(fathom, {"fp8": fp8, "bf16": plain}, folder)
    bench_few_tokens(fathom, {"FP8": fp8, "BF16": plain}, folder)
