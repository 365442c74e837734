"""The forward pass in F32 beside transformers', and from GGUF files beside llama.cpp's."""

import array
import json
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

from .measure import ROUNDS, SCRIPTS, cpu_median, median, peak, print_table, run
from .sizes import SMALL_V3, SMALL_V32, forward_operations

TOKENS = 512
# What a command takes by default.
THREADS = os.cpu_count()
CAP = "128MB"
COLUMNS = ("program", "seconds", "CPU time", "peak memory", "tokens/s", "speed", "by CPU time",
           "of the peak")
# Types of GGUF files as llama.cpp names them.
TYPES = ("Q4_K_M", "Q8_0", "IQ4_XS", "BF16")


def write_tokens(folder):
    """The ids as JSON for Fathom and transformers, and as 32-bit numbers for llama.cpp."""
    vocab = SMALL_V3["vocab_size"]
    # A full cycle of a linear congruence: spread over the vocabulary, and the same everywhere.
    ids = [(12345 + 7919 * i) % vocab for i in range(TOKENS)]
    (folder / "tokens.json").write_text(json.dumps([ids]))
    (folder / "tokens.bin").write_bytes(array.array("i", ids).tobytes())
    return folder / "tokens.json", folder / "tokens.bin"


def matrix_peak(kernels):
    """Operations a second that a product in the caches reaches on all cores together."""
    return json.loads(run([kernels, "--peak"]).output)["peak"]


def passes(runs):
    """Median seconds and processor time of a pass, and transformers' ways, by its reports."""
    reports = [json.loads(done.output) for done in runs]
    seconds, processor = (
        statistics.median(value for report in reports for value in report[key])
        for key in ("forward", "cpu"))
    return seconds, processor, ", ".join(reports[0]["ways"])


class Rows:
    """The rows of a table, each measured against the first."""

    def __init__(self, peak_rate):
        self.peak_rate, self.base, self.rows = peak_rate, None, []

    def add(self, name, seconds, used, memory, counts=True):
        """A row; one that does other work than the others gives no speed.

        The ratio of processor times is what remains of the other where a machine is busy.
        """
        self.base = self.base or (seconds, used)
        rate = forward_operations(SMALL_V3, TOKENS) / seconds
        self.rows.append((
            name, f"{seconds:.2f}", f"{used:.2f} s", memory,
            f"{TOKENS / seconds:.0f}" if counts else "",
            f"{self.base[0] / seconds:.2f} ×" if counts else "",
            f"{self.base[1] / used:.2f} ×" if counts else "",
            f"{100 * rate / self.peak_rate:.0f} %" if counts else ""))


class Fathom:
    """One pass as a user would run it."""

    def __init__(self, program, model, tokens, output, *options):
        self.command = [program, "logits", model, "--tokens", tokens, "--mtp", "drop", "-o", output,
                        *options]
        self.output, self.runs, self.passes = output, [], []

    def run(self):
        """Runs the command once, and once more for what it says of its time."""
        self.output.unlink(missing_ok=True)
        self.runs.append(run(self.command))
        self.output.unlink(missing_ok=True)
        with tempfile.TemporaryFile("w+") as messages:
            run([*self.command, "--profile"], stderr=messages)
            messages.seek(0)
            self.passes.append(pass_alone(messages.read()))

    def add_to(self, rows, name):
        """The medians as rows: as a user would run it, and the pass alone like the peers'."""
        rows.add(f"{name}, whole process", median(self.runs), cpu_median(self.runs),
                 peak(self.runs))
        seconds, processor = (statistics.median(values) for values in zip(*self.passes))
        rows.add(f"{name}, the pass alone", seconds, processor, "")


def pass_alone(profile):
    """Seconds and processor time of the stages that `--profile` names, writing of logits apart."""
    seconds = processor = 0.0
    for line in profile.splitlines()[1:]:
        name, wall, _, _, products, unpacking, reading, output, rest, _ = (
            re.split(r"\s{2,}", line.strip()))
        if name in ("all", "other"):
            continue
        share = {key: float(value.split()[0]) / 100 for key, value in {
            "products": products, "unpacking": unpacking, "reading": reading, "output": output,
            "rest": rest}.items()}
        written = share.pop("output")
        seconds += float(wall) * (1 - written)
        processor += float(wall) * THREADS * sum(share.values())
    return seconds, processor


def bench_transformers(fathom, kernels, folder, plain):
    """FP8 and BF16 weights beside transformers on the BF16 ones."""
    tokens, _ = write_tokens(folder)
    output, theirs = folder / "logits.safetensors", []
    ways = {
        "FP8": Fathom(fathom, folder / "small-v3-fp8", tokens, output),
        "BF16": Fathom(fathom, plain, tokens, output),
        f"FP8, --memory {CAP}": Fathom(
            fathom, folder / "small-v3-fp8", tokens, output, "--memory", CAP),
    }
    forward = [sys.executable, "-m", "bench_parts.transformers_forward", plain, tokens]
    for _ in range(ROUNDS):
        theirs.append(run(forward, cwd=SCRIPTS))
        for way in ways.values():
            way.run()
    seconds, processor, ways_of_peer = passes(theirs)
    rate = matrix_peak(kernels)
    rows = Rows(rate)
    rows.add(f"transformers F32 ({ways_of_peer}), the pass alone", seconds,
             processor, peak(theirs))
    # A command loads each time, a server once: both are timed as a user would.
    rows.add("transformers, whole process, three passes", median(theirs), cpu_median(theirs),
             peak(theirs), counts=False)
    for name, way in ways.items():
        way.add_to(rows, f"fathom logits from {name}")
    print_table(
        f"Forward pass, {TOKENS} tokens, 1.4 B parameters, no MTP layer; "
        f"F32 peak {rate / 1e9:.0f} GFLOP/s", COLUMNS, rows.rows)
    print(f"\n`{' '.join(map(str, ways['FP8'].command))}`")


def bench_indexed(fathom, folder, model, lengths):
    """Sparse attention beside transformers, one sequence of each length."""
    rows, vocab = [], SMALL_V3["vocab_size"]
    for length in lengths:
        tokens = folder / "indexed-tokens.json"
        tokens.write_text(json.dumps([[(12345 + 7919 * i) % vocab for i in range(length)]]))
        ours, theirs = Fathom(fathom, model, tokens, folder / "logits.safetensors"), []
        forward = [sys.executable, "-m", "bench_parts.transformers_forward", model, tokens]
        for _ in range(ROUNDS):
            theirs.append(run(forward, cwd=SCRIPTS))
            ours.run()
        seconds, processor, ways = passes(theirs)
        rows += [
            (f"{length:,} tokens, transformers F32 ({ways}), the pass alone", f"{seconds:.2f}",
             f"{processor:.2f} s", peak(theirs), f"{length / seconds:.0f}", "1.00 ×"),
            (f"{length:,} tokens, fathom logits, whole process", f"{median(ours.runs):.2f}",
             f"{cpu_median(ours.runs):.2f} s", peak(ours.runs),
             f"{length / median(ours.runs):.0f}", f"{seconds / median(ours.runs):.2f} ×")]
    print_table(
        f"Forward pass with an indexer of {SMALL_V32['index_n_heads']} heads, "
        f"{SMALL_V32['index_topk']} keys per query, BF16", COLUMNS[:6], rows)
    print(f"\n`{' '.join(map(str, ours.command))}`")


def llama_runner(llama):
    """Builds the program that times llama.cpp's passes."""
    source, program = Path(__file__).with_name("llama_forward.c"), llama / "build-native" / "forward"
    libraries = llama / "build-native" / "bin"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        run(["cc", "-O2", "-I", llama / "src" / "include", "-I", llama / "src" / "ggml" / "include",
             source, "-o", program, "-L", libraries, "-lllama", "-lggml", "-lggml-base",
             f"-Wl,-rpath,{libraries}"])
    return program


def bench_llama(fathom, kernels, folder, threads):
    """GGUF files beside llama.cpp, built for this processor."""
    tokens, ids = write_tokens(folder)
    program = llama_runner(Path(run([SCRIPTS / "build-llama", "--native"]).output.strip()))
    rate = matrix_peak(kernels)
    for kind in TYPES:
        model = folder / f"small-v3-{kind.lower()}.gguf"
        if not model.exists():
            run([fathom, "convert", folder / "small-v3-fp8", model, "--to", "gguf", "--quant", kind,
                 "--mtp", "drop"])
        bench_gguf(Fathom(fathom, model, tokens, folder / "logits.safetensors"),
                   [program, model, ids, threads, 2], Rows(rate), kind)


def bench_gguf(ours, command, rows, kind):
    """One file, the programs in turn."""
    theirs = []
    for _ in range(ROUNDS):
        theirs.append(run(command))
        ours.run()
    reports = [json.loads(done.output) for done in theirs]

    def middle(key):
        return statistics.median(value for report in reports for value in report[key])

    rows.add("llama.cpp, the pass alone, all logits", middle("all_wall"), middle("all_cpu"),
             peak(theirs))
    rows.add("llama.cpp, logits of the last token alone", middle("last_wall"), middle("last_cpu"),
             peak(theirs), counts=False)
    ours.add_to(rows, "fathom logits")
    print_table(
        f"Forward pass from {kind}, {TOKENS} tokens, {command[3]} threads; llama.cpp multiplies "
        f"8-bit integers where weights are quantized, Fathom F32; F32 peak "
        f"{rows.peak_rate / 1e9:.0f} GFLOP/s", COLUMNS, rows.rows)
    print(f"\n`{' '.join(map(str, ours.command))}`")
