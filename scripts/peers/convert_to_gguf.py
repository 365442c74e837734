"""llama.cpp's own converter, for a tokenizer that it has not heard of.

    python scripts/peers/convert_to_gguf.py LLAMA_SOURCE MODEL --outfile OUT --outtype f32

It knows tokenizers by a hash of what they make of a text. A test tokenizer has none, so that the
question is answered with `deepseek-v3`.
"""

import sys
from pathlib import Path


def main():
    """Runs the converter with the rest of the arguments."""
    source = Path(sys.argv.pop(1))
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    from conversion import base

    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "deepseek-v3"
    import convert_hf_to_gguf

    convert_hf_to_gguf.main()


if __name__ == "__main__":
    main()
