"""Numbers that checks are about, computed by torch."""

import torch


def log_probabilities(logits):
    """Log-softmax over the vocabulary in F64."""
    return torch.log_softmax(logits.double(), dim=-1)


def divergences(reference, candidate):
    """KL(reference ‖ candidate) of every position."""
    left, right = log_probabilities(reference), log_probabilities(candidate)
    return (left.exp() * (left - right)).sum(-1)


def largest_difference(left, right):
    """Largest absolute difference; infinite where the shapes differ."""
    if left.shape != right.shape:
        return float("inf")
    return float((left.double() - right.double()).abs().max())


def same_bits(left, right):
    """Equal type, shape and bits; NaN counts as NaN, since its payload carries no number."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    nan = left.isnan() if left.is_floating_point() and left.element_size() > 1 else None
    if nan is not None and nan.any():
        if not torch.equal(nan, right.isnan()):
            return False
        left, right = left.masked_fill(nan, 0), right.masked_fill(nan, 0)
    width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[left.element_size()]
    return torch.equal(left.contiguous().view(width), right.contiguous().view(width))


def perplexity(logits, input_ids, ahead):
    """exp of the mean negative log-likelihood of the token `ahead` positions further on."""
    targets = input_ids[:, ahead:]
    scored = log_probabilities(logits[:, : targets.shape[1]])
    chosen = scored.gather(-1, targets.unsqueeze(-1))
    return float((-chosen.mean()).exp())
