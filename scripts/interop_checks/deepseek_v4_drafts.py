"""What DeepSeek-V4's MTP layer drafts from a GGUF file of its own, and FP4 on the way out and back."""

import json

import torch

from peers import deepseek_v4 as v4
from peers import llama
from peers.folder import read_checkpoint
from peers.tokenizer import write_tokenizer

from .compare import largest_difference, same_bits
from .deepseek_v4_gguf import LARGEST_DIFFERENCE, MODELS, SIZES
from .networks import fresh
from .outputs import check_valid

# llama.cpp's predictor ends in a division by zero where heads are as wide as the indexer's, as they
# are in no published model.
WIDTHS = {"head_dim": 128, "qk_rope_head_dim": 16}
LENGTHS = (2, 9, 33, 140, 300)


def publish(name, folder):
    """(path, model, predictor, tensors as they are stored)."""
    seed, sizes, _ = MODELS[name]
    model = v4.make_model(seed, **{**SIZES, **sizes, **WIDTHS})
    predictors = [v4.make_predictor(seed + 50, model.config)]
    written, meant = v4.publish(v4.plain(model, predictors))
    v4.give(model, meant, predictors)
    path = v4.write(fresh(folder / "v4-drafts"), v4.published_config(model, predictors=1), written)
    write_tokenizer(path)
    return path, model, predictors[0], written


def run(report, folder):
    """Every network."""
    for name in MODELS:
        path, model, predictor, written = publish(name, folder)
        report.attempt(f"{name}: drafts", check_drafts, report, name, path, model, predictor, folder)
        report.attempt(f"{name}: FP4", check_fp4, report, name, path, model, written, folder)


def check_drafts(report, name, path, model, predictor, folder):
    """llama.cpp's graph of the layer, beside DeepSeek's definition by transformers' modules."""
    whole, layer = folder / "v4-drafts.gguf", folder / "v4-drafts-mtp.gguf"
    for output, flags in ((whole, []), (layer, ["--mtp", "only"])):
        report.run("convert", path, output, "--to", "gguf", "--quant", "f32", "--overwrite", *flags)
    worst = {}
    for length in LENGTHS:
        generator = torch.Generator().manual_seed(length)
        ids = torch.randint(0, model.config.vocab_size, (1, length), generator=generator)
        found = torch.from_numpy(llama.drafts(whole, layer, ids[0].tolist(), folder))
        worst[length] = largest_difference(v4.predict(model, predictor, ids)[0], found)
    place = max(worst, key=worst.get)
    report.check(f"{name} → gguf f32, --mtp only: llama.cpp drafts as DeepSeek defines it, "
                 f"{len(worst)} lengths", worst[place] < LARGEST_DIFFERENCE,
                 f"largest difference {worst[place]:.1e}, {place} tokens")


def check_fp4(report, name, path, model, written, folder):
    """llama.cpp's file and Fathom's back to Hugging Face's form with nothing asked for: experts keep
    their bits, nothing is rounded, and transformers computes from it what Fathom does."""
    file, back = folder / "v4-fp4.gguf", fresh(folder / "v4-fp4-back")
    llama.convert_as_is(path, file, "auto")
    report.run("convert", file, back, "--to", "hf")
    check_valid(report, f"{name}, the converter's file → hf", back)
    _, tensors = read_checkpoint(back)
    experts = [key for key in written if ".experts." in key and not key.startswith("mtp.")]
    differing = [key for key in experts if not same_bits(tensors[key], written[key])]
    report.check(f"{name}, the converter's file → hf: {len(experts)} codes and scales of FP4 as they "
                 "were", experts and not differing, ", ".join(differing[:3]))
    tokens = folder / "v4-fp4-ids.json"
    tokens.write_text(json.dumps([list(range(3, 60))]))
    verdict = report.run_json("verify", file, back, "--tokens", tokens)
    report.check(f"{name}, the converter's file → hf: the same numbers",
                 verdict["main"]["klMax"] == 0, str(verdict["main"]["klMax"]))
    from .deepseek_v4 import found_logits

    ids = torch.tensor([list(range(3, 60))])
    worst = largest_difference(v4.logits_of(v4.load(back), ids),
                               found_logits(report, back, ids, folder)["logits"])
    report.check(f"{name}, the converter's file → hf: transformers loads it and agrees",
                 worst < LARGEST_DIFFERENCE, f"largest difference {worst:.1e}")
