"""`fathom convert --to modelopt`, against ModelOpt's own quantizer and transformers on what it
restores; and its numbers in GGUF files, which llama.cpp multiplies by."""

import json

import torch
from gguf import GGUFReader
from safetensors.torch import load_file

from makers.samples import SAMPLES
from peers import llama, modelopt, oracle
from peers.families import GLM52, V32
from peers.folder import read_checkpoint, store, write_checkpoint
from peers.tokenizer import special_of, write_tokenizer
from peers.values import make_values

from .compare import divergences, same_bits
from .compressed import make_source
from .forward import check_outputs
from .network_cases import CALM, CHOICE, moe
from .outputs import check_folder, check_tensors, check_valid

IDS = torch.tensor([[3, 17, 200, 5, 88, 141, 19, 7, 64, 250, 1, 33]])


def check_written(report, path, quant, folder):
    """Codes and scales are ModelOpt's own, and so are the logits of what it makes of them."""
    name, output = f"{path.name} → {quant}", folder / f"{path.name}-{quant}"
    report.run("convert", path, output, "--to", "modelopt", "--quant", quant)
    config, stored = read_checkpoint(path)
    settings = json.loads((output / "hf_quant_config.json").read_text())["quantization"]
    expected = modelopt.compress_all(config, stored, settings["exclude_modules"])
    found = check_tensors(report, name, output, expected)
    section = found["quantization_config"]
    report.check(f"{name}: both places say the same",
                 section["ignore"] == settings["exclude_modules"]
                 and section["quant_algo"] == settings["quant_algo"] == "W4A16_NVFP4")
    check_folder(report, name, path, output)
    check_valid(report, name, output)
    plain = modelopt.decompress_all(read_checkpoint(output)[1])
    logits = oracle.outputs_of(oracle.load_from_stored(config, plain), IDS)
    tokens, own = folder / "tokens.json", folder / f"{path.name}-{quant}.safetensors"
    tokens.write_text(json.dumps(IDS.tolist()))
    report.run("logits", output, "--tokens", tokens, "-o", own)
    check_outputs(report, name, logits, load_file(str(own)))


def check_kept(report, path, folder):
    """Without --quant nothing changes, but that what another program stores becomes ModelOpt's."""
    output = folder / f"{path.name}-kept"
    report.run("convert", path, output, "--to", "modelopt")
    config, stored = read_checkpoint(path)
    found = check_tensors(report, f"{path.name} kept", output, stored)
    report.check(f"{path.name} kept: config.json is the same", found == config)


# Rows are whole blocks of 64; queries see all keys, so that rounding changes no choice.
WIDE = dict(hidden_size=128, intermediate_size=192, moe_intermediate_size=64, q_lora_rank=128,
            qk_nope_head_dim=64, v_head_dim=48, num_nextn_predict_layers=0)
WIDE |= CHOICE | {"index_topk": IDS.shape[1]}
SPARSE = {"v32": moe(V32, **WIDE),
          "glm52": moe(GLM52, **WIDE, rms_norm_eps=1e-6, indexer_types=["full", "shared", "full"])}
RECIPE = {"schema": "fathom.recipe/1", "default": "f32", "rules": [
    {"match": "blk.*.ffn_*", "type": "nvfp4"},
    {"match": "blk.*.attn_output.weight", "type": "nvfp4"}]}


def check_gguf(report, name, config, folder):
    """Codes and scales go into ggml's blocks with their number beside them, and come back."""
    plain, source = folder / f"{name}-plain", folder / f"{name}-nvfp4"
    model, back = folder / f"{name}.gguf", folder / f"{name}-back"
    write_checkpoint(plain, config, store(config, make_values(config, 347, CALM)))
    write_tokenizer(plain, special_of(config))
    recipe, tokens = folder / "recipe.json", folder / "tokens.json"
    recipe.write_text(json.dumps(RECIPE))
    tokens.write_text(json.dumps(IDS.tolist()))
    report.run("convert", plain, source, "--to", "modelopt", "--quant", "nvfp4")
    report.run("convert", source, model, "--to", "gguf", "--recipe", recipe)
    check_valid(report, f"{name} → gguf", model)
    own = folder / f"{name}.safetensors"
    report.run("logits", model, "--tokens", tokens, "-o", own)
    own = load_file(str(own))
    weights = modelopt.decompress_all(read_checkpoint(source)[1])
    expected = oracle.outputs_of(oracle.load_from_stored(config, weights), IDS)
    check_outputs(report, f"{name} → gguf", expected, own)
    peer = torch.from_numpy(llama.logits(model, IDS[0].numpy(), folder))
    kl = float(divergences(own["logits"][0], peer).mean())
    report.check(f"{name} → gguf: llama.cpp is as near as its rounding of activations", kl < 1e-2,
                 f"mean KL {kl:.1e}")
    chosen = report.run_json("recipe", source, "--bpw", 9, "--tokens", tokens, "--types",
                             "nvfp4,q8_0", "-o", folder / f"{name}-chosen.json")
    losses = {group["name"]: group["options"][0]["kl"] for group in chosen["evidence"]["groups"]}
    moved = max(loss for group, loss in losses.items() if group.startswith("experts"))
    others = max(loss for group, loss in losses.items() if group.startswith(("output", "token")))
    report.check(f"{name}: a recipe knows that codes are moved", moved < 1e-9 < others,
                 f"KL {moved:.1e} of experts, {others:.1e} of what are no such codes")
    report.run("convert", model, back, "--to", "modelopt", "--quant", "nvfp4")
    stored, found = read_checkpoint(source)[1], read_checkpoint(back)[1]
    moved = [key for key in stored if ".mlp." in key and ".gate.weight" not in key
             or ".o_proj." in key]
    differing = [key for key in moved if key not in found or not same_bits(stored[key], found[key])]
    report.check(f"{name} → gguf → modelopt: {len(moved)} tensors come back as they were",
                 not differing and len(moved) > 100, ", ".join(differing[:3]))


def check_converter(report, name, config, folder):
    """llama.cpp's converter takes experts alone, and makes the same tensors of them."""
    plain, source = folder / f"{name}-plain", folder / f"{name}-experts"
    ours, theirs, recipe = (folder / f"{name}-{kind}" for kind in ("own", "peer", "recipe.json"))
    recipe.write_text(json.dumps(
        RECIPE | {"rules": [{"match": "blk.*_exps.weight", "type": "nvfp4"}]}))
    report.run("convert", plain, source, "--to", "modelopt", "--quant", "nvfp4-experts")
    report.run("convert", source, ours, "--to", "gguf", "--recipe", recipe)
    llama.convert(source, theirs)
    found, expected = ({tensor.name: tensor for tensor in GGUFReader(path).tensors}
                       for path in (ours, theirs))
    differing = [key for key in expected.keys() & found.keys()
                 if found[key].tensor_type != expected[key].tensor_type
                 or found[key].data.tobytes() != expected[key].data.tobytes()]
    report.check(f"{name} → gguf: {len(expected)} tensors are the converter's, numbers included",
                 found.keys() == expected.keys() and not differing
                 and sum(key.endswith(".scale") for key in expected) >= 6,
                 ", ".join(sorted(differing or found.keys() ^ expected.keys())[:3]))


def run(report, folder):
    """Networks with an MTP layer and without, in BF16 and F32, with rows that fill no groups."""
    plain = make_source(folder, "plain", num_nextn_predict_layers=1)
    narrow = make_source(folder, "narrow", num_nextn_predict_layers=0, torch_dtype="float32",
                         kv_lora_rank=72, moe_intermediate_size=40, q_lora_rank=None)
    for path, quants in ((plain, ("nvfp4", "nvfp4-experts")), (narrow, ("nvfp4",)),
                         (SAMPLES / "tiny-bf16", ("nvfp4",))):
        for quant in quants:
            report.attempt(f"{path.name} → {quant}", check_written, report, path, quant, folder)
    report.attempt("kept", check_kept, report, folder / "plain-nvfp4", folder)
    for name, config in SPARSE.items():
        report.attempt(f"{name} → gguf", check_gguf, report, name, config, folder)
        report.attempt(f"{name} as the converter", check_converter, report, name, config, folder)
