"""Packing by ZipNN and by plain zstd, file to file, tensor by tensor behind the file's own header.

    python -m bench_parts.pack_route pack|unpack zipnn|zstd SOURCE OUTPUT

Both use as many threads as the machine has cores. ZipNN is asked for what its own script for
safetensors files uses: Huffman codes, a call for each tensor.
"""

import json
import mmap
import os
import struct
import sys

DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def tensors(path):
    """The file as memory, its header, and type, start and end of each tensor in their order."""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    places = sorted((*entry["data_offsets"], entry["dtype"]) for entry in header.values())
    return data, data[:8 + length], [
        (kind, 8 + length + start, 8 + length + end) for start, end, kind in places]


class ZipNNCoder:
    """ZipNN, which reads its own header when it restores."""

    def __init__(self):
        from zipnn import ZipNN
        self.coders = {
            kind: ZipNN(method="HUFFMAN", input_format="byte", bytearray_dtype=name,
                        threads=os.cpu_count())
            for kind, name in DTYPES.items()}

    def pack(self, kind, data):
        """Compressed bytes of a tensor."""
        # It reorders the bytes where they lie.
        return self.coders[kind].compress(bytearray(data))

    def unpack(self, kind, data):
        """The tensor's bytes."""
        return self.coders[kind].decompress(data)


class ZstdCoder:
    """zstd at its usual level, all bytes together."""

    def __init__(self):
        import zstandard
        self.packer = zstandard.ZstdCompressor(level=3, threads=os.cpu_count())
        self.unpacker = zstandard.ZstdDecompressor()

    def pack(self, _, data):
        """Compressed bytes of a tensor."""
        return self.packer.compress(data)

    def unpack(self, _, data):
        """The tensor's bytes."""
        return self.unpacker.decompress(data)


def main():
    """Writes the header, and lengths and bytes of all tensors; or restores the file."""
    direction, name, source, output = sys.argv[1:]
    coder = {"zipnn": ZipNNCoder, "zstd": ZstdCoder}[name]()
    with open(output, "wb") as file:
        if direction == "pack":
            data, header, places = tensors(source)
            file.write(header)
            for kind, start, end in places:
                packed = coder.pack(kind, data[start:end])
                file.write(struct.pack("<4sQ", kind.encode(), len(packed)))
                file.write(packed)
        else:
            with open(source, "rb") as packed:
                length = packed.read(8)
                file.write(length + packed.read(struct.unpack("<Q", length)[0]))
                while head := packed.read(12):
                    kind, count = struct.unpack("<4sQ", head)
                    file.write(coder.unpack(kind.rstrip(b"\0").decode(), packed.read(count)))
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
