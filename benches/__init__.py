"""Benchmarks against the peers and the machine's limits: ``pytest benches --benchmark-only``."""
