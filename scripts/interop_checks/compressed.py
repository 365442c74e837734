"""`fathom convert --to compressed-tensors` and back, against the library's own compressors."""

import json
from fnmatch import fnmatchcase

import torch
from safetensors.torch import save_file

from makers.samples import SAMPLES, make_tokens
from peers import compressed
from peers.folder import read_checkpoint, store, write_checkpoint
from peers.network import make_config
from peers.tokenizer import write_tokenizer
from peers.values import make_values

from .compare import same_bits
from .outputs import check_folder, check_tensors, check_valid

TYPES = {"bf16": torch.bfloat16, "f32": torch.float32}
SAMPLES_READ = ["tiny-int4", "tiny-mixed"]

# Every row is whole groups of 128.
SIZES = dict(
    vocab_size=320, hidden_size=256, intermediate_size=384, moe_intermediate_size=128,
    num_hidden_layers=2, first_k_dense_replace=1, num_attention_heads=4, q_lora_rank=128,
    kv_lora_rank=128, qk_nope_head_dim=40, qk_rope_head_dim=16, v_head_dim=32,
    n_routed_experts=4, n_group=2, topk_group=1, num_experts_per_tok=2)


def make_source(folder, name, **config):
    """A checkpoint that no sample holds."""
    config = make_config(**{**SIZES, **config})
    path = folder / name
    write_checkpoint(path, config, store(config, make_values(config, seed=201)), shards=2)
    write_tokenizer(path)
    return path


def check_read(report, path, folder):
    """What Fathom makes of codes is what the library makes of them, bit for bit."""
    config, stored = read_checkpoint(path)
    for quant, dtype in TYPES.items():
        name = f"{path.name} → {quant}"
        output = folder / f"{path.name}-{quant}"
        report.run("convert", path, output, "--to", "hf", "--quant", quant)
        plain = compressed.decompress_all(config, stored, dtype)
        expected = {key: tensor if key.endswith("e_score_correction_bias") else tensor.to(dtype)
                    for key, tensor in plain.items()}
        found = check_tensors(report, name, output, expected)
        report.check(f"{name}: no quantization_config", "quantization_config" not in found)
        check_valid(report, name, output)


def check_written(report, path, quant, folder):
    """Codes, scales and config are the library's own; what it reads of them is what we read."""
    name, output = f"{path.name} → {quant}", folder / f"{path.name}-{quant}"
    report.run("convert", path, output, "--to", "compressed-tensors", "--quant", quant)
    config, stored = read_checkpoint(path)
    ignored = compressed.validated(output).ignore
    scheme = compressed.SCHEMES[quant.removesuffix("-experts")]
    wanted, expected = compressed.compress_all(config, stored, scheme, ignored)
    found = check_tensors(report, name, output, expected)
    section = {**found["quantization_config"]}
    report.check(f"{name}: the section is compressed-tensors {section.pop('version', None)}'s own",
                 section == wanted["quantization_config"]
                 and {**found, "quantization_config": 0} == {**wanted, "quantization_config": 0},
                 str(section))
    report.check(f"{name}: its ignore list keeps what loaders do not quantize",
                 all(entry in ignored for entry in compressed.IGNORED), str(ignored))
    check_folder(report, name, path, output)
    check_valid(report, name, output)
    check_read(report, output, folder)


def check_fp8(report, path, folder):
    """The codes of an FP8 checkpoint are moved, and so are its scales; and both back."""
    name, output = f"{path.name} → fp8-block", folder / f"{path.name}-moved"
    plan = report.run_json(
        "convert", path, output, "--to", "compressed-tensors", "--dry-run")
    report.run("convert", path, output, "--to", "compressed-tensors")
    config, stored = read_checkpoint(path)
    expected = {key.replace("weight_scale_inv", "weight_scale"): tensor
                for key, tensor in stored.items()}
    check_tensors(report, name, output, expected)
    words = {tensor["operation"] for tensor in plan["tensors"]}
    report.check(f"{name}: every tensor is said to be copied", words == {"copied"}, str(words))
    check_valid(report, name, output)
    check_read(report, output, folder)
    back = folder / f"{path.name}-back"
    report.run("convert", output, back, "--to", "hf", "--quant", "fp8")
    found = check_tensors(report, f"{name} → hf", back, stored)
    report.check(f"{name} → hf: config.json is the source's", found == config)


def check_kept(report, path, folder):
    """Without --quant nothing changes."""
    name, output = f"{path.name} kept", folder / f"{path.name}-kept"
    report.run("convert", path, output, "--to", "compressed-tensors")
    config, stored = read_checkpoint(path)
    found = check_tensors(report, name, output, stored)
    report.check(f"{name}: config.json is the same", found == config)


def check_recipe(report, path, folder, types, bits):
    """A recipe that was searched for: every module is stored as its rule says, by the library too."""
    name, output = f"{path.name} → recipe of {types}", folder / f"{path.name}-recipe-{bits}"
    tokens, recipe = folder / "tokens.safetensors", folder / f"{path.name}-{bits}.json"
    save_file({"input_ids": make_tokens(41, (1, 24), 288)}, tokens)
    report.run("recipe", path, "--to", "compressed-tensors", "--bpw", bits, "--types", types,
               "--groups", 10, "--tokens", tokens, "-o", recipe)
    chosen = json.loads(recipe.read_text())
    used = {rule["type"] for rule in chosen["rules"]}
    report.check(f"{name}: types are mixed", len(used) > 1, str(sorted(used)))
    report.run("convert", path, output, "--to", "compressed-tensors", "--recipe", recipe)
    config, stored = read_checkpoint(path)
    modules = {}
    for module in (key.removesuffix(".weight") for key in stored):
        rule = next((rule for rule in chosen["rules"] if fnmatchcase(module, rule["match"])), None)
        if rule and rule["type"] != "plain":
            modules.setdefault(rule["type"], []).append(module)
    groups = [compressed.targeted(compressed.SCHEMES[kind], *names)
              for kind, names in modules.items()]
    _, expected = compressed.compress_all(config, stored, ignored=(), groups=groups)
    check_tensors(report, name, output, expected)
    section = compressed.validated(output)
    read = list(section.config_groups.values())
    wrong = [module for module in (key.removesuffix(".weight") for key in stored
                                   if key.endswith("_proj.weight"))
             if weights_of(compressed.scheme_of(module, read, section.ignore))
             != weights_of(compressed.scheme_of(module, groups, ()))]
    report.check(f"{name}: config_groups name the modules of each scheme", not wrong, str(wrong[:3]))
    check_valid(report, name, output)
    check_read(report, output, folder)


def weights_of(scheme):
    """What a scheme says of weights; None for what stays plain."""
    return scheme and scheme.weights.model_dump(exclude={"observer"})


def run(report, folder):
    """Samples, every scheme from BF16, and the moves between FP8 formats."""
    for name in SAMPLES_READ:
        report.attempt(name, check_read, report, SAMPLES / name, folder)
        report.attempt(f"{name} kept", check_kept, report, SAMPLES / name, folder)
    plain = make_source(folder, "plain", num_nextn_predict_layers=1)
    for quant in [*compressed.SCHEMES, "int4-g32-experts"]:
        report.attempt(f"plain → {quant}", check_written, report, plain, quant, folder)
    narrow = make_source(folder, "narrow", num_nextn_predict_layers=0, torch_dtype="float32",
                         kv_lora_rank=72, moe_intermediate_size=48, q_lora_rank=None)
    for quant in ("int4-g32", "nvfp4", "fp8-channel"):
        report.attempt(f"narrow → {quant}", check_written, report, narrow, quant, folder)
    fp8 = make_source(folder, "fp8", block=(128, 128))
    for path in (fp8, SAMPLES / "tiny-mtp2", SAMPLES / "tiny-fp8-block32"):
        report.attempt(f"{path.name} → fp8-block", check_fp8, report, path, folder)
    for types, bits in (("int4-g32,nvfp4,fp8-block,plain", 9), ("mxfp4,int8-channel,int4-g64", 8)):
        report.attempt(f"recipe {types}", check_recipe, report, plain, folder, types, bits)
