"""The parts of scripts/interop.py: each compares one command of Fathom with a peer."""
