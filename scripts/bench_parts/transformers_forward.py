"""The forward pass of transformers in F32 on a folder of plain weights.

    python -m bench_parts.transformers_forward FOLDER TOKENS.json

Prints seconds for loading, and for each of two passes after one that warms up.
"""

import json
import sys
import time
from pathlib import Path

import torch
import transformers
from transformers.utils import logging


def main():
    """transformers' own choices of attention (sdpa) and experts (grouped_mm)."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    start = time.perf_counter()
    config = json.loads((Path(sys.argv[1]) / "config.json").read_text())
    network = getattr(transformers, config["architectures"][0])
    # The layers behind the last one are for multi-token prediction; transformers only knows 61.
    network._keys_to_ignore_on_load_unexpected = [
        rf"model\.layers\.{config['num_hidden_layers']}\..*"
    ]
    model = network.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
    # Weights are mapped: the first pass reads them, and belongs to loading.
    input_ids = torch.tensor(json.load(open(sys.argv[2])))
    seconds, processor = [], []
    with torch.no_grad():
        model(input_ids, use_cache=False)
        load = time.perf_counter() - start
        for _ in range(2):
            start, before = time.perf_counter(), time.process_time()
            model(input_ids, use_cache=False)
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - before)
    ways = [model.config._attn_implementation, model.config._experts_implementation]
    print(json.dumps({"load": load, "forward": seconds, "cpu": processor, "ways": ways}))


if __name__ == "__main__":
    main()
