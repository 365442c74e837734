"""Trains small networks of DeepSeek-V3's family, for what random weights cannot show.

    scripts/make trained [--network sample|larger|deeper] [-o FOLDER/NAME] [--steps N]

On random weights rounding to BF16 alone costs a KL divergence of 0.03; on trained ones what is
measured behaves as on real models. A network, MTP layer included, learns this repository's own
text at one commit, by transformers' own modules on one thread: some 10 minutes. Everything is
seeded; the last bits of the weights depend on the processor.

The sample is Samples/tiny-trained, in 3.0 M weights; the larger one has 3.3 M, the deeper one 9.2 M
in six layers, which take an hour; each has another seed. In the folder text beside a network stand
learned.txt, a part of what it learned, unseen.txt, text of the same kind that is left out of the
training, and unseen.json, tokens of it in pieces of 256, as it learns them. docs/low-bits.md has what
recipes reach on them.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from makers.samples import SAMPLES, TRAINED
from peers.folder import read_checkpoint, store, write_checkpoint
from peers.network import expected_tensors, make_config, source_of_copy
from peers.oracle import ROUTERS, load_from_stored, outputs_of
from peers.tokenizer import write_tokenizer

ROOT = SAMPLES.parent
# What is learned must not change with the repository.
COMMIT = "0ef389dc1b"
LEARNED = {"Sources": ".swift", "docs": ".md", "scripts": ".py", "Samples": ".md"}
UNSEEN = ["docs/low-bits.md", "docs/interruptions.md", "Sources/Formats/Inventory.swift",
          "Sources/Reference/HeadAttention.swift"]
# Of each of the two texts that are kept beside a network.
KEPT_CHARACTERS, UNSEEN_ROWS = 9_000, 8

LENGTH, BATCH, RATE = 256, 8, 3e-3
SHARDS, EXPECTED_TOKENS = 2, 24
# How far a router's bias moves a step towards experts that had little to do.
BALANCE = 2e-3
MTP_SHARE = 0.3

# Rows of 256 nearly everywhere, the size of a K-quant's block.
SIZES = dict(
    block=(128, 128), hidden_size=256, intermediate_size=256, moe_intermediate_size=256,
    num_hidden_layers=2, first_k_dense_replace=1, num_attention_heads=4, kv_lora_rank=128,
    qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=64, n_group=1, topk_group=1,
    num_experts_per_tok=2, n_shared_experts=1)

# name → seed and configuration.
NETWORKS = {
    "sample": (29, make_config(
        **SIZES, vocab_size=288, q_lora_rank=256, n_routed_experts=3)),
    "larger": (23, make_config(
        **SIZES, vocab_size=384, q_lora_rank=None, n_routed_experts=4)),
    "deeper": (31, make_config(
        **SIZES | {"num_hidden_layers": 6}, vocab_size=1024, q_lora_rank=256,
        n_routed_experts=4)),
}


def texts():
    """(texts to learn, texts left out), sorted by path, as they are at the commit."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", COMMIT], check=True,
                            capture_output=True).stdout
    learned, unseen = [], {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for path in sorted(archive.getnames()):
            if Path(path).suffix != LEARNED.get(path.split("/")[0], ".md"):
                continue
            text = archive.extractfile(path).read().decode()
            if path in UNSEEN:
                unseen[path] = text
            else:
                learned.append(text)
    return learned, [unseen[path] for path in UNSEEN]


def first_values(config, seed):
    """Small random matrices, norms of one, routers without a bias."""
    generator = np.random.default_rng(seed)
    values = {}
    for tensor in expected_tensors(config):
        noise = generator.standard_normal(tensor.shape, dtype=np.float32)
        scale = {"norm": 0, "bias": 0, "table": 0.05}.get(tensor.kind, 0.04)
        values[tensor.name] = noise * np.float32(scale) + np.float32(tensor.kind == "norm")
    for tensor in expected_tensors(config):
        values[tensor.name] = values[source_of_copy(config, tensor)].copy()
    return values


class Balance:
    """Moves routers' biases as DeepSeek-V3 was trained: no loss term, a nudge after each step."""

    def __init__(self, models):
        self.routers = [module for model in models for module in model.modules()
                        if isinstance(module, ROUTERS)]
        self.chosen = {}
        for router in self.routers:
            router.register_forward_hook(
                lambda module, _, output: self.chosen.__setitem__(module, output[2]))

    def nudge(self):
        """Raises the bias of experts with less than their share, lowers that of the others."""
        for router in self.routers:
            bias = router.e_score_correction_bias
            load = torch.bincount(self.chosen[router].flatten(), minlength=len(bias)).float()
            bias += BALANCE * torch.sign(load.mean() - load)


def loss_of(models, ids):
    """(main loss, loss of the MTP layer) of a batch of rows."""
    model, predictor = models
    hidden = model.model(ids, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden)
    positions = torch.arange(1, ids.shape[1]).unsqueeze(0)
    further = predictor.shared_head(predictor.forward_layer(
        0, hidden[:, :-1], positions, mtp_cache=None, input_ids=ids[:, 1:]))
    main = cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    mtp = cross_entropy(further[:, :-1].flatten(0, 1), ids[:, 2:].flatten())
    return main, mtp


def train(models, stream, steps, seed):
    """Adam with a warm start and a rate that falls as a cosine."""
    parameters = {id(value): value for model in models for value in model.parameters()}
    matrices = [value for value in parameters.values() if value.dim() > 1]
    others = [value for value in parameters.values() if value.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=RATE, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(
        (step + 1) / 40, 0.02 + 0.49 * (1 + np.cos(np.pi * step / steps))))
    balance, generator, started = Balance(models), np.random.default_rng([seed, 2]), time.time()
    for step in range(steps):
        starts = generator.integers(0, len(stream) - LENGTH, BATCH)
        ids = torch.stack([stream[start : start + LENGTH] for start in starts])
        ids[:, 0] = 0
        main, mtp = loss_of(models, ids)
        optimizer.zero_grad()
        (main + MTP_SHARE * mtp).backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            balance.nudge()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step}: loss {main:.3f}, MTP {mtp:.3f}, {time.time() - started:.0f} s",
                  flush=True)


def published_name(name, layers):
    """The name in a checkpoint of what the module of MTP layers calls `name`."""
    _, layer, rest = name.split(".", 2)
    rest = rest.removeprefix("mtp_block.").replace("post_norm.", "shared_head.norm.")
    return f"model.layers.{layers + int(layer)}.{rest}"


def values_of(models, config):
    """Name → F32 array under the published names."""
    model, predictor = models
    held = dict(model.state_dict())
    held.update({published_name(name, config["num_hidden_layers"]): value
                 for name, value in predictor.state_dict().items() if name.startswith("layers.")})
    values, width = {}, config["moe_intermediate_size"]
    for tensor in expected_tensors(config):
        name = source_of_copy(config, tensor)
        if ".mlp.experts." in name:
            stack, expert, matrix, _ = name.rsplit(".", 3)
            if matrix == "down_proj":
                value = held[f"{stack}.down_proj"][int(expert)]
            else:
                halves = held[f"{stack}.gate_up_proj"][int(expert)]
                value = halves[:width] if matrix == "gate_proj" else halves[width:]
        else:
            value = held[name]
        values[tensor.name] = value.detach().numpy().copy()
    return values


def write_texts(folder, learned, unseen, tokenizer):
    """As much of both kinds of text as tests and measurements need."""
    folder.mkdir(exist_ok=True)
    share = KEPT_CHARACTERS // len(unseen)
    kept = "\n".join(text[:share] for text in unseen)
    (folder / "unseen.txt").write_text(kept)
    # From all over: texts are sorted by path, and neighbours are much alike.
    longer = [text for text in learned if len(text) > share]
    chosen = longer[:: len(longer) // len(unseen)][: len(unseen)]
    (folder / "learned.txt").write_text("\n".join(text[:share] for text in chosen))
    # In pieces as long as those that are learned: of positions further on the network knows nothing.
    ids = tokenizer.encode(kept).ids
    rows = [[0, *ids[start : start + LENGTH - 1]]
            for start in range(0, len(ids) - LENGTH + 1, LENGTH - 1)]
    rows = rows[:: len(rows) // UNSEEN_ROWS][:UNSEEN_ROWS]
    (folder / "unseen.json").write_text(json.dumps(rows, separators=(",", ":")) + "\n")


def main():
    """Trains and writes a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="sample")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("-o", "--output", type=Path, default=SAMPLES / TRAINED)
    arguments = parser.parse_args()
    seed, config = NETWORKS[arguments.network]
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    learned, unseen = texts()
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(folder, sentences=learned, size=config["vocab_size"])
    stream = torch.tensor([i for encoding in tokenizer.encode_batch(learned)
                           for i in [1, *encoding.ids]])
    print(f"{len(stream)} tokens of {sum(map(len, learned))} characters", flush=True)
    models = load_from_stored(
        {**config, "quantization_config": None, "torch_dtype": "float32"},
        {name: torch.from_numpy(value) for name, value in first_values(config, seed).items()})
    train([model.train() for model in models], stream, arguments.steps, seed)
    write_checkpoint(folder, config, store(config, values_of(models, config)), SHARDS)
    write_texts(folder.parent / "text", learned, unseen, tokenizer)
    stored = load_from_stored(*read_checkpoint(folder))
    ids = torch.tensor([[0, *tokenizer.encode(unseen[0]).ids[: EXPECTED_TOKENS - 1]]])
    save_file({"input_ids": ids, **outputs_of(stored, ids)}, str(folder / "expected.safetensors"))
    row = torch.tensor([[0, *tokenizer.encode(unseen[1]).ids[: LENGTH - 1]]])
    with torch.no_grad():
        main_loss, mtp_loss = loss_of(stored, row)
    print(f"unseen text, weights as stored: loss {main_loss:.3f}, MTP {mtp_loss:.3f}")


if __name__ == "__main__":
    sys.exit(main())
