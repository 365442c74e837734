"""Importance matrices beside llama-imatrix's: the same tensors, counts and sums; what they are for."""

import json

import numpy as np
from makers.samples import SAMPLES
from tokenizers import Tokenizer

from peers import llama

from .gguf import GGUFReader, make_model
from .network_cases import make_case
from .unseen import make_unseen

CHUNK = 64
# Sums of squares in F32 over some hundred tokens, of activations that differ by rounding.
BOUND = 1e-4
NAMED = ["tiny-bf16", "tiny-youtu", "tiny-mistral4"]
# Indexers whose heads are as wide as llama.cpp has them.
SPARSE = ["v32", "glm5", "glm52"]
UNSEEN = ["one-group", "two-mtp", "wide"]


def write_text(path, seed=1):
    """Words that no tokenizer knows as a whole."""
    random = np.random.default_rng(seed)
    words = ["".join(chr(97 + c) for c in random.integers(0, 26, random.integers(1, 8)))
             for _ in range(400)]
    path.write_text(" ".join(words) + ".\n")
    return path


def chunks_of(path, model, text, chunk=CHUNK):
    """The ids that llama.cpp computes with: a file can have it add a begin token where the
    checkpoint's tokenizer leaves that out."""
    ids = Tokenizer.from_file(str(path / "tokenizer.json")).encode(
        text.read_text(), add_special_tokens=False).ids
    fields = GGUFReader(str(model)).fields
    key = "tokenizer.ggml.add_bos_token"
    if key not in fields or not fields[key].contents():
        return [ids[start:start + chunk] for start in range(0, len(ids) - chunk + 1, chunk)]
    begin = int(fields["tokenizer.ggml.bos_token_id"].contents())
    ids = [begin, *ids]
    return [[begin, *ids[start + 1:start + chunk]]
            for start in range(0, len(ids) - chunk + 1, chunk)]


def entries(path):
    """{tensor: (sums, counts)} of a matrix."""
    tensors = {tensor.name: tensor.data.astype(np.float64) for tensor in GGUFReader(path).tensors}
    return {name.removesuffix(".in_sum2"): (data, tensors[name.replace(".in_sum2", ".counts")])
            for name, data in tensors.items() if name.endswith(".in_sum2")}


def difference(ours, theirs):
    """The largest relative difference of two entries' sums."""
    scale = np.maximum(np.abs(theirs), 1e-30)
    return float(np.max(np.abs(ours - theirs) / scale))


def measure(model, text, output, *flags):
    """llama-imatrix"""
    llama.run([llama.ROOT / "bin" / "llama-imatrix", "-m", model, "-f", text, "-o", output, "-c",
               CHUNK, "-b", CHUNK, *llama.EXACT, "-t", 1, "--no-ppl", *flags])


def check_numbers(report, name, path, folder, seed=1):
    """Every number of llama-imatrix's file, from the checkpoint and from a GGUF file."""
    folder.mkdir()
    text = write_text(folder / "text.txt", seed)
    model, theirs = folder / "model.gguf", folder / "theirs.gguf"
    report.run("convert", path, model, "--to", "gguf", "--quant", "f32")
    measure(model, text, theirs, "--process-output")
    expected = entries(theirs)
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps(chunks_of(path, model, text)))
    for source, kind in ((path, "checkpoint"), (model, "GGUF")):
        ours = folder / f"{kind}.gguf"
        said = report.run_json("imatrix", source, "--tokens", tokens, "-o", ours, "--process-output")
        found = entries(ours)
        layers = json.loads((path / "config.json").read_text())
        layers = layers.get("text_config", layers)["num_hidden_layers"]
        # MTP layers, for which llama-imatrix has nothing, come on top.
        own = {key for key in found if not key.startswith("blk.")
               or int(key.split(".")[1]) < layers}
        report.check(f"{name} ({kind}): llama-imatrix's {len(expected)} tensors",
                     own == expected.keys(), f"{sorted(own ^ expected.keys())[:4]}")
        both = sorted(own & expected.keys())
        counts = [key for key in both
                  if found[key][1].flatten().tolist() != expected[key][1].flatten().tolist()]
        report.check(f"{name} ({kind}): counts of tokens", not counts, f"{counts[:4]}")
        worst = max(both, key=lambda key: difference(found[key][0], expected[key][0]))
        value = difference(found[worst][0], expected[worst][0])
        report.check(f"{name} ({kind}): sums", value < BOUND, f"{value:.1e} in {worst}")
        report.check(f"{name} ({kind}): tokens", said["tokens"] == said["chunks"] * CHUNK)
    return model, text, theirs, folder / "checkpoint.gguf"


def check_use(report, folder):
    """llama-quantize takes the file, and the candidate is as near with ours as with theirs."""
    path = make_model("whole-blocks", folder)
    model, text, theirs, ours = check_numbers(report, "whole-blocks", path, folder / "use")
    losses = []
    for name, matrix in (("theirs", theirs), ("ours", ours)):
        output = folder / f"{name}.gguf"
        llama.quantize(model, output, "iq3_s", "--imatrix", matrix)
        mine = folder / f"{name}-mine.gguf"
        report.run("convert", path, mine, "--to", "gguf", "--quant", "iq3_s", "--imatrix", matrix)
        losses.append(report.run_json(
            "verify", path, output, "--text", text, "--mtp", "drop")["main"]["klMean"])
    report.check("KL of IQ3_S with our matrix and with llama-imatrix's",
                 abs(losses[1] / losses[0] - 1) < 0.02, f"{losses[1]:.6g}, {losses[0]:.6g}")


def check_merge(report, path, folder):
    """Parts add up to the whole; the older format says the same; ours and theirs go together."""
    folder.mkdir()
    text = write_text(folder / "text.txt", 2)
    model, checkpoint = folder / "model.gguf", path
    report.run("convert", checkpoint, model, "--to", "gguf", "--quant", "f32", "--mtp", "drop")
    path = model
    whole, joined = folder / "whole.gguf", folder / "joined.gguf"
    report.run("imatrix", path, "--text", text, "--chunk-size", CHUNK, "-o", whole)
    report.run("imatrix", path, "--text", text, "--chunk-size", CHUNK, "--max-tokens", 2 * CHUNK,
               "-o", folder / "first.gguf")
    report.run("imatrix", "--merge", whole, folder / "first.gguf", "-o", joined)
    first, all_, both = (entries(folder / name) for name in
                         ("first.gguf", "whole.gguf", "joined.gguf"))
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps(chunks_of(checkpoint, model, text)))
    report.run("imatrix", path, "--tokens", tokens, "-o", folder / "ids.gguf")
    same = entries(folder / "ids.gguf")
    report.check("a text is cut as llama.cpp cuts it", all(
        np.array_equal(all_[key][0], same[key][0]) for key in all_))
    report.check("merged: sums and counts add up", all(
        np.allclose(both[key][0], first[key][0] + all_[key][0], rtol=1e-6)
        and np.array_equal(both[key][1], first[key][1] + all_[key][1]) for key in both))
    theirs = folder / "theirs.gguf"
    measure(model, text, theirs, "--in-file", folder / "first.gguf")
    report.run("imatrix", path, "--text", text, "--chunk-size", CHUNK, "--mtp", "drop", "--merge",
               folder / "first.gguf", "-o", joined, "--overwrite")
    expected, found = entries(theirs), entries(joined)
    worst = max(difference(found[key][0], expected[key][0]) for key in expected)
    report.check("merged with a run as llama-imatrix --in-file", found.keys() == expected.keys()
                 and worst < BOUND, f"{worst:.1e}")
    for kind, flags in (("ours", []), ("theirs", None)):
        old = folder / f"{kind}.dat"
        if flags is None:
            measure(model, text, old, "--output-format", "dat")
        else:
            report.run("imatrix", path, "--text", text, "--chunk-size", CHUNK, "--mtp", "drop",
                       "--output-format", "dat", "-o", old)
    outputs = []
    for kind in ("ours", "theirs"):
        outputs.append(folder / f"{kind}.gguf")
        report.run("imatrix", "--merge", folder / f"{kind}.dat", "-o", outputs[-1],
                   "--chunk-size", CHUNK, "--overwrite")
    ours, peers = map(entries, outputs)
    worst = max(difference(ours[key][0], peers[key][0]) for key in peers)
    report.check("the older format, read back", ours.keys() == peers.keys() and worst < BOUND,
                 f"{worst:.1e}")


def check_memory(report, path, folder):
    """Groups that wait in a scratch file give the same numbers, and threads do not show."""
    folder.mkdir()
    text = write_text(folder / "text.txt", 3)
    files = []
    for name, flags in (("all", []), ("tight", ["--memory", "40MB"]), ("alone", ["--threads", 1])):
        files.append(folder / f"{name}.gguf")
        report.run("imatrix", path, "--text", text, "--chunk-size", CHUNK, "-o", files[-1], *flags)
    same = [file.read_bytes() == files[0].read_bytes() for file in files]
    report.check("the same bytes with little memory and with one thread", all(same), f"{same}")
    left = sorted(file.name for file in folder.iterdir())
    report.check("nothing else is left", left == ["all.gguf", "alone.gguf", "text.txt", "tight.gguf"])


def run(report, folder):
    """Numbers of several networks, then what is made of them."""
    for name in NAMED:
        report.attempt(name, check_numbers, report, name, SAMPLES / name, folder / name)
    for name in SPARSE:
        path, _ = make_case(name, folder)
        # A text in which no choice of keys hangs on rounding.
        report.attempt(name, check_numbers, report, name, path, folder / f"{name}-files", 4)
    for name in UNSEEN:
        path, _ = make_unseen(name, folder)
        report.attempt(name, check_numbers, report, name, path, folder / f"{name}-files")
    report.attempt("use", check_use, report, folder)
    report.attempt("merge", check_merge, report, folder / "two-mtp", folder / "merge")
    report.attempt("memory", check_memory, report, folder / "wide", folder / "memory")
