"""What holds for every folder that `fathom convert` writes."""

import json

from safetensors import safe_open

from peers.folder import read_checkpoint, size_of

from .compare import same_bits

SIDE_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def check_folder(report, name, source, output):
    """safetensors opens every file, the index is true, side files are copied, Fathom agrees."""
    shards = sorted(path.name for path in output.glob("*.safetensors"))
    places, total = {}, 0
    for shard in shards:
        with safe_open(str(output / shard), framework="pt") as file:
            for key in file.keys():
                places[key] = shard
                total += size_of(file.get_tensor(key))
    index_path = output / "model.safetensors.index.json"
    if index_path.exists() or len(shards) != 1:
        index = json.loads(index_path.read_text())
        report.check(
            f"{name}: the index is true of {len(shards)} files",
            index["weight_map"] == places and index["metadata"]["total_size"] == total,
            f"total_size {index['metadata']['total_size']}, {total} stored")
    else:
        report.check(f"{name}: safetensors opens the one file", shards == ["model.safetensors"])
    lost = [file for file in SIDE_FILES
            if (source / file).exists()
            and (not (output / file).exists()
                 or (output / file).read_bytes() != (source / file).read_bytes())]
    report.check(f"{name}: side files are copied", not lost, ", ".join(lost))


def check_valid(report, name, output):
    """`fathom validate` finds nothing wrong with what `fathom convert` wrote."""
    verdict = report.run_json("validate", output)
    report.check(f"{name}: validates", verdict["verdict"] == "valid",
                 json.dumps(verdict["findings"])[:400] if verdict["findings"] else "")


def check_tensors(report, name, output, expected):
    """The same names, and the same bits in each tensor; returns the output's config."""
    config, found = read_checkpoint(output)
    names = sorted(expected.keys() ^ found.keys())
    report.check(f"{name}: {len(expected)} tensors by name", not names, ", ".join(names[:4]))
    differing = [key for key in expected.keys() & found.keys()
                 if not same_bits(expected[key], found[key])]
    report.check(f"{name}: every tensor has torch's bits", not differing and not names,
                 f"{len(differing)} differ: {', '.join(sorted(differing)[:3])}"
                 if differing else "")
    return config
