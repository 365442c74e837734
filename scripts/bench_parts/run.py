"""Measures Fathom beside its peers; `scripts/bench` builds Fathom and starts this.

    python -m bench_parts.run --fathom PATH --folder FOLDER [--only PART …]

Each comparison alternates the programs and takes medians of three runs. Files are read from the
page cache, which the first, uncounted read has filled; the table says what is flushed to disk.

Nothing large may be imported here: a child's peak memory starts at its parent's.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench_parts import encoders, forward, gguf_route, memory, packing, plans, reading, scale
from bench_parts.measure import (
    ROUNDS, SCRIPTS, cpu, describe_machine, folder_bytes, median, peak, print_table, read_once, run)
from bench_parts.sizes import SMALL_V3, V3_TOTALS


def peer(module, *arguments):
    """The command line of one of the peers' programs."""
    return [sys.executable, "-m", f"bench_parts.{module}", *arguments]


def make(kind, folder):
    """A checkpoint, made once by a process of its own."""
    if not folder.exists():
        print(f"making {folder} …", flush=True)
        run(peer("checkpoints", kind, folder), cwd=SCRIPTS)


def fresh(folder):
    """A path at which nothing is; what lay there is removed and its writing back waited for."""
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()
    return folder


def copy_flushed(source, output):
    """`cp` and `sync` of the same bytes: what the disk takes for them."""
    script = 'cp -r "$1" "$2" && find "$2" -type f -exec sync {} +'
    return ["bash", "-c", script, "copy", source, output]


def copy_direct(source, output):
    """The same past the page cache, in large blocks: the least the disk takes for them."""
    script = """mkdir "$2" && for file in "$1"/*; do
      dd if="$file" of="$2/${file##*/}" bs=16M oflag=direct conv=fsync status=none
    done"""
    return ["bash", "-c", script, "copy", source, output]


def bench_cast(fathom, folder):
    """FP8 → BF16 of the 2 GB checkpoint."""
    source = folder / "small-v3-fp8"
    make("small", source)
    read_once(source)
    torch_out, fathom_out, copy_out = (
        folder / name for name in ("bf16-torch", "bf16-fathom", "copy"))
    convert = [fathom, "convert", source, fathom_out, "--to", "hf", "--quant", "bf16"]
    runs = {"torch": [], "fathom": [], "cp": [], "dd": []}
    for _ in range(ROUNDS):
        fresh(torch_out)
        runs["torch"].append(run(peer("cast_bf16", source, torch_out), cwd=SCRIPTS))
        fresh(fathom_out)
        runs["fathom"].append(run(convert))
        fresh(copy_out)
        runs["cp"].append(run(copy_flushed(fathom_out, copy_out)))
        fresh(copy_out)
        runs["dd"].append(run(copy_direct(fathom_out, copy_out)))
    written = folder_bytes(fathom_out)
    for leftover in (fathom_out, copy_out):
        shutil.rmtree(leftover)
    # The forward pass of transformers loads this one.
    shutil.copy(source / "config.json", torch_out)
    config = dict(SMALL_V3, torch_dtype="bfloat16")
    del config["quantization_config"]
    (torch_out / "config.json").write_text(json.dumps(config))
    base = median(runs["torch"])
    names = {"torch": "torch on the CPU (not flushed)", "fathom": "fathom convert (flushed)",
             "cp": "cp of the output (flushed)", "dd": "dd of the output (direct, flushed)"}
    rows = [
        (names[key], f"{median(runs[key]):.2f} s", f"{written / median(runs[key]) / 1e9:.2f} GB/s",
         cpu(runs[key]), peak(runs[key]), f"{base / median(runs[key]):.1f} ×")
        for key in names
    ]
    print_table(
        f"FP8 → BF16, {folder_bytes(source) / 1e9:.2f} GB in, {written / 1e9:.2f} GB out",
        ("program", "wall time", "written", "CPU time", "peak memory", "speed"), rows)
    print(f"\n`{' '.join(map(str, convert))}`")


def bench_gguf(fathom, folder):
    """FP8 → GGUF of the same checkpoint."""
    source = folder / "small-v3-fp8"
    make("small", source)
    # Without a tokenizer the converter refuses; llama.cpp's parts are built once, and kept.
    run(peer("checkpoints", "tokenizer", source), cwd=SCRIPTS)
    llama = run([SCRIPTS / "build-llama", "llama-quantize"]).output.strip()
    read_once(source)
    gguf_route.bench(fathom, source, folder, Path(llama), sys.executable)


def bench_low_bits(fathom, folder):
    """Types below three bits, and the matrix that they need."""
    source = folder / "small-v3-fp8"
    make("small", source)
    run(peer("checkpoints", "tokenizer", source), cwd=SCRIPTS)
    run([SCRIPTS / "build-llama", "--native"])
    llama = run([SCRIPTS / "build-llama", "llama-quantize", "llama-imatrix"]).output.strip()
    read_once(source)
    gguf_route.bench_low_bits(fathom, source, folder, Path(llama), sys.executable)


def make_plain(fathom, fp8, plain):
    """The checkpoint in BF16, without its MTP layer: mlx-lm loads none but the 61st."""
    if not plain.exists():
        run([fathom, "convert", fp8, plain, "--to", "hf", "--quant", "bf16", "--mtp", "drop"])


def bench_mlx(fathom, folder):
    """BF16 → MLX with 4 bits, groups of 64."""
    fp8, source = folder / "small-v3-fp8", folder / "small-v3-bf16"
    make("small", fp8)
    make_plain(fathom, fp8, source)
    read_once(source)
    theirs, ours = folder / "mlx-theirs", folder / "mlx-fathom"
    convert = [fathom, "convert", source, ours, "--to", "mlx", "--quant", "4bit"]
    runs = {"mlx": [], "fathom": []}
    for _ in range(ROUNDS):
        fresh(theirs)
        runs["mlx"].append(run(peer("mlx_route", source, theirs, "4bit"), cwd=SCRIPTS))
        fresh(ours)
        runs["fathom"].append(run(convert))
    written = folder_bytes(ours)
    for leftover in (theirs, ours):
        shutil.rmtree(leftover)
    base = median(runs["mlx"])
    names = {"mlx": "mlx_lm.convert's steps (not flushed)", "fathom": "fathom convert (flushed)"}
    rows = [
        (names[key], f"{median(runs[key]):.2f} s", cpu(runs[key]), peak(runs[key]),
         f"{base / median(runs[key]):.1f} ×")
        for key in names
    ]
    print_table(
        f"BF16 → MLX 4-bit, {folder_bytes(source) / 1e9:.2f} GB in, {written / 1e9:.2f} GB out",
        ("program", "wall time", "CPU time", "peak memory", "speed"), rows)
    print(f"\n`{' '.join(map(str, convert))}`")


def bench_pack(fathom, folder):
    """Lossless packing of BF16 weights."""
    source = folder / "trained-like"
    make("trained-like", source)
    read_once(source)
    packing.bench(fathom, source, folder, ROUNDS)


def bench_memory(fathom, folder):
    """Peak memory of every command."""
    source, plain = folder / "small-v3-fp8", folder / "small-v3-bf16"
    sparse = folder / "deepseek-v3-sparse"
    make("small", source)
    make("sparse", sparse)
    make_plain(fathom, source, plain)
    memory.bench(fathom, source, plain, sparse, folder)


def bench_forward(fathom, folder):
    """512 tokens through the main model in F32."""
    source, plain = folder / "small-v3-fp8", folder / "bf16-torch"
    make("small", source)
    if not (plain / "config.json").exists():
        bench_cast(fathom, folder)
    read_once(source)
    read_once(plain)
    kernels = Path(fathom).with_name("kernel-bench")
    forward.bench_transformers(fathom, kernels, folder, plain)
    forward.bench_llama(fathom, kernels, folder, os.cpu_count())


def bench_indexed(fathom, folder):
    """512 and 4,096 tokens through the same model with DeepSeek-V3.2's indexer."""
    source = folder / "small-v32-bf16"
    make("indexed", source)
    read_once(source)
    forward.bench_indexed(fathom, folder, source, (512, 4096))


def bench_listing(fathom, folder):
    """Every tensor of DeepSeek-V3 in 163 sparse files."""
    sparse = folder / "deepseek-v3-sparse"
    make("sparse", sparse)
    command = [fathom, "inspect", sparse, "--format", "json"]
    validate = [fathom, "validate", sparse]
    rows = {"names": [], "shapes": [], "inspect": [], "validate": []}
    inside = {"names": [], "shapes": []}
    for _ in range(ROUNDS):
        for key, extra in (("names", []), ("shapes", ["--shapes"])):
            done = run(peer("listing", sparse, *extra), cwd=SCRIPTS)
            report = json.loads(done.output)
            if report["tensors"] != V3_TOTALS["tensors"]:
                raise SystemExit(f"safetensors lists {report['tensors']} tensors")
            rows[key].append(done)
            inside[key].append(report["seconds"])
        done = run(command)
        totals = json.loads(done.output)["totals"]
        if any(totals[key] != value for key, value in V3_TOTALS.items()):
            raise SystemExit(f"fathom inspect says {totals}, not {V3_TOTALS}")
        rows["inspect"].append(done)
        rows["validate"].append(run(validate))
    base = statistics.median(inside["names"])
    names = {"names": "safe_open, names", "shapes": "safe_open, names, types and shapes",
             "inspect": "fathom inspect", "validate": "fathom validate"}
    table = []
    for key, name in names.items():
        if key in inside:
            seconds = statistics.median(inside[key])
            table.append((f"{name}, without Python's start", f"{seconds:.3f} s", "", "",
                          f"{seconds / base:.2f}"))
        table.append((f"{name}, whole process", f"{median(rows[key]):.3f} s", cpu(rows[key]),
                      peak(rows[key]), f"{median(rows[key]) / base:.2f}"))
    print_table(f"Headers of DeepSeek-V3: {V3_TOTALS['tensors']:,} tensors in 163 files",
                ("program", "wall time", "CPU time", "peak memory", "ratio"), table)
    print(f"\n`{' '.join(map(str, command))}`")


def bench_scale(fathom, folder):
    """Models of 1 to 8 GB, and 128 to 4,096 tokens."""
    scale.bench(fathom, folder, make)


def bench_encoders(fathom, _):
    """Types below four bits, whose encoders search a grid."""
    encoders.bench(Path(fathom).with_name("ggml-compare"))


def bench_plan(fathom, folder):
    """What plans foretell, beside what conversions take."""
    source = folder / "small-v3-fp8"
    make("small", source)
    read_once(source)
    plans.bench(fathom, source, folder)


def bench_reading(fathom, folder):
    """What hashing adds to reading and writing, and what few tokens add to reading."""
    source, plain = folder / "small-v3-fp8", folder / "small-v3-bf16"
    make("small", source)
    run(peer("checkpoints", "tokenizer", source), cwd=SCRIPTS)
    make_plain(fathom, source, plain)
    read_once(source)
    read_once(plain)
    reading.bench(fathom, source, plain, folder)


PARTS = {
    "cast": bench_cast, "gguf": bench_gguf, "low-bits": bench_low_bits, "mlx": bench_mlx,
    "forward": bench_forward, "indexed": bench_indexed, "listing": bench_listing,
    "pack": bench_pack, "encoders": bench_encoders, "memory": bench_memory,
    "scale": bench_scale, "plan": bench_plan, "reading": bench_reading}


def main():
    """The machine, then each part's table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True, help="the command to measure")
    parser.add_argument("--folder", required=True, type=Path, help="where the checkpoints live")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="some parts alone")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([arguments.fathom, "--version"], capture_output=True, text=True)
    print(f"fathom {version.stdout.strip()} · {describe_machine()}")
    busy = os.getloadavg()[0]
    if busy > 0.5:
        print(f"Other programs are running (load {busy:.1f}): do not trust these times.")
    for name in arguments.only or PARTS:
        PARTS[name](arguments.fathom, arguments.folder)


if __name__ == "__main__":
    main()
