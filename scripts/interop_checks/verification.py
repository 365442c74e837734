"""`fathom verify`: its numbers against torch's from the logits that Fathom dumps."""

import json
import shutil
import subprocess

import numpy as np
import torch
from safetensors.torch import load_file

from makers.samples import SAMPLES, make_tokens
from peers import llama
from peers.folder import read_checkpoint, store, write_checkpoint
from peers.network import make_config
from peers.oracle import isolated, load_from_stored, trace
from peers.values import make_values

from .compare import divergences, log_probabilities, perplexity
from .gguf import GGUFReader, make_model

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


def mean_error(values):
    """Standard error of the mean."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def statistics(reference, candidate, input_ids, ahead, part=slice(None)):
    """What llama-perplexity says beside the means: how sure they are, how positions are spread.

    `part`: the positions of each sequence that count.
    """
    kl = divergences(reference, candidate)[:, part].flatten().numpy()
    same = (reference.argmax(-1) == candidate.argmax(-1))[:, part].flatten().double().numpy()
    targets = input_ids[:, ahead:]
    losses = []
    for logits in (reference, candidate):
        scored = log_probabilities(logits[:, : targets.shape[1]])
        chosen = scored.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        losses.append((-chosen[:, part]).flatten().numpy())
    a, b = losses
    covariance = np.cov(a, b)
    changes = (np.exp(-b) - np.exp(-a)) ** 2
    rms = float(changes.mean() ** 0.5)
    ratio = float(np.exp(b.mean() - a.mean()))
    spread = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    shares = {"50": 0.5, "90": 0.9, "95": 0.95, "99": 0.99, "99.9": 0.999, "max": 1}
    return {
        **{f"klPercentiles.{name}": float(np.quantile(kl, share))
           for name, share in shares.items()},
        "standardErrors.klMean": mean_error(kl),
        "standardErrors.top1Agreement": float(
            (same.mean() * (1 - same.mean()) / (len(same) - 1)) ** 0.5),
        "standardErrors.perplexityReference": float(np.exp(a.mean())) * mean_error(a),
        "standardErrors.perplexityCandidate": float(np.exp(b.mean())) * mean_error(b),
        "standardErrors.perplexityRatio": ratio * float((spread / len(a)) ** 0.5),
        "standardErrors.probabilityRms": mean_error(changes) / (2 * rms),
        "probabilityRms": rms, "perplexityRatio": ratio,
        "lossCorrelation": float(covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]) ** 0.5),
    }


def acceptance(main, drafts, depth):
    """Share of an MTP layer's first choices that are the main model's."""
    own = main.argmax(-1)[:, depth:]
    return float((drafts.argmax(-1) == own).double().mean())


def lookup(found, key):
    """`a.b` of nested objects; b may have dots itself."""
    head, _, rest = key.partition(".")
    value = found.get(head)
    return value.get(rest) if rest and isinstance(value, dict) else value


def close(expected, found):
    """Equal up to the order of summation."""
    return abs(expected - found) <= ABSOLUTE + RELATIVE * abs(expected)


def compare(report, name, expected, found):
    """One check per number."""
    for key, value in expected.items():
        own = lookup(found, key)
        report.check(f"{name}: {key}", own is not None and close(value, own),
                     f"torch {value:.9g}, fathom {own}")


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


def check_baseline(report, name, folders, tokens, folder, verdict):
    """A baseline in the place of the reference says what the reference says, within its bounds."""
    baseline = folder / "reference.baseline"
    report.run("verify", "--record", folders[0], "--tokens", tokens, "-o", baseline, "--overwrite",
               "--keep", 32)
    found = report.run_json("verify", baseline, folders[1])
    for part in [part for part in ("main", "mtp") if part in verdict]:
        exact, row = verdict[part], found[part]
        same = all(exact[key] == row[key] for key in
                   ("top1Agreement", "perplexityReference", "perplexityCandidate"))
        report.check(f"{name}, {part}: a baseline has the same top tokens and perplexities", same)
        check_bounds(report, f"{name}, {part}", exact, row)


def check_bounds(report, name, exact, row):
    """The exact KL lies where the baseline says that it does."""
    bounds = row["klInterval"]
    report.check(
        f"{name}: KL within the baseline's bounds",
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
    report.check(f"{name}: is measured without thresholds", verdict["verdict"] == "measured")
    left, right = dumps
    expected = measures(left["logits"], right["logits"], input_ids, 1)
    # Differences of nearly equal losses: rounding of F64 shows earlier.
    further = statistics(left["logits"], right["logits"], input_ids, 1)
    compare(report, f"{name}, main", {**expected, **further}, verdict["main"])
    check_positions(report, f"{name}, main", left["logits"], right["logits"], verdict["main"])
    report.check(f"{name}: an mtp section where there is an MTP layer",
                 ("mtp" in verdict) == ("mtp_logits" in left))
    if "mtp_logits" in left:
        expected = measures(left["mtp_logits"], right["mtp_logits"], input_ids, 2)
        for side, logits in (("reference", left), ("candidate", right)):
            expected[f"acceptance.{side}"] = acceptance(
                logits["logits"], logits["mtp_logits"], 1)
        compare(report, f"{name}, mtp", expected, verdict["mtp"])
    check_layers(report, name, (reference, candidate), input_ids, verdict["layers"])
    check_own_errors(report, name, (reference, candidate), tokens, input_ids)
    check_baseline(report, name, (reference, candidate), tokens, folder, verdict)


def check_positions(report, name, reference, candidate, found):
    """Every position's divergence and top tokens."""
    rows = found["positions"]
    kl = divergences(reference, candidate).flatten().tolist()
    report.check(f"{name}: every position's KL",
                 len(kl) == len(rows["kl"]) and all(map(close, kl, rows["kl"])))
    tops = [logits.argmax(-1).flatten().tolist() for logits in (reference, candidate)]
    report.check(f"{name}: every position's top tokens",
                 tops == [rows["topReference"], rows["topCandidate"]])


def check_several(report, folder):
    """Several candidates at once: each report is that of the candidate alone."""
    folder = folder / "several"
    folder.mkdir()
    reference, tokens = SAMPLES / "tiny-fp8", folder / "several.json"
    tokens.write_text(json.dumps(make_tokens(51, (2, 30), 288).tolist()))
    candidates = []
    for target, quant in (("hf", "bf16"), ("gguf", "q8_0"), ("gguf", "q4_0")):
        candidates.append(folder / (quant if target == "hf" else f"{quant}.gguf"))
        report.run("convert", reference, candidates[-1], "--to", target, "--quant", quant)
    flags = ["--tokens", tokens, "--isolate", "--max-kl", 1e-5]
    alone = [json.loads(subprocess.run(
        [report.fathom, "verify", reference, candidate, *map(str, flags), "--format", "json"],
        capture_output=True, text=True).stdout) for candidate in candidates]
    together = report.run_json("verify", reference, *candidates, *flags, expect=1)
    report.check("several candidates: each has the report that it has alone",
                 together["candidates"] == alone)
    report.check("several candidates: the worst verdict",
                 together["verdict"] == "fail"
                 and [row["verdict"] for row in alone] == ["fail", "pass", "pass"])
    sizes = [row["main"]["sizeBytes"] for row in together["candidates"]]
    files = [sum(tensor.n_bytes for tensor in GGUFReader(str(path)).tensors)
             for path in candidates[1:]]
    report.check("several candidates: sizes are those of the tensors", sizes[1:] == files,
                 f"{sizes} {files}")
    baseline = folder / "several.baseline"
    report.run("verify", "--record", reference, "--tokens", tokens, "-o", baseline)
    recorded = report.run_json("verify", baseline, *candidates)["candidates"]
    report.check("several candidates against a baseline", [row["candidate"] for row in recorded]
                 == [str(path) for path in candidates])


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


# File type → how far llama.cpp's mean KL may be from Fathom's. llama.cpp rounds activations to 8 bits
# where weights are quantized: as much as q8_0 itself does, little beside the other types.
ROUNDED = {"q4_k_m": 0.05, "q2_k": 0.05, "q8_0": 0.5}
# The same weights stored in F32 are computed with in F32. What is left is the file of the reference's
# log-probabilities, which has 16 bits for a range of 16 nats, and six digits in print.
DECODED = ["q4_k_m", "q2_k"]
RELATIVE_PRINTED, ABSOLUTE_PRINTED = 1e-4, 1e-4
CONTEXT = 128


def make_candidates(report, folder):
    """Name → GGUF file: the reference `f32`, quantized candidates, and those decoded to F32."""
    model = make_model("whole-blocks", folder)
    files = {name: folder / f"{name}.gguf" for name in ["f32", *ROUNDED]}
    for name, file in files.items():
        report.run("convert", model, file, "--to", "gguf", "--quant", name, "--mtp", "drop")
    for name in DECODED:
        decoded, file = folder / f"{name}-decoded", folder / f"{name}-decoded.gguf"
        report.run("convert", files[name], decoded, "--to", "hf", "--quant", "f32")
        # The peer takes the begin token from it.
        for part in ["tokenizer.json", "tokenizer_config.json"]:
            shutil.copy(model / part, decoded)
        report.run("convert", decoded, file, "--to", "gguf", "--quant", "f32")
        files[f"{name} in f32"] = file
    return files


def scored(reference, candidate, ids):
    """What llama-perplexity says, by torch: of each chunk's second half but its last position."""
    part = slice(CONTEXT // 2, CONTEXT - 1)
    kl = divergences(reference, candidate)[:, part]
    same = (reference.argmax(-1) == candidate.argmax(-1))[:, part]
    start = CONTEXT // 2
    perplexities = [perplexity(logits[:, start:], ids[:, start:], 1)
                    for logits in (reference, candidate)]
    return {"kl": float(kl.mean()), "klMax": float(kl.max()),
            "same": 100 * float(same.double().mean()), "perplexityBase": perplexities[0],
            "perplexity": perplexities[1], "ratio": perplexities[1] / perplexities[0],
            **statistics(reference, candidate, ids, 1, part)}


def check_perplexity_tool(report, folder):
    """`llama-perplexity --kl-divergence` on the same files and tokens.

    It cuts the text into chunks, puts the begin token in place of the first of each, and measures
    the second half of each but its last position.
    """
    files = make_candidates(report, folder)
    text, base = folder / "text.txt", folder / "base.kld"
    letters = "abcdefghijklmnopqrstuvwxyz ,."
    text.write_text("".join(letters[int(n) % 29] for n in make_tokens(50, (1, 700), 2813)[0]))
    tokens = folder / "chunks.json"
    ids = llama.perplexity_base(files["f32"], text, base, CONTEXT)
    tokens.write_text(json.dumps(ids))
    dumps = {}
    for name, file in files.items():
        output = folder / f"{name}.safetensors"
        report.run("logits", file, "--tokens", tokens, "-o", output)
        dumps[name] = load_file(str(output))["logits"]
    for name, file in files.items():
        if name == "f32":
            continue
        found = report.run_json("verify", files["f32"], file, "--tokens", tokens)["main"]
        if name in ROUNDED:
            compare(report, f"f32 and {name}",
                    measures(dumps["f32"], dumps[name], torch.tensor(ids), 1), found)
        own = scored(dumps["f32"], dumps[name], torch.tensor(ids))
        peer = llama.perplexity_statistics(file, base, CONTEXT)
        if name in ROUNDED:
            own, peer = {"kl": own["kl"]}, {"kl": peer["kl"]}
        for key in sorted(own.keys() & peer.keys()):
            value = own[key]
            tolerance = (ROUNDED[name] * value if name in ROUNDED
                         else RELATIVE_PRINTED * value + ABSOLUTE_PRINTED)
            report.check(f"f32 and {name}: llama-perplexity's {key}",
                         abs(value - peer[key]) <= tolerance,
                         f"llama.cpp {peer[key]:.6f}, fathom {value:.6f}")


def check_full_vocabulary(report, folder):
    """A baseline of 512 tokens of DeepSeek-V3's vocabulary is small, and as near as it says."""
    config = make_config(
        block=(32, 32), hidden_size=64, intermediate_size=64, moe_intermediate_size=32,
        num_hidden_layers=3, first_k_dense_replace=1, num_attention_heads=2, q_lora_rank=32,
        kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=32,
        n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=4)
    reference, candidate = folder / "full", folder / "full.gguf"
    # Steeper than chance, as a trained model's logits are.
    values = make_values(config, 61, {"lm_head": 3, "shared_head.head": 3})
    write_checkpoint(reference, config, store(config, values), shards=1)
    report.run("convert", reference, candidate, "--to", "gguf", "--quant", "q8_0")
    tokens, baseline = folder / "full.json", folder / "full.baseline"
    tokens.write_text(json.dumps(make_tokens(62, (1, 512), config["vocab_size"]).tolist()))
    report.run("verify", "--record", reference, "--tokens", tokens, "-o", baseline)
    size = baseline.stat().st_size
    report.check("a baseline of 512 tokens of 129,280 words is well under 1 MB", size < 600_000,
                 f"{size} bytes")
    exact = report.run_json("verify", reference, candidate, "--tokens", tokens)
    found = report.run_json("verify", baseline, candidate)
    for part in ("main", "mtp"):
        report.check(f"full vocabulary, {part}: the models differ", exact[part]["klMean"] > 1e-3)
        check_bounds(report, f"full vocabulary, {part}", exact[part], found[part])


def run(report, folder):
    """Pairs, thresholds, identity, llama-perplexity, a baseline of full size."""
    for name in PAIRS:
        report.attempt(name, check_pair, report, name, folder)
    report.attempt("thresholds", check_thresholds, report, folder)
    report.attempt("several", check_several, report, folder)
    report.attempt("identity", check_identity, report, folder)
    report.attempt("llama-perplexity", check_perplexity_tool, report, folder)
    report.attempt("full vocabulary", check_full_vocabulary, report, folder)
