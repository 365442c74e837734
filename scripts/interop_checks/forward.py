"""`fathom logits` and `fathom validate` on checkpoints with known answers, and on unseen ones."""

import json

from safetensors.torch import load_file, save_file

from makers.samples import SAMPLE_TABLE, SAMPLES, TRAINED, make_tokens
from peers.folder import read_checkpoint
from peers.oracle import load_from_stored, outputs_of

from .compare import divergences, largest_difference
from .unseen import UNSEEN, make_unseen

# Two F32 implementations that add in different orders: some 1e-5 at a standard deviation of 2.
LARGEST_DIFFERENCE = 2e-4
LARGEST_DIVERGENCE = 1e-8


def check_outputs(report, name, expected, found):
    """Every output within the bounds, none absent and none added."""
    report.check(f"{name}: the outputs are {', '.join(sorted(expected))}",
                 expected.keys() == found.keys(), f"found {', '.join(sorted(found))}")
    for key in sorted(expected.keys() & found.keys()):
        difference = largest_difference(expected[key], found[key])
        if difference == float("inf"):
            report.check(f"{name}: {key}", False,
                         f"{tuple(found[key].shape)}, expected {tuple(expected[key].shape)}")
            continue
        kl = float(divergences(expected[key], found[key]).max())
        report.check(
            f"{name}: {key} as transformers computes them",
            difference < LARGEST_DIFFERENCE and kl < LARGEST_DIVERGENCE,
            f"largest difference {difference:.1e}, KL {kl:.1e}")


def check_sample(report, name, folder):
    """A sample against its stored logits."""
    expected = load_file(str(SAMPLES / name / "expected.safetensors"))
    tokens = {"input_ids": expected.pop("input_ids")}
    save_file(tokens, str(folder / "tokens.safetensors"))
    output = folder / f"{name}.safetensors"
    report.run("logits", SAMPLES / name, "--tokens", folder / "tokens.safetensors", "-o", output)
    check_outputs(report, name, expected, load_file(str(output)))


def check_unseen(report, name, folder):
    """An unseen checkpoint against transformers here and now; tokens go in as JSON."""
    path, row = make_unseen(name, folder)
    verdict = report.run_json("validate", path, "--deep")
    report.check(f"{name}: validates", verdict["verdict"] == "valid" and not verdict["findings"],
                 json.dumps(verdict["findings"])[:400] if verdict["findings"] else "")
    input_ids = make_tokens(row["seed"], row["tokens"], row["config"]["vocab_size"])
    expected = outputs_of(load_from_stored(*read_checkpoint(path)), input_ids)
    tokens = folder / f"{name}.json"
    tokens.write_text(json.dumps(input_ids.tolist()))
    output = folder / f"{name}.safetensors"
    report.run("logits", path, "--tokens", tokens, "-o", output)
    check_outputs(report, name, expected, load_file(str(output)))


def run(report, folder):
    """Samples first, since they fail for simpler reasons."""
    for name in [*SAMPLE_TABLE, TRAINED]:
        report.attempt(name, check_sample, report, name, folder)
    for name in UNSEEN:
        report.attempt(name, check_unseen, report, name, folder)
