"""Packed files (`fathom pack`) restored by what their description in PackedIndex.swift says, with
safetensors, numpy and Debian's libzstd."""

import ctypes
import ctypes.util
import json
import struct

import numpy as np
from blake3 import blake3
from safetensors import deserialize

# Planes of a number, and the type that holds one.
WORDS = {1: np.dtype("<u2"), 2: np.dtype("<u4")}


def zstd_library():
    """libzstd with the types of what is called."""
    library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_decompress.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    library.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    library.ZSTD_getFrameContentSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library


ZSTD = zstd_library()


def frame(data):
    """The bytes of one zstd frame that states their number."""
    size = ZSTD.ZSTD_getFrameContentSize(data, len(data))
    target = ctypes.create_string_buffer(max(1, size))
    if ZSTD.ZSTD_decompress(target, size, data, len(data)) != size:
        raise ValueError("no zstd frame of the size that it states")
    return target.raw[:size]


def plane(data, size):
    """A plane as it is, of one byte, or as a frame."""
    if len(data) == size:
        return data
    return data * size if len(data) == 1 else frame(data)


def join(planes, kind):
    """Planes, the highest bytes first, to numbers that were rotated left by one bit."""
    if kind == 0:
        return planes[0]
    word = WORDS[kind]
    width = word.itemsize
    count = len(planes[0])
    numbers = np.zeros(count, word)
    for data in planes:
        numbers = numbers << 8 | np.frombuffer(data, np.uint8, count)
    numbers = numbers >> 1 | numbers << (8 * width - 1)
    return numbers.astype(word).tobytes() + planes[-1][count:]


def sizes(byte_count, planes):
    """Bytes of each plane of so many bytes."""
    whole = byte_count // planes
    return [whole] * (planes - 1) + [whole + byte_count % planes]


def unpack(path):
    """The original's bytes; raises where its BLAKE3 is another than the index says."""
    entries = sorted_entries(path)
    index = frame(entries.pop()[1])
    magic, chunk_bytes, size, digest, _, count = struct.unpack_from("<4sIQ32sII", index)
    if magic != b"FPK1" or count != len(entries):
        raise ValueError(f"{path}: no index")
    place = struct.calcsize("<4sIQ32sII")
    parts = [struct.unpack_from("<QB", index, place + 9 * number) for number in range(count)]
    place += 9 * count
    original = b""
    for (_, stored), (byte_count, kind) in zip(entries, parts):
        planes = {0: 1, 1: 2, 2: 4}[kind]
        chunks = -(-byte_count // chunk_bytes)
        words = np.frombuffer(index, "<u4", (1 + planes) * chunks, place).reshape(-1, chunks)
        place += 4 * words.size
        start = 0
        for chunk in range(chunks):
            whole = min(chunk_bytes, byte_count - chunk * chunk_bytes)
            pieces = []
            for number, most in enumerate(sizes(whole, planes)):
                end = start + int(words[1 + number, chunk])
                pieces.append(plane(stored[start:end], most))
                start = end
            original += join(pieces, kind)
    if len(original) != size or blake3(original).digest() != digest:
        raise ValueError(f"{path}: not the original")
    return original


def sorted_entries(path):
    """(name, bytes) of a safetensors file in the order of the bytes."""
    data = path.read_bytes()
    found = {name: bytes(tensor["data"]) for name, tensor in deserialize(data)}
    # The library gives them in an order of its own.
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__")
    names = sorted(header, key=lambda name: (header[name]["data_offsets"], len(name)))
    return [(name, found[name]) for name in names]
