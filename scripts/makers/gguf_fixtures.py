"""Known answers about GGUF files, from llama.cpp's converter and quantizer.

    scripts/make gguf-fixtures

Writes Tests/ConversionTests/Fixtures/gguf-files.json: SHA-256 of what the two make of each sample,
gguf-types.json: the types that llama-quantize gives the tensors of larger networks, of which
only the configuration is kept, gguf-options.json: what it makes of a sample with a matrix of
random importances (matrix.gguf, matrix.dat) and other options, and gguf-yarn.json: what the
converter says of ways to extend the context. Needs `scripts/build-llama`.
"""

import hashlib
import itertools
import json
import shutil
import tempfile
from pathlib import Path

from interop_checks import gguf, gguf_options
from makers.samples import SAMPLES
from peers import llama

FIXTURES = Path(__file__).resolve().parent.parent.parent / "Tests" / "ConversionTests" / "Fixtures"
# llama.cpp has no model without q_lora_rank and with this number of layers.
REFUSED = {"tiny-no-qlora", "tiny-v2-lite"}
# Fathom's files have a key that the converter leaves out.
FURTHER = {"tiny-mistral4"}
OPTIONS_SAMPLE = "tiny-trained"
YARN_SAMPLE = "tiny-bf16"
FILE_TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q5_1", "iq4_nl", "q4_k_m", "mxfp4_moe"]


def digest(path):
    """First digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def runs(values):
    """`a a b` as `a*2 b`."""
    counted = [(key, len(list(group))) for key, group in itertools.groupby(values)]
    return " ".join(key if count == 1 else f"{key}*{count}" for key, count in counted)


def files(folder):
    """Sample → file type → hash."""
    hashes = {}
    for path in sorted(SAMPLES.glob("tiny-*")):
        if path.name in REFUSED | FURTHER | llama.UNREAD:
            continue
        source, output = folder / "source.gguf", folder / "output.gguf"
        llama.convert(path, source)
        hashes[path.name] = {}
        # Where rows allow K-quants, every type; elsewhere those that the fallbacks are made of.
        for file_type in (gguf.PLAIN + gguf.MIXES if path.name == OPTIONS_SAMPLE else FILE_TYPES):
            llama.quantize(source, output, file_type)
            hashes[path.name][file_type] = digest(output)
    return hashes


def types(folder):
    """Model → its configuration, and for each file type the types in the order of the file."""
    models = {}
    for name in gguf.MODELS:
        path = gguf.make_model(name, folder)
        source, output = folder / "source.gguf", folder / "output.gguf"
        llama.convert(path, source)
        chosen = {}
        for file_type in gguf.PLAIN + gguf.MIXES:
            llama.quantize(source, output, file_type)
            tensors = gguf.GGUFReader(str(output)).tensors
            chosen[file_type] = runs(tensor.tensor_type.name for tensor in tensors)
        config = json.loads((path / "config.json").read_text())
        models[name] = {"config": {**config, "num_nextn_predict_layers": 0}, "types": chosen}
    return models


def tensor_digest(path):
    """The same of all tensors' bytes one after the other: the metadata has the matrix's path."""
    digest = hashlib.sha256()
    for tensor in gguf.GGUFReader(str(path)).tensors:
        digest.update(tensor.data.tobytes())
    return digest.hexdigest()[:16]


def options(folder):
    """Runs: file type, options (a matrix by its name alone), hash of the tensors."""
    source, output = folder / "source.gguf", folder / "output.gguf"
    llama.convert(SAMPLES / OPTIONS_SAMPLE, source)
    matrices = gguf_options.write_matrix(source, FIXTURES)
    runs = []
    for file_type in ("q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "iq4_xs", "q2_k", "q3_k_l", "q4_k_m",
                      "q5_k_m", "q6_k"):
        for matrix in matrices:
            runs.append((file_type, ["--imatrix", matrix.name]))
    # The matrix has no entry for attn_q_a.
    for file_type in ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs",
                      "iq3_s", "iq3_m", "q2_k_s"):
        runs.append((file_type, ["--imatrix", matrices[0].name, "--tensor-type", "attn_q_a=q8_0"]))
    for file_type in ("q1_0", "q2_0", "iq3_s"):
        runs.append((file_type, ["--tensor-type", "attn_k_b=q4_0"]))
    for extra in (["--include-weights", "ffn_down"], ["--exclude-weights", "exps"]):
        runs.append(("q4_0", ["--imatrix", matrices[0].name, *extra]))
    runs.append(("q4_k_m", []))
    runs.append(("q4_k_m", gguf_options.OVERRIDES))
    rows = []
    for file_type, flags in runs:
        paths = [str(FIXTURES / flag) if flag.startswith("matrix.") else flag for flag in flags]
        llama.quantize(source, output, file_type, *paths)
        row = {"type": file_type, "options": flags, "tensors": tensor_digest(output)}
        if "--imatrix" not in flags:
            row["file"] = digest(output)
        rows.append(row)
    return {"sample": OPTIONS_SAMPLE, "runs": rows}


# Both multipliers, which llama.cpp's one key cannot hold, each alone, and neither.
YARN_CASES = {
    "two multipliers": {"mscale": 0.6, "mscale_all_dim": 0.9},
    "of the table alone": {"mscale": 0.6},
    "of the softmax alone": {"mscale_all_dim": 0.9},
    "no multipliers": {},
    "other rotations": {"mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 40, "beta_slow": 2},
}


def yarn(folder):
    """Case → `rope_scaling`, and the keys about it that the converter writes."""
    cases = {}
    for name, multipliers in YARN_CASES.items():
        model, output = folder / "yarn", folder / "yarn.gguf"
        shutil.copytree(SAMPLES / YARN_SAMPLE, model)
        config = json.loads((model / "config.json").read_text())
        scaling = {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                   "beta_fast": 32, "beta_slow": 1, **multipliers}
        config["rope_scaling"] = scaling
        (model / "config.json").write_text(json.dumps(config))
        llama.convert(model, output)
        fields = gguf.GGUFReader(str(output)).fields
        cases[name] = {"rope_scaling": scaling, "metadata": {
            key: field.contents() for key, field in fields.items()
            if key.startswith("deepseek2.rope.scaling.")}}
        shutil.rmtree(model)
    return {"sample": YARN_SAMPLE, "cases": cases}


def main():
    """All files."""
    with tempfile.TemporaryDirectory(prefix="fathom-gguf-") as name:
        for file, make in (("gguf-files", files), ("gguf-types", types),
                           ("gguf-options", options), ("gguf-yarn", yarn)):
            contents = make(Path(name))
            (FIXTURES / f"{file}.json").write_text(json.dumps(contents, indent=1) + "\n")


if __name__ == "__main__":
    main()
