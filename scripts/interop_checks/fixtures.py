"""Samples/ still is what its script makes with the peers that are installed here."""

import tempfile
from pathlib import Path

from safetensors.torch import load_file

from makers.samples import SAMPLE_TABLE, SAMPLES, TRAINED, make_stored
from peers import mistral
from peers.folder import read_checkpoint
from peers.oracle import load_from_stored, outputs_of

from .compare import largest_difference, same_bits

# torch's kernels differ between processors: 0 on the one that made the samples, 8e-6 with torch
# held to AVX2, 1.6e-5 without vector extensions.
TOLERANCE = 2e-5


def check_sample(report, name):
    """Weights bit for bit, logits within the rounding of another processor's kernels."""
    row = SAMPLE_TABLE[name]
    wanted, made = make_stored(row)
    if row.get("own_form"):
        config, stored = wanted, made
        report.check(f"{name}: seeds give the stored files", is_own_form(name, wanted, made))
    else:
        config, stored = read_checkpoint(SAMPLES / name)
        same = config == wanted and made.keys() == stored.keys()
        differing = [key for key in made if same and not same_bits(made[key], stored[key])]
        report.check(f"{name}: seeds give the stored weights", same and not differing,
                     ", ".join(differing[:3]))
    check_logits(report, name, config, stored)


def check_logits(report, name, config, stored):
    """What transformers computes from a checkpoint, beside what is kept of it."""
    expected = load_file(str(SAMPLES / name / "expected.safetensors"))
    outputs = outputs_of(load_from_stored(config, stored), expected.pop("input_ids"))
    worst = max(largest_difference(outputs[key], expected[key]) for key in outputs)
    report.check(f"{name}: transformers gives the expected logits",
                 outputs.keys() == expected.keys() and worst < TOLERANCE,
                 f"largest difference {worst:.1e}")


def is_own_form(name, config, made):
    """Whether Mistral's own files are those that a configuration and its tensors give."""
    with tempfile.TemporaryDirectory() as folder:
        mistral.write(Path(folder), config, made)
        return all((SAMPLES / name / file.name).read_bytes() == file.read_bytes()
                   for file in Path(folder).iterdir())


def run(report, _):
    """All samples."""
    for name in SAMPLE_TABLE:
        report.attempt(name, check_sample, report, name)
    report.attempt(TRAINED, check_logits, report, TRAINED, *read_checkpoint(SAMPLES / TRAINED))
