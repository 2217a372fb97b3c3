import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsoftmax.kernels import alias as alias_table
from fastsoftmax.samplers import Custom, LearnedUnigram, Mixed, Uniform, Unigram

COUNTS = np.array([50, 3, 0, 17, 1, 0, 120, 8, 8, 33])


def table_probabilities(table):
    """What an alias table really draws."""
    own = table["threshold"]
    return (own + np.bincount(table["alias"], weights=1 - own, minlength=len(table))) / len(table)


# Probabilities


def test_unigram_powers():
    np.testing.assert_allclose(Unigram(COUNTS, power=1).probabilities(), COUNTS / COUNTS.sum(), rtol=1e-14)
    np.testing.assert_allclose(Unigram(COUNTS, power=0).probabilities(), (COUNTS > 0) / 8, rtol=1e-14)
    expected = COUNTS**0.75 / (COUNTS**0.75).sum()
    np.testing.assert_allclose(Unigram(COUNTS).probabilities(), expected, rtol=1e-14)


def test_huge_counts():
    expected = Unigram([1, 2, 3]).probabilities()
    np.testing.assert_allclose(Unigram([5e307, 1e308, 1.5e308]).probabilities(), expected, rtol=1e-14)
    np.testing.assert_allclose(Unigram(np.array([2, 4, 6], np.uint64) << 60).probabilities(), expected, rtol=1e-14)


def test_probability_too_small_is_zero():
    sampler = Unigram([1.0, 1e-300, 1e-320], power=1)
    assert sampler.probabilities().tolist() == [1, 0, 0]


def test_counts_are_not_modified():
    counts = np.array([1.0, 5.0, 0.0])
    counts.flags.writeable = False
    Unigram(counts).draw(10, 0)
    assert counts.tolist() == [1, 5, 0]


def test_tensorflows_fixed_unigram():
    """FixedUnigramProbabilitiesFromVector of tensorflow/core/kernels/range_sampler_test.cc."""
    sampler = Unigram([1, 2, 4, 8, 16, 32, 64, 128, 256], power=0.8)
    np.testing.assert_allclose(sampler.probabilities(), 2 ** (0.8 * np.arange(9)) / 197.05, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8, bool])
def test_any_type_of_counts(dtype):
    counts = np.array([3, 0, 1, 200], dtype)
    expected = np.array(counts, np.float64) ** 0.75 * (counts > 0)
    np.testing.assert_allclose(Unigram(counts).probabilities(), expected / expected.sum(), rtol=1e-14)


def test_custom_probabilities():
    q = np.array([0.25, 0, 0.5, 0.25])
    np.testing.assert_array_equal(Custom(q).probabilities(), q)
    np.testing.assert_array_equal(Custom(q * 8).probabilities(), q)
    np.testing.assert_allclose(Custom([1e308, 1e308]).probabilities(), 0.5)
    assert q.tolist() == [0.25, 0, 0.5, 0.25]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=30).filter(any))
def test_custom_table_draws_what_it_says(weights):
    sampler = Custom(weights)
    q = sampler.probabilities()
    np.testing.assert_allclose(q.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose(table_probabilities(sampler._table), q, atol=1e-14)


# The alias table


@pytest.mark.parametrize("n_classes", [1, 2, 3, 7, 49, 1000, 100_003])
@pytest.mark.parametrize("kind", ["equal", "zipf", "shuffled_zipf", "zeros", "one_heavy_last", "heavy_tail_first"])
def test_alias_table_is_exact(n_classes, kind):
    rng = np.random.default_rng(n_classes)
    zipf = 1 / np.arange(1, n_classes + 1)
    weights = {
        "equal": np.ones(n_classes),
        "zipf": zipf,
        "shuffled_zipf": rng.permutation(zipf),
        "zeros": np.where(np.arange(n_classes) % 3 == 0, rng.random(n_classes) + 0.1, 0),
        "one_heavy_last": np.where(np.arange(n_classes) == n_classes - 1, n_classes, 1e-3),
        "heavy_tail_first": np.sort(rng.pareto(0.5, n_classes) + 1),
    }[kind]
    q = weights / weights.sum()
    table = np.full(n_classes, -1, alias_table.BUCKET)
    alias_table.build(q, table)
    assert table["threshold"].min() >= 0
    assert table["alias"].min() >= 0
    assert table["alias"].max() < n_classes
    got = table_probabilities(table)
    np.testing.assert_allclose(got, q, rtol=1e-10, atol=1e-12 / n_classes)
    assert not got[q == 0].any()


# Learning


def test_learned_unigram_is_tensorflows():
    """UnigramProbabilities1 and 2 of tensorflow/core/kernels/range_sampler_test.cc."""
    sampler = LearnedUnigram(10, power=1)
    sampler.observe(np.full(10, 3))  # "Add the value 3 ten times."
    np.testing.assert_allclose(sampler.probabilities(), np.where(np.arange(10) == 3, 0.55, 0.05), rtol=1e-14)
    sampler = LearnedUnigram(10, power=1)
    sampler.observe(np.arange(10).repeat(np.arange(10)))  # "Add the value n times."
    np.testing.assert_allclose(sampler.probabilities(), np.arange(1, 11) / 55, rtol=1e-14)


def test_learned_unigram_begins_uniform():
    np.testing.assert_array_equal(LearnedUnigram(7).probabilities(), Custom(np.ones(7)).probabilities())


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 7), max_size=20), max_size=30), st.booleans())
def test_learned_unigram_is_never_far_behind(batches, draws_before):
    """Its table is that of counts a while ago, of at least four fifths of the sum; probabilities agree with draws."""
    sampler, counts = LearnedUnigram(8, power=0.5), np.ones(8)
    snapshots = [counts.copy()]
    for batch in batches:
        if draws_before:
            sampler.draw(1, 0)
        sampler.observe(np.array(batch, np.int32))
        counts += np.bincount(batch, minlength=8) if batch else 0
        snapshots.append(counts.copy())
        recent = [s for s in snapshots if counts.sum() < 1.25 * s.sum()]
        q = sampler.probabilities()
        assert any(np.allclose(q, np.sqrt(s) / np.sqrt(s).sum(), rtol=1e-13) for s in recent)
        np.testing.assert_allclose(table_probabilities(sampler._table), q, rtol=1e-12)
        with pytest.raises(ValueError, match="read-only"):
            q[0] = 1


def test_learned_unigram_is_rebuilt_rarely(monkeypatch):
    built, build = [], alias_table.build
    monkeypatch.setattr(alias_table, "build", lambda *arguments: (built.append(None), build(*arguments)))
    sampler = LearnedUnigram(1000)
    sampler.draw(1, 0)
    for _ in range(1000):
        sampler.observe(np.arange(100))
    assert len(built) <= 1 + np.log(101_000 / 1000) / np.log(1.25)
    assert len(built) > 10


def test_learned_probabilities_of_before_stay_as_they_were():
    sampler = LearnedUnigram(5)
    before = sampler.probabilities()
    sampler.observe(np.zeros(100, int))
    np.testing.assert_array_equal(before, np.full(5, 0.2))


@pytest.mark.parametrize("sampler", ["learned_unigram", Mixed([LearnedUnigram(4), Uniform(4)])])
def test_a_memory_mapped_sampler_learns(tmp_path, sampler):
    X, y = sp.eye_array(40, format="csr", dtype=np.float32), np.arange(40) % 4
    params = {"loss": "sampled_softmax", "sampler": sampler, "n_negatives": 3, "hidden_size": 8}
    model = flat_classifier(**params, random_state=0, max_iter=3, n_threads=1).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r").partial_fit(X, y)
    np.testing.assert_array_equal(mapped.predict_proba(X), model.partial_fit(X, y).predict_proba(X))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Unigram([[1, 2]]), ValueError, r"counts must have one dimension, got shape \(1, 2\)"),
        (lambda: Unigram([]), ValueError, "counts must have at least one positive entry, got 0 zeros"),
        (lambda: Unigram([0, 0]), ValueError, "counts must have at least one positive entry, got 2 zeros"),
        (lambda: Unigram([1, -2]), ValueError, r"counts must be finite and non-negative, got counts\[1\] = -2"),
        (lambda: Unigram([1, np.nan]), ValueError, r"counts must be finite and non-negative, got counts\[1\] = nan"),
        (lambda: Unigram([np.inf, 1]), ValueError, r"counts must be finite and non-negative, got counts\[0\] = inf"),
        (lambda: Unigram(["a"]), TypeError, "counts must hold real numbers"),
        (lambda: Unigram([1], power=-1), ValueError, "power must be at least 0, got -1"),
        (lambda: Unigram([1], power=np.inf), ValueError, "power must be finite, got inf"),
        (lambda: Custom([0.5, -0.1]), ValueError, r"probabilities must be finite and .*probabilities\[1\] = -0.1"),
        (lambda: Custom([]), ValueError, "probabilities must have at least one positive entry"),
        (lambda: LearnedUnigram(0), ValueError, "n_classes must be at least 1, got 0"),
        (lambda: LearnedUnigram(3, power=-1), ValueError, "power must be at least 0, got -1"),
        (lambda: LearnedUnigram(3).observe([0, 3]), ValueError, r"target must be in \[0, 3\), got target\[1\] = 3"),
        (lambda: LearnedUnigram(3).observe([0.0]), TypeError, "target must hold integers"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
