"""Metadata that fathom shows and edits, and caches that it counts, beside the peers' own."""

import json
import re
import subprocess
import sys

import torch
from gguf import GGUFReader, GGUFValueType
from safetensors import safe_open
from safetensors.torch import load_file

from makers.samples import SAMPLES
from peers import llama
from peers.folder import read_checkpoint
from peers.hashes import tensor_hashes
from peers.oracle import load_from_stored

# What `fathom edit` is asked for: what gguf-py reads back, its type, and the change.
CHANGES = (
    ("general.name", GGUFValueType.STRING, "a name that is longer than the one before", "str"),
    ("general.tags", GGUFValueType.ARRAY, ["one", "two ü"], "[str]"),
    ("x.u8", GGUFValueType.UINT8, 255, "u8"), ("x.i8", GGUFValueType.INT8, -128, "i8"),
    ("x.u16", GGUFValueType.UINT16, 65535, "u16"), ("x.i16", GGUFValueType.INT16, -2, "i16"),
    ("x.u32", GGUFValueType.UINT32, 2**32 - 1, "u32"), ("x.i32", GGUFValueType.INT32, -3, "i32"),
    ("x.u64", GGUFValueType.UINT64, 2**64 - 1, "u64"), ("x.i64", GGUFValueType.INT64, -4, "i64"),
    ("x.f32", GGUFValueType.FLOAT32, 0.5, "f32"), ("x.f64", GGUFValueType.FLOAT64, 1e300, "f64"),
    ("x.bool", GGUFValueType.BOOL, True, "bool"),
    ("x.list", GGUFValueType.ARRAY, [1, -2, 3], "[i32]"),
    ("x.flags", GGUFValueType.ARRAY, [True, False], "[bool]"),
)


def kind_of(field):
    """The type as gguf-dump writes it."""
    if field.types[0] == GGUFValueType.ARRAY:
        depth = len(field.types) - 1
        return "[" * depth + field.types[-1].name + "]" * depth
    return field.types[-1].name


def check_listing(report, folder):
    """Keys, types and counts as gguf-dump prints them."""
    model = folder / "listed.gguf"
    report.run("convert", SAMPLES / "tiny-bf16", model, "--to", "gguf", "--quant", "q8_0")
    # gguf-py has the header's own numbers among the fields.
    fields = {field.name: field for field in GGUFReader(model).fields.values()
              if not field.name.startswith("GGUF.")}
    rows = report.run_json("inspect", model, "--metadata")["metadata"]
    report.check("inspect --metadata lists the keys of gguf-py's reader, in order",
                 [row["key"] for row in rows] == list(fields), f"{len(rows)} keys")
    report.check("and types and counts are gguf-dump's",
                 all(row["type"] == kind_of(fields[row["key"]])
                     and row["count"] == len(fields[row["key"]].data) for row in rows))
    texts = [row for row in rows if row["type"] == "STRING"]
    report.check("and texts are those",
                 all(row["value"] == fields[row["key"]].contents() for row in texts))
    dump = subprocess.run([sys.executable, "-m", "gguf.scripts.gguf_dump", model],
                          capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^ +\d+: (\S+) +\| +(\d+) \| (\S+)", dump, re.MULTILINE)
    printed = {key: (kind, int(count)) for kind, count, key in lines}
    report.check("gguf-dump prints the same",
                 all(printed.get(row["key"]) == (row["type"], row["count"]) for row in rows),
                 f"{len(printed)} lines")


def check_edit(report, folder):
    """What is set is read by gguf-py, and the tensors are the same."""
    model = folder / "edited.gguf"
    report.run("convert", SAMPLES / "tiny-trained", model, "--to", "gguf", "--quant", "q4_k_m",
               "--no-manifest")
    hashes = tensor_hashes(model)
    before = {field.name: field.contents() for field in GGUFReader(model).fields.values()}
    options = []
    for key, _, value, kind in CHANGES:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        options += ["--set", f"{key}={kind}:{text}"]
    report.run("edit", model, *options, "--force", "--quiet")
    fields = {field.name: field for field in GGUFReader(model).fields.values()}
    for key, kind, value, _ in CHANGES:
        field = fields.get(key)
        found = None if field is None else field.contents()
        report.check(f"gguf-py reads {key}",
                     field is not None and field.types[0] == kind and found == value, repr(found))
    kept = [key for key in before if not key.startswith("GGUF.") and key != "general.name"]
    report.check("and all other keys as they were",
                 all(fields[key].contents() == before[key] for key in kept), f"{len(kept)} keys")
    report.check("and the same tensors", tensor_hashes(model) == hashes, f"{len(hashes)} tensors")
    size = model.stat().st_size
    report.run("edit", model, "--set", "deepseek2.context_length=u32:77")
    report.check("gguf-py reads what was changed in place",
                 GGUFReader(model).fields["deepseek2.context_length"].contents() == 77
                 and model.stat().st_size == size and tensor_hashes(model) == hashes)
    report.run("edit", model, *[word for key, *_ in CHANGES if key.startswith("x.")
                                for word in ("--remove", key)])
    fields = {field.name for field in GGUFReader(model).fields.values()}
    report.check("gguf-py finds no key that was removed",
                 not any(key.startswith("x.") for key in fields)
                 and tensor_hashes(model) == hashes)
    other = folder / "set.gguf"
    other.write_bytes(model.read_bytes())
    report.run("edit", model, "--set", "deepseek2.context_length=u32:88")
    subprocess.run([sys.executable, "-m", "gguf.scripts.gguf_set_metadata", "--force", other,
                    "deepseek2.context_length", "88"], check=True, capture_output=True)
    report.check("gguf-set-metadata writes the same file",
                 model.read_bytes() == other.read_bytes())


def check_safetensors(report, folder):
    """What is set is read by safetensors' own reader."""
    source, model = SAMPLES / "tiny-bf16", folder / "model.safetensors"
    model.write_bytes((source / "model.safetensors").read_bytes())
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    report.run("edit", model, "--set", "made.by=str:a \"quoted\" ü", "--set", "x=str:")
    with safe_open(str(model), framework="np") as file:
        said = file.metadata()
    report.check("safetensors reads metadata that were set",
                 said == {"format": "pt", "made.by": "a \"quoted\" ü", "x": ""}, str(said))
    one, other = load_file(str(source / "model.safetensors")), load_file(str(model))
    report.check("and the same tensors",
                 one.keys() == other.keys()
                 and all(torch.equal(one[key], other[key]) for key in one), f"{len(one)} tensors")


def cache_bytes(cache):
    """Bytes of all tensors that a cache of transformers holds."""
    tensors = {}
    for layer in cache.layers:
        for value in vars(layer).values():
            if isinstance(value, torch.Tensor) and value.dim() > 1:
                tensors[value.data_ptr()] = value
    return sum(value.numel() * value.element_size() for value in tensors.values())


def check_cache(report, name):
    """What a token leaves in transformers' caches, in 16 bits."""
    config, stored = read_checkpoint(SAMPLES / name)
    model, _ = load_from_stored(config, stored)
    model = model.to(torch.bfloat16)
    ids = torch.arange(1, 12).reshape(1, -1)
    with torch.no_grad():
        cache = model.model(ids, use_cache=True).past_key_values
    found = cache_bytes(cache) / ids.shape[1]
    serving = report.run_json(
        "inspect", SAMPLES / name, "--context", 11, "--batch", 1)["serving"]
    stated = {row["name"]: row["cacheBytesPerToken"] for row in serving["programs"]}
    report.check(f"{name}: a token leaves in transformers' caches what inspect says",
                 found == stated["transformers, BF16"] == serving["cacheBytesPerToken"],
                 f"{found:.0f} bytes, stated {serving['cacheBytesPerToken']}")


def check_llama_cache(report, folder, name):
    """What llama.cpp allocates for 65,536 tokens."""
    model = folder / f"{name}.gguf"
    report.run("convert", SAMPLES / name, model, "--to", "gguf", "--quant", "bf16", "--mtp", "drop")
    serving = report.run_json("inspect", model, "--context", 65536, "--batch", 1)["serving"]
    found = llama.cache_bytes(model)
    report.check(f"{name}: llama.cpp allocates for 65,536 tokens what inspect says",
                 found == serving["cacheBytes"], f"{found / 2**20:.2f} MiB")


def run(report, folder):
    """Listings, edits, caches."""
    report.attempt("listing", check_listing, report, folder)
    report.attempt("edit", check_edit, report, folder)
    report.attempt("safetensors", check_safetensors, report, folder)
    for name in ("tiny-bf16", "tiny-v32", "tiny-glm52", "tiny-mistral4"):
        report.attempt(f"{name} in llama.cpp", check_llama_cache, report, folder, name)
    for name in ("tiny-bf16", "tiny-v2-lite", "tiny-v32", "tiny-glm52", "tiny-mistral4"):
        report.attempt(f"{name} cache", check_cache, report, name)
