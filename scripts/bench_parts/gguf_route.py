"""GGUF in one pass beside llama.cpp's two: its converter to F32, then llama-quantize."""

import filecmp
import os
from pathlib import Path

from .measure import cpu, median, peak, print_table, run

PEERS = Path(__file__).resolve().parent.parent / "peers"
ROUNDS = 3
# By how many times as fast as the peers' route each is to be.
FILE_TYPES = {"q4_k_m": 12, "q8_0": 10, "iq4_xs": 25, "q6_k": None, "q5_k_m": None, "q2_k": None}


def bench(fathom, source, folder, llama, python):
    """Every file type of the table; `llama` is where scripts/build-llama put the peers."""
    converted, theirs, ours = (folder / f"gguf-{name}.gguf" for name in ("f32", "peer", "fathom"))
    for leftover in (converted, theirs, ours):
        leftover.unlink(missing_ok=True)
    os.sync()
    first = run([python, PEERS / "convert_to_gguf.py", llama / "src", source, "--outfile", converted,
                 "--outtype", "f32"], stderr=open(os.devnull, "w"))
    gigabytes = sum(path.stat().st_size for path in source.glob("*.safetensors")) / 1e9
    rows = [("convert_hf_to_gguf.py --outtype f32", f"{first.seconds:.2f} s", cpu([first]),
             peak([first]), "", "")]
    for file_type, aim in FILE_TYPES.items():
        # The peer takes minutes, and its time varies by a few hundredths: once is enough.
        second = run([llama / "bin" / "llama-quantize", converted, theirs, file_type, os.cpu_count()],
                     stderr=open(os.devnull, "w"))
        runs = []
        for _ in range(ROUNDS):
            ours.unlink(missing_ok=True)
            os.sync()
            runs.append(run([fathom, "convert", source, ours, "--to", "gguf", "--quant", file_type,
                             "--mtp", "drop"]))
        if not filecmp.cmp(ours, theirs, shallow=False):
            raise SystemExit(f"{file_type}: the files differ")
        theirs.unlink()
        route = first.seconds + second.seconds
        rows.append((f"llama-quantize {file_type}", f"{second.seconds:.2f} s", cpu([second]),
                     peak([second]), f"{route:.2f} s", ""))
        rows.append((f"fathom convert --quant {file_type}, flushed", f"{median(runs):.2f} s",
                     cpu(runs), peak(runs), "",
                     f"{route / median(runs):.1f} ×" + (f" (aim {aim})" if aim else "")))
    print_table(f"FP8 → GGUF, {gigabytes:.2f} GB in; the files are the same, byte for byte",
                ("program", "wall time", "CPU time", "peak memory", "both steps", "speed"), rows)
    for leftover in (converted, ours):
        leftover.unlink()
