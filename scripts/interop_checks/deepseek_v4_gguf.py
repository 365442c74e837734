"""DeepSeek-V4 as llama.cpp's `deepseek4`: whole files, logits, and the ways back."""

import json
import subprocess

import torch

from peers import deepseek_v4 as v4
from peers import llama
from peers.folder import read_checkpoint
from peers.tokenizer import write_tokenizer

from .compare import largest_difference, same_bits
from .gguf import compare, contents, differences
from .imatrix import BOUND, chunks_of, difference, entries, measure, write_text
from .networks import fresh
from .outputs import check_valid
from .report import CommandFailed

LARGEST_DIFFERENCE = 2e-4
# What llama.cpp's graph asks for: four streams, an indexer of 64 and more, ratios of 4 and 128.
SIZES = {
    "layer_types": [v4.SLIDING, v4.SPARSE, v4.HEAVY, v4.SPARSE], "num_hidden_layers": 4,
    "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 128}, "index_head_dim": 64, "head_dim": 64,
    "vocab_size": 320, "hidden_size": 256, "moe_intermediate_size": 256, "index_topk": 20,
}
# name → seed, what is special about the network, lengths of texts
MODELS = {
    "usual": (501, {"q_lora_rank": 64, "o_lora_rank": 128}, (1, 4, 9, 33, 140, 300)),
    # Rows that are no whole blocks, another window, sharper gates, more streams' steps.
    "odd rows": (502, {"sliding_window": 12, "swiglu_limit": 0.5, "hc_sinkhorn_iters": 3,
                       "o_groups": 4, "num_hash_layers": 0}, (12, 13, 257)),
    "no positions": (503, {"rope_scaling": None, "num_hash_layers": 3, "n_shared_experts": 1,
                           "routed_scaling_factor": 2.5}, (7, 130)),
}
FILE_TYPES = ("f16", "bf16", "q8_0", "q4_k_m", "q2_k", "q3_k_l", "iq4_xs", "q5_k_s", "q4_0", "tq2_0")
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def publish(name, folder, template=None):
    """(path, transformers' model with the numbers that it means, those numbers)."""
    seed, sizes, _ = MODELS[name]
    model = v4.make_model(seed, **{**SIZES, **sizes})
    predictors = [v4.make_predictor(seed + 50, model.config)]
    written, meant = v4.publish(v4.plain(model, predictors))
    v4.give(model, meant, predictors)
    path = v4.write(fresh(folder / f"v4-{name.replace(' ', '-')}"),
                    v4.published_config(model, predictors=1), written)
    write_tokenizer(path)
    if template:
        settings = json.loads((path / "tokenizer_config.json").read_text())
        (path / "tokenizer_config.json").write_text(
            json.dumps({**settings, "chat_template": template}))
    return path, model, meant


def told(report, *arguments, expect=0):
    """What Fathom says beside its results."""
    result = subprocess.run([report.fathom, *map(str, arguments)], capture_output=True, text=True,
                            timeout=600, check=False)
    if result.returncode != expect:
        raise CommandFailed(f"{arguments}: exit {result.returncode}: {result.stderr[-800:]}")
    return result.stderr


def run(report, folder):
    """All of it."""
    (folder / "v4-few.json").write_text("[[1, 2]]")
    for name in MODELS:
        report.attempt(f"{name} as GGUF", check_model, report, name, folder)
    report.attempt("V4 as GGUF: refusals", check_refusals, report, folder)
    report.attempt("V4 as GGUF: importance", check_importance, report, folder)


def check_model(report, name, folder):
    """One network in every way."""
    path, model, meant = publish(name, folder, TEMPLATE)
    found, expected = folder / "v4-found.gguf", folder / "v4-converter.gguf"
    report.run("convert", path, found, "--to", "gguf", "--overwrite")
    llama.convert_as_is(path, expected, "auto")
    words = differences(found, expected, orders=False)
    report.check(f"{name} → gguf: metadata, types and bytes are the converter's", not words,
                 "; ".join(words[:3]))
    experts = [key for key in contents(found)[1] if "_exps." in key]
    report.check(f"{name} → gguf: the experts are MXFP4", len(experts) == 12 and all(
        contents(found)[1][key][0] == "MXFP4" for key in experts))
    for which, file in (("ours", found), ("the converter's", expected)):
        check_valid(report, f"{name} → gguf, {which}", file)
    check_template(report, name, path, found, expected)
    check_layer(report, name, path, folder)
    plain = folder / "v4-f32.gguf"
    report.run("convert", path, plain, "--to", "gguf", "--quant", "f32", "--overwrite")
    check_valid(report, f"{name} → gguf f32", plain)
    check_logits(report, name, model, plain, folder)
    check_types(report, name, path, plain, expected, folder)
    check_back(report, name, path, plain, expected, meant, folder)


def check_template(report, name, path, found, expected):
    """Without a template of the model's own, llama.cpp's converter adds one of its own."""
    settings = json.loads((path / "tokenizer_config.json").read_text())
    del settings["chat_template"]
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    said = told(report, "convert", path, found, "--to", "gguf", "--overwrite")
    llama.convert_as_is(path, expected, "auto")
    words = differences(found, expected, orders=False)
    report.check(f"{name} → gguf without a template: it alone differs, and that is said",
                 len(words) == 1 and words[0].startswith("key tokenizer.chat_template: absent")
                 and "chat template" in said, "; ".join(words[:3]) + said[-200:])


def check_layer(report, name, path, folder):
    """The MTP layer, which llama.cpp has in a file of its own."""
    found, expected = folder / "v4-layer.gguf", folder / "v4-layer-converter.gguf"
    report.run("convert", path, found, "--to", "gguf", "--mtp", "only", "--overwrite")
    llama.convert_as_is(path, expected, "auto", "--mtp")
    words = [word for word in differences(found, expected, orders=False)
             if not word.startswith("key tokenizer.chat_template: absent")]
    report.check(f"{name} → gguf --mtp only: metadata, types and bytes are the converter's",
                 not words, "; ".join(words[:3]))
    for which, file in (("ours", found), ("the converter's", expected)):
        check_valid(report, f"{name} → gguf --mtp only, {which}", file)
    told(report, "logits", expected, "--tokens", folder / "v4-few.json", "-o",
         folder / "none.safetensors", expect=65)


def check_logits(report, name, model, plain, folder):
    """Fathom's pass and llama.cpp's over the F32 file, against transformers."""
    from .deepseek_v4 import draw_ids, found_logits

    worst, llamas = {}, {}
    for length in MODELS[name][2]:
        ids = draw_ids(length, model, length)[:1]
        expected = v4.logits_of(model, ids)
        worst[length] = largest_difference(
            expected, found_logits(report, plain, ids, folder)["logits"])
        llamas[length] = largest_difference(
            expected[0], torch.from_numpy(llama.logits(plain, ids[0].tolist(), folder)))
    for who, values in (("Fathom", worst), ("llama.cpp", llamas)):
        place = max(values, key=values.get)
        report.check(f"{name} → gguf f32: {who} computes transformers' logits, "
                     f"{len(values)} lengths", values[place] < LARGEST_DIFFERENCE,
                     f"largest difference {values[place]:.1e}, {place} tokens")


def check_types(report, name, path, plain, converters, folder):
    """File types: what llama-quantize makes of the F32 file, byte for byte."""
    found, expected = folder / "v4-type.gguf", folder / "v4-quantized.gguf"
    for file_type in FILE_TYPES if name == "usual" else ("q4_k_m", "iq4_xs"):
        report.run("convert", path, found, "--to", "gguf", "--quant", file_type, "--overwrite")
        llama.quantize(plain, expected, file_type)
        compare(report, f"{name} → gguf {file_type}", found, expected)
    report.run("convert", path, found, "--to", "gguf", "--quant", "mxfp4_moe", "--overwrite")
    llama.quantize(plain, expected, "mxfp4_moe")
    (_, ours), (_, theirs) = contents(found), contents(expected)
    types = {key: value[0] for key, value in ours.items()}
    report.check(f"{name} → gguf mxfp4_moe: types are llama-quantize's, experts carried",
                 types == {key: value[0] for key, value in theirs.items()}
                 and all(value[2] == contents(converters)[1][key][2]
                         for key, value in ours.items() if "_exps." in key))
    report.run("convert", converters, found, "--to", "gguf", "--quant", "q4_k_m",
               "--allow-requantize", "--overwrite")
    llama.quantize(converters, expected, "q4_k_m", "--allow-requantize")
    compare(report, f"{name}, the converter's file → gguf q4_k_m", found, expected)


def check_back(report, name, path, plain, converters, meant, folder):
    """To Hugging Face's form again, and measured against the model."""
    output = fresh(folder / "v4-back")
    report.run("convert", plain, output, "--to", "hf", "--quant", "f32")
    _, tensors = read_checkpoint(output)
    wanted = {key: value for key, value in meant.items() if not key.startswith("mtp.")}
    differing = [key for key in wanted if key not in tensors
                 or not same_bits(tensors[key].to(wanted[key].dtype), wanted[key])]
    report.check(f"{name} → gguf f32 → hf: every tensor as it was",
                 not differing and tensors.keys() == wanted.keys(),
                 ", ".join(differing[:3] or sorted(tensors.keys() ^ wanted.keys())[:3]))
    check_valid(report, f"{name} → gguf f32 → hf", output)
    text = folder / "v4-ids.json"
    text.write_text(json.dumps([list(range(3, 60))]))
    verdict = report.run_json("verify", path, plain, "--tokens", text, "--mtp", "drop")
    report.check(f"{name}: verify of gguf f32", verdict["main"]["klMax"] < 1e-6,
                 str(verdict["main"]["klMax"]))
    verdict = report.run_json("verify", path, converters, "--tokens", text, "--mtp", "drop",
                              "--isolate", "--blame")
    report.check(f"{name}: verify of the converter's file, by layers and parts",
                 0 < verdict["main"]["klMean"] < 0.1 and "blame" in verdict,
                 f"KL {verdict['main']['klMean']:.1e}, {sorted(verdict)}")


def check_refusals(report, folder):
    """What llama.cpp's files cannot say, and what it computes otherwise."""
    model = v4.make_model(511, **{**SIZES, "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 16}})
    path = fresh(folder / "v4-refused")
    model.save_pretrained(path)
    output = folder / "v4-none.gguf"
    said = told(report, "convert", path, output, "--to", "gguf", "--quant", "q8_0", expect=64)
    report.check("other ratios are refused", "16 in layer 2" in said, said[-200:])
    model = v4.make_model(512, **{**SIZES, "hc_mult": 2, "index_head_dim": 48})
    path = fresh(folder / "v4-refused")
    model.save_pretrained(path)
    said = told(report, "convert", path, output, "--to", "gguf", "--quant", "q8_0",
                      "--overwrite")
    report.check("what llama.cpp's loader stops at is said",
                 "4 residual streams" in said and "index_head_dim" in said, said[-300:])
    said = told(report, "convert", path, output, "--to", "gguf", "--overwrite", expect=64)
    report.check("without --quant only published checkpoints are taken", "published" in said,
                 said[-200:])


def check_importance(report, folder):
    """llama-imatrix's numbers, and what llama-quantize makes of them.

    It sums what the first half of the output is multiplied with for each group of heads, and
    llama-quantize, in whose file that is one matrix, refuses the result; Fathom has one sum for all
    groups.
    """
    path, _, _ = publish("usual", folder, TEMPLATE)
    text = write_text(folder / "v4-text.txt", 3)
    plain, theirs, ours = (folder / f"v4-{part}.gguf" for part in ("f32", "theirs", "ours"))
    report.run("convert", path, plain, "--to", "gguf", "--quant", "f32", "--overwrite")
    measure(plain, text, theirs, "--process-output")
    tokens = folder / "v4-tokens.json"
    tokens.write_text(json.dumps(chunks_of(path, plain, text)))
    expected = entries(theirs)
    groups = json.loads((path / "config.json").read_text())["o_groups"]
    for source in (path, plain):
        report.run("imatrix", source, "--tokens", tokens, "-o", ours, "--process-output",
                   "--overwrite")
        found = entries(ours)
        report.check(f"importance ({source.name}): llama-imatrix's {len(expected)} tensors",
                     found.keys() == expected.keys(), str(sorted(found.keys() ^ expected.keys())[:4]))
        wrong = {}
        for name, (sums, counts) in expected.items():
            if name.endswith("attn_output_a.weight"):
                sums, counts = sums.reshape(groups, -1).sum(0), counts * groups
            if counts.flatten().tolist() != found[name][1].flatten().tolist():
                wrong[name] = float("inf")
            else:
                wrong[name] = difference(found[name][0].flatten(), sums.flatten())
        worst = max(wrong, key=wrong.get)
        report.check(f"importance ({source.name}): counts and sums", wrong[worst] < BOUND,
                     f"{wrong[worst]:.1e} in {worst}")
    mixed, quantized = folder / "v4-mixed.gguf", folder / "v4-quantized.gguf"
    try:
        llama.quantize(plain, quantized, "q4_k_m", "--imatrix", theirs)
        report.check("llama-quantize refuses llama-imatrix's matrix", False)
    except llama.PeerRefused as refusal:
        report.check("llama-quantize refuses llama-imatrix's matrix",
                     "attn_output_a" in str(refusal), str(refusal)[-90:])
    report.run("convert", path, mixed, "--to", "gguf", "--quant", "q4_k_m", "--imatrix", theirs,
               "--overwrite")
    report.run("convert", path, quantized, "--to", "gguf", "--quant", "q4_k_m", "--imatrix", ours,
               "--overwrite")
    verdict = report.run_json("verify", mixed, quantized, "--tokens", tokens, "--max-tokens", 200)
    report.check("Fathom takes the mean of its groups", verdict["main"]["klMax"] < 1e-6,
                 f"KL to the file of our matrix at most {verdict['main']['klMax']:.1e}")
    for file_type in ("q4_k_m", "iq3_s", "iq4_xs"):
        report.run("convert", path, mixed, "--to", "gguf", "--quant", file_type, "--imatrix", ours,
                   "--overwrite")
        llama.quantize(plain, quantized, file_type, "--imatrix", ours)
        compare(report, f"{file_type} with our matrix", mixed, quantized)
