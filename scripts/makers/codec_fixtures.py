"""Known answers for the codecs, computed by torch: Tests/CodecsTests/Fixtures/*.bin.

Made with torch 2.13.0 on x86-64; run again with `scripts/make codec-fixtures`.
Each file is little-endian without a header; the tests know the shapes stated here.
"""

import pathlib

import torch

torch.manual_seed(61)
folder = pathlib.Path(__file__).parent.parent.parent / "Tests" / "CodecsTests" / "Fixtures"
folder.mkdir(parents=True, exist_ok=True)

WRITTEN = {
    "bf16": torch.bfloat16,
    "f16": torch.float16,
    "e4m3": torch.float8_e4m3fn,
    "e5m2": torch.float8_e5m2,
    "e8m0": torch.float8_e8m0fnu,
}
FP8 = WRITTEN | {"e4m3fnuz": torch.float8_e4m3fnuz, "e5m2fnuz": torch.float8_e5m2fnuz}


def save(name, tensor):
    raw = tensor.contiguous().view(torch.uint8).numpy().tobytes()
    (folder / f"{name}.bin").write_bytes(raw)


def bits(patterns):
    """F32 values from their bit patterns."""
    signed = [p - (1 << 32) if p >> 31 else p for p in patterns]
    return torch.tensor(signed, dtype=torch.int32).view(torch.float32)


def adversarial():
    """F32 values around every rounding boundary of the 8-bit types, and those of the others."""
    patterns = []
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        values = torch.arange(256, dtype=torch.uint8).view(dtype).double()
        values = values[torch.isfinite(values)].sort().values
        middles = (values[1:] + values[:-1]) / 2
        for value in torch.cat([values, middles]).float().view(torch.int32).tolist():
            patterns += [(value + d) & 0xFFFFFFFF for d in (-1, 0, 1)]
    for exponent in (0, 1, 100, 101, 102, 103, 112, 113, 127, 141, 142, 143, 253, 254, 255):
        for top in (0, 1, 2, 3, 0x1FF, 0x3FE, 0x3FF):
            for low in (0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF):
                word = exponent << 23 | top << 13 | low
                patterns += [word, word | 1 << 31]
    for high in (0x3F80, 0x3F81, 0x0000, 0x0001, 0x007F, 0x7F7F, 0x4049):
        for low in (0x7FFF, 0x8000, 0x8001, 0xFFFF):
            patterns += [high << 16 | low, high << 16 | low | 1 << 31]
    return bits(patterns)


def codes():
    for name, dtype in FP8.items():
        if dtype.itemsize == 1:
            save(f"decoded-{name}", torch.arange(256, dtype=torch.uint8).view(dtype).float())
    every = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16)
    # Sampled for size: every 7th of all 65,536 codes.
    save("decoded-f16", every[::7].view(torch.float16).float())


def conversions():
    values = adversarial()
    # Padded, so that torch's vector code converts them all: its scalar code differs in NaNs.
    values = torch.cat([values, values[: -len(values) % 64]])
    save("values", values)
    for name, dtype in WRITTEN.items():
        save(f"encoded-{name}", values.to(dtype))


def expand(scales, rows, columns, block):
    grid = scales.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
    return grid[:rows, :columns].contiguous()


def scaled():
    """(37, 256): all codes in each row; blocks of 16 × 48, the last ones cut short."""
    rows, columns, block = 37, 256, (16, 48)
    row = torch.arange(256, dtype=torch.uint8)
    stored = torch.stack([row.roll(5 * i) for i in range(rows)]).view(torch.float8_e4m3fn)
    scales = torch.randn(3, 6).abs() * 1e-3
    scales[0, 1:5] = torch.tensor([3e38, 1e-38, 7e-41, 1e-6])
    scales[1, 0:4] = torch.tensor([200.0, 146.3, 1.0, 2.0**-20])
    save("scaled-scales", scales)
    save("scaled-codes", stored)
    product = stored.float() * expand(scales, rows, columns, block)
    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16)):
        save(f"scaled-{name}", product.to(dtype))


def quantized():
    """(37, 100) in BF16; blocks of 16 × 32, the last ones cut short, one of them zero."""
    rows, columns, block = 37, 100, (16, 32)
    weights = torch.randn(rows, columns) * torch.logspace(-6, 2, rows).unsqueeze(1)
    weights[16:32, 32:64] = 0
    weights[17, 33] = -0.0
    weights[:16, 64:96] *= 1e-38
    weights = weights.bfloat16()
    save("quantized-weights", weights)
    padded = torch.zeros(48, 128)
    padded[:rows, :columns] = weights.float()
    amax = padded.view(3, 16, 4, 32).abs().amax(dim=(1, 3))
    scales = amax / 448.0
    scales[scales == 0] = 1.0
    powers = torch.exp2(torch.ceil(torch.log2(scales.double()))).float()
    # The smallest power that E8M0 can hold.
    powers = powers.clamp_min(2.0**-127)
    for name, grid in (("f32", scales), ("powers", powers)):
        save(f"quantized-{name}-scales", grid)
        ratio = weights.float() / expand(grid, rows, columns, block)
        save(f"quantized-{name}-codes", ratio.to(torch.float8_e4m3fn))


codes()
conversions()
scaled()
quantized()
