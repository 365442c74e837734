"""DeepSeek-V3 as GPUs compute it in FP8, by torch: what DeepSeek's `inference/kernel.py` and `model.py`
define, put into transformers' modules.

Activations are BF16; before FP8 weights they become FP8 with a scale per 128 of a row (`act_quant`),
products are summed in F32 and scaled block by block (`fp8_gemm`), results are BF16. Attention adds up
in F32 between BF16 queries, keys and values, and a token's experts in F32, as kernels for both do.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as modeling

from .fp8 import round_up_to_power_of_two
from .oracle import load_from_stored

BLOCK, LARGEST, LEAST = 128, 448.0, 1e-4


def act_quant(x, powers=False):
    """(…, n) → codes and scales, both (…, n / 128, …) in F32; scales that are powers of two if asked."""
    blocks = x.float().unflatten(-1, (-1, BLOCK))
    scales = blocks.abs().amax(-1, keepdim=True).clamp_min(LEAST) / LARGEST
    if powers:
        scales = round_up_to_power_of_two(scales)
    return (blocks / scales).to(torch.float8_e4m3fn).float(), scales


def fp8_gemm(x, codes, scales, powers):
    """x (…, n) · weight (m, n) → (…, m), block of columns by block of columns."""
    quantized, own = act_quant(x, powers)
    rows = scales.float().repeat_interleave(BLOCK, 0)[: codes.shape[0]]
    total = 0
    for place in range(codes.shape[1] // BLOCK):
        columns = codes[:, place * BLOCK : (place + 1) * BLOCK].float()
        total = total + (quantized[..., place, :] @ columns.T) * own[..., place, :] * rows[:, place]
    return total.to(torch.bfloat16)


class Stored(dict):
    """Tensors by name; multiplies with an FP8 weight of them."""

    def __init__(self, config, tensors):
        super().__init__(tensors)
        self.powers = config["quantization_config"].get("scale_fmt") == "ue8m0"

    def multiply(self, x, name):
        """x · the weight of that name."""
        return fp8_gemm(
            x, self[f"{name}.weight"], self[f"{name}.weight_scale_inv"], self.powers)


class Experts(nn.Module):
    """The routed experts of a layer."""

    def __init__(self, stored, prefix, count):
        super().__init__()
        self.stored, self.prefix, self.count = stored, prefix, count

    def forward(self, hidden, chosen, weights):
        """The weighted sum of each token's experts."""
        total = torch.zeros_like(hidden, dtype=torch.float32)
        for expert in range(self.count):
            tokens, place = torch.where(chosen == expert)
            if len(tokens) == 0:
                continue
            x, name = hidden[tokens], f"{self.prefix}.{expert}"
            gate = functional.silu(self.stored.multiply(x, f"{name}.gate_proj"))
            inner = gate * self.stored.multiply(x, f"{name}.up_proj")
            output = self.stored.multiply(inner, f"{name}.down_proj")
            total.index_add_(0, tokens, output.float() * weights[tokens, place, None].float())
        return total.to(hidden.dtype)


def rotate(query, key, cosines, sines, position_ids=None, unsqueeze_dim=1):
    """Interleaved pairs, in F32 and rounded once."""
    half = cosines.shape[-1] // 2
    cosines, sines = (table[..., :half].unsqueeze(unsqueeze_dim) for table in (cosines, sines))

    def rotated(x):
        a, b = x[..., 0::2].float(), x[..., 1::2].float()
        return torch.cat([a * cosines - b * sines, b * cosines + a * sines], -1).to(x.dtype)

    return rotated(query), rotated(key)


def attend(module, query, key, value, mask, scaling, dropout=0.0, **rest):
    """Whole sequences, each token seeing those before it."""
    scores = query.float() @ key.float().transpose(2, 3) * scaling
    length = scores.shape[-1]
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    return (weights @ value.float()).to(query.dtype).transpose(1, 2).contiguous(), None


def choose(router, bias, hidden):
    """A router without groups, whose products are BF16."""
    logits = functional.linear(hidden.view(-1, router.hidden_dim), router.weight).float()
    scores = logits.sigmoid()
    chosen = (scores + bias.float()).topk(router.top_k, -1).indices
    weights = scores.gather(1, chosen)
    weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) * router.routed_scaling_factor
    return logits, weights, chosen


def adapt(model, exact, stored):
    """Replaces the modules of a BF16 model that compute otherwise."""
    positions = model.model.rotary_emb
    positions.inv_freq = exact.model.rotary_emb.inv_freq
    tables = positions.forward
    positions.forward = lambda x, position_ids: tables(x.float(), position_ids)
    for name, module in list(model.named_modules()):
        if isinstance(module, modeling.DeepseekV3RMSNorm):
            module.forward = lambda x, own=module: functional.rms_norm(
                x, x.shape[-1:], own.weight, own.variance_epsilon)
        elif isinstance(module, modeling.DeepseekV3TopkRouter):
            bias = stored[f"{name}.e_score_correction_bias"]
            module.forward = lambda x, own=module, bias=bias: choose(own, bias, x)
        elif isinstance(module, modeling.DeepseekV3Experts):
            parent = model.get_submodule(name.rpartition(".")[0])
            parent.experts = Experts(stored, name, module.num_experts)
        elif f"{name}.weight_scale_inv" in stored:
            module.forward = lambda x, name=name: stored.multiply(x, name)


def logits(config, tensors, input_ids):
    """(batch, tokens, vocabulary) of a checkpoint in FP8 by 128 × 128."""
    stored = Stored(config, tensors)
    exact = load_from_stored(config, tensors)[0]
    model = load_from_stored(config, tensors)[0].to(torch.bfloat16)
    adapt(model, exact, stored)
    rotation, attention = modeling.apply_rotary_pos_emb_interleave, modeling.eager_attention_forward
    modeling.apply_rotary_pos_emb_interleave, modeling.eager_attention_forward = rotate, attend
    try:
        with torch.no_grad():
            return model(input_ids).logits.float()
    finally:
        modeling.apply_rotary_pos_emb_interleave = rotation
        modeling.eager_attention_forward = attention
