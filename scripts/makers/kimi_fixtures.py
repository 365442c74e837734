"""Known answers about Kimi's tokenizer, from tiktoken and llama.cpp: kimi.json of ModelsTests.

Small vocabularies in the form of Kimi's `tiktoken.model`, the ids that tiktoken gives hard texts with
them, and what llama.cpp's converter makes of them.

    scripts/make kimi-fixtures

`scripts/build-llama` brings the converter.
"""

import base64
import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import tiktoken
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from makers.tokenizer_fixtures import FOLDER, KIMI_K2
from peers import llama
from peers.texts import random_texts, written

NAMES = ["[BOS]", "[EOS]", "<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|start_header_id|>",
         "<|end_header_id|>", None, "[EOT]", "<|im_system|>", None, "<|im_middle|>",
         "<|tool_calls_section_begin|>"]
LAST = {254: "[UNK]", 255: "[PAD]"}
RESERVED = 256
CHUNK, RUN = 400_000, 25_000
TEMPLATE = ("{% for m in messages %}<|im_{{ m.role }}|>{{ m.role }}<|im_middle|>{{ m.content }}"
            "<|im_end|>{% endfor %}<|im_assistant|>assistant<|im_middle|>")


def byte_values():
    """The bytes of the characters that GPT-2 writes them as."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{chr(b): b for b in shown}, **{chr(256 + i): b for i, b in enumerate(hidden)}}


def trained():
    """Ranks as training gives them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(KIMI_K2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(written() * 3 + random_texts(0, 300), trainers.BpeTrainer(
        vocab_size=800, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    values = byte_values()
    return {bytes(values[c] for c in word): rank
            for word, rank in sorted(tokenizer.get_vocab().items(), key=lambda row: row[1])}


def wild():
    """Ranks in no order of lengths, some of tokens that no two tokens make, in lines out of order."""
    source = random.Random(26)
    tokens = {bytes([byte]) for byte in range(256)}
    while len(tokens) < 420:
        tokens.add(bytes(source.choice(b"abc") for _ in range(source.randint(2, 6))))
    tokens |= {"深度".encode(), "深".encode(), b" whole words"[:6], b"\n\n \n", b"[EO", b"<|im_end|>"}
    ranks = list(range(len(tokens)))
    source.shuffle(ranks)
    lines = list(zip(sorted(tokens), ranks))
    source.shuffle(lines)
    return dict(lines)


def special(names, first, further):
    """Special tokens by their ids, as `tokenization_kimi.py` numbers them."""
    return {names.get(first + i, f"<|reserved_token_{first + i}|>"): first + i
            for i in range(RESERVED)} | {
                names[first + i]: first + i for i in range(RESERVED, RESERVED + further)}


def cuts(text, run=RUN, chunk=CHUNK):
    """What Kimi's code gives tiktoken at once: no more characters, no longer runs."""
    for start in range(0, len(text), chunk):
        part, begin, length = text[start:start + chunk], 0, 0
        for place, letter in enumerate(part):
            same = place > 0 and letter.isspace() == part[place - 1].isspace()
            length = length + 1 if same else 1
            if length > run:
                yield part[begin:place]
                begin, length = place, 1
        yield part[begin:]


def encode(encoding, text):
    """The ids of Kimi's `encode`."""
    return [number for part in cuts(text)
            for number in encoding.encode(part, allowed_special="all")]


def long_texts():
    """Texts as lists of parts and how often each is there: what is cut."""
    return [
        [["a", 25_000]], [["a", 25_001]], [["ab", 30_000]], [[" ", 25_003], ["b", 1]],
        [["x", 1], [" ", 26_000], ["y", 1]], [["深", 50_002]], [["a", 24_995], ["<|im_end|>", 2]],
        [["a ", 200_001], ["abc", 9]], [["\u001c", 13_000], [" ", 13_000]],
        [["a", 24_999], ["\u001f", 1], ["a", 25_001]], [["abc def ", 50_000], ["\n", 5]],
        [["a b", 133_333], ["[EOS]", 3]], [["\u180e", 12_500], ["z", 12_502]],
    ]


def convert(ranks, specials, settings, config, size):
    """The keys that llama.cpp's own converter writes."""
    asked = {"ranks": [[base64.b64encode(token).decode(), rank] for token, rank in ranks.items()],
             "special": specials, "tokenizer_config": settings, "config": config, "size": size}
    program = Path(llama.__file__).with_name("kimi_keys.py")
    return json.loads(subprocess.run(
        [sys.executable, program, llama.ROOT / "src"], input=json.dumps(asked), text=True,
        capture_output=True, check=True).stdout)


def texts(seed, names):
    """Written texts, and random ones with special tokens, beginnings of them and mixed cases."""
    parts = [*filter(None, names), "<|reserved_token_1|>", "<|im_", "[EO", "camelCase", "HTTPServer2Go",
             "abcabcaab", "ccbbaa", "aaaaaaa", "  ", "'S", "'ſ", "々〆〇", "カタカナ", "한국어"]
    return written() + random_texts(seed, 150, parts, longest=14)


def named_tokens(first, further):
    """The tokens that `added_tokens_decoder` names."""
    named = {first + i: text for i, text in enumerate(NAMES) if text}
    named |= {first + i: text for i, text in LAST.items()}
    return named | {first + RESERVED + i: f"<|further_{i}|>" for i in range(further)}


def settings_of(named):
    """`tokenizer_config.json`"""
    return {
        "added_tokens_decoder": {str(i): {"content": text, "special": text != "[EOT]"}
                                 for i, text in named.items()},
        "bos_token": "[BOS]", "eos_token": {"content": "[EOS]"}, "pad_token": "[PAD]",
        "unk_token": "[UNK]", "add_eos_token": False, "tokenizer_class": "TikTokenTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", None]},
        "model_max_length": 1_000_000_000_000_000_019_884_624_838_656, "chat_template": TEMPLATE}


def case(name, ranks, further, seed):
    """One vocabulary with all that is known of it."""
    first = len(ranks)
    named = named_tokens(first, further)
    specials = special(named, first, further)
    settings = settings_of(named) | {"model_max_length": 131_072}
    encoding = tiktoken.Encoding(
        name=name, pat_str=KIMI_K2, mergeable_ranks=ranks, special_tokens=specials)
    given = texts(seed, [*named.values()])
    config = {"text_config": {"pad_token_id": first + 255}, "bos_token_id": first,
              "eos_token_id": first + 2}
    lengthy = []
    for parts in long_texts():
        ids = encode(encoding, "".join(text * count for text, count in parts))
        hashed = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()[:16]
        lengthy.append({"parts": parts, "count": len(ids), "hash": hashed})
    return {
        "name": name,
        "file": "".join(f"{base64.b64encode(token).decode()} {rank}\n"
                        for token, rank in ranks.items()),
        "settings": settings, "config": config, "texts": given,
        "ids": [encode(encoding, text) for text in given], "long": lengthy,
        "gguf": [{"size": size, **convert(ranks, specials, settings, config, size)}
                 for size in [first, first + 40, first + RESERVED, first + RESERVED + further + 3]]}


def main():
    """The file."""
    cases = [case("trained", trained(), 0, 5), case("wild", wild(), 2, 6)]
    text = json.dumps(cases, ensure_ascii=False, separators=(",", ":"))
    (FOLDER / "kimi.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
