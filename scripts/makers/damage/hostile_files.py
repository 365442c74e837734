"""Files that claim to be safetensors and are not, for Samples/hostile; run by scripts/make malformed."""

import json
import struct

from safetensors import SafetensorError, safe_open

from peers.folder import write_json


def header(text, data=b"", length=None):
    """A file with any header, the true length in front unless another is given."""
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    """One tensor's description."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def one(data=bytes(8), **fields):
    """A file with one tensor `a`."""
    return header(json.dumps({"a": entry(**fields)}), data)


def two(first, second, size):
    """A file with two tensors at the given offsets."""
    text = json.dumps({"a": entry(offsets=first), "b": entry(offsets=second)})
    return header(text, bytes(size))


TENSOR = json.dumps(entry())
HUGE = 2**63

# name → (what is wrong in a word or two, bytes)
FILES = {
    "empty": ("too short", b""),
    "seven-bytes": ("too short", bytes(7)),
    "only-length": ("header cut", struct.pack("<Q", 64)),
    "length-zero": ("header length", struct.pack("<Q", 0) + bytes(8)),
    "length-2-63": ("header length", header("{}", length=HUGE)),
    "length-max": ("header length", header("{}", length=2**64 - 1)),
    "length-over-limit": ("header length", header("{}", length=100_000_001)),
    "length-beyond-file": ("header cut", header("{}", length=4096)),
    "empty-header-text": ("not JSON", header("  ")),
    "not-json": ("not JSON", header("hello, world")),
    "array-header": ("not an object", header("[]")),
    "number-header": ("not an object", header("12")),
    "leading-space": ("leading space", header(" {}")),
    "truncated-json": ("not JSON", header('{"a": {"dtype": "F32"')),
    "text-after-json": ("trailing text", header("{} {}")),
    "nul-after-json": ("trailing text", header(b"{}\x00\x00")),
    "single-quotes": ("not JSON", header("{'a': " + TENSOR + "}", bytes(8))),
    "comment": ("not JSON", header('{/* a */"a": ' + TENSOR + "}", bytes(8))),
    "trailing-comma": ("not JSON", header('{"a": ' + TENSOR + ",}", bytes(8))),
    "invalid-utf8": ("invalid UTF-8", header(b'{"a\xff": ' + TENSOR.encode() + b"}", bytes(8))),
    "overlong-utf8": (
        "invalid UTF-8", header(b'{"a\xc0\xaf": ' + TENSOR.encode() + b"}", bytes(8))),
    "lone-surrogate": ("invalid UTF-8", header('{"a\\ud800": ' + TENSOR + "}", bytes(8))),
    "nul-in-name": ("NUL in a name", header('{"a\\u0000b": ' + TENSOR + "}", bytes(8))),
    "duplicate-key": (
        "duplicate key", header(f'{{"a": {TENSOR}, "a": {TENSOR}}}', bytes(8))),
    "duplicate-field": ("duplicate field", header(
        '{"a": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
        bytes(8))),
    "metadata-number": ("metadata", header('{"__metadata__": {"format": 1}}')),
    "metadata-array": ("metadata", header('{"__metadata__": []}')),
    "metadata-nested": ("metadata", header('{"__metadata__": {"a": {"b": "c"}}}')),
    "tensor-null": ("missing field", header('{"a": null}')),
    "missing-shape": (
        "missing field", header('{"a": {"dtype": "F32", "data_offsets": [0, 8]}}', bytes(8))),
    "unknown-dtype": ("unknown type", one(dtype="F7_E3M3")),
    "lowercase-dtype": ("unknown type", one(dtype="f32")),
    "negative-dimension": ("dimension", one(shape=(-2,))),
    "float-dimension": ("dimension", header(
        '{"a": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}}', bytes(8))),
    "text-dimension": ("dimension", one(shape=("2",))),
    "dimension-2-64": ("dimension", one(shape=(2**64,))),
    "dimension-1e400": ("dimension", header(
        '{"a": {"dtype": "F32", "shape": [1e400], "data_offsets": [0, 8]}}', bytes(8))),
    "shape-product-overflow": ("overflow", one(shape=(2**32, 2**32))),
    "shape-product-wraps-to-2": ("overflow", one(shape=(2**63 + 1, 2))),
    "byte-size-overflow": ("overflow", one(shape=(2**62,))),
    "huge-dimension": ("size", one(shape=(2**61,))),
    "size-disagrees": ("size", one(shape=(3,))),
    "sub-byte-size": ("size", one(dtype="F4", shape=(3,), offsets=(0, 1), data=bytes(1))),
    "three-offsets": ("offsets", one(offsets=(0, 4, 8))),
    "one-offset": ("offsets", one(offsets=(0,))),
    "float-offsets": ("offsets", header(
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0.0, 8.0]}}', bytes(8))),
    "text-offsets": ("offsets", one(offsets=("0", "8"))),
    "negative-offset": ("offsets", one(offsets=(-8, 0))),
    "begin-after-end": ("offsets", one(offsets=(8, 0))),
    "offsets-2-63": ("offsets", one(offsets=(HUGE, HUGE + 8))),
    "offset-wraps": ("offsets", one(offsets=(2**64 - 8, 0))),
    "offset-near-max": ("offsets", one(offsets=(2**63 - 9, 2**63 - 1))),
    "overlap": ("overlap", two((0, 8), (4, 12), 12)),
    "same-offsets": ("overlap", two((0, 8), (0, 8), 8)),
    "hole": ("hole", two((0, 8), (12, 20), 20)),
    "hole-at-start": ("hole", one(offsets=(4, 12), data=bytes(12))),
    "data-short": ("file end", one(data=bytes(7))),
    "data-long": ("file end", one(data=bytes(9))),
    "no-tensors-but-data": ("file end", header("{}", bytes(16))),
}


def peer_accepts(path):
    """Whether safetensors itself opens the file."""
    try:
        with safe_open(str(path), framework="pt"):
            return True
    except (SafetensorError, OSError):
        return False


def write_all(folder, config):
    """Every file, expected.json, and a config.json so that the command can be pointed at them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.safetensors"):
        stale.unlink()
    expected = {}
    for name, (fault, content) in FILES.items():
        path = folder / f"{name}.safetensors"
        path.write_bytes(content)
        expected[path.name] = fault
        if peer_accepts(path):
            print(f"safetensors itself opens {path.name} ({fault})")
    write_json(folder / "config.json", config)
    write_json(folder / "expected.json", expected)
