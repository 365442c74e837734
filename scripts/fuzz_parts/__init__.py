"""What `scripts/fuzz` runs, and the inputs that it begins with."""
