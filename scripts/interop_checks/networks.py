"""The networks beside DeepSeek-V3 in every format, beside their peers."""

import json
import shutil

import numpy as np
from safetensors.torch import load_file

from makers.samples import SAMPLES, make_tokens
from peers import llama, mlx_models, native
from peers.folder import read_checkpoint, write_json
from peers.network import mtp_layers, prefix_of, text_of
from peers.oracle import load_from_stored, outputs_of

from .compare import divergences, largest_difference, same_bits
from .conversion import main_weights, plain_weights
from .forward import check_outputs
from .gguf import differences, is_further
from .mlx import check_same
from .network_cases import CASES, FURTHER, make_case
from .outputs import check_tensors, check_valid

# Two F32 implementations that add in different orders.
LARGEST_DIFFERENCE = 2e-4
# Networks that DeepSeek's shards are checked of here.
NATIVE = ("deepseek_v2", "deepseek_v32")
# llama.cpp rounds activations as it does weights: mean KL from the same file's exact logits.
ROUNDED = {"bf16": 1e-3, "q8_0": 1e-2}
# The same where the choice of keys depends on it too: another key changes more than rounding does.
ROUNDED_CHOICE = {"bf16": 0.1, "q8_0": 0.1}
# Sample → peers that compute something else or cannot load it, and what the dry run says of that.
SAMPLE_CASES = {
    "tiny-glm-lite": dict(differs=("llama.cpp", "mlx-lm"), warning="epsilon"),
    # llama.cpp wants heads of the indexer that are 64 wide or a multiple.
    "tiny-glm5": dict(differs=("llama.cpp",), warning="index_head_dim"),
    "tiny-glm52": dict(differs=("llama.cpp", "mlx-lm", "mlx-lm's converter"),
                       warning="index_head_dim"),
    "tiny-v32": dict(differs=("llama.cpp",), warning="index_head_dim", shards=(1,)),
    "tiny-kimi-k25": dict(differs=("llama.cpp",), warning="epsilon"),
    "tiny-mistral4": dict(further=FURTHER, block="10x10"),
    "tiny-v2-lite": dict(differs=("llama.cpp",), warning="layers", shards=(1,)),
    "tiny-v2": dict(differs=("llama.cpp",), warning="group", shards=(1, 2)),
    "tiny-youtu": dict(differs=("mlx-lm's converter",)),
    "tiny-v5": dict(differs=("mlx-lm's converter",)),
}


class Network:
    """A checkpoint, the ids that it is asked for, and what transformers computes from them.

    `config` is whole, where config.json leaves out what is the class's default.
    """

    def __init__(self, path, input_ids, case):
        self.path, self.ids, self.case = path, input_ids, case
        self.name = path.name
        self.written, self.stored = read_checkpoint(path)
        self.config = case.get("config", self.written)
        self.expected = outputs_of(load_from_stored(self.config, self.stored), input_ids)
        self.main = {"logits": self.expected["logits"]}

    def write_ids(self, folder):
        """The ids as a JSON document."""
        tokens = folder / f"{self.name}-ids.json"
        tokens.write_text(json.dumps(self.ids.tolist()))
        return tokens

    def agrees(self, peer):
        """Whether a peer computes this network as its makers do."""
        return peer not in self.case.get("differs", ())


def fathom_logits(report, network, model, folder, *options):
    """The outputs of `fathom logits`."""
    output = folder / "found.safetensors"
    report.run("logits", model, "--tokens", network.write_ids(folder), "-o", output, "--overwrite",
               *options)
    return load_file(str(output))


def fresh(path):
    """A path at which nothing is."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def check_source(report, network, folder):
    """The checkpoint itself: sound, and its logits are those of transformers."""
    read = outputs_of(load_from_stored(network.written, network.stored), network.ids)["logits"]
    report.check(f"{network.name}: transformers reads the config as the whole one",
                 largest_difference(read, network.main["logits"]) == 0)
    verdict = report.run_json("validate", network.path, "--deep")
    # Keys that transformers and mlx-lm take differently are named where they are absent.
    named = [found["found"].removeprefix("no ").split(",")[0] for found in verdict["findings"]]
    report.check(f"{network.name}: validates", verdict["verdict"] == "valid"
                 and set(named) <= set(network.case.get("absent", ())),
                 json.dumps(verdict["findings"])[:400])
    check_outputs(report, network.name, network.expected,
                  fathom_logits(report, network, network.path, folder))


def llama_logits(network, model, folder):
    """What llama.cpp computes, sequence by sequence."""
    return np.stack([llama.logits(model, ids.numpy(), folder) for ids in network.ids])


def close_to(report, name, network, found):
    """One check of a peer's logits against transformers'."""
    worst = float(np.abs(np.asarray(found) - network.expected["logits"].numpy()).max())
    report.check(name, worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")


def check_gguf(report, network, folder):
    """F32: the converter's metadata and tensors; llama.cpp, Fathom and transformers agree on it."""
    name, model, theirs = f"{network.name} → gguf", folder / "f32.gguf", folder / "theirs.gguf"
    fresh(model)
    report.run("convert", network.path, model, "--to", "gguf", "--quant", "f32", "--mtp", "drop")
    if network.agrees("converter"):
        llama.convert(network.path, theirs)
        words = [word for word in differences(model, theirs, orders=False)
                 if not is_further(word, network.case.get("further", ()))]
        report.check(f"{name}: metadata and tensors are the converter's", not words,
                     "; ".join(words[:4]))
    if network.agrees("llama.cpp"):
        close_to(report, f"{name}: logits as llama.cpp computes them", network,
                 llama_logits(network, model, folder))
    else:
        check_warning(report, network)
    check_outputs(report, name, network.main, fathom_logits(report, network, model, folder))


def check_warning(report, network):
    """Where llama.cpp computes something else, the dry run says so."""
    plan = report.run("convert", network.path, network.path.with_suffix(".gguf"), "--to", "gguf",
                      "--quant", "f32", "--dry-run")
    word = network.case["warning"]
    report.check(f"{network.name} → gguf: the dry run warns of llama.cpp and its {word}",
                 "llama.cpp" in plan and word in plan)


def check_gguf_rounded(report, network, folder):
    """BF16 and Q8_0: llama.cpp computes from the file what its rounding of activations allows."""
    if not network.agrees("llama.cpp"):
        return
    chooses = network.config.get("index_topk", network.ids.shape[1]) < network.ids.shape[1]
    for file_type, limit in (ROUNDED_CHOICE if chooses else ROUNDED).items():
        model = fresh(folder / f"{file_type}.gguf")
        report.run("convert", network.path, model, "--to", "gguf", "--quant", file_type, "--mtp",
                   "drop")
        own = fathom_logits(report, network, model, folder)["logits"]
        peer = own.new_tensor(llama_logits(network, model, folder))
        kl = float(divergences(own, peer).mean())
        report.check(f"{network.name} → gguf {file_type}: llama.cpp is as near as its rounding",
                     kl < limit, f"mean KL {kl:.1e}")


def check_gguf_mtp(report, network, folder):
    """MTP layers kept: GLM's as the converter keeps them, and computed from the file by Fathom."""
    if not mtp_layers(network.config):
        return
    model, theirs = fresh(folder / "mtp.gguf"), folder / "theirs-mtp.gguf"
    report.run("convert", network.path, model, "--to", "gguf", "--quant", "f32")
    if network.config["model_type"] in llama.KEEPS_MTP and network.agrees("converter"):
        llama.convert(network.path, theirs, mtp=True)
        words = differences(model, theirs, orders=False)
        report.check(f"{network.name} → gguf with MTP: metadata and tensors are the converter's",
                     not words, "; ".join(words[:4]))
    check_outputs(report, f"{network.name} → gguf with MTP", network.expected,
                  fathom_logits(report, network, model, folder))
    if network.agrees("llama.cpp"):
        close_to(report, f"{network.name} → gguf with MTP: logits as llama.cpp computes them",
                 network, llama_logits(network, model, folder))


def check_gguf_back(report, network, folder):
    """From the converter's file: it validates, and the weights and the network come back."""
    if not network.agrees("converter"):
        return
    source, output = folder / "back.gguf", fresh(folder / "back")
    llama.convert(network.path, source)
    name = f"{network.name}: the converter's file"
    verdict = report.run_json("validate", source, "--deep")
    report.check(f"{name} validates", verdict["verdict"] == "valid",
                 json.dumps(verdict["findings"])[:300])
    report.run("convert", source, output, "--to", "hf", "--quant", "f32")
    weights = plain_weights(network.config, network.stored, "float32")
    check_tensors(report, f"{name} → hf f32", output, main_weights(network.config, weights))
    if network.case.get("further"):
        # It has lost the keys; Fathom says so, and the network is that without them.
        plan = report.run("convert", source, output, "--to", "hf", "--quant", "f32", "--dry-run",
                          "--overwrite")
        report.check(f"{name}: the dry run names what it lost", network.case["further"][0] in plan)
        return
    models = load_from_stored(*read_checkpoint(output))
    worst = largest_difference(outputs_of(models, network.ids)["logits"], network.main["logits"])
    report.check(f"{name} → hf f32: transformers computes the same network", worst < 1e-5,
                 f"largest difference {worst:.1e}")


def check_mlx(report, network, folder):
    """mlx-lm loads the folder and computes the same; where it can convert, files are its own."""
    name, output = f"{network.name} → mlx", fresh(folder / "mlx")
    report.run("convert", network.path, output, "--to", "mlx", "--mtp", "drop")
    if network.agrees("mlx-lm"):
        close_to(report, f"{name}: logits as mlx-lm computes them", network,
                 mlx_models.logits(output, network.ids))
    check_outputs(report, name, network.main, fathom_logits(report, network, output, folder))
    check_valid(report, name, output)
    if not network.agrees("mlx-lm's converter"):
        return
    source, theirs = network.path, fresh(folder / "theirs-mlx")
    if mtp_layers(network.config):
        source = fresh(folder / "without-mtp")
        report.run("convert", network.path, source, "--to", "hf", "--mtp", "drop")
    mlx_models.convert(source, theirs)
    check_same(report, name, theirs, output)


def check_mlx_quantized(report, network, folder):
    """8 bits: mlx-lm computes from them in F32 what Fathom does."""
    output = fresh(folder / "mlx-8bit")
    report.run("convert", network.path, output, "--to", "mlx", "--quant", "8bit", "--group-size",
               32, "--mtp", "drop")
    if not network.agrees("mlx-lm"):
        return
    own = fathom_logits(report, network, output, folder)["logits"]
    worst = float(np.abs(np.asarray(mlx_models.logits(output, network.ids)) - own.numpy()).max())
    report.check(f"{network.name} → mlx 8bit: logits as mlx-lm computes them",
                 worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")


def check_hf(report, network, folder):
    """BF16 and FP8 under Hugging Face's names: transformers computes what Fathom does."""
    for quant in ("bf16", "fp8"):
        name, output = f"{network.name} → hf {quant}", fresh(folder / quant)
        block = network.case.get("block") if quant == "fp8" else None
        report.run("convert", network.path, output, "--to", "hf", "--quant", quant,
                   *(["--block-size", block] if block else []))
        check_valid(report, name, output)
        config, stored = read_checkpoint(output)
        check_kept(report, name, network, config, stored, quant)
        models = load_from_stored({**network.config, **config}, stored)
        expected = outputs_of(models, network.ids)
        check_outputs(report, name, expected, fathom_logits(report, network, output, folder))


def check_kept(report, name, network, config, stored, quant):
    """What is no part of the text network stays as it is; BF16 is what torch makes of the source."""
    prefix = prefix_of(network.config)
    rest = {key: tensor for key, tensor in network.stored.items() if not key.startswith(prefix)}
    changed = [key for key in rest if key not in stored or not same_bits(stored[key], rest[key])]
    report.check(f"{name}: {len(rest)} tensors beside the text network are kept", not changed,
                 ", ".join(changed[:3]))
    report.check(f"{name}: config.json names the same network",
                 config["model_type"] == network.config["model_type"]
                 and text_of(config)["model_type"] == text_of(network.config)["model_type"])
    if quant != "bf16":
        return
    expected = plain_weights(network.config, network.stored, "bfloat16")
    differing = [key for key in expected.keys() | stored.keys()
                 if key not in stored or key not in expected
                 or key not in rest and not same_bits(stored[key], expected[key])]
    report.check(f"{name}: every tensor has torch's bits", not differing,
                 ", ".join(sorted(differing)[:3]))


def check_native(report, network, folder):
    """DeepSeek's shards of V2 and V3.2: the files are convert.py's, and come back."""
    if network.config["model_type"] not in NATIVE:
        return
    for count in network.case.get("shards", (1, 2)):
        name = f"{network.name} → {count} shards"
        output, theirs = fresh(folder / "shards"), fresh(folder / "their-shards")
        report.run("convert", network.path, output, "--to", "deepseek", "--mp", count, "--mtp",
                   "drop")
        native.convert(network.path, theirs, count)
        differing = [path.name for path in theirs.glob("*.safetensors")
                     if path.read_bytes() != (output / path.name).read_bytes()]
        report.check(f"{name}: the files are convert.py's", not differing, ", ".join(differing))
        section = json.loads((output / "config.json").read_text())
        report.check(f"{name}: scores and groups are the network's",
                     section.get("score_func", "softmax") == network.config["scoring_func"]
                     and section.get("n_expert_groups", 1) == native_groups(network.config),
                     str(section)[:200])
        check_outputs(report, name, network.main, fathom_logits(report, network, output, folder))
        back = fresh(folder / "shards-back")
        report.run("convert", output, back, "--to", "hf")
        check_tensors(report, f"{name} → hf", back, main_weights(network.config, network.stored))


def native_groups(config):
    """Groups are chosen by one of V2's methods alone; the shards have no key for the method."""
    limited = config["topk_method"] != "greedy"
    return config["n_group"] if limited else 1


def check_pairs(report, network, folder):
    """Each lossless form against each other with `fathom verify`: no difference but of rounding."""
    forms = {"hf": network.path}
    targets = {"gguf": ["--quant", "f32"], "mlx": [], "deepseek": ["--mp", 1]}
    if network.config["model_type"] not in NATIVE:
        del targets["deepseek"]
    for target, options in targets.items():
        forms[target] = fresh(folder / ("pair.gguf" if target == "gguf" else f"pair-{target}"))
        report.run("convert", network.path, forms[target], "--to", target, "--mtp", "drop",
                   *options)
    tokens = network.write_ids(folder)
    names = list(forms)
    for index, left in enumerate(names):
        for right in names[index + 1:]:
            found = report.run_json("verify", forms[left], forms[right], "--tokens", tokens,
                                    "--mtp", "drop")
            kl = found["main"]["klMax"]
            report.check(f"{network.name}: {left} and {right} are the same network", kl < 1e-8,
                         f"largest KL {kl:.1e}")


def check_name(report, network, folder):
    """joyai_llm_flash is DeepSeek-V3 under another name."""
    if network.config["model_type"] != "deepseek_v3" or mtp_layers(network.config):
        return
    copy = fresh(folder / "joyai")
    shutil.copytree(network.path, copy)
    config = {**network.config, "model_type": "joyai_llm_flash"}
    write_json(copy / "config.json", config)
    check_outputs(report, f"{network.name} as joyai_llm_flash", network.main,
                  fathom_logits(report, network, copy, folder))


CHECKS = (check_source, check_gguf, check_gguf_rounded, check_gguf_mtp, check_gguf_back, check_mlx,
          check_mlx_quantized, check_hf, check_native, check_pairs, check_name)


def check_refused(report, network, folder):
    """Loaders that do not know it get no files."""
    for target, options in {"gguf": ["--quant", "f32"], "mlx": [], "deepseek": []}.items():
        report.run("convert", network.path, fresh(folder / "refused"), "--to", target, *options,
                   expect=64)


# Networks that transformers alone has.
ALONE = (check_source, check_hf, check_refused)


def sample_network(name):
    """A sample with its own ids."""
    path = SAMPLES / name
    ids = load_file(str(path / "expected.safetensors"))["input_ids"]
    return Network(path, ids, SAMPLE_CASES[name])


def case_network(name, folder):
    """An unseen checkpoint."""
    path, row = make_case(name, folder)
    ids = make_tokens(row["seed"], row["tokens"], text_of(row["config"])["vocab_size"])
    return Network(path, ids, row)


def check_network(report, make, folder):
    """All checks of one network; one that raises is one failure."""
    network = make()
    for check in ALONE if network.case.get("alone") else CHECKS:
        report.attempt(f"{network.name} {check.__name__}", check, report, network, folder)


def run(report, folder):
    """Samples first."""
    for name in SAMPLE_CASES:
        report.attempt(name, check_network, report, lambda: sample_network(name), folder)
    for name in CASES:
        report.attempt(name, check_network, report, lambda: case_network(name, folder), folder)
