"""Kimi's tokenizer: ids against tiktoken, GGUF keys against llama.cpp's converter."""

import base64
import json

import tiktoken
from gguf import GGUFReader

from makers.kimi_fixtures import (
    convert, encode, named_tokens, settings_of, special, texts, trained, wild)
from makers.samples import SAMPLES
from makers.tokenizer_fixtures import KIMI_K2
from peers.folder import write_json
from peers.texts import random_texts, rows_of_characters

from .text import compare, ids_of

COUNT = 4000
# Keys of GGUF files whose names are not those of the functions that write them.
KEYS = {"token_list": "tokens", "token_merges": "merges", "token_types": "token_type",
        "tokenizer_model": "model", "tokenizer_pre": "pre", "pad_token_id": "padding_token_id"}


def folder_with(folder, ranks):
    """A sample with this vocabulary in place of its own."""
    folder.mkdir()
    for file in (SAMPLES / "tiny-bf16").iterdir():
        if file.name not in ("tokenizer.json", "tokenizer_config.json"):
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "tiktoken.model").write_text("".join(
        f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()))
    named = named_tokens(len(ranks), 0)
    write_json(folder / "tokenizer_config.json", settings_of(named))
    specials = special(named, len(ranks), 0)
    return tiktoken.Encoding(
        name="kimi", pat_str=KIMI_K2, mergeable_ranks=ranks, special_tokens=specials), specials


def check_ids(report, name, ranks, folder):
    """Random texts, every character alone between others, and runs that are cut."""
    encoding, _ = folder_with(folder, ranks)
    given = texts(1000, []) + random_texts(1001, COUNT, [*encoding.special_tokens_set][:20])
    for row in rows_of_characters():
        given += [" ".join(row), "a".join(row), "A'".join(row)]
    given += [part * count for part in ["a", " ", "深", "ab ", "\n", "\x1d"]
              for count in (24_999, 25_000, 25_001, 50_001)] + ["ab " * 140_000]
    compare(report, f"{name}: ids as tiktoken gives them", given,
            [encode(encoding, text) for text in given], ids_of(report, folder, given, folder))


def check_gguf(report, folder):
    """A file that Fathom writes: the converter's keys, and ids that are still tiktoken's."""
    # As many rows as the sample's embedding has; special tokens go beyond.
    ranks = {token: rank for token, rank in trained().items() if rank < 270}
    encoding, specials = folder_with(folder, ranks)
    settings = settings_of(named_tokens(270, 0))
    config = {"bos_token_id": 270, "eos_token_id": 272, "pad_token_id": 271}
    write_json(folder / "config.json", {**json.loads((folder / "config.json").read_text()), **config})
    output = folder.with_suffix(".gguf")
    report.run("convert", folder, output, "--to", "gguf", "--quant", "bf16")
    expected = convert(ranks, specials, settings, config, 288)
    fields = GGUFReader(output).fields
    for name, value in expected.items():
        key = "tokenizer.chat_template" if name == "chat_template" else (
            "tokenizer.ggml." + KEYS.get(name, name))
        found = fields[key].contents() if key in fields else None
        report.check(f"GGUF key {key} as the converter writes it", found == value)
    given = texts(1002, ["[BOS]", "<|im_end|>"]) + random_texts(1003, COUNT, ["<|im_user|>"])
    compare(report, "a GGUF file's keys: ids as tiktoken gives them", given,
            [encode(encoding, text) for text in given], ids_of(report, output, given, folder))


def run(report, folder):
    """Ids with two vocabularies, then GGUF."""
    for name, ranks in [("trained", trained()), ("wild", wild())]:
        report.attempt(name, check_ids, report, name, ranks, folder / name)
    report.attempt("gguf", check_gguf, report, folder / "gguf")
