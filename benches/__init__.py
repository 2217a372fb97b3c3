"""Benchmarks against the peers and the machine's limits: ``python -m benches``, ``pytest benches --benchmark-only``."""

from . import csr, dense_head, rowwise, sampled_step, support

CASES = {
    "rowwise": rowwise.cases,
    "dense": dense_head.cases,
    "csr": csr.cases,
    "sampled": sampled_step.cases,
    "support": support.cases,
}
