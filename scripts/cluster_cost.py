"""What a conversion over many machines takes, by arithmetic: the shares that Fathom plans, and a
cluster that is stated.

    python scripts/cluster_cost.py --fathom PATH --model FOLDER [--quant q4_k_m] [options]

The model may be a sparse one (`python -m bench_parts.checkpoints sparse FOLDER`): only headers are read.
Times of one core are Fathom's own, which were measured on one machine; `--core` scales them.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

COUNTS = (1, 2, 4, 8, 16, 32, 64)


def plan(arguments, number, count):
    """The dry run of a part, and the seconds of a core that it took."""
    start = os.times()
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [arguments.fathom, "convert", arguments.model, str(Path(folder) / "out.gguf"), "--to",
             "gguf", "--quant", arguments.quant, "--dry-run", "--part", f"{number}/{count}",
             "--format", "json"], capture_output=True, text=True, check=True)
    end = os.times()
    seconds = end.children_user + end.children_system - start.children_user - start.children_system
    return json.loads(result.stdout), seconds


def size_of(folder):
    """Bytes of a model's weights."""
    return sum(file.stat().st_size for file in Path(folder).glob("*.safetensors"))


def rows(arguments):
    """A row for each number of nodes: what bounds it, and for how long."""
    read = size_of(arguments.model)
    for count in COUNTS:
        document, planning = plan(arguments, 1, count)
        part, written = document["part"], document["totals"]["bytes"]
        # A share of the source for each share of the output.
        own = part["coreSecondsOfLargest"] / max(1e-9, part["coreSecondsOfAll"])
        bounds = {
            "processors": part["coreSecondsOfLargest"] * arguments.core / arguments.cores,
            "network of a node": (read + written) * own / arguments.node,
            "file system": (read + written) / arguments.system,
        }
        slowest = max(bounds, key=bounds.get)
        finish = planning + (0 if arguments.no_read_back else written / min(
            arguments.node, arguments.system))
        yield count, own * count, planning + bounds[slowest], finish, slowest


def minutes(seconds):
    """`12.3 min`, or seconds where they are few."""
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def main():
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--quant", default="q4_k_m")
    parser.add_argument("--cores", type=int, default=16, help="of a node")
    parser.add_argument("--core", type=float, default=1, help="how much slower a core is")
    parser.add_argument("--node", type=float, default=3e9, help="bytes a second of a node's network")
    parser.add_argument("--system", type=float, default=20e9, help="and of the file system")
    parser.add_argument("--no-read-back", action="store_true")
    arguments = parser.parse_args()
    print("| nodes | parts | finish | in all | of ideal | bound by | largest share |")
    print("|---|---|---|---|---|---|---|")
    first = None
    for count, uneven, parts, finish, slowest in rows(arguments):
        total = parts + finish
        first = first or total
        print(f"| {count} | {minutes(parts)} | {minutes(finish)} | {minutes(total)} | "
              f"{100 * first / total / count:.0f} % | {slowest} | {100 * (uneven - 1):+.1f} % |")


if __name__ == "__main__":
    main()
