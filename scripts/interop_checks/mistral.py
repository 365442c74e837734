"""Mistral-Large-3 in Mistral's own form: read, and written for every loader."""

import json

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from makers.samples import SAMPLES, make_tokens
from peers import llama, mistral, mlx_models
from peers.families import make_mistral4
from peers.folder import read_checkpoint, store, write_checkpoint, write_json
from peers.network import make_config
from peers.oracle import load_from_stored, outputs_of
from peers.values import make_values

from .compare import largest_difference, same_bits
from .forward import check_outputs
from .gguf import contents
from .network_cases import CALM, EXPERTS, SIZES
from .networks import fresh
from .outputs import check_valid

LARGEST_DIFFERENCE = 2e-4
# As published: sines, cosines and the softmax are not scaled.
ALONE = {"attention_factor": 1.0, "factor": 36.0, "mscale": 0.0, "mscale_all_dim": 0.0}
# Name → seed, YaRN's keys, whether in FP8.
CASES = {
    "published": (331, ALONE, False),
    "scaled": (332, {"factor": 36.0}, False),
    "fp8": (333, ALONE, True),
}


def make_case(name, folder):
    """(folder, configuration, what transformers is given, ids) of an unseen checkpoint."""
    seed, rope, in_fp8 = CASES[name]
    config = make_mistral4(original=7, **SIZES, **EXPERTS, rope_parameters=rope)
    stored = store(config, make_values(config, seed, CALM))
    path = folder / f"large3-{name}"
    coded = mistral.write(fresh(path), config, stored, in_fp8)
    plain = mistral.decoded(coded) if in_fp8 else None
    return path, config, stored, plain, make_tokens(seed, (1, 26), config["vocab_size"])


def expected_of(config, stored, plain):
    """The tensors that transformers is given: those of FP8 as numbers."""
    if plain is None:
        return stored
    tensors = {}
    for name, tensor in stored.items():
        if name.endswith((".gate_up_proj", ".down_proj")) and ".experts." in name:
            front, end = name.split(".mlp.experts.")
            layer = mistral.mistral_name(front + ".")
            words = ("w1", "w3") if end == "gate_up_proj" else ("w2",)
            tensors[name] = torch.stack([
                torch.cat([plain[f"{layer}experts.{expert}.{word}.weight"].float()
                           for word in words]) for expert in range(len(tensor))])
        else:
            tensors[name] = plain[mistral.mistral_name(name)].float()
    return tensors


def own_logits(report, model, tokens, folder):
    """The logits of `fathom logits`."""
    output = folder / "found.safetensors"
    report.run("logits", model, "--tokens", tokens, "-o", output, "--overwrite")
    return load_file(str(output))


def check_case(report, name, folder):
    """One checkpoint: itself, and what is written for transformers, mlx-lm and llama.cpp."""
    path, config, stored, plain, ids = make_case(name, folder)
    tokens = folder / "large3-ids.json"
    tokens.write_text(json.dumps(ids.tolist()))
    given = expected_of(config, stored, plain)
    wanted = outputs_of(load_from_stored(config, given), ids)["logits"]
    verdict = report.run_json("validate", path, "--deep")
    report.check(f"{path.name}: validates", not verdict["findings"],
                 json.dumps(verdict["findings"])[:300])
    check_outputs(report, path.name, {"logits": wanted}, own_logits(report, path, tokens, folder))
    output = fresh(folder / "large3-hf")
    report.run("convert", path, output, "--to", "hf", "--quant", "f32")
    check_valid(report, f"{path.name} → hf", output)
    written, tensors = read_checkpoint(output)
    found = outputs_of(load_from_stored(written, tensors), ids)["logits"]
    worst = largest_difference(found, wanted)
    report.check(f"{path.name} → hf: transformers computes the same network as "
                 f"{written['model_type']}", written["model_type"] == "mistral4" and worst < 1e-5,
                 f"largest difference {worst:.1e}")
    differing = [key for key in given if not same_bits(tensors[key], given[key].float())]
    report.check(f"{path.name} → hf: every tensor has torch's bits", not differing,
                 ", ".join(differing[:3]))
    check_mlx(report, path, ids, wanted, folder)
    check_gguf(report, path, ids, wanted, folder, tokens, plain is not None)


def check_mlx(report, path, ids, wanted, folder):
    """mlx-lm loads what is written for it as mistral4."""
    output = fresh(folder / "large3-mlx")
    report.run("convert", path, output, "--to", "mlx", "--quant", "f32")
    worst = float(np.abs(np.asarray(mlx_models.logits(output, ids)) - wanted.numpy()).max())
    report.check(f"{path.name} → mlx: logits as mlx-lm computes them", worst < LARGEST_DIFFERENCE,
                 f"largest difference {worst:.1e}")


def check_gguf(report, path, ids, wanted, folder, tokens, in_fp8):
    """llama.cpp computes the network, from tensors that are its converter's."""
    output, theirs = fresh(folder / "large3.gguf"), fresh(folder / "large3-theirs.gguf")
    report.run("convert", path, output, "--to", "gguf", "--quant", "f32")
    found = np.stack([llama.logits(output, row.numpy(), folder) for row in ids])
    worst = float(np.abs(found - wanted.numpy()).max())
    report.check(f"{path.name} → gguf: logits as llama.cpp computes them",
                 worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")
    check_outputs(report, f"{path.name} → gguf", {"logits": wanted},
                  own_logits(report, output, tokens, folder))
    back = fresh(folder / "large3-back")
    report.run("convert", output, back, "--to", "hf")
    kept = outputs_of(load_from_stored(*read_checkpoint(back)), ids)["logits"]
    report.check(f"{path.name} → gguf → hf: transformers computes the same network",
                 largest_difference(kept, wanted) < 1e-5)
    if in_fp8:
        return
    # The converter wants one, and reads a name of a class in it.
    write_json(path / "config.json", {"architectures": ["Mistral3ForConditionalGeneration"]})
    llama.convert_as_is(path, theirs, "f32", "--mistral-format")
    (fields, tensors), (peer_fields, peer_tensors) = contents(output), contents(theirs)
    report.check(f"{path.name} → gguf: tensors are the converter's", tensors == peer_tensors)
    # It scales the softmax whatever apply_scale says.
    own = [f"deepseek2.rope.scaling.yarn_{key}" for key in ("log_multiplier", "attn_factor")]
    differing = [key for key in fields.keys() | peer_fields.keys()
                 if fields.get(key) != peer_fields.get(key) and key not in own
                 and not key.startswith("general.")]
    report.check(f"{path.name} → gguf: keys are the converter's", not differing,
                 ", ".join(sorted(differing)))


def check_relabelled(report, folder):
    """vLLM's form: DeepSeek-V3's names and label, and a section about queries."""
    path, config, stored, _, ids = make_case("scaled", folder)
    plain = mistral.plain_stored(stored)
    output = fresh(folder / "large3-relabelled")
    output.mkdir()
    relabelled = {key: value for key, value in config.items() if key != "rope_parameters"}
    rope = {key: value for key, value in config["rope_parameters"].items()
            if key not in ("llama_4_scaling_beta", "partial_rotary_factor")}
    relabelled |= {
        "architectures": ["MistralLarge3ForCausalLM"], "model_type": "deepseek_v3",
        "scoring_func": "softmax", "topk_method": None, "rope_parameters": rope,
        "llama_4_scaling": {"beta": 0.1, "original_max_position_embeddings": 7}}
    save_file(plain, str(output / "model.safetensors"), metadata={"format": "pt"})
    write_json(output / "config.json", relabelled)
    wanted = outputs_of(load_from_stored(config, stored), ids)["logits"]
    tokens = folder / "large3-ids.json"
    tokens.write_text(json.dumps(ids.tolist()))
    check_valid(report, "large3 relabelled", output)
    check_outputs(report, "large3 relabelled", {"logits": wanted},
                  own_logits(report, output, tokens, folder))
    check_mlx(report, output, ids, wanted, folder)
    gguf = fresh(folder / "large3.gguf")
    report.run("convert", output, gguf, "--to", "gguf", "--quant", "f32")
    found = np.stack([llama.logits(gguf, row.numpy(), folder) for row in ids])
    report.check("large3 relabelled → gguf: logits as llama.cpp computes them",
                 float(np.abs(found - wanted.numpy()).max()) < LARGEST_DIFFERENCE)


def check_multiplier(report, folder):
    """DeepSeek-V3 whose YaRN changes frequencies alone; and one whose file has no multiplier."""
    yarn = {"type": "yarn", "factor": 36.0, "beta_fast": 32, "beta_slow": 1,
            "original_max_position_embeddings": 7}
    for name, rope in {"alone": {**yarn, "attention_factor": 1.0}, "unsaid": yarn}.items():
        path, output = fresh(folder / f"v3-{name}"), fresh(folder / "v3.gguf")
        config = make_config(**{**SIZES, **EXPERTS}, num_nextn_predict_layers=0, rope_scaling=rope)
        stored = store(config, make_values(config, 334, CALM))
        write_checkpoint(path, config, stored)
        ids = make_tokens(334, (1, 26), config["vocab_size"])
        tokens = folder / "v3-ids.json"
        tokens.write_text(json.dumps(ids.tolist()))
        report.run("convert", path, output, "--to", "gguf", "--quant", "f32")
        found = np.stack([llama.logits(output, row.numpy(), folder) for row in ids])
        own = own_logits(report, output, tokens, folder)["logits"].numpy()
        report.check(f"YaRN {name} → gguf: Fathom computes the file as llama.cpp does",
                     float(np.abs(found - own).max()) < LARGEST_DIFFERENCE)
        if name == "alone":
            wanted = outputs_of(load_from_stored(config, stored), ids)["logits"].numpy()
            report.check("YaRN alone → gguf: llama.cpp computes transformers' network",
                         float(np.abs(found - wanted).max()) < LARGEST_DIFFERENCE)


def run(report, folder):
    """The sample first."""
    sample = SAMPLES / "mistral-large3"
    verdict = report.run_json("validate", sample, "--deep")
    report.check("mistral-large3: validates", not verdict["findings"])
    for name in CASES:
        report.attempt(f"large3 {name}", check_case, report, name, folder)
    report.attempt("large3 relabelled", check_relabelled, report, folder)
    report.attempt("YaRN without magnitudes", check_multiplier, report, folder)
