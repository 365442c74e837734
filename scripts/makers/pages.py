"""Where everything stands in the HTML pages: Tests/CommandTests/Fixtures/pages, for scripts/interop.

    scripts/make pages

On a phone, a screen and paper, in a Chromium. Look at the pages before what has changed is committed.
"""

import subprocess
import tempfile
from pathlib import Path

from peers import browser, pages


def main():
    """Builds the command and keeps the layout of every page."""
    build = ["swift", "build", "-c", "release"]
    subprocess.run([*build, "--product", "fathom", "--quiet"], cwd=pages.ROOT, check=True)
    programs = subprocess.run([*build, "--show-bin-path"], cwd=pages.ROOT, check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
    path = browser.find()
    if not path:
        raise SystemExit("there is no Chromium; scripts/peers-browser installs one where CI is set")
    with tempfile.TemporaryDirectory(prefix="fathom-pages-") as folder:
        pages.write(Path(programs) / "fathom", Path(folder))
        for name, lines in pages.layouts(Path(folder), browser.Browser(path)):
            (pages.FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
