"""DeepSeek-V4 by transformers' class: random models, the published form, layers that predict."""

import json

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, FineGrainedFP8Config
from transformers.models.deepseek_v4.configuration_deepseek_v4 import DeepseekV4Config
from transformers.models.deepseek_v4.modeling_deepseek_v4 import (
    DeepseekV4DecoderLayer, DeepseekV4ForCausalLM, DeepseekV4HyperHead, DeepseekV4RMSNorm,
)

SLIDING, SPARSE, HEAVY = (
    "sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention")
SIZES = {
    "vocab_size": 96, "hidden_size": 64, "moe_intermediate_size": 32, "num_hidden_layers": 6,
    "num_attention_heads": 4, "head_dim": 32, "qk_rope_head_dim": 8, "q_lora_rank": 24,
    "num_experts_per_tok": 2, "n_routed_experts": 6, "num_hash_layers": 2, "sliding_window": 8,
    "o_groups": 2, "o_lora_rank": 16, "index_head_dim": 16, "index_topk": 5,
    "max_position_embeddings": 1024,
    # With few heads many scores are all 0, and whoever chooses among equals may differ.
    "index_n_heads": 24,
    "layer_types": [SLIDING, SPARSE, HEAVY, SPARSE, HEAVY, SLIDING],
    "compress_rates": {SPARSE: 4, HEAVY: 16},
    "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 64,
                     "beta_fast": 32, "beta_slow": 1},
    "num_nextn_predict_layers": 0,
}
# The network's modules in transformers, and DeepSeek's names; the longest that fit come first.
NAMES = (
    ("model.embed_tokens.weight", "embed.weight"), ("model.norm.weight", "norm.weight"),
    ("lm_head.weight", "head.weight"), ("model.hc_head.hc_", "hc_head_"),
    ("model.layers.", "layers."),
    (".self_attn.compressor.indexer.q_b_proj.", ".attn.indexer.wq_b."),
    (".self_attn.compressor.indexer.scorer.weights_proj.", ".attn.indexer.weights_proj."),
    (".self_attn.compressor.indexer.", ".attn.indexer.compressor."),
    (".compressor.kv_proj.", ".compressor.wkv."), (".compressor.gate_proj.", ".compressor.wgate."),
    (".compressor.kv_norm.", ".compressor.norm."),
    (".compressor.position_bias", ".compressor.ape"), (".self_attn.sinks", ".attn.attn_sink"),
    (".self_attn.q_a_proj.", ".attn.wq_a."), (".self_attn.q_a_norm.", ".attn.q_norm."),
    (".self_attn.q_b_proj.", ".attn.wq_b."), (".self_attn.kv_proj.", ".attn.wkv."),
    (".self_attn.o_a_proj.", ".attn.wo_a."), (".self_attn.o_b_proj.", ".attn.wo_b."),
    (".self_attn.", ".attn."), (".input_layernorm.", ".attn_norm."),
    (".post_attention_layernorm.", ".ffn_norm."), (".attn_hc.", ".hc_attn_"),
    (".ffn_hc.", ".hc_ffn_"),
    (".mlp.gate.e_score_correction_bias", ".ffn.gate.bias"), (".mlp.", ".ffn."),
    (".gate_proj.", ".w1."), (".down_proj.", ".w2."), (".up_proj.", ".w3."),
)
# Matrices that are published in FP8, by the ends of their names; experts are in FP4.
IN_FP8 = tuple(f".{name}.weight" for name in (
    "attn.wq_a", "attn.wq_b", "attn.wkv", "attn.wo_a", "attn.wo_b", "indexer.wq_b",
    "shared_experts.w1", "shared_experts.w2", "shared_experts.w3", "e_proj", "h_proj"))
# Tensors that are published in F32.
IN_F32 = ("_fn", "_base", "_scale", ".ape", ".attn_sink", ".gate.bias")
FP4_VALUES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def draw(module, config, generator):
    """Gives every number of a module a value that matters."""
    with torch.no_grad():
        for name, values in [*module.named_parameters(), *module.named_buffers()]:
            if "inv_freq" in name:
                continue
            noise = torch.randn(values.shape, generator=generator)
            if name.endswith("tid2eid"):
                rows = [torch.randperm(config.n_routed_experts, generator=generator)
                        for _ in range(len(values))]
                values.copy_(torch.stack(rows)[:, :values.shape[1]])
            elif "norm" in name:
                values.copy_(1 + 0.2 * noise)
            elif name.endswith("scale"):
                values.copy_(0.75 + 0.2 * noise)
            elif values.dim() >= 2 and not name.endswith("position_bias"):
                gain = 1.0 if name.endswith("fn") else 1.6
                values.copy_(noise * gain / values.shape[-1] ** 0.5)
            else:
                values.copy_(noise)


def make_model(seed, **overrides):
    """transformers' model of other sizes, random but for its config."""
    generator = torch.Generator().manual_seed(seed)
    model = DeepseekV4ForCausalLM(DeepseekV4Config(**{**SIZES, **overrides})).eval()
    draw(model, model.config, generator)
    return model


def load(folder):
    """A folder in FP8 or FP4 as transformers loads it; its products of codes want a GPU."""
    model, information = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=FineGrainedFP8Config(dequantize=True), dtype=torch.float32,
        output_loading_info=True)
    assert not any(information.values()), information
    # It decodes to BF16, which holds each product of a code and a power of two.
    return model.float().eval()


def logits_of(model, ids):
    """Logits of whole sequences at once."""
    with torch.no_grad():
        return model(ids, use_cache=False).logits.float().contiguous()


class Predictor(torch.nn.Module):
    """A layer that predicts further tokens as DeepSeek's code has it; transformers has none.

    The token's normed embedding and every normed stream are projected, and their sum goes through a
    layer without compression; a head of its own puts the streams together.
    """

    def __init__(self, config):
        super().__init__()
        size = config.hidden_size
        own = DeepseekV4Config(**{**config.to_dict(), "layer_types": [SLIDING],
                                  "mlp_layer_types": ["moe"], "num_hidden_layers": 1})
        own._attn_implementation = "eager"
        self.block = DeepseekV4DecoderLayer(own, 0)
        self.e_proj = torch.nn.Linear(size, size, bias=False)
        self.h_proj = torch.nn.Linear(size, size, bias=False)
        self.enorm = DeepseekV4RMSNorm(size, eps=config.rms_norm_eps)
        self.hnorm = DeepseekV4RMSNorm(size, eps=config.rms_norm_eps)
        self.norm = DeepseekV4RMSNorm(size, eps=config.rms_norm_eps)
        self.hc_head = DeepseekV4HyperHead(config)


def make_predictor(seed, config):
    """A random one."""
    predictor = Predictor(config).eval()
    draw(predictor, config, torch.Generator().manual_seed(seed))
    return predictor


def predict(model, predictor, ids):
    """Logits of the token after the next, from the streams before the model's own head."""
    kept = {}
    handle = model.model.layers[-1].register_forward_hook(
        lambda _, __, output: kept.update(streams=output))
    config = model.config
    with torch.no_grad():
        model(ids, use_cache=False)
        handle.remove()
        embedded = model.model.embed_tokens(ids[:, 1:])
        streams = (predictor.e_proj(predictor.enorm(embedded)).unsqueeze(2)
                   + predictor.h_proj(predictor.hnorm(kept["streams"][:, :-1])))
        count = streams.shape[1]
        places = torch.arange(1, count + 1).unsqueeze(0)
        mask = torch.full((count, count), float("-inf"))
        near = torch.arange(count)
        distance = near[:, None] - near[None]
        mask[(distance >= 0) & (distance < config.sliding_window)] = 0
        rotary = model.model.rotary_emb
        positions = {kind: rotary(embedded, position_ids=places, layer_type=kind)
                     for kind in ("main", "compress")}
        output = predictor.block(
            streams, position_embeddings=positions, position_ids=places,
            attention_mask=mask[None, None], input_ids=ids[:, 1:], past_key_values=None)
        return model.lm_head(predictor.norm(predictor.hc_head(output))).float().contiguous()


def published_name(name):
    """What DeepSeek's files call a tensor of transformers' class."""
    for own, published in NAMES:
        name = name.replace(own, published)
    return name


def plain(model, predictors=()):
    """Name → tensor under DeepSeek's names, in F32, each expert for itself."""
    stored = {}
    state = dict(model.state_dict())
    for index, predictor in enumerate(predictors):
        for name, tensor in predictor.state_dict().items():
            name = name.removeprefix("block.").replace("hc_head.hc_", "hc_head_")
            state[f"mtp.{index}.{name}"] = tensor
    for name, tensor in state.items():
        front, mark, end = name.partition(".mlp.experts.")
        if not mark:
            stored[published_name(name)] = tensor.clone()
            continue
        words = ("w1", "w3") if end == "gate_up_proj" else ("w2",)
        for expert, matrix in enumerate(tensor):
            for word, part in zip(words, matrix.chunk(len(words))):
                stored[f"{published_name(front + '.')}ffn.experts.{expert}.{word}.weight"] = (
                    part.clone())
    return stored


def to_fp8(matrix, block=128):
    """(codes, E8M0 scales) of blocks, and what they decode to."""
    rows, columns = (-(-size // block) for size in matrix.shape)
    codes = torch.empty_like(matrix, dtype=torch.float8_e4m3fn)
    scales = torch.empty(rows, columns)
    for row in range(rows):
        for column in range(columns):
            place = (slice(row * block, (row + 1) * block),
                     slice(column * block, (column + 1) * block))
            scale = 2.0 ** torch.ceil(torch.log2(matrix[place].abs().amax() / 448))
            scales[row, column] = scale
            codes[place] = (matrix[place] / scale).to(torch.float8_e4m3fn)
    return codes, scales.to(torch.float8_e8m0fnu)


def from_fp8(codes, scales, block=128):
    """Numbers, by the definition."""
    wide = scales.float().repeat_interleave(block, 0).repeat_interleave(block, 1)
    return codes.float() * wide[:codes.shape[0], :codes.shape[1]]


def to_fp4(matrix, group=32):
    """(bytes of two codes, the first in the low half, E8M0 scales of groups of columns)."""
    groups = matrix.reshape(matrix.shape[0], -1, group)
    scales = 2.0 ** torch.ceil(torch.log2(groups.abs().amax(-1, keepdim=True) / 6))
    distance = (groups[..., None] / scales[..., None] - FP4_VALUES).abs()
    codes = distance.argmin(-1).reshape(matrix.shape).to(torch.uint8)
    packed = (codes[:, 0::2] | (codes[:, 1::2] << 4)).view(torch.int8)
    return packed, scales.squeeze(-1).to(torch.float8_e8m0fnu)


def from_fp4(packed, scales, group=32):
    """Numbers, by the definition."""
    octets = packed.view(torch.uint8)
    codes = torch.stack([octets & 15, octets >> 4], -1).flatten(1).long()
    return FP4_VALUES[codes] * scales.float().repeat_interleave(group, 1)


def publish(stored, experts="fp4"):
    """(tensors as V4-Flash has them, the numbers that they mean under the same names)."""
    written, meant = {}, {}
    for name, tensor in stored.items():
        is_expert = ".experts." in name and ".shared_experts." not in name
        if is_expert and experts == "fp4":
            codes, scales = to_fp4(tensor)
            meant[name] = from_fp4(codes, scales)
        elif is_expert or name.endswith(IN_FP8):
            codes, scales = to_fp8(tensor)
            meant[name] = from_fp8(codes, scales)
        elif name.endswith("tid2eid"):
            written[name] = meant[name] = tensor
            continue
        else:
            kind = torch.float32 if name.endswith(IN_F32) else torch.bfloat16
            written[name] = tensor.to(kind)
            meant[name] = written[name].float()
            continue
        written[name], written[name.removesuffix("weight") + "scale"] = codes, scales
    return written, meant


def give(model, meant, predictors=()):
    """Puts the numbers under DeepSeek's names into a model and its predictors."""
    own = plain(model, predictors)
    assert own.keys() == meant.keys(), sorted(own.keys() ^ meant.keys())[:4]
    with torch.no_grad():
        for place, module in [("", model), *((f"mtp.{n}.", p) for n, p in enumerate(predictors))]:
            for name, values in module.state_dict().items():
                if place:
                    name = place + name.removeprefix("block.").replace("hc_head.hc_", "hc_head_")
                front, mark, end = name.partition(".mlp.experts.")
                if not mark:
                    values.copy_(meant[published_name(name)])
                    continue
                words = ("w1", "w3") if end == "gate_up_proj" else ("w2",)
                experts = published_name(front + ".") + "ffn.experts."
                for expert, matrix in enumerate(values):
                    matrix.copy_(torch.cat([
                        meant[f"{experts}{expert}.{word}.weight"] for word in words]))


def published_config(model, quantized=True, experts="fp4", predictors=0):
    """`config.json` in the keys of the published ones, as far as these have values for it."""
    own = model.config
    section = own.rope_parameters["compress"]
    config = {
        "architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4",
        **{key: getattr(own, key) for key in (
            "vocab_size", "hidden_size", "moe_intermediate_size", "num_hidden_layers",
            "num_attention_heads", "num_key_value_heads", "head_dim", "q_lora_rank",
            "num_experts_per_tok", "n_routed_experts", "n_shared_experts", "scoring_func",
            "routed_scaling_factor", "max_position_embeddings", "rope_theta",
            "compress_rope_theta", "hc_mult", "hc_sinkhorn_iters", "hc_eps", "swiglu_limit",
            "sliding_window", "o_groups", "o_lora_rank", "index_n_heads", "index_head_dim",
            "index_topk", "rms_norm_eps", "qk_rope_head_dim")},
        "compress_ratios": [{SLIDING: 0, SPARSE: 4, HEAVY: 128}[kind] for kind in own.layer_types]
                           + [0] * predictors,
        "num_hash_layers": own.mlp_layer_types.count("hash_moe"), "topk_method": "noaux_tc",
        "norm_topk_prob": True, "num_nextn_predict_layers": predictors, "hidden_act": "silu",
        "attention_bias": False, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "bos_token_id": 0, "eos_token_id": 1,
    }
    if "factor" in section:
        config["rope_scaling"] = {
            "type": "yarn", "factor": section["factor"], "beta_fast": 32, "beta_slow": 1,
            "original_max_position_embeddings": section["original_max_position_embeddings"]}
    if quantized:
        config["expert_dtype"] = experts
        config["quantization_config"] = {
            "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
            "scale_fmt": "ue8m0", "weight_block_size": [128, 128]}
    return config


def write(folder, config, tensors):
    """A folder in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()},
              str(folder / "model.safetensors"), {"format": "pt"})
    return folder
