"""The parts of scripts/interop: each compares one command of Fathom with a peer."""
