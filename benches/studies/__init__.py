"""What is run in a clone alone, and is no part of the wheel: measurements behind single pages of docs/
(`python -m benches.studies.regression` and so on), and the kernels' benchmarks under pytest-benchmark."""
