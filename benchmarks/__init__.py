"""Benchmarks: measured on real parts, printed with machine, versions, seed and commit."""
