"""A small DeepSeek-V4 in the published form, its logits, and what llama.cpp makes of it.

Logits are those that transformers computes from the numbers that it means, and of its MTP layer by
DeepSeek's definition.

    scripts/make v4-fixtures

`gguf-v4.json` has the metadata of the file of llama.cpp's converter, and a row for each tensor: type,
extents with the row first, the beginning of the SHA-256 of its bytes; of the file of its MTP layer
the same under `mtp`. `requantized` has the tensors that llama-quantize makes of the first as Q4_K_M.
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from peers import convert_to_gguf, llama
from peers import deepseek_v4 as v4

TESTS = Path(__file__).parent.parent.parent / "Tests"
FOLDER = TESTS / "ReferenceTests/Fixtures/deepseek-v4"
RECORD = TESTS / "ConversionTests/Fixtures/gguf-v4.json"
SIZES = {
    "vocab_size": 32, "hidden_size": 32, "moe_intermediate_size": 32, "num_hidden_layers": 3,
    "num_attention_heads": 2, "head_dim": 16, "qk_rope_head_dim": 4, "q_lora_rank": 16,
    "n_routed_experts": 3, "num_hash_layers": 1, "o_lora_rank": 8, "index_head_dim": 8,
    "index_topk": 6, "index_n_heads": 16, "hc_mult": 2,
    "layer_types": [v4.SLIDING, v4.SPARSE, v4.HEAVY],
    "compress_rates": {v4.SPARSE: 4, v4.HEAVY: 128},
}


def main():
    """Writes the folder."""
    torch.set_num_threads(1)
    model = v4.make_model(71, **SIZES)
    predictors = [v4.make_predictor(72, model.config)]
    written, meant = v4.publish(v4.plain(model, predictors))
    v4.give(model, meant, predictors)
    v4.write(FOLDER, v4.published_config(model, predictors=1), written)
    ids = torch.randint(0, 32, (1, 134), generator=torch.Generator().manual_seed(73))
    save_file({"input_ids": ids, "logits": v4.logits_of(model, ids),
               "mtp_logits": v4.predict(model, predictors[0], ids)},
              str(FOLDER / "expected.safetensors"))
    RECORD.write_text(json.dumps(record(), indent=1) + "\n")


def digits(data):
    """The beginning of a SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def converted(converter, output, *options):
    """llama.cpp's converter, which adds no tokenizer and no chat template: there are none."""
    if os.fork() == 0:
        sys.argv = ["convert", str(FOLDER), "--outfile", str(output), "--outtype", "auto", *options]
        converter()
        os._exit(0)
    assert os.wait()[1] == 0


def listed(path):
    """What a file holds."""
    from gguf import GGUFReader

    reader = GGUFReader(str(path))
    return {
        "metadata": {key: field.contents() for key, field in reader.fields.items()
                     if not key.startswith("GGUF.")},
        "tensors": {tensor.name: " ".join([
            tensor.tensor_type.name, "x".join(map(str, map(int, tensor.shape))),
            digits(tensor.data.tobytes())]) for tensor in reader.tensors},
    }


def record():
    """What llama.cpp makes of the checkpoint."""
    converter = convert_to_gguf.load(llama.ROOT / "src")
    from conversion import deepseek
    import gguf

    deepseek.DeepseekV4Model.set_vocab = lambda model: model.gguf_writer.add_tokenizer_model("none")
    gguf.GGUFWriter.add_chat_template = lambda *_: None
    with tempfile.TemporaryDirectory() as folder:
        whole, layer, mixed = (Path(folder) / f"{name}.gguf" for name in ("whole", "mtp", "mixed"))
        converted(converter, whole)
        converted(converter, layer, "--mtp")
        llama.quantize(whole, mixed, "q4_k_m", "--allow-requantize")
        return {**listed(whole), "mtp": listed(layer), "requantized": listed(mixed)["tensors"]}


if __name__ == "__main__":
    main()
