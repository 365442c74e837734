"""Headless Chromium: a page as a browser has it."""

import re
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path


def find():
    """The path of a browser, None where there is none."""
    script = Path(__file__).resolve().parent.parent / "peers-browser"
    result = subprocess.run([script], capture_output=True, text=True, timeout=600)
    return result.stdout.strip() or None


class Browser:
    """A browser without network; each call is a process of its own."""

    def __init__(self, path):
        self.path = path

    def _run(self, page, *options):
        with tempfile.TemporaryDirectory(prefix="fathom-browser-") as profile:
            return subprocess.run(
                [self.path, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                 "--disable-dev-shm-usage", "--enable-logging=stderr",
                 "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}",
                 *options, Path(page).resolve().as_uri()],
                capture_output=True, text=True, timeout=120)

    def document(self, page):
        """The document after loading, and what the console said."""
        result = self._run(page, "--dump-dom")
        return result.stdout, re.findall(r".*CONSOLE.*", result.stderr)

    def corner(self, page, dark):
        """The colour of the first pixel as RRGGBB, with the system's theme light or dark."""
        with tempfile.TemporaryDirectory(prefix="fathom-browser-") as folder:
            picture = Path(folder) / "picture.png"
            self._run(page, f"--screenshot={picture}", "--window-size=300,200",
                      f"--blink-settings=preferredColorScheme={0 if dark else 1}")
            return first_pixel(picture.read_bytes())


def first_pixel(png):
    """No filter of PNG changes the first pixel of the first row."""
    data, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += 12 + length
    return zlib.decompress(data)[1:4].hex()
