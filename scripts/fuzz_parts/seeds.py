"""The seeds of the fuzz targets.

The first of each target is sound. They come from Samples and the tests' fixtures, whatever is small there, and are written by hand
where no small file has what a parser reads.
"""

import base64
import hashlib
import json
import struct
from pathlib import Path

from makers import hostile_gguf as gguf

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "Samples"
TESTS = ROOT / "Tests"
# A longer seed makes each mutation slow and hits nothing new.
LIMIT = 16_000


def files(folder, pattern):
    """Contents of the files below a folder that are small enough."""
    return [path.read_bytes() for path in sorted(folder.rglob(pattern))
            if path.stat().st_size <= LIMIT]


def document(path):
    """A JSON document."""
    return json.loads(path.read_text())


def encoded(value):
    """A JSON document as bytes."""
    return json.dumps(value, ensure_ascii=False).encode()


def safetensors(tensors, **metadata):
    """A file of named (type, shape, bytes)."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = encoded(header)
    return struct.pack("<Q", len(text)) + text + data


def safetensors_headers():
    """Hostile files, and small sound ones with every kind of entry."""
    yield safetensors({"a": ("F32", [2], bytes(8)), "b": ("F4", [2, 4], bytes(4))}, format="pt")
    yield from files(SAMPLES / "hostile", "*.safetensors")
    yield safetensors({"x.weight": ("F8_E4M3", [3, 0], b""), "": ("U8", [], b"\1")})


def indexes():
    """Samples' indexes, and one whose files lie elsewhere."""
    yield from files(SAMPLES, "*.index.json")
    yield encoded({"metadata": {"total_size": 1.0, "x": [{}]}, "weight_map": {
        "a": "../a.safetensors", "b": "/etc/passwd", "c": "a\\b", "d": "model.safetensors"}})


def native_configs():
    """DeepSeek's own config of V3, and a small one."""
    yield encoded({
        "vocab_size": 129280, "dim": 7168, "inter_dim": 18432, "moe_inter_dim": 2048,
        "n_layers": 61, "n_dense_layers": 3, "n_heads": 128, "n_routed_experts": 256,
        "n_shared_experts": 1, "n_activated_experts": 8, "n_expert_groups": 8,
        "n_limited_groups": 4, "route_scale": 2.5, "score_func": "sigmoid", "q_lora_rank": 1536,
        "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "dtype": "fp8"})
    yield encoded({
        "max_seq_len": 4096, "vocab_size": 288, "dim": 80, "n_layers": 3, "rope_factor": 40,
        "original_seq_len": 4096, "beta_fast": 32, "mscale": 0.7, "scale_fmt": "ue8m0"})


def compressed_configs():
    """The quantization_config of samples and fixtures, and each pattern of theirs."""
    fixture = document(TESTS / "ModelsTests/Fixtures/compressed-tensors.json")
    for path in sorted(SAMPLES.rglob("config.json")):
        section = document(path).get("quantization_config", {})
        if section.get("quant_method") == "compressed-tensors":
            yield encoded(section)
    for config in fixture["configs"]:
        yield encoded(config["quantization_config"])
    weights = {"num_bits": 4, "type": "int", "symmetric": True, "group_size": 8,
               "strategy": "group"}
    for row in fixture["patterns"]:
        yield encoded({
            "quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
            "config_groups": {"g": {"targets": [row["target"]], "weights": weights}}})


def mlx_configs():
    """Settings for all, for one and for none."""
    for mode, bits, size in [("affine", 4, 64), ("mxfp4", 4, 32)]:
        yield encoded({"quantization": {
            "group_size": size, "bits": bits, "mode": mode, "model.embed_tokens": False,
            "lm_head": {"group_size": 32, "bits": 8}, "model.layers.0.mlp.up_proj": True}})


def tokenizer_cases():
    """(tokenizer, texts) of the fixtures."""
    usual = document(TESTS / "ModelsTests/Fixtures/tokenizer.json")
    words = sorted(usual["model"]["vocab"], key=lambda word: len(word) > 1)
    known = {word: place for place, word in enumerate(words[:280])}
    model = dict(usual["model"], vocab=known)
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
    model["merges"] = [pair for pair in pairs if all(
        text in known for text in (pair[0], pair[1], "".join(pair)))]
    for case in document(TESTS / "ModelsTests/Fixtures/tokenizer-cases.json"):
        tokenizer = dict(usual, model=model) | case["changes"]
        tokenizer["added_tokens"] = [
            dict(token, id=len(known) + place) for place, token in enumerate(
                token for token in tokenizer.get("added_tokens") or []
                if token["content"] not in known)]
        tokenizer["post_processor"] = None
        yield tokenizer, case["texts"]


def tokenizers():
    """A sample's tokenizer, and the fixtures' with a text each."""
    yield (SAMPLES / "tiny-bf16/tokenizer.json").read_bytes()
    for tokenizer, texts in tokenizer_cases():
        yield encoded(tokenizer) + b"\0" + max(texts[:20], key=len).encode()[:400]


def tiktoken_models():
    """Tokens behind those of single bytes, and settings."""
    def lines(tokens):
        return b"".join(base64.b64encode(token) + b" %d\n" % (256 + place)
                        for place, token in enumerate(tokens))
    named = {"added_tokens_decoder": {"261": {"content": "<s>"}, "262": {"content": "Hello"}},
             "bos_token": "<s>", "eos_token": {"content": "Hello"}, "bos_token_id": 261,
             "chat_template": "{{ bos_token }}{{ messages[0].content }}"}
    words = [b"He", b"ll", b"Hell", b" w", "你".encode()]
    yield lines(words) + b"\0" + encoded(named)
    yield lines([b"a" * count for count in range(2, 40)])
    yield lines(words).replace(b"\n", b"\r\n")
    for line in [b"", b"YWI 256", b"YWI= 300", b"YWI= 255", b"YQ== 256", b"YWI= 1e3",
                 b"version https://git-lfs.github.com/spec/v1"]:
        yield line
    yield lines(words) + b"\0" + encoded(dict(named, tokenizer_class="QWenTokenizer"))
    yield lines(words) + b"\0" + encoded({"added_tokens_decoder": {"9": {"content": "<s>"}}})


def patterns():
    """Each pattern of the fixtures with a text, and what is slow in careless machines."""
    def found(value):
        if isinstance(value, dict):
            yield from ([value["Regex"]] if isinstance(value.get("Regex"), str) else [])
            for member in value.values():
                yield from found(member)
        elif isinstance(value, list):
            for item in value:
                yield from found(item)
    for tokenizer, texts in tokenizer_cases():
        for pattern in found(tokenizer["pre_tokenizer"]):
            yield pattern.encode() + b"\0" + max(texts[:20], key=len).encode()[:400]
    for row in document(TESTS / "ModelsTests/Fixtures/compressed-tensors.json")["patterns"]:
        yield row["target"].removeprefix("re:").encode() + b"\0" + b"model.layers.0.mlp.up_proj"
    for pattern in [r"(a+)+$", r"(?:a|a)*b", r"(?i:[^\p{L}&&[a-z]]{2,3}+)", r"(?=(a*))\Ba?+",
                    r"\A(?>x{1,30}){1,30}?\z"]:
        yield pattern.encode() + b"\0" + b"a" * 40


def chat_templates():
    """The fixtures' templates, and one with what the language has beside."""
    for row in document(TESTS / "ModelsTests/Fixtures/chat-templates.json")["templates"]:
        yield row["template"].encode()
    yield (b"{%- macro m(a, b=2) -%}{{ a ~ b }}{%- endmacro -%}{% for x in range(3) if x != 1 %}"
           b"{{ loop.index }}{{ m(x) }}{% else %}-{% endfor %}{{ messages[0]['content'][::-1] "
           b"| trim | upper }}{% set ns = namespace(n=1) %}{% set ns.n = ns.n * 7 // 2 % 5 - -1 %}"
           b"{{ ns.n if ns.n > 1 and not false else [1, 'a', {'k': none}] | tojson }}\0 Hi\n")


def gguf_files():
    """Hostile files, and the header of a small model with its tokenizer."""
    number = lambda key, value: gguf.entry(f"deepseek2.{key}", value=gguf.u32(value))
    text = lambda key, value: gguf.entry(key, gguf.STRING, gguf.string(value))
    words = ["a", "b", "ab", "Ġ", "Ġa", "<s>", "Ċ", "1"]
    array = lambda kind, values: gguf.u32(kind) + gguf.u64(len(values)) + b"".join(values)
    entries = [
        text("general.architecture", "deepseek2"), number("block_count", 2),
        number("nextn_predict_layers", 1), number("context_length", 64),
        number("embedding_length", 8), number("feed_forward_length", 16),
        number("leading_dense_block_count", 1), number("attention.head_count", 2),
        number("attention.kv_lora_rank", 8), number("attention.q_lora_rank", 4),
        number("attention.key_length_mla", 8), number("attention.value_length_mla", 4),
        number("rope.dimension_count", 4), number("expert_count", 4),
        number("expert_used_count", 2), number("expert_feed_forward_length", 4),
        number("expert_shared_count", 1), number("expert_gating_func", 2),
        number("vocab_size", len(words)), number("expert_group_count", 2),
        number("expert_group_used_count", 1), text("deepseek2.rope.scaling.type", "yarn"),
        gguf.entry("deepseek2.rope.scaling.factor", gguf.F32, struct.pack("<f", 40)),
        number("rope.scaling.original_context_length", 16),
        text("tokenizer.ggml.model", "gpt2"), text("tokenizer.ggml.pre", "deepseek-v3"),
        gguf.entry("tokenizer.ggml.tokens", gguf.ARRAY, array(
            gguf.STRING, [gguf.string(word) for word in words])),
        gguf.entry("tokenizer.ggml.token_type", gguf.ARRAY, array(
            5, [gguf.u32(3 if word == "<s>" else 1) for word in words])),
        gguf.entry("tokenizer.ggml.merges", gguf.ARRAY, array(
            gguf.STRING, [gguf.string(pair) for pair in ["a b", "Ġ a"]])),
        gguf.entry("tokenizer.ggml.bos_token_id", value=gguf.u32(5)),
        gguf.entry("tokenizer.ggml.add_bos_token", gguf.BOOL, b"\1"),
        text("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}")]
    tensors = [gguf.tensor("blk.0.attn_kv_a_mqa.bias", (8,)),
               gguf.tensor("blk.1.exp_probs_b.bias", (8,), offset=32)]
    yield gguf.file(entries, tensors, bytes(64))
    yield from files(SAMPLES / "hostile-gguf", "*.gguf")


def importance():
    """Small matrices in both formats."""
    text = lambda value: struct.pack("<i", len(value)) + value
    sums = struct.pack("<8f", *range(8))
    yield (struct.pack("<i", 1) + text(b"blk.0.ffn_up.weight") + struct.pack("<ii", 2, 8) + sums
           + struct.pack("<i", 3) + text(b"book.txt"))
    entries = [
        gguf.entry("imatrix.datasets", gguf.ARRAY, gguf.u32(gguf.STRING) + gguf.u64(1)
                   + gguf.string("book.txt")),
        gguf.entry("imatrix.chunk_count", value=gguf.u32(3)),
        gguf.entry("imatrix.chunk_size", value=gguf.u32(512))]
    tensors = [gguf.tensor("a.in_sum2", (4, 2)), gguf.tensor("a.counts", (1, 2), offset=32)]
    yield gguf.file(entries, tensors, sums + struct.pack("<2f", 1, 0) + bytes(24))


def recipes():
    """The samples' recipes, and one with every key."""
    yield from files(SAMPLES / "recipes", "*.json")
    yield (SAMPLES / "ci/recipe.json").read_bytes()
    yield encoded({"schema": "fathom.recipe/1", "description": "x", "default": "Q8_0", "rules": [
        {"match": "blk.*.ffn_?own*", "layers": layers, "type": "iq4_nl"}
        for layers in ["main", "mtp", "dense", "moe"]]})
    hashes = {"model": {"of": "headers", "blake3": "00"}, "tokens": "00", "imatrix": None}
    option = {"type": "q8_0", "bytes": 34, "kl": 0.25}
    yield encoded({"schema": "fathom.recipe/1", "evidence": {
        "hashes": hashes, "standards": [{"name": "Q4_K_M", "bytes": 34, "klMeasured": 1}],
        "groups": [{"name": "dense", "tensors": 1, "parameters": 32, "options": [option]}]}})
    yield encoded({"schema": "fathom.recipe/1", "target": "mlx", "default": "4bit-g32", "rules": [
        {"match": "model.layers.?.mlp.*", "type": "mxfp4"}]})


def baselines():
    """A whole baseline, and the payload of the smallest one."""
    config = dict(
        document(SAMPLES / "tiny-bf16/config.json"), num_hidden_layers=1,
        num_nextn_predict_layers=0)
    text = encoded({"schema": "fathom.fixture/1", "reference": "m", "mtpLayers": 0, "lengths": [1],
                    "entries": [1], "choices": [0], "measured": {}, "config": config})
    state = bytes(8 + 4 * 512)
    head = struct.pack("<I", 1) + bytes(4 + 4 + 8 + 8 + 8 + 4 + 64 + 64)
    # Planes of bytes: the only number that is not zero has its first byte first.
    payload = struct.pack("<I", len(text)) + text + bytes(4) + head + 3 * state
    yield payload
    yield (SAMPLES / "ci/tiny-trained.baseline").read_bytes()[:LIMIT]
    yield b"FATHOMFX" + struct.pack("<II", 1, 0) + hashlib.sha256(payload).digest()


def crc32c(data):
    """CRC-32C, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def packed_files():
    """A packed file of 100 zeros and 5 numbers of 16 bits, and its index."""
    zeros, numbers = bytes(100), bytes(range(10))
    # Rotated by a bit, high bytes first.
    words = [(word << 1 | word >> 15) & 0xFFFF for word in struct.unpack("<5H", numbers)]
    planes = bytes(word >> 8 for word in words) + bytes(word & 0xFF for word in words)

    def index(parts, chunk=1 << 20):
        names = b"fathom.head\nt\n"
        head = b"FPK1" + struct.pack("<IQ", chunk, sum(size for size, _, _ in parts)) + bytes(32)
        head += struct.pack("<II", crc32c(names), len(parts))
        return head + b"".join(struct.pack("<QB", size, kind) for size, kind, _ in parts) + b"".join(
            struct.pack(f"<{len(rows)}I", *rows) for _, _, rows in parts)

    def file(index):
        # A frame of one raw block that states its size.
        frame = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(index))
        frame += struct.pack("<I", len(index) << 3 | 1)[:3] + index
        entries = {"fathom.head": b"\0", "t": planes, "fathom.index": frame}
        header, end = {"__metadata__": {"fathom.pack": "1"}}, 0
        for name, data in entries.items():
            header[name] = {"dtype": "U8", "shape": [len(data)],
                            "data_offsets": [end, end + len(data)]}
            end += len(data)
        text = json.dumps(header, separators=(",", ":")).encode()
        return struct.pack("<Q", len(text)) + text + b"".join(entries.values())

    sound = index([(100, 0, [crc32c(zeros), 1]), (10, 1, [crc32c(numbers), 5, 5])])
    yield file(sound)
    yield index([(100, 0, [crc32c(zeros), 1]), (7, 0, [crc32c(bytes(range(1, 8))), 7])])
    yield file(index([(100, 0, [crc32c(zeros), 1]), (10, 1, [0, 5, 5])]))


def hash_lists():
    """A list as text and as JSON, of both versions."""
    digest = hashlib.sha256(b"").hexdigest()
    for end in ("", ", fathom.hash/2"):
        yield (f"{digest}  BF16 [2, 3]  a.weight\n{digest}  F32 []  b\\\\c\\u{{200b}}\n"
               f"{digest}  2 tensors, 16 B{end}\n").encode()
    for version in (1, 2):
        yield encoded({"schema": f"fathom.hash/{version}", "checkpoint": digest, "tensors": [
            {"name": "a.weight", "type": "BF16", "shape": [2, 3], "hash": digest}]})


def journals():
    """Both copies with a NUL between them; lines that get their checksums from the target."""
    digest = hashlib.sha256(b"").hexdigest()
    head = encoded({
        "journal": 2, "version": "0.1.0", "recipe": {"to": "gguf"},
        "source": [{"name": "m.safetensors", "bytes": 9, "seconds": 1, "nanoseconds": 2,
                    "tensors": "00000000"}],
        "output": "00000000", "from": "/m", "to": "/o", "in": "/", "command": ["convert"],
        "files": [{"name": "o.gguf", "bytes": 99}]})
    lines = [head, b'{"written":{"file":0,"from":0,"bytes":64,"crc32c":"0a0b0c0d"}}',
             encoded({"hashed": [["source", 0, digest], ["output", 1, digest]]}),
             b'{"deleted":["m.safetensors"]}',
             b'{"written":{"file":0,"from":64,"bytes":35,"crc32c":"0a0b0c0d"}}', b'{"placing":true}']
    whole = b"".join(b"%08x %s\n" % (crc32c(line), line) for line in lines)
    yield whole
    yield b"\n".join(lines)
    yield b"\n".join(lines[:3]) + b"\0" + b"\n".join(lines)
    for place in (4, 500, len(whole) - 3):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        yield bytes(damaged) + b"\0" + whole
        yield bytes(damaged)
    yield whole[:-9] + b"\0" + whole[:400]
    yield b"\n".join(lines).replace(b'"from":64', b'"from":9223372036854775807')


def manifests():
    """One of each kind of entry, one with the same names in other normal forms, and cut ones."""
    digest = hashlib.sha256(b"").hexdigest()
    source = [{"name": "a.weight", "type": "BF16", "shape": [2, 3], "bytes": 12, "hash": digest},
              {"name": "b", "type": "F32", "shape": [], "bytes": 4, "hash": None}]
    made = {"name": "a.weight", "type": "Q8_0", "shape": [2, 32], "bytes": 68, "hash": digest,
            "from": ["a.weight"], "reason": "--quant"}
    whole = {
        "schema": "fathom.manifest/1", "tool": {"name": "fathom", "version": "1"},
        "recipe": {"to": "gguf"}, "source": {"name": "m", "tensors": source},
        "output": {"checkpoint": digest, "tensors": [made],
                   "files": [{"name": "m.gguf", "bytes": 99, "hash": None},
                             {"name": "config.json", "bytes": 2, "hash": digest}]}}
    text = encoded(whole)
    yield text
    yield text[:-40]
    yield text.replace(b"a.weight", "e\u0301".encode())
    yield text.replace(b"config.json", b"../config.json")
    yield text.replace(b'"shape": [2, 3]', b'"shape": [9223372036854775807, 2]')
    yield encoded({**whole, "source": {"name": "m", "tensors": source * 2}})
    yield encoded({**whole, "schema": "fathom.manifest/2"})


def hub_lists():
    """A repository with files of every kind, and what the hub never says."""
    whole = {"sha": "0" * 40, "siblings": [
        {"rfilename": "config.json", "size": 99, "blobId": "1"},
        {"rfilename": "sub/model-00001-of-00002.safetensors", "size": 1 << 40,
         "lfs": {"sha256": "ab" * 32, "size": 1 << 40}},
        {"rfilename": "../x", "size": 1}, {"rfilename": "a//b"}, {"size": 3},
        {"rfilename": "b", "size": -1, "lfs": {"oid": "c"}}]}
    yield encoded(whole)
    yield encoded({**whole, "sha": "main"})
    yield encoded({**whole, "siblings": {}})
    yield b"<html>busy</html>"


def s3_lists():
    """A page with names that are escaped, the last page, and pages that are none."""
    item = ("<Contents><Key>m/%s</Key><ETag>&quot;ab12-3&quot;</ETag><Size>%s</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>")
    items = "".join(item % row for row in (
        ("config.json", 99), ("a%2Fb+c%20d", 1), ("..%2Fx", 2), ("", 3), ("e", "-1"), ("f", "")))
    for rest in ("<IsTruncated>false</IsTruncated>",
                 "<IsTruncated>true</IsTruncated><NextContinuationToken>1/x==</NextContinuationToken>"):
        yield ('<?xml version="1.0"?><ListBucketResult xmlns="http://s3"><Name>bucket</Name>'
               f"<KeyCount>6</KeyCount>{items}{rest}</ListBucketResult>").encode()
    yield f"<ListBucketResult>{items[:150]}</ListBucketResult>".encode()
    yield b"<Error><Code>NoSuchBucket</Code></Error>"


def answer_heads():
    """Heads of a part, of a whole file and of a redirect."""
    for lines in (("HTTP/1.1 206 Partial Content", "Content-Range: bytes 5-9/100",
                   "ETag: W/\"ab\"", "Content-Length: 5"),
                  ("HTTP/1.1 200 OK", "HTTP/2 200", "content-length: 100", "last-modified: x"),
                  ("HTTP/1.1 302 Found", "Location: https://b/c"),
                  ("HTTP/1.1 206 x", "content-range: bytes 9-5/*"),
                  ("HTTP/1.1 206 x", "content-range: bytes 0-9223372036854775807/9223372036854775807")):
        yield "\r\n".join(lines).encode()


def part_results():
    """What two parts of `fathom hash` leave; each gets the version and its own hash from the target."""
    digest = hashlib.sha256(b"").hexdigest()
    body = {"schema": "fathom.part/1", "command": "hash", "version": "@version",
            "model": "0" * 64, "part": 1, "of": 2, "values": [digest, digest]}
    for changed in ({}, {"part": 2}, {"values": {}}, {"version": "0"}):
        yield json.dumps({**body, **changed}, indent=2)[:-2].encode()
    yield json.dumps(body, indent=2).encode() + b"\n"


def part_numbers():
    """What a part of `fathom verify` leaves of a layer with experts and two positions; see `part-numbers`."""
    states = [0.5, 2**-60, 7.25, 0]
    router, keys = [4, 3, 2, 0.125, 0], [5, 6, 1, 3]
    experts = [3, 0, 2, 7, 1, 1, 2, 1, 1, 2]
    own = [*states, *router, *keys, 2, 0.25, 0.5, 2, 3.5, 3.75]
    choices = [4, 0, 2, 2, 7, 4, 0.75, 0.25, 0.5, 0.5]
    softmax, rest = [4.5, 3, 1.25], [0.01, 0.5, 9.5, 0.25, 0]
    position = [*softmax, 4.5, *softmax, 4.25, *rest]
    last = [*softmax, *softmax, *rest]
    lists = [states, [*states, *router, *keys, *experts, *own, *choices, *choices], [*position, *last]]
    for strange in (None, -1, 2.0**39, 1e300, float("nan")):
        changed = lists if strange is None else [[strange, *numbers[1:]] for numbers in lists]
        numbers = [number for one in changed for number in (len(one), *one)]
        yield struct.pack(f"<{len(numbers)}d", *numbers)
    yield struct.pack("<7d", 4, *states, 1, 0)


def token_ids():
    """Ids in all three ways."""
    yield from (b"[1, 2, 3]", b"[[1], [2, 3]]")
    yield safetensors({"input_ids": ("I64", [1, 2], struct.pack("<2q", 1, 2))})
    yield safetensors({"input_ids": ("I32", [2], struct.pack("<2i", 1, 2))})


TARGETS = {
    "answer-head": answer_heads,
    "chat-template": chat_templates, "compressed-config": compressed_configs,
    "config": lambda: files(SAMPLES, "config.json"), "baseline": baselines, "gguf": gguf_files,
    "hash-list": hash_lists, "hub-list": hub_lists, "importance": importance, "journal": journals,
    "manifest": manifests, "mlx-config": mlx_configs,
    "native-config": native_configs, "packed": packed_files, "part-numbers": part_numbers,
    "part-result": part_results,
    "pattern": patterns, "recipe": recipes, "s3-list": s3_lists,
    "safetensors-header": safetensors_headers, "safetensors-index": indexes,
    "thresholds": lambda: [(SAMPLES / "ci/limits.json").read_bytes()],
    "tiktoken": tiktoken_models, "token-ids": token_ids, "tokenizer": tokenizers,
}


def name(seed):
    """What libFuzzer calls an input: the SHA-1 of its contents."""
    return hashlib.sha1(seed).hexdigest()


def sound(target):
    """The name of a target's first seed."""
    return name(next(iter(TARGETS[target]())))


def write(folder):
    """Writes every seed."""
    for target, seeds in TARGETS.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for seed in seeds():
            (folder / target / name(seed)).write_bytes(seed)
