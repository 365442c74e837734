"""Runs makers by their names; `scripts/make` starts this."""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
# They ask no peer, and so need no Python but the one that is there.
PLAIN = {"hostile-gguf", "pages", "screens"}


def makers():
    """The name of each maker, and the file."""
    files = sorted(FOLDER.glob("[a-z]*.py"))
    return {file.stem.replace("_", "-"): file for file in files}


def first_line(file):
    """What a maker says of itself."""
    return ast.get_docstring(ast.parse(file.read_text())).splitlines()[0]


def jobs(words, known):
    """Each maker with the words behind it that name no other."""
    found = []
    for word in words:
        if word in known:
            found.append((word, []))
        elif found:
            found[-1][1].append(word)
        else:
            sys.exit(f"no maker is called {word}: scripts/make --list has the names")
    return found


def main():
    """Lists the makers, or runs those that are named."""
    known = makers()
    parser = argparse.ArgumentParser(
        prog="scripts/make", description="Makes samples and fixtures anew.")
    parser.add_argument("--list", action="store_true", help="what can be made")
    parser.add_argument("names", nargs=argparse.REMAINDER, metavar="NAME [ARGUMENT …]",
                        help="what is made; words behind a name that are none go to its maker")
    options = parser.parse_args()
    if options.list or not options.names:
        for name, file in known.items():
            print(f"{name:22}{first_line(file)}")
        return
    for name, arguments in jobs(options.names, known):
        python = sys.executable if name in PLAIN else subprocess.run(
            [ROOT / "scripts" / "peers-python"], check=True, text=True,
            stdout=subprocess.PIPE).stdout.strip()
        done = subprocess.run([python, "-m", f"makers.{known[name].stem}", *arguments], cwd=ROOT)
        if done.returncode != 0:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
