"""Writes Samples/: small checkpoints of DeepSeek-V3 and its relatives, with transformers' logits.

    scripts/make samples [NAME …]

Weights are seeded and do not depend on the machine; logits may differ in their last bits between
processors, because torch chooses its kernels by what the processor can do.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from peers import compressed, mistral
from peers.families import (
    AXK1, GLM5, GLM52, GLM_LITE, V2, V2_LITE, V32, YOUTU, make_family, make_kimi_k25, make_mistral3,
    make_mistral4,
)
from peers.folder import read_checkpoint, store, write_checkpoint, write_json
from peers.network import DEEPSEEK_V3, make_config, text_of
from peers.oracle import (
    indexer_margins, load_from_stored, outputs_of, router_margins, saved_config,
)
from peers.tokenizer import special_of, write_tokenizer
from peers.values import make_values

SAMPLES = Path(__file__).resolve().parent.parent.parent / "Samples"
# The one that is trained, by makers.trained, and has no row below.
TRAINED = "tiny-trained"

YARN_0707 = {**DEEPSEEK_V3["rope_scaling"], "mscale": 0.707, "mscale_all_dim": 0.707}

# Sizes differ everywhere, so that no two dimensions agree by accident.
SIZES = dict(
    vocab_size=288, hidden_size=136, intermediate_size=152, moe_intermediate_size=24,
    num_hidden_layers=2, first_k_dense_replace=1, num_attention_heads=4, q_lora_rank=56,
    kv_lora_rank=48, qk_nope_head_dim=24, qk_rope_head_dim=16, v_head_dim=20,
    n_routed_experts=8, n_group=2, topk_group=1, num_experts_per_tok=3, n_shared_experts=1,
)


def sizes(**overrides):
    """The common small sizes with some changed."""
    return {**SIZES, **overrides}


SMALL_LATENTS = {"q_a_proj": 0.02, "kv_a_proj_with_mqa": 0.02}

FP8_POWERS = {**DEEPSEEK_V3["quantization_config"], "scale_fmt": "ue8m0"}

POWERS_OF_TWO = make_config(
    block=(128, 128), scale_fmt="ue8m0", num_nextn_predict_layers=0, **sizes())

# In a random network a layer changes the stream as much as all before it, and a router whose scores
# are close flips an expert when weights are rounded. Trained networks are calmer; so is this one.
CALM = {"down_proj": 0.3, "e_score_correction_bias": 3}

# As Mistral-Large-3 has YaRN: sines, cosines and the softmax are not scaled.
FREQUENCIES_ALONE = {"attention_factor": 1.0, "mscale": 0.0, "mscale_all_dim": 0.0, "factor": 36.0}

# Kimi-K2-Thinking in small: routed experts in INT4, all else in BF16, shapes in 32 bits.
INT4_EXPERTS = {"scheme": compressed.SCHEMES["int4-g32"], "ignored": compressed.EXPERTS_ONLY,
                "shape_type": torch.int32}
# Kimi-K2.5 in small: the same of its text network.
INT4_TEXT_EXPERTS = {**INT4_EXPERTS, "ignored": compressed.TEXT_EXPERTS_ONLY}
# Every scheme of compressed-tensors that is read, each for some modules.
MIXED = {"groups": compressed.MIXED_GROUPS}

# name → seed, shards, tokens (batch, length), configuration; scales are F32 unless said.
SAMPLE_TABLE = {
    "tiny-fp8": dict(seed=1, shards=3, tokens=(2, 24), gains=CALM, config=make_config(
        block=(128, 128), **sizes(
            moe_intermediate_size=16, num_hidden_layers=4, q_lora_rank=72, kv_lora_rank=132,
            n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=4))),
    "tiny-fp8-block32": dict(seed=2, shards=4, tokens=(1, 24), config=make_config(
        block=(32, 64), **sizes(
            hidden_size=72, moe_intermediate_size=40, num_attention_heads=6, q_lora_rank=80,
            kv_lora_rank=56, qk_nope_head_dim=20, qk_rope_head_dim=8, v_head_dim=28,
            n_group=1, topk_group=1, num_experts_per_tok=2))),
    "tiny-bf16": dict(seed=3, shards=1, tokens=(2, 20), config=make_config(
        rope_scaling=YARN_0707, **sizes(hidden_size=80, num_hidden_layers=3))),
    "tiny-no-qlora": dict(seed=4, shards=2, tokens=(3, 12), config=make_config(
        rope_scaling=None, num_nextn_predict_layers=0, **sizes(
            hidden_size=40, num_hidden_layers=3, num_attention_heads=5, q_lora_rank=None,
            v_head_dim=32))),
    # Small latents make it visible which epsilon their norms use.
    "tiny-mtp2": dict(seed=5, shards=2, tokens=(2, 12), gains=SMALL_LATENTS, config=make_config(
        block=(64, 64), num_nextn_predict_layers=2, rms_norm_eps=1e-5,
        **sizes(hidden_size=68, intermediate_size=104, num_hidden_layers=3,
                first_k_dense_replace=2))),
    "tiny-ue8m0": dict(seed=6, shards=2, tokens=(1, 24), config=POWERS_OF_TWO),
    "tiny-e8m0": dict(
        seed=6, shards=1, tokens=(1, 24), config=POWERS_OF_TWO,
        scale_type=torch.float8_e8m0fnu),
    "tiny-int4": dict(seed=9, shards=2, tokens=(2, 20), compress=INT4_EXPERTS, config=make_config(
        model_type="kimi_k2", num_nextn_predict_layers=0, **sizes(
            hidden_size=64, moe_intermediate_size=32, n_group=1, topk_group=1))),
    "tiny-mixed": dict(seed=10, shards=1, tokens=(1, 24), compress=MIXED, config=make_config(
        num_nextn_predict_layers=0, **sizes(
            hidden_size=64, intermediate_size=96, moe_intermediate_size=64, q_lora_rank=64,
            kv_lora_rank=64, qk_nope_head_dim=32, v_head_dim=32, num_attention_heads=2,
            n_routed_experts=6))),
    # Every size that DeepSeek's own shards divide is eight times a block or more.
    "tiny-eighths": dict(seed=9, shards=2, tokens=(1, 24), config=make_config(
        block=(16, 16), **sizes(
            hidden_size=40, intermediate_size=128, moe_intermediate_size=64, n_shared_experts=2,
            num_attention_heads=8, q_lora_rank=40, kv_lora_rank=40, qk_nope_head_dim=16,
            v_head_dim=16))),
    "tiny-tied": dict(seed=8, shards=1, tokens=(2, 16), config=make_config(
        tie_word_embeddings=True, norm_topk_prob=False, torch_dtype="float32",
        **sizes(hidden_size=64, intermediate_size=88, moe_intermediate_size=16, q_lora_rank=32,
                n_shared_experts=2))),
    # Values are wider than keys, as in GLM-4.7-Flash.
    "tiny-glm-lite": dict(seed=11, shards=2, tokens=(1, 18), gains=SMALL_LATENTS,
                          config=make_family(GLM_LITE, **sizes(
        hidden_size=44, intermediate_size=84, moe_intermediate_size=16, num_attention_heads=2,
        q_lora_rank=40, kv_lora_rank=36, qk_nope_head_dim=20, qk_rope_head_dim=12, v_head_dim=28,
        n_routed_experts=6, n_group=1, topk_group=1))),
    "tiny-kimi-k25": dict(seed=12, shards=2, tokens=(2, 20), compress=INT4_TEXT_EXPERTS,
                          config=make_kimi_k25(**sizes(
        hidden_size=64, intermediate_size=104, moe_intermediate_size=32, num_attention_heads=3,
        q_lora_rank=44, kv_lora_rank=36, qk_nope_head_dim=18, qk_rope_head_dim=12,
        n_group=1, topk_group=1))),
    "tiny-v2-lite": dict(seed=13, shards=2, tokens=(2, 21), gains=CALM, config=make_family(
        V2_LITE, **sizes(
            hidden_size=42, intermediate_size=92, moe_intermediate_size=14, num_hidden_layers=3,
            num_attention_heads=3, q_lora_rank=None, kv_lora_rank=36, qk_nope_head_dim=26,
            n_group=1, topk_group=1, n_shared_experts=2))),
    # The best expert of a group decides, and its weight is multiplied by 16.
    "tiny-v2": dict(seed=14, shards=3, tokens=(2, 18), gains=CALM, config=make_family(V2, **sizes(
        hidden_size=40, intermediate_size=100, moe_intermediate_size=14, num_attention_heads=4,
        q_lora_rank=44, kv_lora_rank=32, qk_nope_head_dim=18, n_routed_experts=12, n_group=4,
        topk_group=2, num_experts_per_tok=5, n_shared_experts=2))),
    "tiny-youtu": dict(seed=15, shards=1, tokens=(2, 22), gains=SMALL_LATENTS, config=make_family(
        YOUTU, vocab_size=288, hidden_size=68, intermediate_size=116, num_hidden_layers=3,
        num_attention_heads=3, q_lora_rank=52, kv_lora_rank=44, qk_nope_head_dim=22,
        qk_rope_head_dim=12, v_head_dim=26)),
    # Queries see 7 of up to 40 keys. Many heads: with few the scores of some keys are all 0.
    "tiny-v32": dict(seed=17, shards=2, tokens=(1, 40), gains=CALM, config=make_family(
        V32, quantization_config=FP8_POWERS, **sizes(
            hidden_size=48, intermediate_size=72, moe_intermediate_size=16, num_hidden_layers=3,
            num_attention_heads=3, n_routed_experts=6, n_group=1, topk_group=1, q_lora_rank=40, kv_lora_rank=40, qk_nope_head_dim=20,
            qk_rope_head_dim=12, v_head_dim=24, index_n_heads=32, index_head_dim=16,
            index_topk=7))),
    # Every layer chooses by itself, as in GLM-5 and 5.1.
    "tiny-glm5": dict(seed=18, shards=1, tokens=(2, 33), gains=CALM, config=make_family(
        GLM5, **sizes(
            hidden_size=56, intermediate_size=84, moe_intermediate_size=16, num_attention_heads=2,
            q_lora_rank=40, kv_lora_rank=36, qk_nope_head_dim=20, qk_rope_head_dim=12,
            v_head_dim=28, n_routed_experts=6, n_group=1, topk_group=1, index_n_heads=36,
            index_head_dim=20, index_topk=6, num_nextn_predict_layers=0))),
    # GLM-5.2: most layers take over the keys of one before them; an MTP layer without copies.
    "tiny-glm52": dict(seed=19, shards=1, tokens=(1, 37), gains=CALM, config=make_family(
        GLM52, **sizes(
            hidden_size=56, intermediate_size=84, moe_intermediate_size=16, num_hidden_layers=6,
            num_attention_heads=2, q_lora_rank=40, kv_lora_rank=36, qk_nope_head_dim=20,
            qk_rope_head_dim=12, v_head_dim=28, n_routed_experts=4, n_group=1, topk_group=1,
            num_experts_per_tok=2, index_n_heads=32, index_head_dim=16, index_topk=5,
            index_topk_freq=2, index_skip_topk_offset=2,
            indexer_types=["full", "full", "shared", "full", "shared", "shared"]))),
    # Mistral-Small-4: queries are scaled from position 5 on, experts stand in stacks.
    "tiny-mistral4": dict(seed=20, shards=1, tokens=(1, 13), gains=CALM, config=make_mistral3(
        original=5, vocab_size=288, hidden_size=20, intermediate_size=40, moe_intermediate_size=10,
        num_hidden_layers=2, num_attention_heads=2, q_lora_rank=14, kv_lora_rank=12,
        qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=9, n_routed_experts=4,
        num_experts_per_tok=2)),
    # Mistral-Large-3 in Mistral's own form: YaRN that changes frequencies alone.
    "mistral-large3": dict(seed=21, shards=1, tokens=(1, 13), gains=CALM, own_form=True,
                           config=make_mistral4(
        original=5, vocab_size=128, hidden_size=16, intermediate_size=28, moe_intermediate_size=6,
        num_hidden_layers=2, first_k_dense_replace=1, num_attention_heads=2, q_lora_rank=14,
        kv_lora_rank=12, qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=9,
        n_routed_experts=4, num_experts_per_tok=2, rope_parameters=FREQUENCIES_ALONE)),
    # A.X-K1: what the experts give is normed. Too small a vocabulary for a tokenizer.
    "axk1": dict(seed=22, shards=1, tokens=(1, 11), plain_text=True, config=make_family(
        AXK1, vocab_size=96, hidden_size=16, intermediate_size=28, moe_intermediate_size=6,
        num_hidden_layers=2, num_attention_heads=2, q_lora_rank=14, kv_lora_rank=12,
        qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=9, n_routed_experts=6, n_group=3,
        topk_group=2, num_experts_per_tok=2)),
    # DeepSeek-V3 with the configuration that transformers 5 saves.
    "tiny-v5": dict(seed=16, shards=1, tokens=(1, 23), config=saved_config(make_config(
        num_nextn_predict_layers=0, rope_scaling=YARN_0707, **sizes(
            hidden_size=44, intermediate_size=84, moe_intermediate_size=18, num_attention_heads=3,
            q_lora_rank=48, kv_lora_rank=40, qk_nope_head_dim=22)))),
}


def make_tokens(seed, shape, vocab_size):
    """Seeded token ids; the first of each row is the begin token, as in real use."""
    ids = np.random.default_rng([seed, 1]).integers(2, vocab_size, shape)
    ids[:, 0] = 0
    return torch.from_numpy(ids)


def make_stored(row):
    """(config, tensors) of a row of the table."""
    config = row["config"]
    stored = store(config, make_values(config, row["seed"], row.get("gains")),
                   row.get("scale_type", torch.float32))
    if "compress" in row:
        return compressed.compress_all(config, stored, **row["compress"])
    return config, stored


def make_sample(name):
    """One folder: checkpoint, tokenizer and expected logits."""
    row, folder = SAMPLE_TABLE[name], SAMPLES / name
    config, stored = make_stored(row)
    if row.get("own_form"):
        mistral.write(folder, config, stored)
        models = load_from_stored(config, stored)
    else:
        write_checkpoint(folder, config, stored, row["shards"])
        if not row.get("plain_text"):
            write_tokenizer(folder, special_of(config))
        # From the files, not from memory: what is compared is what a reader finds.
        models = load_from_stored(*read_checkpoint(folder))
    input_ids = make_tokens(row["seed"], row["tokens"], text_of(config)["vocab_size"])
    outputs = outputs_of(models, input_ids)
    save_file({"input_ids": input_ids, **outputs}, str(folder / "expected.safetensors"))
    margin = min(router_margins(models, input_ids), indexer_margins(models, input_ids))
    spread = {key: round(float(value.std()), 2) for key, value in outputs.items()}
    print(f"{name}: standard deviations {spread}, smallest margin of a choice {margin:.1e}")
    if margin < 2e-5:
        sys.exit(f"{name}: a choice is within rounding of another; take another seed")


def main():
    """All samples, or those named."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or SAMPLE_TABLE:
        make_sample(name)
    (SAMPLES / "deepseek-v3").mkdir(exist_ok=True)
    write_json(SAMPLES / "deepseek-v3" / "config.json", DEEPSEEK_V3)


if __name__ == "__main__":
    main()
