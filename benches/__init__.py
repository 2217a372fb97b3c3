"""Benchmarks: what `fastsoftmax bench` and, in a clone, `python -m benches` run."""
