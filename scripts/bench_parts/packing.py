"""`fathom pack` and `unpack` beside ZipNN and zstd, on weights that are alike to trained ones."""

import filecmp
import json
import os
import shutil
import sys

from bench_parts.measure import SCRIPTS, cpu, median, peak, print_table, run


def route(*arguments):
    """The command line of a peer."""
    return [sys.executable, "-m", "bench_parts.pack_route", *map(str, arguments)]


def remove(path):
    """A path at which nothing is."""
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    os.sync()
    return path


def bench(fathom, source, folder, rounds):
    """Sizes and times of a folder with one file of weights."""
    weights = source / "model.safetensors"
    packed, back = folder / "packed", folder / "unpacked"
    names = {"fathom": "fathom pack, unpack (hash-checked)", "zipnn": "ZipNN (Huffman)",
             "zstd": "zstd -3, all bytes together"}
    times = {key: {"pack": [], "unpack": []} for key in names}
    sizes = {}
    for _ in range(rounds):
        for key in names:
            commands = {"pack": [fathom, "pack", source, remove(packed)],
                        "unpack": [fathom, "unpack", packed, remove(back)]}
            if key != "fathom":
                commands = {"pack": route("pack", key, weights, packed),
                            "unpack": route("unpack", key, packed, back)}
            for step, command in commands.items():
                times[key][step].append(run(command, cwd=SCRIPTS))
            stored = packed / weights.name if key == "fathom" else packed
            sizes[key] = stored.stat().st_size
            check(back / weights.name if key == "fathom" else back, weights, key)
    for leftover in (packed, back):
        remove(leftover)
    whole = weights.stat().st_size
    rows = []
    for key, name in names.items():
        pack, unpack = times[key]["pack"], times[key]["unpack"]
        rows.append((
            name, f"{whole / sizes[key]:.4f}",
            f"{median(pack):.2f} s", cpu(pack),
            f"{median(times['zipnn']['pack']) / median(pack):.1f} ×",
            f"{median(unpack):.2f} s", cpu(unpack),
            f"{median(times['zipnn']['unpack']) / median(unpack):.1f} ×",
            peak(pack + unpack)))
    print_table(
        f"Packing {source.name}, {whole / 1e9:.2f} GB, all flushed",
        ("program", "times smaller", "pack", "CPU time", "speed", "unpack", "CPU time", "speed",
         "peak memory"), rows)
    description = json.loads((source / "config.json").read_text()).get("weights_made_as")
    if description:
        print(f"\nWeights: {description}.")


def check(restored, weights, key):
    """Ends the benchmark where a program did not give back the file."""
    if not filecmp.cmp(restored, weights, shallow=False):
        raise SystemExit(f"{key} gives back other bytes")
