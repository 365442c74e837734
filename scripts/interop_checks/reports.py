"""The reports of `fathom verify`, read by those they are for: XML Schema, GitHub's Markdown, a browser."""

import json
import re
import shutil
from pathlib import Path

import cmarkgfm
from lxml import etree, html
from safetensors.torch import load_file, save_file

from makers.samples import SAMPLES, make_tokens
from peers import browser, pages

SCHEMA = Path(__file__).resolve().parent.parent.parent / "Schemas" / "junit.xsd"
# Ends attributes, elements, table cells and code, if it is let.
HOSTILE = "</td></svg><script>alert(1)</script>\"'|`*_&amp;"
PLOTS = ["kl-main", "kl-mtp", "histogram-main", "histogram-mtp", "layer-error",
         "router-agreement", "expert-use", "expert-error", "bytes-layers", "bytes-parts",
         "type-map"]
# What is measured against the reference itself alone.
NEED_REFERENCE = {"expert-error", "bytes-layers", "bytes-parts"}


def make_hostile(sample, folder):
    """A copy of a sample, with hostile names of its folder, of a tensor and of its tokens."""
    path = folder / "<b>x|y`"
    shutil.copytree(sample, path)
    weights = load_file(path / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight"
    weights[name] = weights[name].flip(0)
    weights[f"model.layers.0.{HOSTILE}"] = weights["model.norm.weight"].clone()
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    described = json.loads((path / "tokenizer.json").read_text())
    used = max(described["model"]["vocab"].values()) + 1
    for number in range(used, 288):
        described["added_tokens"].append({
            "id": number, "content": f"{HOSTILE}{number}", "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": False})
    (path / "tokenizer.json").write_text(json.dumps(described))
    return path


def write_reports(report, folder, reference, candidate, *options, expect=0):
    """All forms of one run, by their names."""
    paths = {form: folder / f"report.{form}" for form in ("junit", "html", "markdown", "json")}
    reports = [part for form, path in paths.items() for part in ("--report", f"{form}={path}")]
    # The hostile tensor belongs to no network.
    report.run("verify", reference, candidate, *reports, "--overwrite", "--ignore-unknown", *options,
               expect=expect)
    return paths


def check_junit(report, name, path, failures):
    """libxml2 finds it valid, and it counts what fails."""
    schema = etree.XMLSchema(etree.parse(str(SCHEMA)))
    document = etree.parse(str(path))
    report.check(f"{name}: JUnit is valid by its schema", schema.validate(document),
                 str(schema.error_log)[:300])
    suite = document.getroot()[0]
    report.check(f"{name}: JUnit counts its tests and failures",
                 len(suite.findall("testcase")) == int(suite.get("tests"))
                 and len(suite.findall("testcase/failure")) == int(suite.get("failures"))
                 == failures)


def check_markdown(report, name, path):
    """GitHub's own renderer makes tables of it, and nothing that was not meant."""
    rendered = cmarkgfm.github_flavored_markdown_to_html(
        path.read_text(encoding="utf-8"), options=cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    document = html.fromstring(f"<div>{rendered}</div>")
    tags = {element.tag for element in document.iter()}
    report.check(f"{name}: Markdown has no element but its own",
                 tags <= {"div", "h3", "p", "code", "table", "thead", "tbody", "tr", "th", "td"},
                 str(sorted(tags)))
    widths = [{len(row) for row in table.iter("tr")} for table in document.iter("table")]
    report.check(f"{name}: Markdown's tables are tables",
                 len(widths) >= 3 and all(len(width) == 1 for width in widths), str(widths))


def check_page(report, name, path, chromium, plots):
    """Every plot is there, nothing ran, nothing was refused, and the theme is the system's."""
    text, console = chromium.document(path)
    document = html.fromstring(text)
    drawn = {figure.get("id"): len(list(figure.iter("rect", "path")))
             for figure in document.iter("figure")}
    report.check(f"{name}: a browser shows every plot",
                 set(drawn) == set(plots) and min(drawn.values()) > 3, str(drawn))
    report.check(f"{name}: no script, no message, no request",
                 not list(document.iter("script", "img", "link")) and not console,
                 " ".join(console)[:300])
    check_widths(report, name, path, chromium)
    colours = [chromium.corner(path, dark) for dark in (False, True)]
    report.check(f"{name}: light and dark", colours == ["ffffff", "15181c"], str(colours))


def check_widths(report, name, path, chromium):
    """On a phone and on a screen everything is within the window, or scrolls inside itself."""
    for width in (390, 1280):
        found = chromium.overflow(path, width)
        report.check(f"{name}: nothing overflows {width} pixels", not found, "; ".join(found)[:300])


def check_other_pages(report, folder, chromium):
    """The pages of `inspect`, and of several candidates."""
    wide = folder / "wide.html"
    wide.write_text("<!doctype html><p style='width:600px'>wide</p>")
    report.check("a page that overflows is seen", chromium.overflow(wide, 390) != [])
    for name, source in (("a folder", SAMPLES / "tiny-fp8"),
                         ("a config alone", SAMPLES / "deepseek-v3" / "config.json")):
        page = folder / "inspect.html"
        report.run("inspect", source, "--format", "html", "-o", page, "--overwrite")
        check_widths(report, f"inspect, {name}", page, chromium)
    page = folder / "several.html"
    report.run("verify", SAMPLES / "tiny-tied", SAMPLES / "tiny-tied", SAMPLES / "tiny-tied",
               "--report", f"html={page}")
    check_widths(report, "several candidates", page, chromium)


def check_layouts(report, folder, chromium):
    """Everything stands where it stood when somebody last looked: scripts/make pages."""
    folder = folder / "pages"
    folder.mkdir()
    pages.write(report.fathom, folder)
    for name, lines in pages.layouts(folder, chromium):
        kept = (pages.FOLDER / f"{name}.txt").read_text().splitlines()
        found = pages.difference(lines, kept)
        report.check(f"{name}: the layout that is kept", found is None, found or "")


def run(report, folder):
    """A hostile candidate that fails, and a baseline's report."""
    path = browser.find()
    chromium = path and browser.Browser(path)
    report.check("there is a Chromium to open the pages", chromium is not None,
                 "none; scripts/peers-browser installs one where CI is set")
    candidate = make_hostile(SAMPLES / "tiny-tied", folder)
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps(make_tokens(51, (2, 120), 288).tolist()))
    paths = write_reports(report, folder, candidate, candidate, "--tokens", tokens, "--max-kl", 0)
    check_junit(report, "the model itself", paths["junit"], 0)
    paths = write_reports(report, folder, SAMPLES / "tiny-tied", candidate, "--tokens", tokens,
                          "--blame", "--max-kl", 1e-9, "--min-top1", 0, expect=1)
    check_junit(report, "a hostile candidate", paths["junit"], 2)
    check_markdown(report, "a hostile candidate", paths["markdown"])
    page = paths["html"].read_text(encoding="utf-8")
    report.check("a hostile candidate: its names are on the page, escaped",
                 "&lt;script&gt;alert(1)" in page and not re.search("<script|<b>", page))
    if chromium:
        check_page(report, "a hostile candidate", paths["html"], chromium, PLOTS)
        check_other_pages(report, folder, chromium)
        check_layouts(report, folder, chromium)
    baseline = folder / "reference.baseline"
    report.run("verify", "--record", SAMPLES / "tiny-tied", "--tokens", tokens, "-o", baseline)
    paths = write_reports(report, folder, baseline, candidate, "--max-kl", 1e-9, expect=1)
    check_junit(report, "against a baseline", paths["junit"], 2)
    check_markdown(report, "against a baseline", paths["markdown"])
    if chromium:
        check_page(report, "against a baseline", paths["html"], chromium,
                   [plot for plot in PLOTS if plot not in NEED_REFERENCE])
