"""Workday as a human-capital system. Facts, limits and sources: README.md."""
