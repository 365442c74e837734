"""Records which type llama-quantize gives to every tensor of small deepseek2 models.

    scripts/make mix-fixtures

Builds llama-quantize with scripts/build-llama, which brings the gguf package that knows all of its
types, quantizes seeded random models for every file type
and a number of options, and reads the types back with gguf's own reader. Writes
Tests/ConversionTests/Fixtures/mix-NAME.json:

- `model`: the counts that the choice depends on;
- `tensors`: a row per kind of tensor (`blk.*.` stands for its layers): shape with the row length
  first, type in the source, and the layers that have it;
- `unchanged`: kinds that no run converts;
- `runs`: file type, options, `code` (general.file_type of the output), and the types: `base` for
  every kind that `types` does not name; there `Q6_K*2 Q4_K` is one type per layer in order.
  `refused` stands in their place where llama-quantize fails, with its own words.

mix-metadata.json holds the keys of a source and of the outputs, with the values that change.
The script fails where an output is not in the order (layer, name) that Fathom assumes.
"""
import itertools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILT = subprocess.run([ROOT / "scripts/build-llama", "llama-quantize"], check=True, text=True,
                       stdout=subprocess.PIPE).stdout.strip()
sys.path.insert(0, BUILT + "/src/gguf-py")
import gguf  # noqa: E402

FIXTURES = ROOT / "Tests/ConversionTests/Fixtures"
FILE_TYPES = ("F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q2_K_S Q3_K Q3_K_S Q3_K_M Q3_K_L Q4_K "
              "Q4_K_S Q4_K_M Q5_K Q5_K_S Q5_K_M Q6_K IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4_MOE "
              "IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M Q1_0 Q2_0").split()
# ggml takes seconds to make the tables of a grid, for IQ1 a quarter of a minute.
WEIGHED = ("Q4_0 Q5_0 Q2_K_S Q2_K IQ4_NL IQ4_XS Q4_K_M IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M "
           "IQ3_XXS IQ3_XS IQ3_S IQ3_M").split()
MIXED = "Q4_0 Q2_K Q3_K_M Q4_K_M Q8_0 IQ4_XS TQ1_0 MXFP4_MOE F16 IQ3_S Q2_0".split()
Types = gguf.GGMLQuantizationType


def layer(h, *, k_b, v_b, out, q_rank=256, heads=2, old=None, dense=None, moe=None, experts=4,
          mtp=False):
    """name → shape, row length first; the numbers of rows are as small as may be."""
    t = {"attn_norm.weight": [h], "ffn_norm.weight": [h], "attn_kv_a_norm.weight": [256],
         "attn_kv_a_mqa.weight": [h, 5], "attn_output.weight": [out, 4]}
    if q_rank:
        t |= {"attn_q_a.weight": [h, 3], "attn_q_a_norm.weight": [q_rank],
              "attn_q_b.weight": [q_rank, 4]}
    else:
        t |= {"attn_q.weight": [h, 4]}
    if old:
        t |= {"attn_kv_b.weight": [old, 4]}
    else:
        t |= {"attn_k_b.weight": [k_b, 3, heads], "attn_v_b.weight": [v_b, 2, heads]}
    if dense:
        t |= {"ffn_gate.weight": [h, 4], "ffn_up.weight": [h, 4], "ffn_down.weight": [dense, 4]}
    else:
        t |= {"ffn_gate_inp.weight": [h, experts], "exp_probs_b.bias": [experts],
              "ffn_gate_exps.weight": [h, 2, experts], "ffn_up_exps.weight": [h, 2, experts],
              "ffn_down_exps.weight": [moe, 2, experts], "ffn_gate_shexp.weight": [h, 2],
              "ffn_up_shexp.weight": [h, 2], "ffn_down_shexp.weight": [moe, 2]}
    if mtp:
        t |= {"nextn.eh_proj.weight": [2 * h, 3], "nextn.enorm.weight": [h],
              "nextn.hnorm.weight": [h], "nextn.embed_tokens.weight": [h, 7],
              "nextn.shared_head_head.weight": [h, 7], "nextn.shared_head_norm.weight": [h]}
    return t


def model(layers, h, *, first_dense, source="F32", heads=2, kv_heads=1, experts=4, tied=False,
          mtp=0, **sizes):
    t = {"token_embd.weight": [h, 7], "output_norm.weight": [h]}
    if not tied:
        t["output.weight"] = [h, 7]
    moe, dense = sizes.pop("moe"), sizes.pop("dense")
    for i in range(layers + mtp):
        width = {"dense": dense} if i < first_dense else {"moe": moe, "experts": experts}
        for name, shape in layer(h, heads=heads, mtp=i >= layers, **width, **sizes).items():
            t[f"blk.{i}.{name}"] = shape
    return {"tensors": t, "source": source, "mtp": mtp,
            "counts": {"block_count": layers + mtp, "expert_count": experts, "head_count": heads,
                       "head_count_kv": kv_heads}}


WIDE = {"k_b": 128, "v_b": 256, "out": 256, "dense": 512, "moe": 256}
MODELS = {
    # As DeepSeek-V3: only attn_k_b has rows of no whole number of 256.
    "moe": model(12, 256, first_dense=3, **WIDE),
    # The same with an MTP layer, in BF16; its block counts.
    "mtp": model(11, 256, first_dense=1, mtp=1, source="BF16", **WIDE),
    # llama-quantize treats models of exactly eight experts differently.
    "eight": model(9, 256, first_dense=1, experts=8, **WIDE),
    "eight-kv-b": model(3, 256, first_dense=1, experts=8, kv_heads=2, old=512, **WIDE),
    # The older layout with attn_kv_b, with as many heads for keys as for queries and with one.
    "kv-b": model(8, 256, first_dense=1, heads=8, kv_heads=8, old=512, **WIDE),
    "kv-b-shared": model(5, 256, first_dense=1, heads=4, kv_heads=1, old=512, **WIDE),
    # No experts: layers are counted, not read from names. 17 layers for the sixteenth part.
    "dense": model(17, 256, first_dense=17, experts=0, tied=True, old=512, **WIDE),
    # No query rank, tied embeddings.
    "lite": model(5, 512, first_dense=1, source="F16", tied=True, q_rank=None, **WIDE),
    # Rows of a whole number of 32 alone, and of not even that; one head, so nothing is 3-D.
    "narrow": model(4, 288, first_dense=1, heads=1, k_b=96, v_b=160, out=72, q_rank=40, dense=352,
                    moe=48),
}
# One column, one row, or one of both: not two dimensions for llama-quantize.
MODELS["narrow"]["tensors"] |= {"blk.2.attn_q_b.weight": [256, 1], "blk.3.attn_q_b.weight": [1, 9],
                                "blk.3.attn_v_b.weight": [256, 1, 2]}
# Layers without the tensor count all the same, except where tensors are counted.
for i in (2, 6):
    del MODELS["kv-b"]["tensors"][f"blk.{i}.attn_kv_b.weight"]
# Names that the family's other architectures have, or nobody.
MODELS["kv-b-shared"]["tensors"]["blk.2.attn_q_a.scale"] = [256, 2]
MODELS["kv-b-shared"]["tensors"]["blk.2.attn_k.weight"] = [256, 2]
MODELS["eight-kv-b"]["tensors"] |= {
    f"blk.2.{name}.weight": [256, 2] for name in (
        "attn_k", "indexer.attn_k", "indexer.k_proj", "indexer.q_proj", "indexer.proj",
        "ffn_gate_tid2eid")}


def fields(spec, name):
    writer = gguf.GGUFWriter(None, "deepseek2")
    counts = spec["counts"]
    writer.add_file_type({"F32": 0, "F16": 1, "BF16": 32}[spec["source"]])
    writer.add_name(name)
    writer.add_quantization_version(2)
    writer.add_block_count(counts["block_count"])
    writer.add_context_length(64)
    writer.add_embedding_length(spec["tensors"]["token_embd.weight"][0])
    writer.add_feed_forward_length(512)
    writer.add_head_count(counts["head_count"])
    writer.add_head_count_kv(counts["head_count_kv"])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_q_lora_rank(256)
    writer.add_kv_lora_rank(256)
    writer.add_key_length(288)
    writer.add_value_length(256)
    writer.add_rope_dimension_count(32)
    if counts["expert_count"]:
        writer.add_expert_count(counts["expert_count"])
        writer.add_expert_used_count(2)
    writer.add_expert_feed_forward_length(256)
    writer.add_expert_shared_count(1)
    writer.add_vocab_size(7)
    if spec["mtp"]:
        writer.add_nextn_predict_layers(spec["mtp"])
    return writer


def write_model(path, name, tensors=None, split=None):
    spec = MODELS[name]
    random = np.random.default_rng(sum(name.encode()))
    writer = fields(spec, name)
    if split:
        writer.add_uint16("split.no", split[0])
        writer.add_uint16("split.count", split[1])
        writer.add_int32("split.tensors.count", len(spec["tensors"]))
    for tensor, shape in (tensors or spec["tensors"]).items():
        data = random.standard_normal(shape[::-1], dtype=np.float32)
        kind = Types[source_type(spec, tensor)]
        if kind == Types.F32:
            writer.add_tensor(tensor, data)
        else:
            packed = gguf.quants.quantize(data, kind)
            writer.add_tensor(tensor, packed, raw_dtype=kind)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def source_type(spec, tensor):
    plain = len(spec["tensors"][tensor]) > 1 and "_norm" not in tensor and "gate_inp" not in tensor
    return spec["source"] if plain else "F32"


def write_imatrix(path, name, skip=()):
    writer = gguf.GGUFWriter(None, "")
    writer.kv_data[0].clear()
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", ["first.txt", "second.txt"])
    writer.add_uint32("imatrix.chunk_count", 9)
    writer.add_uint32("imatrix.chunk_size", 512)
    for tensor, shape in MODELS[name]["tensors"].items():
        if len(shape) < 2 or tensor in skip:
            continue
        matrices = shape[2] if len(shape) > 2 else 1
        writer.add_tensor(tensor + ".in_sum2", np.ones((matrices, shape[0]), np.float32))
        writer.add_tensor(tensor + ".counts", np.full((matrices, 1), 4, np.float32))
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def order(name):
    found = re.match(r"blk\.(\d+)\.", name)
    return (int(found[1]) if found else -1, name)


def kind_of(name):
    return re.sub(r"^blk\.\d+\.", "blk.*.", name)


def packed(values):
    groups = [(value, len(list(run))) for value, run in itertools.groupby(values)]
    return " ".join(value if n == 1 else f"{value}*{n}" for value, n in groups)


class Peer:
    def __init__(self, folder):
        self.program, self.folder = BUILT + "/bin/llama-quantize", pathlib.Path(folder)

    def run(self, source, file_type, options=()):
        """The words of its refusal, or readers of the output files."""
        for old in self.folder.glob("out*"):
            old.unlink()
        done = subprocess.run([self.program, *options, source, self.folder / "out.gguf", file_type,
                               "1"], text=True, errors="replace", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            words = re.findall(r"failed to quantize: (.*)|GGML_ASSERT\((.*)\) failed", done.stdout)
            assert words, done.stdout
            return "".join(words[0]), []
        return None, [gguf.GGUFReader(path) for path in sorted(self.folder.glob("out*"))]


def record(peer, source, name, file_type, options=(), sorted_output=True):
    words, readers = peer.run(source, file_type, options)
    shown = [o if "/" not in str(o) else pathlib.Path(o).name for o in options]
    run = {"file_type": file_type} | ({"options": shown} if shown else {})
    if words is not None:
        return run | {"refused": words}
    found = [t for reader in readers for t in reader.tensors]
    names = [t.name for t in found]
    assert not sorted_output or names == sorted(names, key=order), "another order"
    assert set(names) == set(MODELS[name]["tensors"])
    run["code"] = int(readers[0].fields["general.file_type"].contents())
    run["all"] = {t.name: t.tensor_type.name for t in found}
    return run


def compact(name, runs, source_types):
    """Kinds instead of names, and only what is not the most frequent type."""
    tensors, kinds = MODELS[name]["tensors"], {}
    for tensor in sorted(tensors, key=order):
        key = (kind_of(tensor), str(tensors[tensor]), source_types[tensor])
        kinds.setdefault(key, []).append(tensor)
    # A kind with several shapes or types gets a row for each; a run has one list for all of them.
    rows = []
    for (kind, *_), members in kinds.items():
        row = {"name": kind, "shape": tensors[members[0]], "type": source_types[members[0]]}
        layers = [order(m)[0] for m in members]
        rows.append(row | ({"layers": layers} if layers[0] >= 0 else {}))
    kept = {kind_of(t) for t in tensors}
    for run in runs:
        kept -= {kind_of(t) for t, new in run.get("all", {}).items() if new != source_types[t]}
    for run in runs:
        if "all" not in run:
            continue
        types = {}
        for tensor in sorted(tensors, key=order):
            if kind_of(tensor) not in kept:
                types.setdefault(kind_of(tensor), []).append(run["all"][tensor])
        del run["all"]
        flat = [value for values in types.values() for value in values]
        run["base"] = max(sorted(set(flat)), key=flat.count)
        run["types"] = {k: packed(v) for k, v in types.items() if set(v) != {run["base"]}}
    return {"model": MODELS[name]["counts"], "tensors": rows, "unchanged": sorted(kept),
            "runs": runs}


def write(name, document):
    lines = ["{"]
    for key, value in document.items():
        end = "," if key != list(document)[-1] else ""
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join("    " + json.dumps(row) for row in value)
            lines.append(f'  "{key}": [\n{rows}\n  ]{end}')
        else:
            lines.append(f'  "{key}": {json.dumps(value)}{end}')
    (FIXTURES / f"mix-{name}.json").write_text("\n".join(lines + ["}"]) + "\n")


def optional(peer, folder, name, source, imatrix):
    """Runs with options, where they can matter."""
    every = [record(peer, source, name, t, ["--imatrix", imatrix]) for t in WEIGHED]
    if name in ("moe", "lite", "narrow"):
        for t in MIXED:
            every += [
                record(peer, source, name, t, ["--pure"]),
                record(peer, source, name, t, ["--leave-output-tensor"]),
                record(peer, source, name, t, ["--output-tensor-type", "q4_0"]),
                record(peer, source, name, t, ["--token-embedding-type", "Q5_1"]),
            ]
    if name in ("moe", "dense", "narrow"):
        rules = [["attn_k_b=q8_0"], ["ffn_down=q3_K", "blk\\.[0-2]\\.=q6_k"],
                 ["blk\\.(1|2)\\.ffn_(up|down).*=bf16"], ["attn_output=nvfp4"], ["embd=q5_k"],
                 ["^output\\.weight$=f32"]]
        for t, patterns in itertools.product(["Q4_K_M", "IQ4_XS", "MXFP4_MOE", "F16"], rules):
            options = [word for p in patterns for word in ("--tensor-type", p)]
            every.append(record(peer, source, name, t, options))
        every.append(record(peer, source, name, "Q3_K_L",
                            ["--pure", "--tensor-type", "FFN_DOWN=q8_0"]))
    if name == "moe":
        every += [record(peer, source, name, t, ["--output-tensor-type", "q4_0",
                                                 "--token-embedding-type", "f16", "--tensor-type",
                                                 "o=q8_0", "--pure"]) for t in ("Q4_K_M", "F16")]
        part = folder / "part-imatrix.gguf"
        write_imatrix(part, name, skip=("token_embd.weight", "blk.1.attn_q_a.weight"))
        every.append(record(peer, source, name, "Q2_K_S", ["--imatrix", part]))
        every += [record(peer, source, name, t, ["--imatrix", part, *more]) for t, more in (
            ("Q2_K", []), ("IQ2_XXS", []), ("IQ3_S", []), ("IQ2_XXS", ["--pure"]),
            ("Q4_K_M", ["--tensor-type", "attn_q_a=iq3_xxs"]),
            ("Q4_K_M", ["--token-embedding-type", "iq2_xs"]),
            ("Q4_K_M", ["--token-embedding-type", "iq2_s", "--tensor-type", "down=iq3_xxs"]))]
        every.append(record(peer, source, name, "Q4_K_M", ["--token-embedding-type", "iq2_xxs"]))
        every.append(record(peer, source, name, "IQ2_XS", ["--imatrix", imatrix, "--pure"]))
    if name in ("lite", "narrow"):
        # Aborts: an explicit type has no fallback.
        for flag in ("--token-embedding-type", "--output-tensor-type"):
            every.append(record(peer, source, name, "Q4_K_M", [flag, "q6_k"]))
    return every


def split_runs(peer, folder, name):
    """A source in two files, in an order of its own, which --keep-split follows."""
    names = sorted(MODELS[name]["tensors"], key=lambda n: (-order(n)[0], n))
    for part in range(2):
        half = {n: MODELS[name]["tensors"][n] for n in names[part::2]}
        write_model(folder / f"in-0000{part + 1}-of-00002.gguf", name, half, (part, 2))
    source = folder / "in-00001-of-00002.gguf"
    runs = [record(peer, source, name, t, ["--keep-split"], sorted_output=False)
            for t in ("Q4_K_M", "Q3_K_M", "Q4_K_S")]
    return runs, [n for part in range(2) for n in names[part::2]]


def requantized(peer, folder, name):
    """Sources that are quantized already."""
    source = folder / "q4.gguf"
    run = subprocess.run([peer.program, folder / f"{name}.gguf", source, "Q4_K_M", "1"],
                         capture_output=True)
    assert run.returncode == 0
    types = {t.name: t.tensor_type.name for t in gguf.GGUFReader(source).tensors}
    runs = [record(peer, source, name, t, o) for t in ("Q4_K_M", "Q8_0", "Q5_K_M", "F16", "F32")
            for o in ([], ["--allow-requantize"], ["--allow-requantize", "--leave-output-tensor"])]
    return runs, types


def metadata(peer, folder):
    source, imatrix = folder / "moe.gguf", folder / "imatrix.gguf"
    write_imatrix(imatrix, "moe")

    def keys(reader):
        return [[f.name, f.types[0].name, f.contents()] for f in reader.fields.values()
                if not f.name.startswith("GGUF.")]

    def changes(options):
        return keys(peer.run(source, "Q4_K_M", options)[1][0])
    before = keys(gguf.GGUFReader(source))
    runs = {"plain": [], "imatrix": ["--imatrix", imatrix],
            "override": ["--override-kv", "general.name=str:other", "--override-kv",
                         "deepseek2.context_length=int:-7", "--override-kv",
                         "deepseek2.new=float:0.5", "--imatrix", imatrix]}
    table = {"source": [row[0] for row in before]}
    for name, options in runs.items():
        after = changes(options)
        for row in after:
            if row[0] == "quantize.imatrix.file":
                row[2] = pathlib.Path(row[2]).name
        table[name] = {"keys": [row[0] for row in after],
                       "changed": [row for row in after if row not in before]}
    return table


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        peer = Peer(folder)
        for name, spec in MODELS.items():
            source, imatrix = folder / f"{name}.gguf", folder / "imatrix.gguf"
            write_model(source, name)
            write_imatrix(imatrix, name)
            types = {tensor: source_type(spec, tensor) for tensor in spec["tensors"]}
            runs = [record(peer, source, name, file_type) for file_type in FILE_TYPES]
            runs += optional(peer, folder, name, source, imatrix)
            write(name, compact(name, runs, types))
            print(name, len(runs), "runs", file=sys.stderr)
        runs, names = split_runs(peer, folder, "dense")
        types = {tensor: source_type(MODELS["dense"], tensor) for tensor in names}
        write("split", compact("dense", runs, types) | {"order": names})
        runs, types = requantized(peer, folder, "moe")
        write("quantized", compact("moe", runs, types))
        write("metadata", metadata(peer, folder))


main()
