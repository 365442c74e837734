"""Sound checkpoints as small as can be, to be damaged: what scripts/make malformed starts from."""

import json
import shutil

from safetensors import safe_open

from peers import compressed
from peers.folder import shard_name, store, write_json, write_shards
from peers.network import make_config
from peers.values import make_values

SHARDS = 2


def micro_config(**overrides):
    """As small as a network with every kind of layer can be."""
    sizes = dict(
        vocab_size=20, hidden_size=24, intermediate_size=40, moe_intermediate_size=8,
        num_hidden_layers=2, first_k_dense_replace=1, num_attention_heads=2, q_lora_rank=12,
        kv_lora_rank=20, qk_nope_head_dim=10, qk_rope_head_dim=8, v_head_dim=6,
        n_routed_experts=4, n_group=2, topk_group=1, num_experts_per_tok=2,
    )
    return make_config(block=(16, 16), **{**sizes, **overrides})


class Fault:
    """A sound checkpoint's parts, to be damaged before or after they are written."""

    def __init__(self, folder):
        self.folder = folder
        self.config, stored = self.sound()
        names = list(stored)
        half = names.index("model.layers.1.input_layernorm.weight")
        self.shards = [
            {name: stored[name] for name in names[:half]},
            {name: stored[name] for name in names[half:]},
        ]

    def sound(self):
        """(config, tensors) without a fault."""
        config = micro_config()
        return config, store(config, make_values(config, seed=11))

    def shard_of(self, name):
        """The shard that holds a tensor."""
        return next(shard for shard in self.shards if name in shard)

    def replace(self, name, tensor):
        """Another tensor under the same name."""
        self.shard_of(name)[name] = tensor

    def remove(self, *names):
        """Tensors left out of shards and index alike."""
        for name in names:
            del self.shard_of(name)[name]

    def tensor(self, name):
        """A tensor of the sound checkpoint."""
        return self.shard_of(name)[name]

    def write(self):
        """Writes what is there now."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write_json(self.folder / "config.json", self.config)
        write_shards(self.folder, self.shards)

    def path(self, shard):
        """File of a shard, from 0."""
        return self.folder / shard_name(shard, SHARDS)

    def edit_index(self, edit):
        """Changes the index that was written."""
        path = self.folder / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        edit(index)
        write_json(path, index)


class PackedFault(Fault):
    """The same of a checkpoint in compressed-tensors' INT4."""

    def sound(self):
        """Groups of 32 need rows that they divide."""
        config = micro_config(
            hidden_size=32, intermediate_size=32, moe_intermediate_size=32, q_lora_rank=32,
            kv_lora_rank=32, v_head_dim=16, n_routed_experts=2, n_group=1,
            num_nextn_predict_layers=0)
        del config["quantization_config"]
        plain = store(config, make_values(config, seed=13))
        return compressed.compress_all(config, plain, compressed.SCHEMES["int4-g32-asymmetric"])


def layer_names(fault, layer):
    """All tensors of a layer, in the order of the network."""
    prefix = f"model.layers.{layer}."
    return [name for shard in fault.shards for name in shard if name.startswith(prefix)]


def names_in_file(path, prefix=""):
    """Tensor names of a file by offset."""
    with safe_open(str(path), framework="pt") as file:
        return [name for name in file.offset_keys() if name.startswith(prefix)]
