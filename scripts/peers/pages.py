"""The HTML pages of all commands about one sample, and where everything stands in them."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "Tests" / "CommandTests" / "Fixtures" / "pages"
# A phone, a screen and a sheet of A4 between its margins.
WINDOWS = ((390, "light"), (1280, "light"), (718, "print"))
# Pixels by which a place may differ: a number of one digit more moves what is beside it.
TOLERANCE = 8

MODEL = "tiny-trained"
TEXT = ("--text", "unseen.txt", "--max-tokens")
COMMANDS = (
    ("convert", MODEL, "q4.gguf", "--to", "gguf", "--quant", "q4_k_m"),
    ("convert", MODEL, "q2.gguf", "--to", "gguf", "--quant", "q2_k"),
    ("inspect", MODEL, "--format", "html", "-o", "inspect.html"),
    ("verify", MODEL, "q4.gguf", *TEXT, "96", "--blame", "--max-kl", "1", "--report", "html=verify.html"),
    ("verify", MODEL, "q4.gguf", "q2.gguf", *TEXT, "48", "--report", "html=several.html"),
    ("recipe", MODEL, "--bpw", "4.5", *TEXT, "48", "--types", "q3_k,q4_k,q6_k", "-o",
     "recipe.json", "--page", "recipe.html"),
)
PAGES = ("inspect", "verify", "several", "recipe")


def write(fathom, folder):
    """Writes the pages into a folder, by commands that name nothing of this machine."""
    shutil.copytree(ROOT / "Samples" / MODEL, folder / MODEL)
    shutil.copy(ROOT / "Samples" / "text" / "unseen.txt", folder)
    for command in COMMANDS:
        subprocess.run([Path(fathom).resolve(), *command], cwd=folder, check=True,
                       capture_output=True, timeout=600)


def layouts(folder, chromium):
    """(name, lines) of each page in each window; dark has the places of light and other colours."""
    for page in PAGES:
        path = folder / f"{page}.html"
        for width, medium in WINDOWS:
            lines = chromium.layout(path, width, medium)
            if medium == "light":
                dark = chromium.layout(path, width, "dark")
                lines = [*lines[:1], *dark[:1],
                         *(lines[1:] if lines[1:] == dark[1:] else ["dark has other places"])]
            yield f"{page}-{width}-{medium}", lines


def difference(lines, kept):
    """The first thing that is elsewhere, or looks otherwise, than what is kept; None for nothing."""
    for number, (line, other) in enumerate(zip(lines, kept), 1):
        words, others = line.split(" "), other.split(" ")
        if len(words) != len(others) or not all(map(_agrees, words, others)):
            return f"line {number}: {line}, kept as {other}"
    return None if len(lines) == len(kept) else f"{len(lines)} lines, kept {len(kept)}"


def _agrees(word, other):
    if word == other:
        return True
    numbers = [text.lstrip("-").isdigit() for text in (word, other)]
    return all(numbers) and abs(int(word) - int(other)) <= TOLERANCE
