"""Known answers about tokenizers and chat templates, for ModelsTests.

A tokenizer, the ids that Hugging Face's tokenizers give hard texts under many settings, and the
prompts that transformers makes with chat templates.

    scripts/make tokenizer-fixtures
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from peers.templates import TEMPLATES, TEXTS
from peers.texts import random_texts, written

FOLDER = Path(__file__).resolve().parent.parent.parent / "Tests" / "ModelsTests" / "Fixtures"

SIZE = 900
MARKS = ["<|begin|>", "<|end|>", "<|user|>"]

# What each model's own tokenizer splits a text with.
DEEPSEEK_V3 = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]
DEEPSEEK_CODER = ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+"]
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
KIMI_K2 = "|".join([
    r"[\p{Han}]+",
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    """A row of `pretokenizers`."""
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(prefix=False, regex=False):
    """The row that every sequence ends with."""
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True,
            "use_regex": regex}


def sequence(*rows):
    """A pre-tokenizer of several."""
    return {"type": "Sequence", "pretokenizers": [*rows, byte_level()]}


def added(identifier, content, **flags):
    """An entry of `added_tokens`."""
    row = {"id": identifier, "content": content, "single_word": False, "lstrip": False,
           "rstrip": False, "normalized": False, "special": False}
    return {**row, **flags}


def around(before, after=()):
    """A post-processor that puts tokens around a text."""
    names = {name: {"id": name, "ids": [MARKS.index(name)], "tokens": [name]}
             for name in [*before, *after]}
    token = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    single = [*map(token, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(token, after)]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": names}


def train():
    """A seeded tokenizer with DeepSeek-V3's pre-tokenizer, as JSON."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        *(pre_tokenizers.Split(Regex(p), "isolated") for p in DEEPSEEK_V3),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=MARKS, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(written() * 3 + random_texts(0, 300), trainer)
    described = json.loads(tokenizer.to_str())
    described["added_tokens"][2].update(special=False, normalized=True)
    return described


FLAGS = ["<left>", "<right>", "<word>", "<both>", "<all>", "word", "<", "<le", "é", "of", "<|u"]


def variants(described):
    """Settings by name: what each changes in the file, and further parts for its random texts."""
    marks = described["added_tokens"]
    flags = [dict(lstrip=True), dict(rstrip=True), dict(single_word=True),
             dict(lstrip=True, rstrip=True, normalized=True),
             dict(lstrip=True, rstrip=True, single_word=True), dict(single_word=True),
             dict(normalized=True), dict(rstrip=True), dict(lstrip=True), dict(normalized=True), {}]
    tokens, following = [*marks], SIZE
    for content, row in zip(FLAGS, flags):
        identifier = described["model"]["vocab"].get(content)
        if identifier is None:
            identifier, following = following, following + 1
        tokens.append(added(identifier, content, **row))
    legacy = {**described["model"], "ignore_merges": True,
              "merges": [" ".join(pair) for pair in described["model"]["merges"]],
              "vocab": {**described["model"]["vocab"], "Ġwholewords": SIZE, "ĠĠĊĠ": SIZE + 1}}
    v3 = sequence(*map(split, DEEPSEEK_V3))
    return {
        "deepseek-v3": (dict(pre_tokenizer=v3, post_processor=around(MARKS[:1])), MARKS, 90),
        "added tokens": (dict(pre_tokenizer=v3, added_tokens=tokens), [*MARKS, *FLAGS * 3, " "], 90),
        "whole words": (
            dict(pre_tokenizer=byte_level(True, True), model=legacy,
                 post_processor=around(MARKS[:1], MARKS[1:2])),
            [" wholewords", " whole", "  \n "], 50),
        "gpt-2": (dict(pre_tokenizer=byte_level(False, True)), MARKS, 40),
        "deepseek-coder": (
            dict(pre_tokenizer=sequence(
                *map(split, DEEPSEEK_CODER), {"type": "Digits", "individual_digits": True}),
                post_processor=byte_level(True, True)), MARKS, 40),
        "kimi-k2": (dict(pre_tokenizer=sequence(split(KIMI_K2))), MARKS, 40),
        "behaviors": (dict(pre_tokenizer=sequence(
            split(r"\p{P}", "MergedWithPrevious"), split("\n", "MergedWithNext", kind="String"),
            split(r"\s+$", "Contiguous"), {"type": "Digits", "individual_digits": False},
            {"type": "Sequence", "pretokenizers": [split(r"[^a]+", "Isolated", True)]},
            split("e", "Removed", kind="String"), split(r"x*", "Isolated"))), MARKS, 40),
        "inverted": (dict(pre_tokenizer=sequence(
            split(r"[\p{L}\p{M}]+|[^\p{L}\p{M}\s]+", "Removed", True), split(".", "MergedWithNext", True, "String"),
            split("[a-z]", "Contiguous", True))), MARKS, 30),
    }


def prompts():
    """What each template makes of each text."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), bos_token="<|begin|>", eos_token="<|end|>")
    rows = []
    for name, template in TEMPLATES.items():
        made = [tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], chat_template=template, tokenize=False,
            add_generation_prompt=True) for text in TEXTS]
        rows.append({"name": name, "template": template, "prompts": made})
    return {"texts": TEXTS, "templates": rows}


def write(name, document):
    """One line: nobody reads these."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    (FOLDER / name).write_text(text + "\n", encoding="utf-8")


def main():
    """All files."""
    FOLDER.mkdir(exist_ok=True)
    described = train()
    cases = []
    for seed, (name, (changes, parts, count)) in enumerate(variants(described).items(), 1):
        tokenizer = Tokenizer.from_str(json.dumps({**described, **changes}))
        texts = written() + random_texts(seed, count, parts, longest=14)
        if name not in ("deepseek-v3", "added tokens"):
            texts = texts[::2]
        # The model of a variant is made by the test, as it would be the vocabulary once more.
        changes.pop("model", None)
        cases.append({"name": name, "changes": changes, "texts": texts,
                      "ids": [tokenizer.encode(text).ids for text in texts]})
    write("tokenizer.json", described)
    write("tokenizer-cases.json", cases)
    write("chat-templates.json", prompts())


if __name__ == "__main__":
    main()
