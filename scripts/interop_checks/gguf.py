"""`fathom convert --to gguf` beside convert_hf_to_gguf.py and llama-quantize."""

import filecmp
import os
import sys

from makers.samples import SAMPLES
from peers import llama
from peers.folder import store, write_checkpoint
from peers.network import make_config
from peers.tokenizer import write_tokenizer
from peers.values import make_values

from .network_cases import FURTHER

sys.path.insert(0, str(llama.ROOT / "src" / "gguf-py"))
# Newer than the package from PyPI, and what the peers here use themselves.
os.environ.pop("NO_LOCAL_GGUF", None)
from gguf import GGUFReader  # noqa: E402

PLAIN = ["f32", "f16", "bf16"]
MIXES = [
    "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s",
    "q4_k_m", "q5_k_s", "q5_k_m", "q6_k", "iq4_nl", "iq4_xs", "tq1_0", "tq2_0", "mxfp4_moe",
    "iq3_s", "iq3_m", "q2_0",
]
# Those that give some layers more bits than others.
BY_LAYER = ["q2_k", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_m", "iq4_nl", "iq4_xs"]
FLAGS = [
    ["--pure"], ["--leave-output-tensor"], ["--output-tensor-type", "q5_k"],
    ["--token-embedding-type", "q8_0"],
    ["--tensor-type", "ffn_down=q8_0", "--tensor-type", r"blk\.[0-3]\.attn=q6_k"],
    ["--output-tensor-type", "f16", "--token-embedding-type", "bf16", "--pure"],
]
BASE = dict(
    vocab_size=320, hidden_size=256, intermediate_size=512, moe_intermediate_size=256,
    num_hidden_layers=6, first_k_dense_replace=2, num_attention_heads=2, q_lora_rank=256,
    kv_lora_rank=256, qk_nope_head_dim=128, qk_rope_head_dim=32, v_head_dim=128,
    n_routed_experts=4, n_group=1, topk_group=1, num_experts_per_tok=2, n_shared_experts=1,
    block=(128, 128),
)
# name → what is special about the network
MODELS = {
    # Every row but k_b's is a whole number of blocks of 256.
    "whole-blocks": dict(seed=201),
    # Rows of 32 × odd, of 32 with a rest, and k_b's that are whole blocks.
    "fallbacks": dict(
        seed=202, hidden_size=288, intermediate_size=416, moe_intermediate_size=96,
        q_lora_rank=100, qk_nope_head_dim=256, v_head_dim=80, num_hidden_layers=3),
    "eight-experts": dict(seed=203, n_routed_experts=8, num_hidden_layers=4),
    "tied-bf16": dict(seed=205, tie_word_embeddings=True, block=None, num_hidden_layers=4),
    "many-layers": dict(seed=206, num_hidden_layers=33, hidden_size=256, intermediate_size=256,
                        n_routed_experts=2),
}


def make_model(name, folder):
    """Writes a checkpoint with a tokenizer."""
    special = dict(MODELS[name])
    seed = special.pop("seed")
    config = make_config(**{**BASE, **special})
    path = folder / name
    write_checkpoint(path, config, store(config, make_values(config, seed)), shards=2)
    write_tokenizer(path)
    return path


def contents(path):
    """Metadata and tensors, to say what differs where bytes do."""
    reader = GGUFReader(str(path))
    fields = {key: (tuple(field.types), field.contents()) for key, field in reader.fields.items()
              if not key.startswith("GGUF.")}
    tensors = {tensor.name: (tensor.tensor_type.name, tuple(tensor.shape), tensor.data.tobytes())
               for tensor in reader.tensors}
    return fields, tensors


def differences(found, expected, orders=True):
    """A few words; empty where the files hold the same."""
    (fields, tensors), (peer_fields, peer_tensors) = contents(found), contents(expected)
    words = []
    for what, ours, theirs in (("key", fields, peer_fields), ("tensor", tensors, peer_tensors)):
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                left, right = (str(side.get(key, "absent"))[:60] for side in (ours, theirs))
                words.append(f"{what} {key}: {left} for {right}")
        if orders and not words and list(ours) != list(theirs):
            words.append(f"the order of {what}s")
    return words


def is_further(word, keys):
    """Whether a difference is a key that llama.cpp reads and its converter leaves out."""
    return word.endswith(" for absent") and any(f".{key}: " in word for key in keys)


def compare(report, name, found, expected):
    """The same file, byte for byte."""
    same = filecmp.cmp(found, expected, shallow=False)
    words = [] if same else differences(found, expected) or ["bytes"]
    report.check(f"{name}: the file is the peers'", same, "; ".join(words[:3]))


def check_plain(report, path, outtype, folder):
    """The converter's own types: the same metadata and tensors, in llama-quantize's order."""
    name = f"{path.name} → gguf {outtype}"
    found, expected = folder / "found.gguf", folder / "expected.gguf"
    report.run("convert", path, found, "--to", "gguf", "--quant", outtype, "--mtp", "drop",
               "--overwrite")
    peer = "the converter's"
    if outtype != "f32" and "index_topk" in (path / "config.json").read_text():
        # The converter keeps weights_proj of an indexer in F32, llama-quantize does not: a file type
        # is the latter's.
        peer, plain = "llama-quantize's", folder / "plain.gguf"
        llama.convert(path, plain, "f32")
        llama.quantize(plain, expected, outtype)
    else:
        llama.convert(path, expected, outtype)
    words = [word for word in differences(found, expected, orders=False)
             if not is_further(word, FURTHER if "mistral4" in path.name else ())]
    report.check(f"{name}: metadata and tensors are {peer}", not words,
                 "; ".join(words[:3]))


def check_mix(report, path, source, file_type, flags, folder):
    """A file type: the same file as the two steps make, byte for byte."""
    name = " ".join([f"{path.name} → gguf {file_type}", *flags])
    found, expected = folder / "found.gguf", folder / "expected.gguf"
    report.run("convert", path, found, "--to", "gguf", "--quant", file_type, "--mtp", "drop",
               "--overwrite", *flags)
    llama.quantize(source, expected, file_type, *flags)
    compare(report, name, found, expected)


def check_mtp(report, path, folder):
    """MTP layers kept: llama-quantize, which reads them, makes the same of Fathom's F32 file."""
    source, found, expected = (folder / f"mtp-{part}.gguf" for part in ("f32", "found", "expected"))
    report.run("convert", path, source, "--to", "gguf", "--quant", "f32", "--overwrite")
    for file_type in ("q4_k_m", "iq4_xs"):
        report.run("convert", path, found, "--to", "gguf", "--quant", file_type, "--overwrite")
        llama.quantize(source, expected, file_type)
        compare(report, f"{path.name} → gguf {file_type} with MTP", found, expected)


def run(report, folder):
    """Samples in the converter's types, then every mix and flag on larger networks."""
    for path in sorted(SAMPLES.glob("tiny-*")):
        for outtype in PLAIN if path.name not in llama.UNREAD else []:
            report.attempt(f"{path.name} → gguf {outtype}", check_plain, report, path, outtype,
                           folder)
    for model in MODELS:
        path = make_model(model, folder)
        source = folder / f"{model}-f32.gguf"
        llama.convert(path, source)
        for file_type in BY_LAYER if model == "many-layers" else PLAIN + MIXES:
            report.attempt(f"{model} {file_type}", check_mix, report, path, source, file_type, [],
                           folder)
        for flags in FLAGS if model in ("whole-blocks", "tied-bf16") else []:
            report.attempt(f"{model} {flags}", check_mix, report, path, source, "q4_k_m", flags,
                           folder)
        report.attempt(f"{model} with MTP", check_mtp, report, path, folder)
        source.unlink()
