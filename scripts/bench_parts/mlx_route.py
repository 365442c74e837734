"""MLX models by mlx-lm's own steps, which `mlx_lm.convert` takes apart from the tokenizer.

    python -m bench_parts.mlx_route SOURCE OUTPUT KIND
"""

import sys

from peers import mlx_models


def main():
    """Source folder, output folder, kind."""
    mlx_models.convert(*sys.argv[1:4])


if __name__ == "__main__":
    main()
