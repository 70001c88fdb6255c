"""Kantata OX as a PSA. Facts, limits and sources: README.md."""
