"""Small reads that the peers' programs share; no torch here, so that listing starts fast."""

import json


def read_index(folder):
    """The weight map of a sharded checkpoint."""
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
