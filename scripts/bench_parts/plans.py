"""What `--dry-run` foretells of a conversion's time, beside what the conversion takes."""

import json
import shutil
import subprocess

from bench_parts.measure import cpu, print_table, run

# Targets and types: one of each way in which rates differ, that of codes that are searched for with a
# matrix among them.
CASES = (("hf", None), ("hf", "bf16"), ("gguf", "f16"), ("gguf", "q8_0"), ("gguf", "q2_k"),
         ("gguf", "q3_k_s"), ("gguf", "q4_k_m"), ("gguf", "q5_k_s"), ("gguf", "q6_k"),
         ("gguf", "iq4_xs"), ("gguf", "tq2_0"), ("gguf", "mxfp4_moe"), ("gguf", "iq3_s"),
         ("compressed-tensors", "int4-g128"))
# Foretold seconds may be so many times those that were taken, or that part of them: processors differ
# by as much, and a plan is asked whether it is minutes or hours.
FACTOR = 2


def bench(fathom, source, folder):
    """A row for each type: seconds of one core, foretold and taken."""
    rows, place = [], folder / "plans"
    for target, quant in CASES:
        place.mkdir()
        output = place / ("out.gguf" if target == "gguf" else "out")
        command = [fathom, "convert", source, output, "--to", target, "--threads", "1"]
        command += ["--quant", quant] if quant else []
        plan = subprocess.run([*command, "--dry-run", "--part", "1/1", "--format", "json"],
                              check=True, text=True, stdout=subprocess.PIPE)
        foretold = json.loads(plan.stdout)["part"]["coreSecondsOfAll"]
        result = run(command)
        shutil.rmtree(place)
        ratio = foretold / result.cpu_seconds
        rows.append((target, quant or "as it is", f"{foretold:.2f} s", cpu([result]), f"{ratio:.1f} ×",
                     "" if 1 / FACTOR <= ratio <= FACTOR else f"off by more than {FACTOR}"))
    print_table("What plans foretell of one core, and what conversions take of it",
                ("target", "type", "foretold", "taken", "", ""), rows)
