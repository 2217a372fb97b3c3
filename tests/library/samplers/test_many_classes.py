"""Samplers of tens of millions of classes: exact, and within the memory that they document."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from fastsoftmax import samplers
from fastsoftmax.runtime import memory
from fastsoftmax.samplers import Custom, InBatch, LearnedUnigram, LogUniform, Mixed, Uniform, Unigram

N_CLASSES = 100_000_000


def check_masses(sampler, rng):
    """Check by chi-square the mass in each decade of the probability; there are far too many classes to check each."""
    decade = np.floor(np.log10(sampler.probabilities())).astype(int)
    decade -= decade.min()
    mass = np.bincount(decade, weights=sampler.probabilities())
    observed = np.bincount(decade[sampler.draw(1_000_000, rng)[0]], minlength=len(mass))
    assert stats.chisquare(observed[mass > 0], 1_000_000 * mass[mass > 0]).pvalue > 1e-3


@pytest.mark.slow
def test_twenty_million_classes():
    n_classes = 20_000_000
    rng = np.random.default_rng(7)
    sampler = Unigram(rng.permutation(1e9 / np.arange(1, n_classes + 1)))
    own = sampler._table["threshold"]
    drawn = (own + np.bincount(sampler._table["alias"], weights=1 - own, minlength=n_classes)) / n_classes
    np.testing.assert_allclose(drawn, sampler.probabilities(), rtol=1e-8, atol=1e-15)
    check_masses(sampler, rng)
    every_class, _ = LogUniform(n_classes).draw(n_classes, rng, unique=True)
    assert (np.bincount(every_class) == 1).all()


MAKERS = {
    "uniform": (0, lambda counts: Uniform(N_CLASSES)),
    "log_uniform": (4, lambda counts: LogUniform(N_CLASSES, counts)),  # to check the counts, then nothing
    "unigram": (24, Unigram),
    "custom": (24, Custom),
    "in_batch": (12, InBatch),  # 8, and the checks of the counts
    "learned_unigram": (41, lambda counts: LearnedUnigram(N_CLASSES)),
    "mixed": (24, lambda counts: Mixed([Unigram(counts), Uniform(N_CLASSES)])),
}


@pytest.mark.slow
@pytest.mark.skipif((memory.available() or np.inf) < 8 * 2**30, reason="needs 8 GiB of memory")
@pytest.mark.parametrize("name", MAKERS)
def test_a_hundred_million_classes(name):
    counts = np.ones(N_CLASSES, np.float32)
    bytes_per_class, make = MAKERS[name]
    target = np.arange(0, N_CLASSES, N_CLASSES // 100)
    tracemalloc.start()
    try:
        sampler = make(counts)
        class_ids, log_expected, log_expected_targets = sampler.draw_for(1000, np.random.default_rng(0), target)
        if name == "learned_unigram":
            sampler.observe(target)
            sampler._learn()  # as if a quarter had been observed
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= bytes_per_class * N_CLASSES * 1.01 + 2**20
    kind = samplers.NAMED.get(name)
    most = bytes_per_class if kind is None else kind.bytes_per_class or bytes_per_class
    assert left <= most * N_CLASSES * 1.01 + 2**20
    assert 0 <= class_ids.min() <= class_ids.max() < N_CLASSES
    assert np.isfinite(log_expected).all()
    assert len(log_expected_targets) == len(target)
    if name in ("uniform", "unigram", "custom", "learned_unigram", "mixed"):
        assert 0.4 < class_ids.mean() / N_CLASSES < 0.6
        np.testing.assert_allclose(log_expected, np.log(1000 / N_CLASSES), rtol=1e-6)
