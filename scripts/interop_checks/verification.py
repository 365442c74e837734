"""`fathom verify`: its numbers against torch's from the logits that Fathom dumps."""

import json

from safetensors.torch import load_file

from make_samples import SAMPLES, make_tokens
from peers.folder import read_checkpoint
from peers.oracle import load_from_stored, trace

from .compare import divergences, perplexity

# name → (sample, options that make the candidate from it)
PAIRS = {
    "fp8 and its bf16": ("tiny-fp8", ["--quant", "bf16"]),
    "fp8 and its f16": ("tiny-fp8-block32", ["--quant", "f16"]),
    "bf16 and its fp8": ("tiny-bf16", ["--quant", "fp8"]),
    "f32 and its bf16": ("tiny-tied", ["--quant", "bf16"]),
    "no MTP layer": ("tiny-no-qlora", ["--quant", "fp8", "--scale-format", "ue8m0"]),
}
RELATIVE = 1e-6
# Sums in F64 over values of about 1 cannot be told apart below this.
ABSOLUTE = 1e-13


def measures(reference, candidate, input_ids, ahead):
    """What the report should say, from two tensors of logits."""
    kl = divergences(reference, candidate)
    left, right = reference.double(), candidate.double()
    return {
        "klMean": float(kl.mean()),
        "klMax": float(kl.max()),
        "top1Agreement": float((left.argmax(-1) == right.argmax(-1)).double().mean()),
        "nmse": float(((left - right) ** 2).sum() / (left**2).sum()),
        "maxAbsDifference": float((left - right).abs().max()),
        "perplexityReference": perplexity(reference, input_ids, ahead),
        "perplexityCandidate": perplexity(candidate, input_ids, ahead),
    }


def close(expected, found):
    """Equal up to the order of summation."""
    return abs(expected - found) <= ABSOLUTE + RELATIVE * abs(expected)


def compare(report, name, expected, found):
    """One check per number."""
    for key, value in expected.items():
        report.check(f"{name}: {key}", key in found and close(value, found[key]),
                     f"torch {value:.9g}, fathom {found.get(key)}")


def shared_experts(reference, candidate):
    """Share of the reference's choices, over all tokens, that the candidate makes too."""
    common = (reference.unsqueeze(-1) == candidate.unsqueeze(-2)).any(-1)
    return float(common.double().mean())


def check_layers(report, name, folders, input_ids, found):
    """Hidden states and choices after every layer against what transformers has there."""
    left, right = (
        trace(load_from_stored(*read_checkpoint(folder)), input_ids) for folder in folders)
    report.check(f"{name}: a row for every layer, MTP layers last",
                 [row["index"] for row in found] == list(range(len(left))))
    worst = 0.0
    for row, a, b in zip(found, left, right):
        error = ((b["hidden"].double() - a["hidden"].double()) ** 2).sum()
        nmse = float(error / (a["hidden"].double() ** 2).sum())
        # Both sides round in F32, which the difference of two close models magnifies.
        worst = max(worst, abs(row["hiddenNmse"] - nmse) / max(nmse, 1e-9))
        agreement = None if a["experts"] is None else shared_experts(a["experts"], b["experts"])
        report.check(f"{name}: routerAgreement of layer {row['index']}",
                     agreement is None and "routerAgreement" not in row
                     or agreement is not None and close(agreement, row["routerAgreement"]),
                     f"transformers {agreement}, fathom {row.get('routerAgreement')}")
    report.check(f"{name}: hiddenNmse of all layers", worst < 1e-3,
                 f"relative difference {worst:.1e}")


def check_pair(report, name, folder):
    """Reference, candidate, dumps of both, and the report."""
    sample, options = PAIRS[name]
    reference, candidate = SAMPLES / sample, folder / sample
    report.run("convert", reference, candidate, "--to", "hf", *options)
    config, _ = read_checkpoint(reference)
    input_ids = make_tokens(47, (2, 22), config["vocab_size"])
    tokens = folder / f"{sample}.json"
    tokens.write_text(json.dumps(input_ids.tolist()))
    dumps = []
    for model in (reference, candidate):
        output = folder / f"{sample}-{len(dumps)}.safetensors"
        report.run("logits", model, "--tokens", tokens, "-o", output)
        dumps.append(load_file(str(output)))
    verdict = report.run_json("verify", reference, candidate, "--tokens", tokens)
    report.check(f"{name}: passes without thresholds", verdict["verdict"] == "pass")
    left, right = dumps
    compare(report, f"{name}, main", measures(left["logits"], right["logits"], input_ids, 1),
            verdict["main"])
    report.check(f"{name}: an mtp section where there is an MTP layer",
                 ("mtp" in verdict) == ("mtp_logits" in left))
    if "mtp_logits" in left:
        expected = measures(left["mtp_logits"], right["mtp_logits"], input_ids, 2)
        compare(report, f"{name}, mtp", expected, verdict["mtp"])
    check_layers(report, name, (reference, candidate), input_ids, verdict["layers"])


def check_thresholds(report, folder):
    """A limit just above a measured value holds; one just below fails, and exits 1.

    A limit on the main model holds for MTP layers too, unless they have their own.
    """
    reference, candidate = SAMPLES / "tiny-bf16", folder / "tiny-bf16"
    if not candidate.exists():
        report.run("convert", reference, candidate, "--to", "hf", "--quant", "fp8")
    tokens = folder / "thresholds.json"
    tokens.write_text(json.dumps(make_tokens(48, (1, 30), 288).tolist()))
    found = report.run_json("verify", reference, candidate, "--tokens", tokens)
    values = {"max-kl": found["main"]["klMean"], "mtp-max-kl": found["mtp"]["klMean"]}
    report.check("tiny-bf16 and its fp8 differ", min(values.values()) > 0, f"KL {values}")
    cases = {"max-kl": list(values), "mtp-max-kl": ["mtp-max-kl"]}
    for name, names in cases.items():
        largest = max(values[key] for key in names)
        for factor, exit_code, verdict in ((1.01, 0, "pass"), (0.99, 1, "fail")):
            limit = float(f"{largest * factor:.12g}")
            found = report.run_json("verify", reference, candidate, "--tokens", tokens,
                                    f"--{name}", limit, expect=exit_code)
            rows = [(row["name"], row["limit"], row["value"], row["holds"])
                    for row in found["thresholds"]]
            wanted = [(key, limit, values[key], values[key] <= limit) for key in names]
            report.check(
                f"--{name} of {factor} × the largest KL: exit {exit_code}, {verdict}",
                found["verdict"] == verdict and rows == wanted, str(rows))


def check_identity(report, folder):
    """A checkpoint and its own copy in other shards do not differ at all."""
    copy = folder / "tiny-fp8-copy"
    report.run("convert", SAMPLES / "tiny-fp8", copy, "--to", "hf", "--max-shard-size", "300KB")
    tokens = folder / "identity.json"
    tokens.write_text(json.dumps(make_tokens(49, (1, 30), 288).tolist()))
    found = report.run_json("verify", SAMPLES / "tiny-fp8", copy, "--tokens", tokens)
    same = all(found[part]["klMax"] == 0 and found[part]["maxAbsDifference"] == 0
               for part in ("main", "mtp"))
    report.check("a copy in other shards has no difference at all", same)


def run(report, folder):
    """Pairs, thresholds, identity."""
    for name in PAIRS:
        report.attempt(name, check_pair, report, name, folder)
    report.attempt("thresholds", check_thresholds, report, folder)
    report.attempt("identity", check_identity, report, folder)
