"""Lists a sharded checkpoint with safetensors' Python reader.

    python -m bench_parts.listing FOLDER [--shapes]

Prints the seconds that the listing takes without Python's own start.
"""

import sys
import time
from pathlib import Path

from safetensors import safe_open

from bench_parts.files import read_index


def main():
    """Names alone, or names with types and shapes, which is what `fathom inspect` reads."""
    folder, shapes = Path(sys.argv[1]), "--shapes" in sys.argv
    start = time.perf_counter()
    count = 0
    for shard in sorted(set(read_index(folder).values())):
        with safe_open(str(folder / shard), framework="np") as file:
            for key in file.keys():
                if shapes:
                    part = file.get_slice(key)
                    part.get_dtype(), part.get_shape()
                count += 1
    print(f'{{"tensors": {count}, "seconds": {time.perf_counter() - start}}}')


if __name__ == "__main__":
    main()
