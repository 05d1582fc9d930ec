"""Benchmarks: python -m tests.benchmarks prints figures and ratios; no test asserts a time."""
