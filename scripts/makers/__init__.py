"""What makes samples and fixtures, a module for each: `scripts/make` runs them."""
