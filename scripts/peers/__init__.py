"""What the fixture, interop and bench scripts share: shapes, FP8 blocks, folders, transformers."""
