"""Float as a scheduler. Facts, limits and sources: README.md."""
