"""Packed files and manifests, and what files say of their making, read by others than Fathom."""

import json

from blake3 import blake3
from gguf import GGUFReader
from safetensors import safe_open

from makers.samples import SAMPLES
from peers import llama
from peers.hashes import checkpoint_hash, tensor_hashes
from peers.packed import sorted_entries, unpack

TARGETS = {
    "hf": ["--to", "hf", "--quant", "bf16", "--max-shard-size", "500KB"],
    "mlx": ["--to", "mlx", "--quant", "3bit", "--group-size", "32"],
    "ct": ["--to", "compressed-tensors", "--quant", "int4-g32"],
    "q8_0.gguf": ["--to", "gguf", "--quant", "q8_0"],
}


def check_packed(report, folder, name):
    """Each file restored by an independent reader."""
    source, packed = SAMPLES / name, folder / f"{name}-packed"
    report.run("pack", source, packed)
    for path in sorted(packed.iterdir()):
        original = source / path.name
        if path.suffix == ".safetensors" and path.name != "expected.safetensors":
            names = [entry for entry, _ in sorted_entries(path)]
            with safe_open(str(original), framework="np") as file:
                expected = sorted([*file.keys(), "fathom.head", "fathom.index"])
            report.check(f"{name}/{path.name} packed: safetensors lists its tensors",
                         sorted(names) == expected, f"{len(names)} entries")
            report.check(f"{name}/{path.name} packed: an independent reader restores it",
                         unpack(path) == original.read_bytes())
        elif original.exists():
            report.check(f"{name}/{path.name}: copied",
                         path.read_bytes() == original.read_bytes())


def check_packed_gguf(report, folder):
    """A GGUF file is restored alike."""
    model, packed = folder / "model.gguf", folder / "packed.gguf"
    report.run("convert", SAMPLES / "tiny-bf16", model, "--to", "gguf", "--quant", "bf16")
    report.run("pack", model, packed)
    report.check("model.gguf packed: an independent reader restores it",
                 unpack(packed) == model.read_bytes())


def check_manifest(report, name, source, output, path):
    """The hashes of a manifest beside the authors' BLAKE3 of what the formats' readers give."""
    text = path.read_bytes()
    manifest = json.loads(text)
    body = text[:text.rindex(b',\n  "self": ')]
    report.check(f"{name}: the manifest's own hash is the peer's",
                 blake3(body).hexdigest() == manifest["self"])
    for side, model in (("source", source), ("output", output)):
        stated = {row["name"]: row["hash"] for row in manifest[side]["tensors"]}
        found = tensor_hashes(model)
        report.check(f"{name}: the manifest's hashes of the {side} are the peers'",
                     stated == found and manifest[side]["checkpoint"] == checkpoint_hash(found),
                     f"{len(found)} tensors")
    place = output if output.is_dir() else output.parent
    files = [row for row in manifest["output"]["files"] if row["hash"] is not None]
    different = [row["name"] for row in files
                 if blake3((place / row["name"]).read_bytes()).hexdigest() != row["hash"]]
    report.check(f"{name}: and those of the files beside the weights", not different,
                 f"{len(files)} files, different {different}")


def metadata_of(output):
    """What a file of weights says beside its tensors, by the format's own reader."""
    if output.suffix == ".gguf":
        return {field.name: field.contents() for field in GGUFReader(output).fields.values()}
    with safe_open(str(sorted(output.glob("*.safetensors"))[0]), framework="np") as file:
        return file.metadata()


def check_provenance(report, folder, name, options, source):
    """Keys are read, and tensors are what they are without them."""
    plain, output = folder / f"plain-{name}", folder / f"said-{name}"
    report.run("convert", source, plain, *options)
    report.run("convert", source, output, *options, "--embed-provenance")
    said = metadata_of(output)
    recipe = json.loads(said["fathom.recipe"])
    decisions = json.loads(said["fathom.decisions"])
    hashes = tensor_hashes(output)
    report.check(f"{name}: the format's reader finds what it was made from",
                 said["fathom.source"] == source.name and recipe["to"] == options[1]
                 and sum(row["tensors"] for row in decisions) == len(hashes),
                 f"{len(decisions)} decisions")
    lines = [line.split("  ") for line in said["fathom.source.hashes"].splitlines()]
    stated, found = {line[2]: line[0] for line in lines}, tensor_hashes(source)
    report.check(f"{name}: among it the hashes of the source, which are the peers'",
                 stated and stated.items() <= found.items()
                 and said["fathom.source.checkpoint"] == checkpoint_hash(found),
                 f"{len(stated)} of {len(found)} tensors")
    report.check(f"{name}: nothing is said without being asked for",
                 not any(key.startswith("fathom.") for key in metadata_of(plain)))
    report.check(f"{name}: the tensors stay the same", hashes == tensor_hashes(plain))


def check_llama(report, folder):
    """llama-quantize takes a file with these keys, and gives what it gives without them."""
    hashes = []
    for name, options in (("plain", []), ("said", ["--embed-provenance"])):
        model, output = folder / f"{name}-f32.gguf", folder / f"{name}-q4_0.gguf"
        report.run("convert", SAMPLES / "tiny-trained", model, "--to", "gguf", "--quant", "f32",
                   *options)
        llama.quantize(model, output, "q4_0")
        hashes.append(tensor_hashes(output))
    report.check("llama-quantize reads a file that says what it was made from",
                 hashes[0] == hashes[1])


def run(report, folder):
    """Samples with and without shards."""
    for name in ("tiny-bf16", "tiny-fp8"):
        report.attempt(f"{name} packed", check_packed, report, folder, name)
    report.attempt("packed GGUF", check_packed_gguf, report, folder)
    source = SAMPLES / "tiny-fp8"
    for name, options in TARGETS.items():
        output = folder / name
        report.run("convert", source, output, *options)
        path = (folder / "q8_0.fathom-manifest.json" if name.endswith(".gguf")
                else output / "fathom-manifest.json")
        report.attempt(name, check_manifest, report, name, source, output, path)
        report.attempt(name, check_provenance, report, folder, name, options, source)
    report.attempt("llama-quantize", check_llama, report, folder)
