"""llama.cpp's own converter, for tokenizers that it has not heard of.

    python scripts/peers/convert_to_gguf.py LLAMA_SOURCE MODEL --outfile OUT --outtype f32
    python scripts/peers/convert_to_gguf.py LLAMA_SOURCE --serve

It knows tokenizers by a hash of what they make of a text. A test tokenizer has none, so that the
question is answered with the splitter that the network is published with.

With `--serve` it takes one request a line, a JSON list of arguments, and answers with a JSON text:
what went wrong, or nothing. torch is imported once; each request runs in a fork of its own, so that
no model leaves anything behind for the next.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

SPLITTERS = {
    "deepseek_v2": "deepseek-llm", "glm4_moe_lite": "glm4", "glm_moe_dsa": "glm4", "joyai_llm_flash": "joyai-llm",
    "kimi_k2": "kimi-k2", "kimi_k25": "kimi-k2", "mistral3": "tekken", "mistral4": "tekken",
    "youtu": "youtu",
}
TIMEOUT = 900


def load(source):
    """Imports the converter with the answer built in; returns its `main`."""
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    from conversion import base, load_all_models

    def splitter(model, _):
        config = json.loads((model.dir_model / "config.json").read_text())
        return SPLITTERS.get(config["model_type"], "deepseek-v3")

    base.TextModel.get_vocab_base_pre = splitter
    load_all_models()
    from conversion import deepseek

    # It asks for a flag that the class of a test tokenizer does not have.
    deepseek.DeepseekV32Model.set_vocab = lambda model: model._set_vocab_gpt2()
    import convert_hf_to_gguf

    # Mistral's own form: its library is asked for the vocabulary alone, of which test models have none.
    from conversion import mistral

    convert_hf_to_gguf._mistral_common_installed = base._mistral_common_installed = True
    mistral.MistralMoeModel.set_vocab = lambda model: model.gguf_writer.add_tokenizer_model("none")
    return convert_hf_to_gguf.main


def run_fork(main, arguments, log):
    """The body of a fork: everything printed goes to `log`; never returns."""
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    signal.alarm(TIMEOUT)
    code = 1
    try:
        sys.argv = ["convert_hf_to_gguf.py", *arguments]
        main()
        code = 0
    except SystemExit as exit:
        code = int(bool(exit.code))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def warm_up():
    """Stacks tensors without data, as experts are: torch loads a third of itself to do that."""
    import torch

    torch.stack([torch.empty(2, device="meta")] * 2)


def serve(main):
    """Answers requests until there are no more."""
    warm_up()
    for line in sys.stdin:
        with tempfile.TemporaryFile() as log:
            child = os.fork()
            if child == 0:
                run_fork(main, json.loads(line), log)
            _, status = os.waitpid(child, 0)
            log.seek(0)
            text = log.read().decode(errors="replace") if status else ""
        print(json.dumps(text[-800:] or ("no words" if status else "")), flush=True)


def main():
    """Runs the converter with the rest of the arguments, or serves."""
    source = Path(sys.argv.pop(1))
    convert = load(source)
    if sys.argv[1:] == ["--serve"]:
        serve(convert)
    else:
        convert()


if __name__ == "__main__":
    main()
