"""Types of DeepSeek-V4's tensors chosen by measurement, and what llama-quantize makes of the choice."""

import json
import re

from peers import llama

from .deepseek_v4_gguf import TEMPLATE, publish
from .gguf import contents
from .imatrix import chunks_of, measure, write_text

# For a loss and for sizes, the last with the weights of llama-imatrix: (options, types that must be
# among the chosen ones).
SEARCHES = [
    (["--max-kl", 0.01], {"MXFP4"}),
    (["--bpw", 4, "--types", "q3_k,q4_k,q8_0"], {"Q3_K"}),
    (["--bpw", 3.6, "--types", "iq2_s,iq3_s,q4_k", "--imatrix"], {"IQ3_S"}),
]


def run(report, folder):
    """Every search, beside one F32 file, one of the converter's and one importance matrix."""
    path, _, _ = publish("usual", folder, TEMPLATE)
    plain, converters, matrix = (
        folder / f"v4-recipe-{part}.gguf" for part in ("f32", "converters", "matrix"))
    report.run("convert", path, plain, "--to", "gguf", "--quant", "f32")
    llama.convert_as_is(path, converters, "auto")
    text = write_text(folder / "v4-recipe.txt", 3)
    measure(plain, text, matrix, "--process-output")
    tokens = folder / "v4-recipe-tokens.json"
    tokens.write_text(json.dumps(chunks_of(path, plain, text)))
    for options, wanted in SEARCHES:
        options = options + [matrix] * (options[-1] == "--imatrix")
        report.attempt(f"recipe {options[1]}", check, report, path, plain, converters, tokens,
                       options, wanted, folder)


def check(report, path, plain, converters, tokens, options, wanted, folder):
    """Fathom's file by a recipe is llama-quantize's by the same types, but for experts that are
    carried, whose blocks are the converter's; and it loses what the recipe says."""
    name = f"recipe, {options[0]} {options[1]}"
    recipe, ours, theirs = (folder / f"v4-recipe-{part}" for part in ("r.json", "o.gguf", "t.gguf"))
    report.run("recipe", path, *options, "--tokens", tokens, "--groups", 8, "-o", recipe,
               "--overwrite")
    chosen = json.loads(recipe.read_text())
    matrix = options[-2:] if "--imatrix" in options else []
    report.run("convert", path, ours, "--to", "gguf", "--recipe", recipe, "--overwrite", *matrix)
    fields, tensors = contents(ours)
    types = {rule["match"]: rule["type"].upper() for rule in chosen["rules"]}
    report.check(f"{name}: types that fit its size", wanted <= set(types.values()),
                 str(sorted(set(types.values()))))
    flags = [flag for key, kind in types.items()
             for flag in ("--tensor-type", f"^{re.escape(key)}$={kind.lower()}")]
    # llama-quantize refuses llama-imatrix's groups of one matrix; what Fathom makes of a matrix is held
    # to it elsewhere.
    if not matrix:
        llama.quantize(plain, theirs, chosen["default"], *flags)
        expected = contents(theirs)
        carried = {key for key, kind in types.items() if kind == "MXFP4"}
        wrong = [key for key in expected[1] if key not in carried
                 and tensors.get(key) != expected[1][key]]
        report.check(f"{name}: tensors are llama-quantize's of the same types, metadata too",
                     not wrong and fields == expected[0] and tensors.keys() == expected[1].keys(),
                     ", ".join(wrong[:3]))
        blocks = contents(converters)[1]
        report.check(f"{name}: {len(carried)} stacks of experts in MXFP4 are the converter's",
                     all(tensors[key] == blocks[key] for key in carried))
    verdict = report.run_json("verify", path, ours, "--tokens", tokens, "--mtp", "drop")
    said, found = chosen["evidence"]["klMeasured"], verdict["main"]["klMean"]
    report.check(f"{name}: the file has its size and loses what it says",
                 verdict["main"]["sizeBytes"] == chosen["evidence"]["bytes"]
                 and abs(said - found) <= 1e-3 * said, f"{said:.3e} and {found:.3e}")
