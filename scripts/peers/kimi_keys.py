"""The keys that llama.cpp's own converter writes for Kimi's tokenizer.

    python scripts/peers/kimi_keys.py LLAMA_SOURCE < QUESTION.json

It would run the Python code that comes with a model; here it is given what that code makes of a
`tiktoken.model`, and its answer to which tokenizer that is.
"""

import base64
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace


def main():
    """Answers one question."""
    source = Path(sys.argv[1])
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    import transformers
    from conversion.deepseek import DeepseekV2Model

    asked = json.load(sys.stdin)
    keys = {}

    class Writer:
        """Takes what is written."""

        def __getattr__(self, name):
            return lambda value: keys.__setitem__(name.removeprefix("add_"), value)

    ranks = {base64.b64decode(token): rank for token, rank in asked["ranks"]}
    tokenizer = SimpleNamespace(
        model=SimpleNamespace(_mergeable_ranks=ranks), special_tokens=asked["special"])
    transformers.AutoTokenizer = SimpleNamespace(from_pretrained=lambda *_, **__: tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("config", "tokenizer_config"):
            (Path(folder) / f"{name}.json").write_text(json.dumps(asked[name]))
        DeepseekV2Model.set_vocab(SimpleNamespace(
            dir_model=Path(folder), hparams={"vocab_size": asked["size"]}, gguf_writer=Writer(),
            get_vocab_base_pre=lambda _: "kimi-k2"))
    keys["token_types"] = list(map(int, keys["token_types"]))
    print(json.dumps(keys))


if __name__ == "__main__":
    main()
