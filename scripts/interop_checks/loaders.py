"""What each loader computes from the file that is for it, in both spellings of a config, and what
it is known to compute otherwise: every row of Fathom's tables of limits is seen to hold."""

import json

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from peers import llama, mlx_models
from peers.folder import read_checkpoint, store, write_checkpoint, write_json
from peers.network import DEEPSEEK_V3, make_config
from peers.oracle import load_from_stored, outputs_of, saved_config
from peers.tokenizer import write_tokenizer
from peers.values import make_values

from .compare import divergences
from .network_cases import CALM, EXPERTS, SIZES

# Two F32 implementations that add in different orders.
LARGEST_DIFFERENCE = 2e-4
# transformers restores experts from compressed-tensors' codes to BF16.
BF16_KL = 1e-3
# A network that is another one.
ANOTHER = 0.02

YARN = {**DEEPSEEK_V3["rope_scaling"], "original_max_position_embeddings": 32, "factor": 8}
BASE = {**SIZES, **EXPERTS, "num_nextn_predict_layers": 0, "rope_theta": 500.0,
        "rope_scaling": YARN, "rms_norm_eps": 1e-6, "n_group": 4, "topk_group": 2}
PLAIN = {"rope_type": "default", "rope_theta": 500.0}
YARN_5 = {key: value for key, value in YARN.items() if key != "type"}
# Spellings of positions: which keys a config has, None for those that it has not.
SPELLINGS = {
    "transformers 4": {},
    "transformers 5": "saved",
    "both, alike": {"rope_parameters": {**YARN_5, "rope_type": "yarn", "rope_theta": 500.0}},
    "both, YARN in the old one": {"rope_parameters": PLAIN},
    "a base in each": {"rope_scaling": None, "rope_theta": 10000.0, "rope_parameters": PLAIN},
    "an empty old one": {"rope_scaling": {}, "rope_theta": None,
                         "rope_parameters": {**YARN_5, "rope_type": "yarn", "rope_theta": 500.0}},
}
# What llama.cpp does not read, and the word by which the dry run names it.
LLAMA_LIMITS = {
    "yarn_beta": {"rope_scaling": {**YARN, "beta_fast": 1, "beta_slow": 1}},
    "attention_factor": {"rope_scaling": {**YARN, "attention_factor": 0.8, "mscale": None,
                                          "mscale_all_dim": None}},
    "range of dimensions": {"rope_scaling": {**YARN, "truncate": False, "beta_fast": 4}},
    "mscale_all_dim": {"rope_scaling": {**YARN, "mscale": 0.5}},
    "by what mscale": {"rope_scaling": {key: value for key, value in YARN.items()
                                        if not key.startswith("mscale")}},
    "epsilon": {"rms_norm_eps": 1e-2},
}
# Those that a GGUF file has keys for.
SEEN_IN_FILES = ("yarn_beta", "epsilon")


class Checkpoint:
    """A checkpoint on disk, ids, and transformers' logits of it."""

    def __init__(self, folder, name, config, seed=401):
        self.path, self.config = folder / name.replace(" ", "-"), config
        write_checkpoint(self.path, config, store(config, make_values(config, seed, CALM)), shards=2)
        write_json(self.path / "config.json", config)
        write_tokenizer(self.path)
        self.ids = torch.randint(0, config["vocab_size"], (1, 40),
                                 generator=torch.Generator().manual_seed(seed))
        self.tokens = folder / "ids.json"
        self.tokens.write_text(json.dumps(self.ids.tolist()))
        models = load_from_stored(*read_checkpoint(self.path))
        self.logits = outputs_of(models, self.ids)["logits"]

    def difference(self, logits):
        """The largest from transformers' logits of the checkpoint."""
        return float(np.abs(np.asarray(logits) - self.logits.numpy()).max())


def spelled(changes):
    """V3's config with positions in one of the spellings."""
    config = make_config(**BASE)
    if changes == "saved":
        return saved_config(config)
    for key, value in changes.items():
        if value is None:
            config.pop(key)
        else:
            config[key] = value
    return config


def llama_logits(report, checkpoint, folder):
    """(what the dry run says, llama.cpp's logits of the F32 file)."""
    model = folder / f"{checkpoint.path.name}.gguf"
    convert = ("convert", checkpoint.path, model, "--to", "gguf", "--quant", "f32")
    plan = report.run(*convert, "--dry-run")
    report.run(*convert)
    return plan, np.stack([llama.logits(model, ids.numpy(), folder) for ids in checkpoint.ids])


def check_spelling(report, name, changes, folder):
    """llama.cpp, mlx-lm and transformers compute the same from what is written for each."""
    checkpoint = Checkpoint(folder, name, spelled(changes))
    _, logits = llama_logits(report, checkpoint, folder)
    worst = checkpoint.difference(logits)
    report.check(f"{name} → gguf: llama.cpp computes transformers' network",
                 worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")
    output = folder / f"{checkpoint.path.name}-mlx"
    report.run("convert", checkpoint.path, output, "--to", "mlx", "--quant", "f32")
    worst = checkpoint.difference(mlx_models.logits(output, checkpoint.ids))
    report.check(f"{name} → mlx: mlx-lm computes transformers' network",
                 worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")
    output = folder / f"{checkpoint.path.name}-hf"
    report.run("convert", checkpoint.path, output, "--to", "hf", "--quant", "f32")
    worst = checkpoint.difference(transformers_logits(output, checkpoint.ids))
    report.check(f"{name} → hf: transformers computes its network", worst < LARGEST_DIFFERENCE,
                 f"largest difference {worst:.1e}")
    check_compressed(report, checkpoint, "int4-g32", folder)


def transformers_logits(model, ids):
    """As anyone loads a folder."""
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    with torch.no_grad():
        return network(ids).logits


def compressed_model(report, checkpoint, quant, folder):
    """(the folder, what the dry run says, Fathom's logits of it)."""
    output, logits = folder / f"{checkpoint.path.name}-{quant}", folder / "own.safetensors"
    convert = ("convert", checkpoint.path, output, "--to", "compressed-tensors", "--quant", quant)
    plan = report.run(*convert, "--dry-run")
    report.run(*convert)
    report.run("logits", output, "--tokens", checkpoint.tokens, "-o", logits, "--overwrite")
    return output, plan, load_file(str(logits))["logits"]


def check_compressed(report, checkpoint, quant, folder):
    """transformers computes from the codes what Fathom does."""
    output, _, own = compressed_model(report, checkpoint, quant, folder)
    kl = float(divergences(own, transformers_logits(output, checkpoint.ids)).mean())
    report.check(f"{checkpoint.path.name} → {quant}: transformers computes what Fathom does",
                 kl < BF16_KL, f"mean KL {kl:.1e}")


def check_llama_limit(report, word, changes, folder):
    """The dry run names it, and llama.cpp computes another network."""
    checkpoint = Checkpoint(folder, word, make_config(**{**BASE, **changes}))
    plan, logits = llama_logits(report, checkpoint, folder)
    report.check(f"llama.cpp, {word}: the dry run says so", word in plan and "llama.cpp" in plan)
    worst = checkpoint.difference(logits)
    report.check(f"llama.cpp, {word}: it does compute something else", worst > ANOTHER,
                 f"largest difference {worst:.1e}")
    if word not in SEEN_IN_FILES:
        return
    findings = report.run_json("validate", folder / f"{checkpoint.path.name}.gguf")["findings"]
    report.check(f"llama.cpp, {word}: validate says so of the file",
                 any(word in finding["found"] for finding in findings), str(findings)[:300])


def check_compressed_limits(report, folder):
    """transformers and routed experts in NVFP4, and in block FP8."""
    checkpoint = Checkpoint(folder, "plain", make_config(**BASE))
    output, plan, own = compressed_model(report, checkpoint, "nvfp4-experts", folder)
    kl = float(divergences(own, transformers_logits(output, checkpoint.ids)).mean())
    report.check("transformers, NVFP4 experts: it computes something else", kl > ANOTHER,
                 f"mean KL {kl:.1e}")
    report.check("transformers, NVFP4 experts: the dry run says so", "weight_global_scale" in plan)
    output, plan, _ = compressed_model(report, checkpoint, "fp8-block", folder)
    try:
        transformers_logits(output, checkpoint.ids)
        loads = True
    except RuntimeError:
        loads = False
    report.check("transformers, block FP8 experts: it does not load them", not loads)
    report.check("transformers, block FP8 experts: the dry run says so", "does not load" in plan)
    for quant in ("int8-channel", "int4-g32-experts"):
        check_compressed(report, checkpoint, quant, folder)


def check_names(report, folder):
    """Wrapped names and fused experts: what is written is what transformers loads."""
    checkpoint = Checkpoint(folder, "wrapped", make_config(**BASE))
    config, stored = read_checkpoint(checkpoint.path)
    for prefix in ("module.", "base_model.model.", "language_model."):
        wrapped = folder / "prefix"
        write_checkpoint(wrapped, config, {prefix + key: value for key, value in stored.items()},
                         shards=1)
        check_written(report, f"{prefix} before all names", checkpoint, wrapped, folder)
    fused = folder / "fused"
    network = AutoModelForCausalLM.from_pretrained(checkpoint.path, dtype=torch.bfloat16)
    network.save_pretrained(fused, save_original_format=False)
    check_written(report, "experts in stacks", checkpoint, fused, folder)


def check_written(report, name, checkpoint, source, folder):
    """`convert --to hf` makes a folder that transformers computes the network from."""
    output = folder / "written"
    report.run("convert", source, output, "--to", "hf", "--quant", "f32", "--overwrite")
    worst = checkpoint.difference(transformers_logits(output, checkpoint.ids))
    report.check(f"{name} → hf: transformers computes the network", worst < LARGEST_DIFFERENCE,
                 f"largest difference {worst:.1e}")
    verdict = report.run_json("validate", output)
    report.check(f"{name} → hf: validates", verdict["verdict"] == "valid",
                 str(verdict["findings"])[:300])


def run(report, folder):
    """Both spellings first."""
    for name, changes in SPELLINGS.items():
        report.attempt(name, check_spelling, report, name, changes, folder)
    for word, changes in LLAMA_LIMITS.items():
        report.attempt(word, check_llama_limit, report, word, changes, folder)
    report.attempt("compressed limits", check_compressed_limits, report, folder)
    report.attempt("names", check_names, report, folder)
