"""What scripts/bench_peers.py measures: checkpoints, the peers' programs, and measuring itself."""
