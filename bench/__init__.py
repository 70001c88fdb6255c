"""Benchmarks: one file a case; every figure is a ratio taken side by side in one run."""
