"""llama.cpp: its converter and its quantizer, as `scripts/build-llama` builds them."""

import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(os.environ.get(
    "FATHOM_LLAMA",
    Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fathom" / "llama"))
# Keys and values in F32, and plain attention: otherwise they are rounded to F16.
EXACT = ["-ctk", "f32", "-ctv", "f32", "-fa", "off"]
# Samples that the converter cannot read: a model_type that transformers has no class for, and more
# than one group of compressed-tensors. What Fathom makes of both is for other checks.
UNREAD = {"tiny-int4", "tiny-mixed"}
# Networks whose MTP layers the converter keeps unless told otherwise.
KEEPS_MTP = ("deepseek_v32", "glm4_moe_lite", "glm_moe_dsa")
CONVERTER = Path(__file__).with_name("convert_to_gguf.py")


class PeerRefused(Exception):
    """A peer ended with an error."""


def run(command):
    """Runs a program; its last lines are the error."""
    # Long values of metadata are shown cut, in the middle of a letter too.
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                            errors="replace", timeout=900)
    if result.returncode != 0:
        raise PeerRefused(f"{Path(str(command[0])).name}: {(result.stdout + result.stderr)[-800:]}")
    return result.stdout + result.stderr


class Converter:
    """convert_hf_to_gguf.py in one process for all models: importing torch takes longer."""

    process = None

    def ask(self, arguments):
        """What went wrong with one model; empty if nothing did."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, CONVERTER, ROOT / "src", "--serve"], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            # At the end of its input it ends by itself.
            atexit.register(self.process.stdin.close)
        self.process.stdin.write(json.dumps(list(map(str, arguments))) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else "it ended without an answer"


CONVERTERS = Converter()


def convert(model, output, outtype="f32", *flags, mtp=False):
    """convert_hf_to_gguf.py; MTP layers are kept if asked for, which it can for some networks alone.

    GLM's configuration names no function of scores, and llama.cpp knows GLM-4.7-Flash by its number
    of layers alone. The converter is shown a configuration that does.
    """
    config = json.loads((Path(model) / "config.json").read_text())
    if config["model_type"] not in KEEPS_MTP:
        return convert_as_is(model, output, outtype, *flags)
    with tempfile.TemporaryDirectory() as folder:
        # The name of the folder goes into the metadata.
        shown = Path(folder) / Path(model).name
        shown.mkdir()
        for path in Path(model).iterdir():
            (shown / path.name).symlink_to(path.resolve())
        (shown / "config.json").unlink()
        (shown / "config.json").write_text(json.dumps({"scoring_func": "sigmoid", **config}))
        return convert_as_is(shown, output, outtype, *([] if mtp else ["--no-mtp"]), *flags)


def convert_as_is(model, output, outtype="f32", *flags):
    """convert_hf_to_gguf.py"""
    error = CONVERTERS.ask([model, "--outfile", output, "--outtype", outtype, *flags])
    if error:
        raise PeerRefused(f"convert_hf_to_gguf.py: {error}")


def quantize(source, output, file_type, *flags):
    """llama-quantize"""
    return run([ROOT / "bin" / "llama-quantize", *flags, source, output, file_type])


def perplexity_base(model, text, output, context):
    """llama-perplexity --save-all-logits; returns the ids of each chunk as they are computed with.

    The file: `_logits_`, context, vocabulary, chunks, the ids of all chunks, log-probabilities. The
    first id of each chunk is replaced by the begin token, 0 in these models.
    """
    run([ROOT / "bin" / "llama-perplexity", "-m", model, "-f", text, *EXACT, "-c", context,
         "--save-all-logits", output, "-t", 1])
    data = Path(output).read_bytes()
    if data[:8] != b"_logits_":
        raise PeerRefused("llama-perplexity: another file of logits than expected")
    length, _, chunks = np.frombuffer(data, dtype="<i4", count=3, offset=8)
    ids = np.frombuffer(data, dtype="<i4", count=length * chunks, offset=20).copy()
    ids = ids.reshape(chunks, length)
    ids[:, 0] = 0
    return ids.tolist()


def perplexity_statistics(model, base, context):
    """llama-perplexity --kl-divergence: what it says of a candidate, as it prints it."""
    number, error = r" *: +([0-9.]+)", r" *: +[0-9.]+ ± +([0-9.]+)"
    patterns = {
        "kl": "Mean +KLD", "klMax": "Maximum KLD", "same": "Same top p",
        "perplexity": r"Mean PPL\(Q\)", "perplexityBase": r"Mean PPL\(base\)",
        "ratio": r"Mean PPL\(Q\)/PPL\(base\)", "klPercentiles.50": "Median +KLD",
        "klPercentiles.90": "90.0% +KLD", "klPercentiles.99": "99.0% +KLD",
        "klPercentiles.99.9": "99.9% +KLD", "lossCorrelation": r"Cor\(ln\(.*\)\)",
        "probabilityRms": "RMS Δp",
    }
    patterns = {key: pattern + number for key, pattern in patterns.items()}
    patterns |= {
        "standardErrors.klMean": "Mean +KLD" + error,
        "standardErrors.perplexityCandidate": r"Mean PPL\(Q\)" + error,
        "standardErrors.perplexityReference": r"Mean PPL\(base\)" + error,
        "standardErrors.perplexityRatio": r"Mean PPL\(Q\)/PPL\(base\)" + error,
        "standardErrors.probabilityRms": "RMS Δp" + error,
    }
    shares = ("lossCorrelation", "probabilityRms", "standardErrors.probabilityRms")
    # A thread of its own prints, and on a busy machine the program has been seen to end with 0
    # before the last lines were out.
    for _ in range(3):
        output = run([ROOT / "bin" / "llama-perplexity", "-m", model, "--kl-divergence",
                      "--kl-divergence-base", base, *EXACT, "-c", context, "-t", 1])
        found = {key: re.search(pattern, output) for key, pattern in patterns.items()}
        if all(found.values()):
            return {key: float(match.group(1)) / (100 if key in shares else 1)
                    for key, match in found.items()}
    raise PeerRefused(f"llama-perplexity printed no {[k for k in found if not found[k]]}: "
                      f"{output[-800:]}")


def runner(name="llama_logits"):
    """Builds a program of ours, by default that which prints logits, beside llama.cpp; returns its
    path."""
    source = next(CONVERTER.parent.glob(f"{name}.c*"))
    program = ROOT / "build" / name.replace("_", "-")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        run(["c++" if source.suffix == ".cpp" else "cc", "-O2", "-I", ROOT / "src" / "include", "-I", ROOT / "src" / "ggml" / "include",
             source, "-o", program, "-L", ROOT / "lib", "-lllama", "-lggml", "-lggml-base",
             f"-Wl,-rpath,{(ROOT / 'lib').resolve()}"])
    return program


def logits(model, ids, folder, default=False):
    """(tokens, vocabulary) for a list of ids; `default` leaves attention and cache as users have
    them."""
    inputs, outputs = Path(folder) / "ids.bin", Path(folder) / "logits.bin"
    np.asarray(ids, dtype=np.int32).tofile(inputs)
    run([runner(), model, inputs, outputs, *(["default"] if default else [])])
    return np.fromfile(outputs, dtype=np.float32).reshape(len(ids), -1)


def drafts(model, predictor, ids, folder):
    """(tokens - 1, vocabulary): what the one MTP layer of `predictor`, a file of its own, makes of the
    hidden states of `model`, both GGUF files."""
    inputs, outputs = Path(folder) / "ids.bin", Path(folder) / "drafts.bin"
    np.asarray(ids, dtype=np.int32).tofile(inputs)
    run([runner("llama_drafts"), model, predictor, inputs, outputs])
    return np.fromfile(outputs, dtype=np.float32).reshape(len(ids) - 1, -1)


def cache_bytes(model):
    """Bytes of the caches that llama.cpp makes for 65,536 tokens in F16, as it prints them.

    Where heads of an indexer are not as wide as it wants it ends once the caches are there.
    """
    printed = subprocess.run([runner("llama_cache"), model], capture_output=True, text=True,
                             env={**os.environ, "GGML_NO_BACKTRACE": "1"}, check=False).stdout
    sizes = re.findall(r"KV buffer size = +([0-9.]+) MiB", printed)
    if not sizes:
        raise PeerRefused(f"llama.cpp says nothing of caches: {printed[-400:]}")
    return sum(float(size) for size in sizes) * 2**20
