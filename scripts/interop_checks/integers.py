"""Checkpoints of GPTQ, AWQ and bitsandbytes, against the formats' definitions, mlx-lm, which loads
AWQ's, and compressed-tensors, which reads the codes where Fathom moves them to its form."""

import json

import numpy as np
import torch
from safetensors.torch import load_file

from peers import compressed, integers, mlx_models, oracle
from peers.families import YOUTU, make_family
from peers.folder import read_checkpoint, store, write_checkpoint, write_json
from peers.network import make_config
from peers.tokenizer import write_tokenizer
from peers.values import make_values

from .compressed import SIZES
from .forward import check_outputs
from .outputs import check_tensors, check_valid

IDS = torch.tensor([[3, 17, 200, 5, 88, 141, 19, 7, 64, 250, 1, 33]])
# Every matrix has whole words in both directions.
DENSE = dict(
    vocab_size=320, hidden_size=256, intermediate_size=384, num_hidden_layers=2,
    num_attention_heads=4, q_lora_rank=128, kv_lora_rank=128, qk_nope_head_dim=48,
    qk_rope_head_dim=16, v_head_dim=32, torch_dtype="float16")
CONFIG = SIZES | {"num_nextn_predict_layers": 1, "torch_dtype": "float16", "qk_nope_head_dim": 48}


def run(report, folder):
    """Every scheme of the peers' table."""
    integers.check_by_hand()
    config = make_config(**CONFIG)
    plain = store(config, make_values(config, seed=311))
    for seed, scheme in enumerate(integers.ALL):
        report.attempt(scheme.name, check, report, folder, scheme, config, plain, seed)
    report.attempt("awq of Youtu", check_mlx, report, folder)


def check_mlx(report, folder):
    """mlx-lm restores AWQ's words, where no experts have to be stacked before."""
    scheme = integers.Integers("awq", group=64)
    config = make_family(YOUTU, **DENSE)
    full, tensors, values = integers.checkpoint(
        config, store(config, make_values(config, seed=317)), scheme, seed=71)
    path = folder / "awq-youtu"
    write_checkpoint(path, full, tensors)
    write_tokenizer(path)
    tokens, output = folder / "tokens.json", folder / "awq-youtu.safetensors"
    tokens.write_text(json.dumps(IDS.tolist()))
    report.run("logits", path, "--tokens", tokens, "-o", output)
    own = load_file(str(output))["logits"]
    # Its module has another name.
    write_json(path / "config.json", full | {"model_type": "youtu_llm"})
    theirs = torch.from_numpy(np.array(mlx_models.logits(path, IDS.tolist())))
    gap = float((own - theirs).abs().max())
    # Its biases, −zero · scale, are rounded to the scales' F16.
    report.check("awq of Youtu: logits as mlx-lm computes them", gap < 2e-2 * float(own.std()),
                 f"largest difference {gap:.1e} at a deviation of {float(own.std()):.1f}")


def check(report, folder, scheme, config, plain, seed):
    """Decoded bit for bit, the same logits as transformers, and moved where that is possible."""
    name, path = scheme.name, folder / scheme.name
    full, tensors, values = integers.checkpoint(config, plain, scheme, seed)
    write_checkpoint(path, full, tensors, shards=2)
    write_tokenizer(path)
    check_valid(report, name, path)
    output = folder / f"{name}-f32"
    report.run("convert", path, output, "--to", "hf", "--quant", "f32")
    found = check_tensors(report, f"{name} → f32", output, values)
    report.check(f"{name}: no quantization_config", "quantization_config" not in found)
    models = oracle.load_from_stored(config, values)
    expected = oracle.outputs_of(models, IDS)
    tokens, logits = folder / "tokens.json", folder / f"{name}.safetensors"
    tokens.write_text(json.dumps(IDS.tolist()))
    report.run("logits", path, "--tokens", tokens, "-o", logits)
    check_outputs(report, name, expected, load_file(str(logits)))
    moved = folder / f"{name}-moved"
    # compressed-tensors 0.20 reads activation order no more.
    if scheme.method == "bitsandbytes" or scheme.order:
        report.run("convert", path, moved, "--to", "compressed-tensors", expect=64)
        return
    report.run("convert", path, moved, "--to", "compressed-tensors")
    section = compressed.validated(moved)
    report.check(f"{name} moved: the section is compressed-tensors'", section.format is not None)
    its = compressed.decompress_all(*read_checkpoint(moved), torch.float32)
    same = all(torch.equal(its[key].float(), value) for key, value in values.items())
    report.check(f"{name} moved: compressed-tensors reads the same numbers", same)
    check_valid(report, f"{name} moved", moved)
