"""Benchmarks of kernels beside their peers and the machine's limits; `pytest benches --benchmark-only` runs them too."""

from . import csr, dense_head, rowwise, sampled_step, screened, serving, support

CASES = {
    "rowwise": rowwise.cases,
    "dense": dense_head.cases,
    "csr": csr.cases,
    "sampled": sampled_step.cases,
    "support": support.cases,
    "serving": serving.cases,
    "screen": screened.cases,
}
