"""`--text` and `--chat`: ids against Hugging Face's tokenizers, prompts against transformers."""

import json
import subprocess
from pathlib import Path

from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from makers.samples import SAMPLES
from makers.tokenizer_fixtures import (
    DEEPSEEK_CODER, DEEPSEEK_V3, KIMI_K2, sequence, split, train, variants)
from peers import llama
from peers.folder import write_json
from peers.templates import TEMPLATES, TEXTS
from peers.texts import random_texts, rows_of_characters, written

SAMPLE = SAMPLES / "tiny-bf16"
COUNT = 4000


def ids_of(report, model, texts, folder, *options):
    """Ids of each text, or what the program said in their place."""
    path = folder / "texts.json"
    path.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    # Built beside the command: thousands of texts in one call, and GGUF files without weights.
    program = Path(report.fathom).with_name("tokenizer-ids")
    result = subprocess.run([program, model, *options, path], capture_output=True, text=True,
                            timeout=600)
    try:
        return json.loads(result.stdout)
    except json.JSONDecodeError:
        return (result.stdout + result.stderr).strip()[-600:]


def compare(report, name, texts, expected, found):
    """Counts the texts whose ids differ and shows the first."""
    if isinstance(found, str):
        report.check(name, False, found)
        return
    wrong = [i for i, ids in enumerate(expected) if i >= len(found) or found[i] != ids]
    detail = f"{len(texts)} texts, {sum(map(len, expected))} ids"
    if wrong:
        first = wrong[0]
        detail = (f"{len(wrong)} of {len(texts)} differ, first {texts[first]!r}: "
                  f"{expected[first]} and {found[first:first + 1]}")
    report.check(name, not wrong, detail)


def check_variant(report, described, name, row, seed, folder):
    """One setting of the tokenizer, on texts that no fixture has."""
    changes, parts, _ = row
    path = folder / name.replace(" ", "-")
    path.mkdir()
    write_json(path / "tokenizer.json", {**described, **changes})
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    texts = written() + random_texts(1000 + seed, COUNT, parts)
    expected = [tokenizer.encode(text).ids for text in texts]
    compare(report, f"{name}: ids as tokenizers give them", texts, expected,
            ids_of(report, path, texts, folder))


def check_all_characters(report, described, folder):
    """Every kind of character, alone between others, with three models' patterns."""
    texts = []
    for row in rows_of_characters():
        texts += [" ".join(row), "a".join(row)]
    patterns = {"deepseek-v3": DEEPSEEK_V3, "deepseek-coder": DEEPSEEK_CODER, "kimi-k2": [KIMI_K2]}
    for name, rows in patterns.items():
        path = folder / f"all-{name}"
        path.mkdir()
        # Digits as well: another library's idea of what a number is.
        digits = {"type": "Digits", "individual_digits": True}
        write_json(path / "tokenizer.json",
                   {**described, "pre_tokenizer": sequence(*map(split, rows), digits)})
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        compare(report, f"{name}: characters of all Unicode", texts,
                [tokenizer.encode(text).ids for text in texts],
                ids_of(report, path, texts, folder))


def check_gguf(report, folder):
    """A GGUF file that Fathom writes, against the tokenizer.json that it was made from."""
    source = folder / "source"
    source.mkdir()
    for file in SAMPLE.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    described = json.loads((source / "tokenizer.json").read_text())
    described["pre_tokenizer"] = sequence(*map(split, DEEPSEEK_V3))
    write_json(source / "tokenizer.json", described)
    report.run("convert", source, folder / "model.gguf", "--to", "gguf", "--quant", "bf16")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    texts = written() + random_texts(2000, COUNT, ["<|begin|>", "<|end|>"])
    # The sample's settings ask for the begin token, which a GGUF file says and transformers ignores.
    expected = [[0, *tokenizer.encode(text).ids] for text in texts]
    compare(report, "a GGUF file's keys: ids as tokenizers give them", texts, expected,
            ids_of(report, folder / "model.gguf", texts, folder))


def check_vocabularies(report, folder):
    """Real vocabularies that llama.cpp's sources come with, and the ids it expects of them."""
    for name in ["deepseek-llm", "deepseek-coder", "gpt-2"]:
        path = llama.ROOT / "src" / "models" / f"ggml-vocab-{name}.gguf"
        texts = path.with_name(path.name + ".inp").read_bytes().decode().split(
            "\n__ggml_vocab_test__\n")
        lines = path.with_name(path.name + ".out").read_text().splitlines()
        expected = [[int(number) for number in line.split()] for line in lines]
        found = ids_of(report, path, texts, folder)
        if isinstance(found, list) and name.startswith("deepseek"):
            found = [ids[1:] for ids in found]
        compare(report, f"{name}: ids that llama.cpp expects", texts, expected, found)


def check_chat(report, folder):
    """Templates of our own, and those of the family that llama.cpp's sources come with."""
    templates = dict(TEMPLATES)
    for path in sorted((llama.ROOT / "src" / "models" / "templates").glob("*.jinja")):
        if any(name in path.name.lower() for name in ["deepseek", "kimi"]):
            templates[path.stem] = path.read_text(encoding="utf-8")
    texts = TEXTS + written()[::3]
    for name, template in templates.items():
        path = folder / name.replace(" ", "-")
        path.mkdir()
        for file in ["tokenizer.json", "tokenizer_config.json"]:
            (path / file).write_bytes((SAMPLE / file).read_bytes())
        (path / "chat_template.jinja").write_text(template, encoding="utf-8", newline="")
        tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
        expected = [tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False)
            for text in texts]
        compare(report, f"chat template {name}: ids as transformers give them", texts, expected,
                ids_of(report, path, texts, folder, "--chat"))


def check_command(report, folder):
    """`fathom logits --text` is `--tokens` with the peer's ids, byte for byte."""
    text = folder / "text.txt"
    text.write_text("".join(written()), encoding="utf-8", newline="")
    ids = Tokenizer.from_file(str(SAMPLE / "tokenizer.json")).encode(
        text.read_bytes().decode()).ids[:200]
    write_json(folder / "ids.json", ids)
    report.run("logits", SAMPLE, "--tokens", folder / "ids.json", "-o", folder / "a.safetensors")
    report.run("logits", SAMPLE, "--text", text, "--max-tokens", 200,
               "-o", folder / "b.safetensors")
    same = (folder / "a.safetensors").read_bytes() == (folder / "b.safetensors").read_bytes()
    report.check("logits --text: the logits of the peer's ids", same,
                 str(tuple(load_file(str(folder / "b.safetensors"))["logits"].shape)))


def run(report, folder):
    """Ids by settings, then by source, then prompts."""
    described = train()
    for seed, (name, row) in enumerate(variants(described).items()):
        report.attempt(name, check_variant, report, described, name, row, seed, folder)
    report.attempt("characters", check_all_characters, report, described, folder)
    report.attempt("gguf", check_gguf, report, folder)
    report.attempt("vocabularies", check_vocabularies, report, folder)
    chats = folder / "chats"
    chats.mkdir()
    report.attempt("chat", check_chat, report, chats)
    report.attempt("command", check_command, report, folder)
