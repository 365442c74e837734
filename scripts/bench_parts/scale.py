"""How cost grows: models of 1 to 8 GB to Q4_K_M, 128 to 4,096 tokens through one of them."""

import json
import shutil

from bench_parts.measure import (
    ROUNDS, cpu, cpu_median, folder_bytes, median, peak, print_table, read_once, run)
from bench_parts.sizes import SCALED_LAYERS, V3_TOTALS, forward_operations, scaled

TOKENS = (128, 512, 2048, 4096)
TOKENS_LAYERS = 12


def ratio(value, base):
    """How far a cost is from that of the largest."""
    return f"{value / base:.2f}"


def rate(command, count):
    """Bytes a second of a copy past the page cache."""
    return count / run(command).seconds


def bench(fathom, folder, make):
    """Both tables, and what the first says of DeepSeek-V3."""
    rows, passes = [], []
    for layers in SCALED_LAYERS:
        source = folder / f"scaled-{layers}"
        make(f"scaled-{layers}", source)
        size = folder_bytes(source)
        output, runs = folder / "scaled.gguf", []
        read_once(source)
        command = [fathom, "convert", source, output, "--to", "gguf", "--quant", "q4_k_m"]
        for _ in range(ROUNDS):
            output.unlink(missing_ok=True)
            runs.append(run(command))
        rows.append((layers, size, runs))
        if layers == TOKENS_LAYERS:
            passes = [(count, tokens(fathom, source, folder, count)) for count in TOKENS]
        if layers == SCALED_LAYERS[-1]:
            disk = (*rates(source, output, folder), output.stat().st_size / size)
        output.unlink()
        output.with_name("scaled.fathom-manifest.json").unlink()
        shutil.rmtree(source)
    largest = median(rows[-1][2]) / rows[-1][1]
    print_table(
        "FP8 → Q4_K_M by size, flushed, manifest included",
        ("model", "wall time", "CPU time", "seconds per GB", "to the largest's", "peak memory"),
        [(f"{size / 1e9:.2f} GB, {layers} layers", f"{median(runs):.2f} s", cpu(runs),
          f"{median(runs) / size * 1e9:.2f}", ratio(median(runs) / size, largest), peak(runs))
         for layers, size, runs in rows])
    print(f"\n`{' '.join(map(str, command))}`")
    config = scaled(TOKENS_LAYERS)
    done = [(count, forward_operations(config, count), runs) for count, runs in passes]
    best = done[-1][1] / median(done[-1][2])
    print_table(
        f"Tokens through {TOKENS_LAYERS} layers, whole processes, the weights read included",
        ("tokens", "wall time", "CPU time", "GFLOP/s", "to the longest's", "peak memory"),
        [(f"{count:,}", f"{median(runs):.2f} s", cpu(runs),
          f"{operations / median(runs) / 1e9:.0f}", ratio(operations / median(runs), best),
          peak(runs)) for count, operations, runs in done])
    extrapolate(rows[-1], disk)


def tokens(fathom, model, folder, count):
    """Runs of a pass over one sequence."""
    ids, logits = folder / "scaled-tokens.json", folder / "scaled-logits.safetensors"
    ids.write_text(json.dumps([[(12345 + 7919 * i) % 16_000 for i in range(count)]]))
    runs = []
    for _ in range(ROUNDS):
        logits.unlink(missing_ok=True)
        runs.append(run([fathom, "logits", model, "--tokens", ids, "-o", logits]))
    logits.unlink()
    ids.unlink()
    return runs


def rates(source, output, folder):
    """What this disk reads and writes, bytes a second, past the page cache."""
    shard, copy = next(iter(sorted(source.glob("*.safetensors")))), folder / "scaled-copy"
    read = rate(["dd", f"if={shard}", "of=/dev/null", "bs=16M", "iflag=direct", "status=none"],
                shard.stat().st_size)
    write = rate(["dd", f"if={output}", f"of={copy}", "bs=16M", "oflag=direct", "conv=fsync",
                  "status=none"], output.stat().st_size)
    copy.unlink()
    return read, write


def extrapolate(largest, disk):
    """DeepSeek-V3 on this machine, by the largest model's seconds per byte and by the disk."""
    _, size, runs = largest
    read, write, share = disk
    seconds = V3_TOTALS["bytes"] * median(runs) / size
    by_disk = V3_TOTALS["bytes"] * (1 / read + share / write)
    print(
        f"\nDeepSeek-V3, {V3_TOTALS['bytes'] / 1e9:.0f} GB, at the largest's rate: "
        f"{seconds / 60:.0f} minutes, {V3_TOTALS['bytes'] * cpu_median(runs) / size / 3600:.1f} hours "
        f"of CPU time. This disk alone reads it ({read / 1e9:.2f} GB/s) and writes the file "
        f"({write / 1e9:.2f} GB/s) in {by_disk / 60:.0f} minutes.")
