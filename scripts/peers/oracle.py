"""Logits by transformers in F32, MTP layers included: the reference for Fathom's forward pass."""

import copy
import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    AXK1ForCausalLM,
    DeepseekV2ForCausalLM, DeepseekV3ForCausalLM, DeepseekV32ForCausalLM, Glm4MoeLiteForCausalLM,
    GlmMoeDsaForCausalLM, Mistral4ForCausalLM, YoutuForCausalLM,
)
from transformers.modeling_layers import MtpModel
from transformers.models.axk1.modeling_axk1 import AXK1TopkRouter
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2TopkRouter
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter
from transformers.models.glm4_moe_lite.modeling_glm4_moe_lite import Glm4MoeLiteTopkRouter
from transformers.models.deepseek_v32.modeling_deepseek_v32 import (
    DeepseekV32Indexer, DeepseekV32TopkRouter,
)
from transformers.models.glm_moe_dsa.modeling_glm_moe_dsa import (
    GlmMoeDsaIndexer, GlmMoeDsaTopkRouter,
)
from transformers.models.mistral4.modeling_mistral4 import Mistral4TopkRouter
from transformers.utils import logging

from .compressed import with_section
from .folder import dequantize_all, write_json
from .network import mtp_layers, prefix_of, text_of

logging.set_verbosity_error()
logging.disable_progress_bar()

CLASSES = {
    "axk1": AXK1ForCausalLM,
    "deepseek_v2": DeepseekV2ForCausalLM,
    "deepseek_v3": DeepseekV3ForCausalLM,
    "deepseek_v32": DeepseekV32ForCausalLM,
    "glm4_moe_lite": Glm4MoeLiteForCausalLM,
    "glm_moe_dsa": GlmMoeDsaForCausalLM,
    "mistral4": Mistral4ForCausalLM,
    "youtu": YoutuForCausalLM,
}
ROUTERS = (AXK1TopkRouter, DeepseekV2TopkRouter, DeepseekV3TopkRouter, DeepseekV32TopkRouter,
           Glm4MoeLiteTopkRouter, GlmMoeDsaTopkRouter, Mistral4TopkRouter)
INDEXERS = (DeepseekV32Indexer, GlmMoeDsaIndexer)


def plain_config(config):
    """The configuration of the same text network with plain F32 weights."""
    plain = copy.deepcopy(with_section(text_of(config), None))
    plain.pop("dtype", None)
    plain["torch_dtype"] = "float32"
    # Other names of DeepSeek-V3's network have no class in transformers.
    if plain["model_type"] not in CLASSES:
        plain["model_type"] = "deepseek_v3"
    return plain


def saved_config(config):
    """The configuration as transformers 5 saves it: `rope_parameters`, `dtype` and defaults."""
    # The class writes into what it is given.
    given = copy.deepcopy(config)
    return json.loads(CLASSES[config["model_type"]].config_class(**given).to_json_string())


def load_models(folder, config):
    """(main model, MTP model or None) in F32 from a folder of plain weights.

    transformers finds MTP weights by a pattern that names layer 61 (47) alone, so the pattern is
    replaced by the layers that this configuration gives.
    """
    layers, extra = config["num_hidden_layers"], mtp_layers(config)
    network = CLASSES[config["model_type"]]
    network._keys_to_ignore_on_load_unexpected = [
        rf"model\.layers\.{layer}\..*" for layer in range(layers, layers + extra)
    ]
    model = network.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    ).eval()
    if not extra:
        return model, None
    # GLM's class knows of no MTP layers; told of them it has DeepSeek-V3's. Those of DeepSeek-V3.2
    # and GLM-5 know of none either: they get a layer of the class with an indexer of its own.
    model.config.num_mtp_layers = extra
    model.config.mtp_mlp_layer_types = ["sparse"] * extra
    model.config.mtp_layer_types = ["full_attention"] * extra
    # MtpModel takes the attention and expert implementations from the main model's config.
    predictor = MtpModel.from_pretrained(model).eval()
    for layer in predictor.layers:
        layer.mtp_block.register_forward_hook(lambda _, inputs, output: stream_of(output))
    return model, predictor


def stream_of(output):
    """The residual stream of what a layer gives: GLM-5's gives the chosen keys beside it."""
    return output[0] if isinstance(output, tuple) else output


def load_from_stored(config, stored):
    """Models from stored tensors: FP8 is dequantized by torch first.

    transformers' own FP8 path refuses partial blocks.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = plain_config(config)
        write_json(Path(folder) / "config.json", plain)
        prefix = prefix_of(config)
        weights = {name.removeprefix(prefix): tensor.contiguous()
                   for name, tensor in dequantize_all(config, stored).items()
                   if name.startswith(prefix)}
        save_file(weights, str(Path(folder) / "model.safetensors"), metadata={"format": "pt"})
        return load_models(folder, plain)


def outputs_of(models, input_ids):
    """`logits`, `mtp_logits`, `mtp_logits_2`, … for a batch of token ids.

    Position t of MTP layer k (from 0) takes the previous hidden state at t, after its norm, and
    the embedding of token t + k + 1.
    """
    model, mtp = models
    with torch.no_grad():
        hidden = model.model(input_ids, use_cache=False).last_hidden_state
        outputs = {"logits": model.lm_head(hidden)}
        for depth in range(mtp.num_mtp_layers if mtp else 0):
            tokens = input_ids[:, depth + 1 :]
            positions = torch.arange(depth + 1, input_ids.shape[1]).unsqueeze(0)
            hidden = mtp.forward_layer(
                depth, hidden[:, :-1], positions, mtp_cache=None, input_ids=tokens
            )
            name = "mtp_logits" if depth == 0 else f"mtp_logits_{depth + 1}"
            outputs[name] = mtp.shared_head(hidden)
    return {name: tensor.contiguous() for name, tensor in outputs.items()}


def layer_modules(models):
    """Decoder layers in the order of `model.layers.N`, those of MTP layers last."""
    model, mtp = models
    return [*model.model.layers, *(layer.mtp_block for layer in (mtp.layers if mtp else []))]


def trace(models, input_ids):
    """Per layer: the residual stream after it, and the experts it chose (None where dense)."""
    layers = [{"experts": None} for _ in layer_modules(models)]
    hooks = []
    for found, layer in zip(layers, layer_modules(models)):
        hooks.append(layer.register_forward_hook(
            lambda _, inputs, output, found=found: found.update(hidden=stream_of(output))))
        for module in layer.modules():
            if isinstance(module, ROUTERS):
                hooks.append(module.register_forward_hook(
                    lambda _, inputs, output, found=found: found.update(experts=output[2])))
    outputs_of(models, input_ids)
    for hook in hooks:
        hook.remove()
    return layers


def isolated(reference, candidate, input_ids):
    """Per layer: what both models' layers make of the reference's hidden states.

    A decoder layer gets the very arguments that the reference's layer has; an MTP layer the
    reference's normed states, which it joins with embeddings of its own.
    """
    inputs, hooks = [], []
    for layer in reference[0].model.layers:
        hooks.append(layer.register_forward_pre_hook(
            lambda _, positional, named: inputs.append((positional, named)), with_kwargs=True))
    expected = trace(reference, input_ids)
    for hook in hooks:
        hook.remove()
    pairs = []
    with torch.no_grad():
        for found, layer, (positional, named) in zip(
                expected, candidate[0].model.layers, inputs):
            pairs.append((found["hidden"], stream_of(layer(*positional, **named))))
        (model, mtp), other = reference, candidate[1]
        hidden = model.model(input_ids, use_cache=False).last_hidden_state
        for depth in range(mtp.num_mtp_layers if mtp else 0):
            tokens = input_ids[:, depth + 1 :]
            positions = torch.arange(depth + 1, input_ids.shape[1]).unsqueeze(0)
            outputs = []
            hook = other.layers[depth].mtp_block.register_forward_hook(
                lambda _, inputs, output, outputs=outputs: outputs.append(output))
            other.forward_layer(
                depth, hidden[:, :-1], positions, mtp_cache=None, input_ids=tokens)
            hook.remove()
            pairs.append((expected[len(pairs)]["hidden"], outputs[0]))
            hidden = mtp.forward_layer(
                depth, hidden[:, :-1], positions, mtp_cache=None, input_ids=tokens)
    return pairs


def choice_scores(router, hidden):
    """(scores that experts are chosen by, scores of the groups or None where all are open)."""
    logits = hidden.view(-1, router.hidden_dim) @ router.weight.T
    if isinstance(router, DeepseekV2TopkRouter):
        scores = logits.softmax(-1)
        if router.topk_method == "greedy":
            return scores, None
        return scores, scores.view(len(scores), router.num_group, -1).amax(-1)
    if isinstance(router, Mistral4TopkRouter):
        scores = logits.softmax(-1)
    else:
        scores = logits.sigmoid() + router.e_score_correction_bias
    groups = scores.view(len(scores), router.num_group, -1)
    return scores, groups.topk(2, dim=-1).values.sum(-1)


def router_margins(models, input_ids):
    """How far the router's choices are from changing, smallest over all tokens and layers.

    A choice within rounding of another would make logits a matter of luck. No experts: infinite.
    """
    margins = []

    def observe(router, arguments, _):
        scores, groups = choice_scores(router, arguments[0])
        if groups is not None:
            sums = groups.sort(dim=-1, descending=True)
            if router.topk_group < router.num_group:
                margins.append(sums.values[:, router.topk_group - 1 : router.topk_group + 1])
            chosen = sums.indices[:, : router.topk_group].unsqueeze(-1)
            grouped = scores.view(len(scores), router.num_group, -1)
            scores = grouped.gather(1, chosen.expand(-1, -1, grouped.shape[-1])).flatten(1)
        best = scores.sort(dim=-1, descending=True).values
        if router.top_k < best.shape[-1]:
            margins.append(best[:, router.top_k - 1 : router.top_k + 1])

    hooks = [
        module.register_forward_hook(observe)
        for model in models if model is not None
        for module in model.modules() if isinstance(module, ROUTERS)
    ]
    outputs_of(models, input_ids)
    for hook in hooks:
        hook.remove()
    return min((float((pair[:, 0] - pair[:, 1]).min()) for pair in margins), default=float("inf"))


def indexer_margins(models, input_ids):
    """How far the choices of keys are from changing, smallest over all tokens and layers.

    The scores are computed anew from what an indexer is given; infinite where all keys are seen.
    """
    margins = []
    topk = torch.Tensor.topk

    def observe(scores, count, dim=-1, **rest):
        if scores.dim() == 3 and count < scores.shape[-1]:
            best = scores.sort(dim=-1, descending=True).values[..., count - 1 : count + 1]
            # What is hidden has the least finite number.
            margins.append(best[(best > -1e30).all(-1)])
        return topk(scores, count, dim=dim, **rest)

    def enter(*_):
        torch.Tensor.topk = observe

    def leave(*_):
        torch.Tensor.topk = topk

    hooks = []
    for model in models:
        for module in model.modules() if model is not None else ():
            if isinstance(module, INDEXERS):
                hooks += [module.register_forward_pre_hook(enter),
                          module.register_forward_hook(leave)]
    outputs_of(models, input_ids)
    for hook in hooks:
        hook.remove()
    return min((float((pair[:, 0] - pair[:, 1]).min()) for pair in margins if len(pair)),
               default=float("inf"))
