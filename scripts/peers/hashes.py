"""Content hashes as `fathom hash` defines them, from the bytes that the formats' own readers give."""

from blake3 import blake3
from gguf import GGUFReader
from safetensors import deserialize


def tensor_hash(kind, shape, data):
    """Type and shape in a line, and BLAKE3 of the stored bytes."""
    line = f"{kind} [{','.join(map(str, shape))}]\n".encode()
    return blake3(line + blake3(data).digest()).hexdigest()


def tensor_hashes(model):
    """{name: hash} of a folder of safetensors files, or of a GGUF file."""
    if model.suffix == ".gguf":
        return {
            tensor.name: tensor_hash(
                tensor.tensor_type.name, [int(size) for size in reversed(tensor.shape)],
                tensor.data.tobytes())
            for tensor in GGUFReader(model).tensors
        }
    hashes = {}
    for path in sorted(model.glob("*.safetensors")):
        if path.name == "expected.safetensors":
            continue
        for name, tensor in deserialize(path.read_bytes()):
            hashes[name] = tensor_hash(tensor["dtype"], tensor["shape"], tensor["data"])
    return hashes


def checkpoint_hash(hashes):
    """The hash of the list of all tensors, sorted by the bytes of their names."""
    names = sorted(hashes, key=str.encode)
    return blake3("".join(f"{hashes[name]} {name}\n" for name in names).encode()).hexdigest()
