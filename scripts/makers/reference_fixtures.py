"""Known answers for the parts of the forward pass: Tests/ReferenceTests/Fixtures/*.json.

    scripts/make reference-fixtures

Computed by transformers 5.23.0 and torch 2.13.0 on x86-64, from seeds.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import DeepseekV3Config
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

from peers.folder import read_checkpoint
from peers.network import DEEPSEEK_V3, make_config
from peers.oracle import indexer_margins, load_from_stored, outputs_of, router_margins

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "Tests" / "ReferenceTests" / "Fixtures"
YARN = DEEPSEEK_V3["rope_scaling"]

ROPE_CASES = {
    "DeepSeek-V3": dict(qk_rope_head_dim=64),
    "plain": dict(rope_scaling=None),
    "plain, other base and width": dict(
        rope_scaling=None, rope_theta=50000.0, qk_rope_head_dim=24),
    "half-split": dict(rope_scaling=None, rope_interleave=False, qk_rope_head_dim=12),
    "two multipliers": dict(rope_scaling={**YARN, "mscale": 0.6, "mscale_all_dim": 0.9}),
    "no multipliers": dict(
        rope_scaling={k: v for k, v in YARN.items() if not k.startswith("mscale")}),
    "multiplier of the softmax alone": dict(
        rope_scaling={k: v for k, v in YARN.items() if k != "mscale"}),
    "attention factor given": dict(rope_scaling={**YARN, "attention_factor": 1.7}),
    "range not truncated": dict(rope_scaling={**YARN, "truncate": False}),
    "range outside the dimensions": dict(rope_scaling={
        **YARN, "original_max_position_embeddings": 8, "beta_fast": 64}),
    "range of one point": dict(rope_scaling={**YARN, "beta_fast": 2, "beta_slow": 2,
                                             "truncate": False}),
    "factor below 1": dict(rope_scaling={**YARN, "factor": 0.5}),
}
POSITIONS = [0, 1, 17, 4095, 40000]


def write_json(path, cases):
    """One case per line: the numbers are not for reading."""
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def rope_case(name, overrides):
    """Frequencies, scales, table, and a rotated vector."""
    raw = make_config(**{**dict(qk_rope_head_dim=16), **overrides})
    config = DeepseekV3Config(**{k: v for k, v in raw.items() if v is not None})
    rotary = deepseek.DeepseekV3RotaryEmbedding(config)
    cos, sin = rotary(torch.zeros(1), torch.tensor([POSITIONS]))
    pairs = config.qk_rope_head_dim // 2
    scale = deepseek.yarn_apply_mscale(config.rope_parameters, config.qk_head_dim**-0.5)
    x = torch.randn(1, 1, len(POSITIONS), config.qk_rope_head_dim)
    rotate = (deepseek.apply_rotary_pos_emb_interleave if config.rope_interleave
              else deepseek.apply_rotary_pos_emb)
    rotated, _ = rotate(x, x, cos, sin)
    return {
        "name": name, "config": raw, "frequencies": rotary.inv_freq.tolist(),
        "tableFactor": float(rotary.attention_scaling), "softmaxScale": float(scale),
        "positions": POSITIONS, "cosines": cos[0, :, :pairs].tolist(),
        "sines": sin[0, :, :pairs].tolist(), "x": x[0, 0].tolist(),
        "rotated": rotated[0, 0].tolist(),
    }


ROUTER_CASES = {
    "four groups": dict(n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=4),
    "one group": dict(n_routed_experts=12, n_group=1, topk_group=1, num_experts_per_tok=5),
    "all groups": dict(n_routed_experts=12, n_group=3, topk_group=3, num_experts_per_tok=2),
    "groups of two": dict(n_routed_experts=8, n_group=4, topk_group=1, num_experts_per_tok=2),
    "weights as they are": dict(n_routed_experts=16, n_group=4, topk_group=2,
                                num_experts_per_tok=4, norm_topk_prob=False,
                                routed_scaling_factor=16.0),
    # Corrected scores below 0: an expert that is out must not win with a 0.
    "negative bias": dict(n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=6),
}


def router_case(name, overrides):
    """Logits and bias of twenty tokens, and what each chooses, by rising expert."""
    raw = make_config(**overrides)
    raw["hidden_size"] = raw["n_routed_experts"]
    config = DeepseekV3Config(**raw)
    router = deepseek.DeepseekV3TopkRouter(config)
    # The identity as weight: what goes in are the logits.
    router.weight.data = torch.eye(config.n_routed_experts)
    bias = torch.randn(config.n_routed_experts) * 0.3
    if name == "negative bias":
        bias -= 3
    router.e_score_correction_bias = bias
    logits = torch.randn(20, config.n_routed_experts) * 2
    _, weights, experts = router(logits)
    order = experts.argsort(-1)
    return {
        "name": name, "config": raw, "logits": logits.tolist(), "bias": bias.tolist(),
        "experts": experts.gather(1, order).tolist(),
        "weights": weights.gather(1, order).tolist(),
    }


def metrics_case(name, tokens, vocab, spread, noise):
    """Two sets of logits, the tokens that should follow, and torch's opinion in F64."""
    a = torch.randn(tokens, vocab) * spread
    b = (a + torch.randn(tokens, vocab) * noise).float()
    targets = torch.randint(0, vocab, (tokens,))
    p, q = (torch.log_softmax(x.double(), -1) for x in (a, b))
    kl = torch.nn.functional.kl_div(q, p, reduction="none", log_target=True).sum(-1)
    x, y = a.double(), b.double()
    loss = torch.nn.functional.nll_loss
    losses = [loss(z, targets, reduction="none") for z in (p, q)]
    change = (losses[1].neg().exp() - losses[0].neg().exp()) ** 2
    covariance = torch.cov(torch.stack(losses))
    same = (x.argmax(-1) == y.argmax(-1)).double().mean()
    ratio, rms = (losses[1].mean() - losses[0].mean()).exp(), change.mean().sqrt()
    spread = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return {
        "percentiles": torch.quantile(
            kl, torch.tensor([0.5, 0.9, 0.95, 0.99, 0.999, 1], dtype=kl.dtype)).tolist(),
        "klError": (kl.std() / tokens**0.5).item(),
        "top1Error": (same * (1 - same) / (tokens - 1)).sqrt().item(),
        "ratioError": (ratio * (spread / tokens).sqrt()).item(),
        "lossCorrelation": (covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]).sqrt()).item(),
        "probabilityRms": rms.item(),
        "probabilityRmsError": (change.std() / tokens**0.5 / (2 * rms)).item(),
        "name": name, "reference": a.tolist(), "candidate": b.tolist(),
        "targets": targets.tolist(), "klMean": kl.mean().item(), "klMax": kl.max().item(),
        "top1Agreement": (x.argmax(-1) == y.argmax(-1)).double().mean().item(),
        "nmse": (((x - y) ** 2).sum() / (x**2).sum()).item(),
        "maxAbsDifference": (x - y).abs().max().item(),
        "perplexityReference": loss(p, targets).exp().item(),
        "perplexityCandidate": loss(q, targets).exp().item(),
    }


# No router choice of this one is close.
LONG_SEED = 5
# Nor a choice of keys of this one.
LONG_CHOICE_SEED = 3
# Around the ends of blocks of 256 keys, and far behind them.
LONG_POSITIONS = [0, 254, 255, 256, 257, 300, 511, 512, 513, 600, 637]


def long_case(sample, tokens, seed):
    """Logits of some positions of a sequence that is long for a head's attention."""
    config, stored = read_checkpoint(ROOT / "Samples" / sample)
    models = load_from_stored(config, stored)
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, config["vocab_size"], (1, tokens), generator=generator)
    margin = min(router_margins(models, ids), indexer_margins(models, ids))
    if margin < 2e-5:
        sys.exit(f"{sample}: a choice is within rounding of another ({margin:.0e})")
    outputs = outputs_of(models, ids)
    return {
        "name": sample, "tokens": ids[0].tolist(), "positions": LONG_POSITIONS,
        **{name: [[round(x, 6) for x in logits[0, at].tolist()] for at in LONG_POSITIONS]
           for name, logits in outputs.items()},
    }


def main():
    """All fixtures, each from its own seed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    write_json(FOLDER / "rotary.json", [rope_case(*row) for row in ROPE_CASES.items()])
    torch.manual_seed(2)
    write_json(FOLDER / "router.json", [router_case(*row) for row in ROUTER_CASES.items()])
    torch.manual_seed(3)
    write_json(FOLDER / "metrics.json", [
        metrics_case("close", 9, 57, 2, 1e-3), metrics_case("far", 9, 57, 2, 1.5),
        metrics_case("large logits", 5, 40, 60, 5), metrics_case("rounding", 5, 40, 2, 1e-6)])
    torch.set_num_threads(1)
    write_json(FOLDER / "long.json", [
        long_case("tiny-bf16", 640, LONG_SEED), long_case("tiny-glm52", 640, LONG_CHOICE_SEED)])


if __name__ == "__main__":
    main()
