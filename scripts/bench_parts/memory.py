"""Peak memory of every command: on the 2 GB checkpoint, and on DeepSeek-V3 as sparse files."""

import json
import shutil
import subprocess

from bench_parts.measure import print_table, run

LIMIT = 512_000_000

# What a conversion may be asked for, one of each kind of arithmetic.
TARGETS = [
    ("hf", "bf16"), ("hf", "f32"), ("hf", "fp8"), ("gguf", "f32"), ("gguf", "q8_0"),
    ("gguf", "q4_k_m"), ("mlx", "4bit"), ("mlx", "mxfp4"), ("compressed-tensors", "int4-g32"),
    ("compressed-tensors", "nvfp4"), ("compressed-tensors", "fp8-block"), ("deepseek", None),
]


def convert(source, output, target, quant):
    """Arguments of a conversion."""
    more = ["--quant", quant] if quant else []
    more += ["--mp", "2"] if target == "deepseek" else []
    return ["convert", source, output, "--to", target, *more]


def bench(fathom, model, plain, sparse, folder):
    """Runs all commands; ends the benchmark where one needs more than the limit.

    `plain` is the model in BF16.
    """
    output, other = folder / "memory-output", folder / "memory-output.gguf"
    tokens, baseline = folder / "memory-tokens.json", folder / "memory.baseline"
    tokens.write_text(json.dumps([[(7 * i * i) % 60_000 for i in range(512)]]))
    logits, packed = folder / "memory-logits.safetensors", folder / "memory-packed"
    shutil.rmtree(packed, ignore_errors=True)
    targets = [(target, quant) for target, quant in TARGETS if target != "deepseek"]
    plans = [
        [*convert(sparse, output, target, quant), "--dry-run"] for target, quant in targets]
    commands = [
        ["inspect", model, "--layers", "--experts"], ["inspect", model, "--stats"],
        ["validate", model, "--deep"], ["hash", model], ["diff", model, plain],
        ["logits", model, "--tokens", tokens, "-o", logits, "--overwrite"],
        ["verify", model, plain, "--tokens", tokens, "--isolate", "--mtp", "drop"],
        ["verify", "--record", model, "--tokens", tokens, "-o", baseline, "--overwrite"],
        ["verify", baseline, model],
        ["pack", plain, packed], ["validate", packed, "--deep"], ["diff", plain, packed],
        convert(packed, output, "gguf", "q4_k_m"), ["unpack", packed, "--check"],
        ["unpack", packed, output],
        *(convert(plain, output, target, quant) for target, quant in TARGETS),
        convert(model, output, "hf", "bf16"), ["validate", output, "--manifest"],
        ["inspect", sparse, "--tensors", "--format", "json"], ["validate", sparse], *plans,
    ]
    rows, worst = [], 0
    for command in commands:
        if command[0] in ("convert", "unpack"):
            shutil.rmtree(output, ignore_errors=True)
            other.unlink(missing_ok=True)
            command = [other if part == output and "gguf" in command else part for part in command]
        done = run([fathom, *command], stderr=subprocess.DEVNULL)
        worst = max(worst, done.peak_bytes)
        text = " ".join(part if isinstance(part, str) else part.name for part in command)
        rows.append((text, f"{done.seconds:.1f} s", f"{done.peak_bytes / 1e6:,.0f} MB"))
    for leftover in (output, packed):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in (other, tokens, baseline, logits):
        leftover.unlink(missing_ok=True)
    print_table("Peak memory", ("command", "wall time", "peak memory"), rows)
    if worst > LIMIT:
        raise SystemExit(f"a command takes {worst / 1e6:,.0f} MB, more than {LIMIT / 1e6:,.0f}")
