"""What scripts/bench measures: checkpoints, the peers' programs, and measuring itself."""
