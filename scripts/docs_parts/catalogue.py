"""Makes a DocC catalogue of the documents, the commands and the schemas; `scripts/docs` starts this.

    python3 scripts/docs_parts/catalogue.py COMMANDS.md CATALOGUE.docc
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Pages for users first; the others say why things are as they are.
USERS = ("jobs", "commands", "remote", "cluster")
# DocC keeps this name for pages of another kind.
RENAMED = {"tutorials": "jobs"}


def renamed(name):
    """What a page is called in the catalogue."""
    return RENAMED.get(name, name)


def anchor(heading):
    """The end of a heading's address, as DocC makes it of its words."""
    return re.sub(r"-+", "-", re.sub(r"[^\w]+", "-", heading)).strip("-")


def page(path, pages):
    """A document, with links that DocC follows; what lies beside the pages is named by its path."""
    text = path.read_text()
    headings = {re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-"): words
                for words in re.findall(r"^#+ (.*)$", text, re.M)}

    def link(match):
        words, target = match.groups()
        if target.startswith("#"):
            return f"[{words}](<doc:{renamed(path.stem)}#{anchor(headings[target[1:]])}>)"
        if re.match(r"https?:", target):
            return match[0]
        name = renamed(Path(target).stem)
        if Path(target).suffix == ".md" and name in pages:
            return f"[{words}](<doc:{name}>)"
        return words if words.startswith("`") else f"{words} (`{target.removeprefix('../')}`)"

    return re.sub(r"\[([^\]]*)\]\(([^)]*)\)", link, text)


def commands(text):
    """A page for each command, by its name."""
    for piece in re.split(r"^## fathom\.", text, flags=re.M)[1:]:
        name, _, rest = piece.partition("\n")
        if name != "help":
            yield f"fathom-{name}", f"# fathom {name}\n{reference(rest)}"


def reference(text):
    """What the generator writes of a command, with its flags as code and words as words."""
    term = r"^- term \*\*(.*)\*\*:\n+(?:\*(.*)\*\n)?"
    usage, body = re.match(r"(.*?^```$.*?^```$)(.*)", text, re.S | re.M).groups()
    pieces = re.split(term, body, flags=re.M)
    lines = [plain(pieces[0])]
    for name, words, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3]):
        lines.append(f"- term {code(name)}: {plain(words or '')}\n{plain(rest)}")
    return usage + "".join(lines)


def code(text):
    """What the generator has escaped, as code."""
    return "`" + text.replace("\\<", "<").replace("\\>", ">") + "`"


def plain(text):
    """Text in which nothing is markup; options are code, whose dashes stay two."""
    text = re.sub(r"([*_<\[])", r"\\\1", text)
    return re.sub(r"(?<![\w-])--[a-z][\w-]*", lambda match: f"`{match[0]}`", text)


def rows(properties, required, prefix=""):
    """Lines of a table of a schema's properties, those of objects in it too."""
    for name, entry in properties.items():
        entry = entry if isinstance(entry, dict) else {}
        kind = entry.get("type") or ("one of " + ", ".join(map(str, entry["enum"]))
                                     if "enum" in entry else entry.get("$ref", entry.get("const", "")))
        kind = " or ".join(kind) if isinstance(kind, list) else str(kind)
        words = entry.get("description", "").replace("|", "\\|")
        mark = "" if name in required else "optional"
        yield f"| `{prefix}{name}` | {kind.replace('#/$defs/', 'as ')} | {mark} | {words} |"
        inner = entry.get("items", entry)
        if isinstance(inner, dict) and "properties" in inner:
            yield from rows(inner["properties"], inner.get("required", ()), f"{prefix}{name}.")


def schema(path):
    """The page of a schema."""
    document = json.loads(path.read_text())
    lines = [f"# {document['$id'] if '$id' in document else path.stem}", "",
             document.get("title", "").replace("`fathom", "`fathom") + ".", "",
             document.get("description", ""), "",
             f"The schema itself is `Schemas/{path.name}`.", ""]
    tables = [("", document)] + sorted(document.get("$defs", {}).items())
    for name, entry in tables:
        if isinstance(entry, dict) and entry.get("properties"):
            lines += [f"## {name or 'Document'}", "", "| key | type | | |", "|---|---|---|---|",
                      *rows(entry["properties"], entry.get("required", ())), ""]
    return "\n".join(lines)


def main():
    """Writes the catalogue."""
    source, catalogue = map(Path, sys.argv[1:])
    catalogue.mkdir()
    pages = {renamed(path.stem): path for path in sorted((ROOT / "docs").glob("*.md"))}
    for name, path in pages.items():
        (catalogue / f"{name}.md").write_text(page(path, pages))
    names = []
    for name, text in commands(source.read_text()):
        names.append(name)
        (catalogue / f"{name}.md").write_text(text)
    schemas = []
    for path in sorted((ROOT / "Schemas").glob("*.json")):
        name = "schema-" + path.name.removesuffix(".schema.json").replace(".", "-")
        schemas.append(name)
        (catalogue / f"{name}.md").write_text(schema(path))
    # What stands in the README before the networks is what the first page says.
    readme = (ROOT / "README.md").read_text().split("## What it knows")[0]
    title, _, rest = readme.partition("\n")
    readme = re.sub(r"\[([^\]]*)\]\(docs/(\w+)\.md\)",
                    lambda match: f"[{match[1]}](<doc:{renamed(match[2])}>)", rest)
    topics = {"For users": [name for name in USERS if name in pages], "Commands": sorted(names),
              "Why it is as it is": [name for name in pages if name not in USERS],
              "JSON": schemas}
    lines = [title, "", "@Metadata {", "  @TechnologyRoot", "}", "", readme.strip(), "", "## Topics"]
    for heading, entries in topics.items():
        lines += ["", f"### {heading}", "", *[f"- <doc:{entry}>" for entry in entries]]
    (catalogue / "fathom.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
