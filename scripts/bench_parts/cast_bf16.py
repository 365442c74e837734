"""FP8 → BF16 by torch on the CPU: the steps of DeepSeek's own conversion, written anew.

    python -m bench_parts.cast_bf16 SOURCE OUTPUT

Shard by shard: load it whole, dequantize each FP8 weight, save it whole under the same name. A
scale may be in another shard, so the last two shards are kept. Nothing is flushed to disk.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from peers.folder import SCALE, write_json
from bench_parts.files import read_index

BLOCK = 128


def dequantize(codes, scales):
    """BF16 values; blocks are broadcast where they are whole, which is torch's fastest way."""
    rows, columns = codes.shape
    if rows % BLOCK == 0 and columns % BLOCK == 0:
        tiles = codes.float().view(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
        tiles.mul_(scales[:, None, :, None])
        return tiles.view(rows, columns).bfloat16()
    spread = scales.repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :columns]
    return codes.float().mul_(spread).bfloat16()


class Shards:
    """The shards that were read last."""

    def __init__(self, folder, weight_map):
        self.folder, self.weight_map, self.kept = folder, weight_map, {}

    def load(self, name):
        """A shard's tensors; the oldest of three shards is dropped."""
        if name not in self.kept:
            if len(self.kept) == 2:
                del self.kept[next(iter(self.kept))]
            self.kept[name] = load_file(str(self.folder / name))
        return self.kept[name]

    def tensor(self, name):
        """A tensor from whichever shard has it."""
        return self.load(self.weight_map[name])[name]


def main():
    """Source folder, output folder."""
    source, output = Path(sys.argv[1]), Path(sys.argv[2])
    output.mkdir(parents=True)
    weight_map = read_index(source)
    shards, total = Shards(source, weight_map), 0
    for shard in sorted(set(weight_map.values())):
        tensors = {}
        for name, tensor in shards.load(shard).items():
            if name.endswith(SCALE):
                continue
            if tensor.dtype == torch.float8_e4m3fn:
                tensor = dequantize(tensor, shards.tensor(name + SCALE))
            tensors[name] = tensor
            total += tensor.numel() * tensor.element_size()
        save_file(tensors, str(output / shard), metadata={"format": "pt"})
    kept = {name: shard for name, shard in weight_map.items() if not name.endswith(SCALE)}
    write_json(output / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": kept})


if __name__ == "__main__":
    main()
