"""`fathom verify`: its numbers against torch's from the logits that Fathom dumps."""

import json

from safetensors.torch import load_file

from make_samples import SAMPLES, make_tokens
from peers import llama
from peers.folder import read_checkpoint
from peers.oracle import isolated, load_from_stored, trace

from .compare import divergences, perplexity
from .gguf import make_model

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


def check_own_errors(report, name, folders, tokens, input_ids):
    """With --isolate: each layer's own error against transformers' layers, fed by hand."""
    found = report.run_json("verify", *folders, "--tokens", tokens, "--isolate")["layers"]
    models = [load_from_stored(*read_checkpoint(folder)) for folder in folders]
    worst = 0.0
    for row, (left, right) in zip(found, isolated(*models, input_ids), strict=True):
        error = ((right.double() - left.double()) ** 2).sum()
        nmse = float(error / (left.double() ** 2).sum())
        worst = max(worst, abs(row["ownNmse"] - nmse) / max(nmse, 1e-9))
    report.check(f"{name}: ownNmse of all layers", worst < 1e-3,
                 f"relative difference {worst:.1e}")


def check_fixture(report, name, folders, tokens, folder, verdict):
    """A fixture in the place of the reference says what the reference says, within its bounds."""
    fixture = folder / "reference.fixture"
    report.run("verify", "--record", folders[0], "--tokens", tokens, "-o", fixture, "--overwrite",
               "--keep", 32)
    found = report.run_json("verify", fixture, folders[1])
    for part in [part for part in ("main", "mtp") if part in verdict]:
        exact, row = verdict[part], found[part]
        same = all(exact[key] == row[key] for key in
                   ("top1Agreement", "perplexityReference", "perplexityCandidate"))
        report.check(f"{name}, {part}: a fixture has the same top tokens and perplexities", same)
        bounds = row["klInterval"]
        report.check(
            f"{name}, {part}: KL within the fixture's bounds",
            bounds["lower"] <= exact["klMean"] + ABSOLUTE <= bounds["upper"] + 2 * ABSOLUTE
            and abs(row["klMean"] - exact["klMean"]) <= 4 * bounds["standardError"] + 1e-12,
            f"{row['klMean']:.6g} ± {bounds['standardError']:.1g}, exactly {exact['klMean']:.6g}")


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
    check_own_errors(report, name, (reference, candidate), tokens, input_ids)
    check_fixture(report, name, (reference, candidate), tokens, folder, verdict)


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


# file type → how far llama.cpp's KL may be from Fathom's. llama.cpp rounds activations to 8 bits
# where weights are quantized: as much as q8_0 itself does, little beside the other types.
TOLERANCES = {"q4_k_m": 0.05, "q2_k": 0.05, "q8_0": 0.5}
CONTEXT = 128


def check_perplexity_tool(report, folder):
    """`llama-perplexity --kl-divergence` on the same files and tokens.

    It cuts the text into chunks, puts the begin token in place of the first of each, and measures
    the second half of each but its last position.
    """
    model = make_model("whole-blocks", folder)
    for file_type in ["f32", *TOLERANCES]:
        report.run("convert", model, folder / f"{file_type}.gguf", "--to", "gguf", "--quant",
                   file_type, "--mtp", "drop")
    text, base = folder / "text.txt", folder / "base.kld"
    letters = "abcdefghijklmnopqrstuvwxyz ,."
    text.write_text("".join(letters[int(n) % 29] for n in make_tokens(50, (1, 700), 2813)[0]))
    tokens = folder / "chunks.json"
    tokens.write_text(json.dumps(llama.perplexity_base(folder / "f32.gguf", text, base, CONTEXT)))
    dumps = {}
    for file_type in ["f32", *TOLERANCES]:
        output = folder / f"{file_type}.safetensors"
        report.run("logits", folder / f"{file_type}.gguf", "--tokens", tokens, "-o", output)
        dumps[file_type] = load_file(str(output))["logits"]
    for file_type, tolerance in TOLERANCES.items():
        candidate = folder / f"{file_type}.gguf"
        kl = divergences(dumps["f32"], dumps[file_type])
        found = report.run_json("verify", folder / "f32.gguf", candidate, "--tokens", tokens)
        report.check(f"f32 and {file_type}: verify has torch's KL",
                     close(float(kl.mean()), found["main"]["klMean"]))
        own = float(kl[:, CONTEXT // 2 : CONTEXT - 1].mean())
        peer = llama.perplexity_divergence(candidate, base, CONTEXT)
        report.check(f"f32 and {file_type}: llama-perplexity's mean KL",
                     abs(own - peer) <= tolerance * peer, f"llama.cpp {peer:.6f}, fathom {own:.6f}")


def run(report, folder):
    """Pairs, thresholds, identity, llama-perplexity."""
    for name in PAIRS:
        report.attempt(name, check_pair, report, name, folder)
    report.attempt("thresholds", check_thresholds, report, folder)
    report.attempt("identity", check_identity, report, folder)
    report.attempt("llama-perplexity", check_perplexity_tool, report, folder)
