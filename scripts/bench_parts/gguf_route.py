"""GGUF in one pass beside llama.cpp's two, converter and llama-quantize; importance matrices."""

import filecmp
import os
from pathlib import Path

from .measure import ROUNDS, cpu, median, peak, print_table, run

PEERS = Path(__file__).resolve().parent.parent / "peers"
# By how many times as fast as the peers' route each is to be.
FILE_TYPES = {"q4_k_m": 12, "q8_0": 10, "iq4_xs": 25, "q6_k": None, "q5_k_m": None, "q2_k": None}


# Types that need a matrix, and the aim; the peer's take minutes.
LOW_BITS = {"iq2_xxs": 12}
CHUNK, CHUNKS = 512, 8


def converted_by_peer(source, folder, llama, python):
    """What the peers' first step makes, and the run."""
    converted = folder / "gguf-f32.gguf"
    converted.unlink(missing_ok=True)
    os.sync()
    return converted, run(
        [python, PEERS / "convert_to_gguf.py", llama / "src", source, "--outfile", converted,
         "--outtype", "f32"], stderr=open(os.devnull, "w"))


def compared(fathom, llama, source, converted, outputs, file_type, aim, *matrix):
    """Two rows of the table: llama-quantize from the converted file, and Fathom from the source."""
    (file, first), (theirs, ours) = converted, outputs
    quiet = open(os.devnull, "w")
    # The peer takes minutes, and its time varies by a few hundredths: once is enough.
    second = run([llama / "bin" / "llama-quantize", *matrix, file, theirs, file_type,
                  os.cpu_count()], stderr=quiet)
    runs = []
    for _ in range(ROUNDS):
        ours.unlink(missing_ok=True)
        os.sync()
        runs.append(run([fathom, "convert", source, ours, "--to", "gguf", "--quant", file_type,
                         *matrix, "--mtp", "drop"], stderr=quiet))
    if not filecmp.cmp(ours, theirs, shallow=False):
        raise SystemExit(f"{file_type}: the files differ")
    theirs.unlink()
    route = first.seconds + second.seconds
    return [
        (f"llama-quantize {file_type}", f"{second.seconds:.2f} s", cpu([second]), peak([second]),
         f"{route:.2f} s", ""),
        (f"fathom convert --quant {file_type}, flushed", f"{median(runs):.2f} s", cpu(runs),
         peak(runs), "", f"{route / median(runs):.1f} ×" + (f" (aim {aim})" if aim else ""))]


def bench_low_bits(fathom, source, folder, llama, python):
    """An importance matrix of the same file, and FP8 → types that need one, both with the peer's."""
    converted, first = converted_by_peer(source, folder, llama, python)
    matrix, own, theirs, ours = (
        folder / name for name in ("peer.imatrix.gguf", "own.imatrix.gguf", "peer.gguf", "own.gguf"))
    text = folder / "calibration.txt"
    text.write_text((PEERS.parent.parent / "Samples/text/calibration.txt").read_text() * 2)
    # The peer with all that this processor has.
    native = {**os.environ, "LD_LIBRARY_PATH": str(llama / "build-native" / "bin")}
    quiet = open(os.devnull, "w")
    peers, runs = [], []
    for _ in range(ROUNDS):
        matrix.unlink(missing_ok=True)
        peers.append(run([llama / "bin" / "llama-imatrix", "-m", converted, "-f", text, "-o", matrix,
                          "--chunks", CHUNKS, "-c", CHUNK, "-b", CHUNK, "-t", os.cpu_count(),
                          "--no-ppl"], stderr=quiet, env=native))
        own.unlink(missing_ok=True)
        runs.append(run([fathom, "imatrix", converted, "--text", text, "--max-tokens",
                         CHUNK * CHUNKS, "-o", own]))
    tokens = CHUNK * CHUNKS
    rows = [("llama-imatrix, F32 file", f"{median(peers):.2f} s", cpu(peers), peak(peers), "", ""),
            (f"fathom imatrix, the same file: {tokens / median(runs):.0f} tokens/s",
             f"{median(runs):.2f} s", cpu(runs), peak(runs), "",
             f"{median(peers) / median(runs):.1f} ×")]
    for file_type, aim in LOW_BITS.items():
        rows += compared(fathom, llama, source, (converted, first), (theirs, ours), file_type, aim,
                         "--imatrix", matrix)
    print_table(f"Low bits: an importance matrix of {tokens:,} tokens, and files made with it",
                ("program", "wall time", "CPU time", "peak memory", "both steps", "speed"), rows)
    for leftover in (converted, ours):
        leftover.unlink()


def bench(fathom, source, folder, llama, python):
    """Every file type of the table; `llama` is where scripts/build-llama put the peers."""
    theirs, ours = (folder / f"gguf-{name}.gguf" for name in ("peer", "fathom"))
    for leftover in (theirs, ours):
        leftover.unlink(missing_ok=True)
    converted, first = converted_by_peer(source, folder, llama, python)
    gigabytes = sum(path.stat().st_size for path in source.glob("*.safetensors")) / 1e9
    rows = [("convert_hf_to_gguf.py --outtype f32", f"{first.seconds:.2f} s", cpu([first]),
             peak([first]), "", "")]
    for file_type, aim in FILE_TYPES.items():
        rows += compared(fathom, llama, source, (converted, first), (theirs, ours), file_type, aim)
    print_table(f"FP8 → GGUF, {gigabytes:.2f} GB in; the files are the same, byte for byte",
                ("program", "wall time", "CPU time", "peak memory", "both steps", "speed"), rows)
    for leftover in (converted, ours):
        leftover.unlink()
