"""What commands show in terminals: Tests/CommandTests/Fixtures/screens, for ScreenTests.

    scripts/make screens

The commands of commands.txt there, in terminals of 60, 80 and 120 columns. Look at what has changed
before it is committed.
"""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "Tests" / "CommandTests" / "Fixtures" / "screens"


def screen(line, columns, environment):
    """What a line shows in a terminal.

    A terminal ends lines its own way; a line of progress is drawn and taken away. Free disk is this
    machine's.
    """
    shown = subprocess.run(
        ["script", "-qec", f"stty cols {columns}; {line}", "/dev/null"], cwd=ROOT, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.decode()
    shown = re.sub(r"\r\x1b\[K", "", shown.replace("\r\n", "\n"))
    return "".join(row for row in shown.splitlines(keepends=True) if "are free there" not in row)


def main():
    """Builds the command and keeps every screen."""
    build = ["swift", "build", "-c", "release"]
    subprocess.run([*build, "--product", "fathom", "--quiet"], cwd=ROOT, check=True)
    programs = subprocess.run([*build, "--show-bin-path"], cwd=ROOT, check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
    environment = dict(os.environ, NO_COLOR="1", SHELL="/bin/sh",
                       PATH=f"{programs}:{os.environ['PATH']}")
    for row in (FOLDER / "commands.txt").read_text().splitlines():
        name, line = row.split(":", 1)
        for columns in (60, 80, 120):
            path = FOLDER / f"{name}-{columns}.txt"
            path.write_text(screen(line.removeprefix(" "), columns, environment))


if __name__ == "__main__":
    main()
