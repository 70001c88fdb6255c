"""Workday as an HCM. Facts, limits and sources: README.md."""
