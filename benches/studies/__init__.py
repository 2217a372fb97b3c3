"""Measurements behind single pages of docs/, and the kernels' benchmarks under pytest-benchmark.

They run in a clone, `python -m benches.studies.regression` and so on; the wheel does not have them.
"""
