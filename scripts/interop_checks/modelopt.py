"""`fathom convert --to modelopt`, against ModelOpt's own quantizer and transformers on what it
restores."""

import json

import torch
from safetensors.torch import load_file

from makers.samples import SAMPLES
from peers import modelopt, oracle
from peers.folder import read_checkpoint

from .compressed import make_source
from .forward import check_outputs
from .outputs import check_folder, check_tensors, check_valid

IDS = torch.tensor([[3, 17, 200, 5, 88, 141, 19, 7, 64, 250, 1, 33]])


def check_written(report, path, quant, folder):
    """Codes and scales are ModelOpt's own, and so are the logits of what it makes of them."""
    name, output = f"{path.name} → {quant}", folder / f"{path.name}-{quant}"
    report.run("convert", path, output, "--to", "modelopt", "--quant", quant)
    config, stored = read_checkpoint(path)
    settings = json.loads((output / "hf_quant_config.json").read_text())["quantization"]
    expected = modelopt.compress_all(config, stored, settings["exclude_modules"])
    found = check_tensors(report, name, output, expected)
    section = found["quantization_config"]
    report.check(f"{name}: both places say the same",
                 section["ignore"] == settings["exclude_modules"]
                 and section["quant_algo"] == settings["quant_algo"] == "W4A16_NVFP4")
    check_folder(report, name, path, output)
    check_valid(report, name, output)
    plain = modelopt.decompress_all(read_checkpoint(output)[1])
    logits = oracle.outputs_of(oracle.load_from_stored(config, plain), IDS)
    tokens, own = folder / "tokens.json", folder / f"{path.name}-{quant}.safetensors"
    tokens.write_text(json.dumps(IDS.tolist()))
    report.run("logits", output, "--tokens", tokens, "-o", own)
    check_outputs(report, name, logits, load_file(str(own)))


def check_kept(report, path, folder):
    """Without --quant nothing changes, but that what another program stores becomes ModelOpt's."""
    output = folder / f"{path.name}-kept"
    report.run("convert", path, output, "--to", "modelopt")
    config, stored = read_checkpoint(path)
    found = check_tensors(report, f"{path.name} kept", output, stored)
    report.check(f"{path.name} kept: config.json is the same", found == config)


def run(report, folder):
    """Networks with an MTP layer and without, in BF16 and F32, with rows that fill no groups."""
    plain = make_source(folder, "plain", num_nextn_predict_layers=1)
    narrow = make_source(folder, "narrow", num_nextn_predict_layers=0, torch_dtype="float32",
                         kv_lora_rank=72, moe_intermediate_size=40, q_lora_rank=None)
    for path, quants in ((plain, ("nvfp4", "nvfp4-experts")), (narrow, ("nvfp4",)),
                         (SAMPLES / "tiny-bf16", ("nvfp4",))):
        for quant in quants:
            report.attempt(f"{path.name} → {quant}", check_written, report, path, quant, folder)
    report.attempt("kept", check_kept, report, folder / "plain-nvfp4", folder)
