"""Sound checkpoints as small as can be, and what is done to them for Samples/malformed and Samples/hostile."""
