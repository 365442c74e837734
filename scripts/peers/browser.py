"""Headless Chromium: a page as a browser has it."""

import html
import re
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

from peers import even_font


def find():
    """The path of a browser, None where there is none."""
    script = Path(__file__).resolve().parent.parent / "peers-browser"
    result = subprocess.run([script], capture_output=True, text=True, timeout=600)
    return result.stdout.strip() or None


FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" style="width:%dpx;height:900px;border:0" srcdoc="%s"></iframe>
<pre id="found"></pre><script>
document.getElementById("frame").onload = async () => {
  const inner = document.getElementById("frame").contentDocument, width = %d, found = ["measured"];
  const style = element => inner.defaultView.getComputedStyle(element);
  await inner.fonts.ready;
  %s
  document.getElementById("found").textContent = found.join("\\n");
};
</script>"""

OVERFLOW = """
  // What scrolls within something narrower does not count.
  const scrolls = element => style(element).overflowX != "visible";
  if (inner.documentElement.scrollWidth > width) found.push("the page");
  for (const element of inner.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    if (box.width == 0 || box.right <= width + 0.5) continue;
    let around = element.parentElement;
    while (around && !scrolls(around)) around = around.parentElement;
    if (!around) found.push(element.tagName + " " + element.textContent.slice(0, 40).trim());
  }
"""

# A medium's rules hold everywhere, or nowhere.
MEDIA = """
  for (const sheet of inner.styleSheets) for (const rule of sheet.cssRules) {
    if (!rule.media || !/print|prefers/.test(rule.media.mediaText)) continue;
    rule.media.mediaText = rule.media.mediaText.includes("%s") ? "all" : "not all";
  }
"""

LAYOUT = """
  const shown = "h1, h2, h3, p, nav, table, th, tr:first-child td, figure, svg, summary, pre, .scroll";
  const colour = name => style(inner.documentElement).getPropertyValue(name).trim();
  found.push("colours " + ["--back", "--text", "--faint", "--line", "--panel", "--good", "--bad",
    "--series-0", "--series-7"].map(colour).join(" "));
  for (const element of inner.querySelectorAll(shown)) {
    const box = element.getBoundingClientRect(), own = style(element);
    if (own.display == "none" || box.width + box.height == 0) continue;
    const marks = [own.textAlign.replace("start", "left"), own.position, own.overflowX];
    const name = [element.tagName.toLowerCase(), ...element.classList].join(".");
    found.push([name, ...[box.x, box.y, box.width, box.height].map(Math.round),
      ...marks.filter(mark => !["left", "static", "visible"].includes(mark))].join(" "));
  }
"""

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


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

    def overflow(self, page, width):
        """What reaches beyond a window of so many pixels, which a page must not: a list of words."""
        found = self._measure(Path(page).read_text(encoding="utf-8"), width, OVERFLOW)
        return ["nothing measured"] if found is None else found

    def layout(self, page, width, medium):
        """Where everything stands in a window of so many pixels, a line each: name, left, top, width,
        height, and what is particular of it; before all, the colours. `medium` is `light`, `dark` or
        `print`."""
        text = Path(page).read_text(encoding="utf-8")
        # The page's policy is against fonts, for which this one stands in.
        text, count = POLICY.subn(even_font.style(), text)
        if count != 1:
            raise AssertionError(f"{page} has {count} policies")
        return self._measure(text, width, MEDIA % medium + LAYOUT) or []

    def _measure(self, text, width, script):
        """What a script finds in a page of so many pixels; None where it did not run."""
        # A window may not be narrower than 500 pixels, a frame may; a document of its own text is
        # read by the one around it.
        with tempfile.TemporaryDirectory(prefix="fathom-browser-") as folder:
            outer = Path(folder) / "outer.html"
            outer.write_text(FRAME % (width, html.escape(text, quote=True), width, script),
                             encoding="utf-8")
            shown = self._run(outer, "--dump-dom", "--virtual-time-budget=20000").stdout
        found = re.search(r'<pre id="found">(.*?)</pre>', shown, re.S)
        return html.unescape(found[1]).split("\n")[1:] if found and found[1] else None

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
