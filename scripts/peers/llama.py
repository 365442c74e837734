"""llama.cpp: its converter and its quantizer, as `scripts/build-llama` builds them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get(
    "FATHOM_LLAMA",
    Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fathom" / "llama"))
CONVERTER = Path(__file__).with_name("convert_to_gguf.py")


class PeerRefused(Exception):
    """A peer ended with an error."""


def run(command):
    """Runs a program; its last lines are the error."""
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900)
    if result.returncode != 0:
        raise PeerRefused(f"{Path(str(command[0])).name}: {(result.stdout + result.stderr)[-800:]}")
    return result.stdout + result.stderr


def convert(model, output, outtype="f32"):
    """convert_hf_to_gguf.py"""
    run([sys.executable, CONVERTER, ROOT / "src", model, "--outfile", output,
         "--outtype", outtype])


def quantize(source, output, file_type, *flags):
    """llama-quantize"""
    return run([ROOT / "bin" / "llama-quantize", *flags, source, output, file_type])
