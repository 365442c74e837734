"""Block-scaled FP8 (e4m3) as DeepSeek stores it, done by torch: the oracle for Fathom's own."""

import torch

LARGEST = 448.0  # the largest finite e4m3fn value


def grid(shape, block):
    """Rows and columns of the scale grid; blocks at the edges may be partial."""
    return tuple(-(-size // step) for size, step in zip(shape, block))


def spread(scales, shape, block):
    """Repeats each block's scale over its elements and cuts the overhang of partial blocks."""
    rows = scales.float().repeat_interleave(block[0], dim=0)[: shape[0]]
    return rows.repeat_interleave(block[1], dim=1)[:, : shape[1]]


def block_maxima(weight, block):
    """The largest magnitude in each block."""
    rows, columns = grid(weight.shape, block)
    padded = torch.zeros(rows * block[0], columns * block[1])
    padded[: weight.shape[0], : weight.shape[1]] = weight.abs()
    return padded.view(rows, block[0], columns, block[1]).amax(dim=(1, 3))


def round_up_to_power_of_two(scales):
    """The smallest power of two that is not below, taken from the bits: exact, unlike log2."""
    mantissa, exponent = torch.frexp(scales)
    return torch.ldexp(torch.ones_like(scales), exponent - (mantissa == 0.5).int())


def quantize(weight, block, power_of_two=False):
    """F32 matrix → (e4m3 codes, F32 scale per block), scale = largest magnitude / 448.

    A block of zeros has scale 1: a scale of 0 would turn its codes into NaN.
    """
    scales = block_maxima(weight, block) / LARGEST
    scales = torch.where(scales == 0, torch.ones_like(scales), scales)
    if power_of_two:
        scales = round_up_to_power_of_two(scales)
    codes = (weight / spread(scales, weight.shape, block)).to(torch.float8_e4m3fn)
    return codes, scales


def dequantize(codes, scales, block):
    """F32 values: each code times its block's scale ("inv" in the name notwithstanding).

    Experts that stand in a stack have blocks of their own each.
    """
    if codes.dim() == 3:
        return torch.stack([dequantize(*pair, block) for pair in zip(codes, scales)])
    return codes.float() * spread(scales, codes.shape, block)
