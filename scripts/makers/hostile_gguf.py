"""Files that claim to be GGUF files and are not, for Samples/hostile-gguf.

    scripts/make hostile-gguf

Written by hand, since gguf-py would refuse to.
"""

import json
import struct
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent.parent / "Samples" / "hostile-gguf"
U8, U32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 6, 7, 8, 9, 10
HUGE = 2**63


def u32(value):
    """A 32-bit number."""
    return struct.pack("<I", value)


def u64(value):
    """A 64-bit number."""
    return struct.pack("<Q", value)


def string(text, length=None):
    """Length and bytes, the length a lie where one is given."""
    text = text if isinstance(text, bytes) else text.encode()
    return u64(len(text) if length is None else length) + text


def entry(key="k", kind=U32, value=u32(1)):
    """One metadata entry."""
    return string(key) + u32(kind) + value


def tensor(name="a", extents=(8,), kind=0, offset=0, rank=None):
    """One tensor's description; type 0 is F32, 8 is Q8_0."""
    rank = len(extents) if rank is None else rank
    return string(name) + u32(rank) + b"".join(map(u64, extents)) + u32(kind) + u64(offset)


def file(entries=(), tensors=(), data=b"", **lies):
    """A file, with true counts unless `tensor_count` or `entry_count` is given."""
    text = lies.get("magic", b"GGUF") + u32(lies.get("version", 3))
    text += u64(lies.get("tensor_count", len(tensors)))
    text += u64(lies.get("entry_count", len(entries)))
    text += b"".join(entries) + b"".join(tensors)
    padding = -len(text) % lies.get("alignment", 32)
    return text + bytes(padding) + data


def one(data=bytes(32), **fields):
    """A file with one tensor `a`."""
    return file(tensors=[tensor(**fields)], data=data)


def nested(depth):
    """Arrays in arrays, the innermost empty."""
    value = u32(U8) + u64(0)
    for _ in range(depth - 1):
        value = u32(ARRAY) + u64(1) + value
    return entry(kind=ARRAY, value=value)


SOUND = one()

# name → (what is wrong in a word or two, bytes)
FILES = {
    "empty": ("is empty", b""),
    "magic": ("not a GGUF file", file(magic=b"GGML")),
    "only-magic": ("ends inside its header", b"GGUF"),
    "version-1": ("another version", file(version=1)),
    "version-4": ("another version", file(version=4)),
    "big-endian": ("big-endian", file(version=3 << 24)),
    "tensor-count-2-63": ("number of tensors", file(tensor_count=HUGE)),
    "tensor-count-one-too-many": (
        "ends inside its header", file(tensors=[tensor()], tensor_count=2, data=bytes(4))),
    "entry-count-2-63": ("number of metadata entries", file(entry_count=HUGE)),
    "entry-count-beyond-file": ("number of metadata entries", file(entry_count=1000)),
    "key-length-2-64": (
        "metadata key that is longer",
        file([string("k", length=2**64 - 1) + u32(U32) + u32(1)], data=bytes(32))),
    "key-empty": ("empty metadata key", file([entry(key="")])),
    "key-twice": ("metadata key twice", file([entry(), entry()])),
    "key-not-utf8": ("not UTF-8", file([entry(key=b"\xff")])),
    "value-type-13": ("unknown type of value", file([entry(kind=13)])),
    "value-cut": (
        "number of metadata entries", file([entry(kind=U64, value=b"")], alignment=1)),
    "string-length-beyond-file": (
        "string that is longer", file([entry(kind=STRING, value=string("v", length=1000))])),
    "string-not-utf8": ("not UTF-8", file([entry(kind=STRING, value=string(b"\xc0\xaf"))])),
    "bool-2": ("truth value", file([entry(kind=BOOL, value=b"\x02")])),
    "bool-2-in-array": (
        "truth value", file([entry(kind=ARRAY, value=u32(BOOL) + u64(2) + b"\x01\x02")])),
    "array-count-2-63": (
        "number of values", file([entry(kind=ARRAY, value=u32(U8) + u64(HUGE))])),
    "array-size-overflow": (
        "number of values", file([entry(kind=ARRAY, value=u32(U64) + u64(2**61))])),
    "array-of-strings-count": (
        "number of strings", file([entry(kind=ARRAY, value=u32(STRING) + u64(2**40))])),
    "array-of-arrays-count": (
        "number of arrays", file([entry(kind=ARRAY, value=u32(ARRAY) + u64(2**40))])),
    "array-nested-5": ("nested too deeply", file([nested(5)])),
    "array-nested-10000": ("nested too deeply", file([nested(10_000)])),
    "array-type-99": (
        "unknown type of value", file([entry(kind=ARRAY, value=u32(99) + u64(0))])),
    "alignment-0": ("general.alignment", file([entry("general.alignment", value=u32(0))])),
    "alignment-24": ("general.alignment", file([entry("general.alignment", value=u32(24))])),
    "alignment-u64": (
        "general.alignment", file([entry("general.alignment", kind=U64, value=u64(32))])),
    "name-length": (
        "tensor name that is longer",
        file(tensors=[string("a", length=HUGE) + bytes(40)])),
    "name-too-long": ("too long a tensor name", one(name="a" * 1025)),
    "name-not-utf8": ("not UTF-8", one(name=b"\xed\xa0\x80")),
    "name-twice": (
        "stands twice",
        file(tensors=[tensor(), tensor(offset=32)], data=bytes(64))),
    "rank-5": ("too many dimensions", one(extents=(1, 1, 1, 1, 1))),
    "rank-2-32": ("too many dimensions", one(rank=2**32 - 1)),
    "dimension-2-63": ("impossible dimension", one(extents=(HUGE,))),
    "shape-overflow": ("product overflows", one(extents=(2**32, 2**32))),
    "shape-overflow-behind-zero": ("product overflows", one(extents=(0, 2**62, 4))),
    "size-overflow": ("size that overflows", one(extents=(2**61, 2))),
    "type-unknown": ("unknown element type", one(kind=4)),
    "type-2-32": ("unknown element type", one(kind=2**32 - 1)),
    "row-no-blocks": ("whole number of blocks", one(extents=(16, 2), kind=8)),
    "offset-odd": ("data offset", one(offset=4)),
    "offset-2-64": ("data offset", one(offset=2**64 - 32)),
    "hole-at-start": ("hole", one(offset=32, data=bytes(64))),
    "hole": (
        "hole", file(tensors=[tensor(), tensor("b", offset=64)], data=bytes(96))),
    "overlap": (
        "overlaps",
        file(tensors=[tensor(extents=(16,)), tensor("b", offset=32)], data=bytes(64))),
    "same-offset": ("overlaps", file(tensors=[tensor(), tensor("b")], data=bytes(32))),
    "data-missing": ("bytes short", one(data=b"")),
    "data-short": ("bytes short", one(data=bytes(31))),
    "data-long": ("after its last tensor", one(data=bytes(33))),
    "split-no-too-large": (
        "metadata about splits",
        file([entry("split.no", value=u32(3)), entry("split.count", value=u32(3))])),
    "split-count-huge": (
        "metadata about splits",
        file([entry("split.no", value=u32(0)), entry("split.count", value=u32(2**31))])),
    "split-name": (
        "not named as its metadata says",
        file([entry("split.no", value=u32(0)), entry("split.count", value=u32(2))])),
}


def main():
    """Writes every file and what is wrong with it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.gguf"):
        old.unlink()
    for name, (_, data) in FILES.items():
        (FOLDER / f"{name}.gguf").write_bytes(data)
    expected = {f"{name}.gguf": wrong for name, (wrong, _) in sorted(FILES.items())}
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main()
