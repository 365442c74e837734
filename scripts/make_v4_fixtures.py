"""Writes the fixture of DeepSeek-V4: a small checkpoint in the published form, with the logits that
transformers computes from the numbers that it means, and of its MTP layer by DeepSeek's definition.

    python scripts/make_v4_fixtures.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from peers import deepseek_v4 as v4

FOLDER = Path(__file__).parent.parent / "Tests/ReferenceTests/Fixtures/deepseek-v4"
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


if __name__ == "__main__":
    main()
