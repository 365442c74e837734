"""One fault each in a checkpoint of compressed-tensors' INT4, for scripts/make malformed."""

import torch

PACKED = "model.layers.1.mlp.experts.1.down_proj.weight"


def missing_tensor_packed(fault):
    """Codes that are not there: scales and shape are."""
    fault.remove(PACKED + "_packed")
    fault.write()
    return PACKED + "_packed"


def wrong_shape_packed(fault):
    """Codes with one word less in each row."""
    name = PACKED + "_packed"
    fault.replace(name, fault.tensor(name)[:, :-1].contiguous())
    fault.write()
    return name


def wrong_type_packed(fault):
    """The same bits, which are no words of 32."""
    name = PACKED + "_packed"
    fault.replace(name, fault.tensor(name).view(torch.float32))
    fault.write()
    return name


def missing_scale_packed(fault):
    """Codes without their scales."""
    fault.remove(PACKED + "_scale")
    fault.write()
    return PACKED + "_scale"


def missing_scale_zero(fault):
    """Codes of an asymmetric scheme without their zero points."""
    fault.remove(PACKED + "_zero_point")
    fault.write()
    return PACKED + "_zero_point"


def wrong_scale_shape_packed(fault):
    """Scales for groups of 16, in a checkpoint of groups of 32."""
    name = PACKED + "_scale"
    fault.replace(name, fault.tensor(name).repeat(1, 2))
    fault.write()
    return name


def orphan_scale_packed(fault):
    """Scales for the router, which is BF16."""
    name = "model.layers.1.mlp.gate.weight_scale"
    fault.shards[1][name] = torch.ones(2, 1, dtype=torch.bfloat16)
    fault.write()
    return name


def wrong_shape_declared(fault):
    """A shape of the weight that is not the network's: no header shows it."""
    name = PACKED + "_shape"
    fault.replace(name, torch.tensor([32, 31]))
    fault.write()
    return name


PACKED_FAULTS = [
    missing_tensor_packed, wrong_shape_packed, wrong_type_packed, missing_scale_packed,
    missing_scale_zero, wrong_scale_shape_packed, orphan_scale_packed, wrong_shape_declared,
]
