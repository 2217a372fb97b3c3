"""MultiIndex: the proposal is what it says, exactly, whatever the model; how near it comes to the softmax; when it changes."""

import copy
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from fastsoftmax.samplers import InBatch, Mixed, MultiIndex, Uniform
from fastsoftmax.samplers.multi_index import CHUNK_CLASSES


def model(n_classes, n_features, seed=0, dtype=np.float32):
    """V in clusters of different sizes, and a bias."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((8, n_features)) * 1.5
    V = centres[rng.integers(0, 8, n_classes)] + 0.3 * rng.standard_normal((n_classes, n_features))
    return V.astype(dtype), rng.standard_normal(n_classes).astype(dtype)


def hidden_of(n_features, n_rows=20, seed=1, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal((n_rows, n_features))).astype(np.float32)


def followed(n_classes, n_features, n_codes=5, **kwargs):
    sampler = MultiIndex(n_classes, n_codes, **kwargs)
    V, bias = model(n_classes, n_features)
    sampler.follow(V, bias)
    return sampler, V, bias


def expected_counts(sampler, n, hidden):
    """Expected counts of all classes: a draw tells them for its targets."""
    return np.exp(sampler.draw_for(n, np.random.default_rng(0), np.arange(sampler.n_classes), hidden)[2])


def twin(sampler, n, bias, hidden):
    """Expected counts by the definition: every class at its two centres, with its own bias, row by row."""
    middle = hidden.shape[1] // 2
    first, second = np.divmod(sampler._cells.astype(int), sampler.n_codes)
    classes = np.hstack([sampler._centres[0][first], sampler._centres[1][second]])
    assert classes[:, :middle].shape == (len(bias), middle)
    logits = hidden.astype(float) @ classes.T.astype(float) + bias.astype(float)
    return n * softmax(logits, axis=1).mean(axis=0)


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    ("n_classes", "n_features", "n_codes"),
    [(300, 8, 5), (300, 7, 5), (40, 1, 4), (3, 2, 32), (1, 4, 32), (2000, 6, 40)],
)
def test_expected_counts_by_the_definition(n_classes, n_features, n_codes, scale):
    """They also hold at logits of 30,000, where the best codes of the halves may have no class in common."""
    sampler, _, bias = followed(n_classes, n_features, n_codes)
    hidden = hidden_of(n_features, scale=scale)
    counts = expected_counts(sampler, 50, hidden)
    assert_allclose(counts, twin(sampler, 50, bias, hidden), rtol=1e-3 if scale > 1 else 1e-5, atol=1e-250)
    assert counts.sum() == pytest.approx(50, rel=1e-9)
    class_ids, log_expected, _ = sampler.draw_for(5000, np.random.default_rng(2), np.arange(1), hidden)
    assert np.isfinite(log_expected).all()
    assert_allclose(log_expected, np.log(100 * counts[class_ids]), rtol=1e-9, atol=1e-9)


def test_best_codes_without_a_class_in_common():
    """Two classes are at opposite corners, and a row likes the first half of one and the second half of the other."""
    sampler, bias = MultiIndex(2, 2), np.array([0.5, 0.0])
    sampler.follow(np.array([[1.0, 0.0], [0.0, 1.0]]), bias)
    hidden = np.array([[1e4, 1e4], [1e4, 1e4 + 1]])
    assert_allclose(expected_counts(sampler, 10, hidden), twin(sampler, 10, bias, hidden), rtol=1e-12)


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize(
    ("n_classes", "n_features", "n_codes"), [(300, 8, 5), (300, 7, 5), (40, 1, 4), (3, 2, 32), (2000, 6, 40)]
)
def test_chi_square(n_classes, n_features, n_codes, follows):
    sampler = followed(n_classes, n_features, n_codes)[0] if follows else MultiIndex(n_classes, n_codes)
    hidden, n = hidden_of(n_features), 200_000
    class_ids, _, _ = sampler.draw_for(n, np.random.default_rng(3), np.arange(4) % n_classes, hidden)
    expected = expected_counts(sampler, n, hidden)
    observed, often = np.bincount(class_ids, minlength=n_classes), expected > 5
    assert (
        stats.chisquare(observed[often], expected[often] * observed[often].sum() / expected[often].sum()).pvalue > 1e-4
    )
    assert abs(observed[~often].sum() - expected[~often].sum()) < 5 * np.sqrt(expected[~often].sum() + 1)
    if not follows:
        assert_allclose(expected, n / n_classes)


def test_draws_that_know_no_batch():
    """Such draws go by softmax(bias)."""
    sampler, _, bias = followed(300, 8)
    share = softmax(bias.astype(float))
    assert_allclose(sampler.probabilities(), share, rtol=1e-5)
    class_ids, log_expected = sampler.draw(100_000, 4)
    assert_allclose(log_expected, np.log(1e5 * share[class_ids]), rtol=1e-5)
    assert stats.chisquare(np.bincount(class_ids, minlength=300), 1e5 * share / share.sum()).pvalue > 1e-4
    assert_allclose(sampler.log_expected_counts(np.arange(300), 7), np.log(7 * share), rtol=1e-5)
    assert_allclose(sampler.draw_for(9, np.random.default_rng(0), np.arange(300))[2], np.log(9 * share), rtol=1e-5)


def test_the_rarest_classes_are_drawn_as_told():
    """One class has 1e-9 of the mass, in a cell of two behind cells with far more."""
    bias = np.zeros(3000)
    bias[-2:] = np.log(1e-12), np.log(3e-12)
    V = np.zeros((3000, 2))
    V[-2:] = 60.0
    sampler = MultiIndex(3000, n_codes=2)
    sampler.follow(V, bias)
    class_ids, _, counts = sampler.draw_for(4000, np.random.default_rng(0), np.arange(2998, 3000), np.ones((1, 2)))
    assert_allclose(np.exp(counts), [1000, 3000], rtol=1e-6)
    assert np.count_nonzero(class_ids == 2998) == pytest.approx(1000, abs=5 * np.sqrt(750))


@pytest.mark.parametrize(("n_classes", "n"), [(300, 60), (5, 4)])
def test_the_partition_function_is_right_on_average(n_classes, n):
    sampler, V, bias = followed(n_classes, 6)
    hidden, rng = hidden_of(6, n_rows=10), np.random.default_rng(5)
    scores = np.exp(hidden @ V.T + bias).astype(float)
    found = np.empty((4000, 10))
    for i in range(len(found)):
        class_ids, log_expected, _ = sampler.draw_for(n, rng, np.zeros(1, np.int64), hidden)
        found[i] = (scores[:, class_ids] * np.exp(-log_expected)).sum(axis=1)
    error = found.std(axis=0) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - scores.sum(axis=1)) < 4.5 * error).all()
    assert (error < 0.02 * scores.sum(axis=1)).all()


def test_it_comes_nearer_to_the_softmax_than_popularity():
    sampler, V, bias = followed(2000, 8, n_codes=16)
    for seed in range(5):
        hidden = hidden_of(8, n_rows=4, seed=seed)
        mean = softmax((hidden @ V.T + bias).astype(float), axis=1).mean(axis=0)
        ours = np.corrcoef(expected_counts(sampler, 1, hidden), mean)[0, 1]
        assert ours > 0.6 and ours > np.corrcoef(softmax(bias), mean)[0, 1] + 0.2


# -- the model before training, and degenerate ones --


def test_one_cell_as_long_as_all_weights_are_zeros():
    sampler, hidden = MultiIndex(50), hidden_of(4)
    bias = model(50, 4)[1]
    sampler.follow(np.zeros((50, 4), np.float32), bias)
    assert (sampler._cells == 0).all()
    assert_allclose(expected_counts(sampler, 10, hidden), 10 * softmax(bias.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("n_different", [1, 2, 7])
def test_equal_weights(n_different):
    """There are fewer different rows than codes, and no warning comes through."""
    V, bias = model(n_different, 6)
    V, bias, hidden = np.tile(V, (30, 1)), np.tile(bias, 30), hidden_of(6)
    sampler = MultiIndex(len(V))
    sampler.follow(V, bias)
    expected = 10 * softmax((hidden @ V.T + bias).astype(float), axis=1).mean(axis=0)
    assert_allclose(expected_counts(sampler, 10, hidden), expected, rtol=1e-4)  # nothing is coarse


@pytest.mark.parametrize("half", [slice(0, 3), slice(3, 6)])
def test_a_half_of_zeros(half):
    V, bias = model(300, 6)
    V[:, half] = 0
    sampler, hidden = MultiIndex(300, 5), hidden_of(6)
    sampler.follow(V, bias)
    assert_allclose(expected_counts(sampler, 10, hidden), twin(sampler, 10, bias, hidden), rtol=1e-5)


def test_from_zeros_to_weights_and_back():
    sampler, (V, bias), hidden = MultiIndex(300, 5, refresh_every=1), model(300, 6), hidden_of(6)
    for factor in (0, 1, 0, 2):
        sampler.follow(factor * V, bias)
        assert_allclose(expected_counts(sampler, 10, hidden), twin(sampler, 10, bias, hidden), rtol=1e-5)
        assert len(np.unique(sampler._cells)) == 1 if factor == 0 else len(np.unique(sampler._cells)) > 5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_that_is_not_finite_is_not_taken_up(bad):
    sampler, V, bias = followed(300, 6, refresh_every=1)
    before, hidden = expected_counts(sampler, 10, hidden_of(6)), hidden_of(6)
    V[7, 2] = bad
    sampler.follow(V, bias)
    bias[3] = bad
    sampler.follow(model(300, 6)[0], bias)
    assert_array_equal(expected_counts(sampler, 10, hidden), before)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_training_that_diverges_says_so():
    rng = np.random.default_rng(0)
    X, y = sp.random_array((400, 30), density=0.2, rng=rng, format="csr") * 1e6, rng.integers(0, 40, 400)
    classifier = flat_classifier(
        "sampled_softmax", direct=None, hidden_size=4, sampler=MultiIndex(40, 4, refresh_every=1), n_negatives=10,
        optimizer="sgd", learning_rate=1e20, random_state=0,
    )  # fmt: skip
    with pytest.raises(FloatingPointError, match="training diverged"), np.errstate(all="ignore"):
        classifier.fit(X, y)


# -- when and how it changes --


def test_refresh_every():
    (V, bias), hidden = model(300, 6), hidden_of(6)
    other = model(300, 6, seed=9)[0]
    sampler = MultiIndex(300, 5, refresh_every=3)
    found = []
    for step in range(7):
        sampler.follow(V if step < 1 else other, bias)
        found.append(expected_counts(sampler, 10, hidden))
    for step in (1, 2):
        assert_array_equal(found[step], found[0])
    assert (found[3] != found[0]).any()
    assert_array_equal(found[4], found[3])
    assert_array_equal(found[5], found[3])


def test_a_new_model_is_followed_more_often():
    V, bias = model(30, 4)
    sampler, refreshes = MultiIndex(30, 2, refresh_every=100), []
    sampler._index = lambda V, bias: refreshes.append(sampler._steps)
    for _ in range(350):
        sampler.follow(V, bias)
    assert refreshes == [0, 16, 32, 64, 128, 228, 328]


def test_weights_are_not_kept():
    """`follow` is given the model's own arrays, which go on changing."""
    sampler, V, bias = followed(300, 6)
    before = expected_counts(sampler, 10, hidden_of(6))
    V[...], bias[...] = 0, 0
    assert_array_equal(expected_counts(sampler, 10, hidden_of(6)), before)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_draws_for_any_number_of_threads_of_others(order, dtype):
    """BLAS runs in the products and OpenMP in k-means, on any number of threads."""
    V, bias = model(20_000, 64, dtype=dtype)
    V, hidden, target = np.asarray(V, order=order), hidden_of(64, n_rows=256).astype(dtype), np.arange(20)
    found = []
    for limit in (1, 2, 3):
        with threadpool_limits(limits=limit):
            sampler = MultiIndex(20_000)
            sampler.follow(V, bias)
            sampler._next = 0
            sampler.follow(V, bias)
            found.append((*sampler.draw_for(1000, np.random.default_rng(0), target, hidden), *sampler._centres))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert_array_equal(a, b)


def test_a_copy_draws_the_same_and_learns_by_itself():
    sampler, _, bias = followed(300, 6, refresh_every=1)
    twin_of, hidden = copy.deepcopy(sampler), hidden_of(6)
    before = expected_counts(sampler, 10, hidden)
    assert_array_equal(expected_counts(twin_of, 10, hidden), before)
    twin_of.follow(model(300, 6, seed=9)[0], bias)
    assert_array_equal(expected_counts(sampler, 10, hidden), before)
    assert (expected_counts(twin_of, 10, hidden) != before).any()


def test_mixed():
    """Expected counts are the sums of the parts'; all that follow are told of the model."""
    V, bias = model(300, 6)
    inner, hidden, target = MultiIndex(300, 5), hidden_of(6), np.arange(300)
    mixed = Mixed([Mixed([inner, Uniform(300)]), InBatch(np.ones(300))])
    assert mixed.follows_model
    mixed.follow(V, bias)
    counts = np.exp(mixed.draw_for(40, np.random.default_rng(0), target, hidden)[2])
    assert_allclose(counts, twin(inner, 20, bias, hidden) + 20 / 300 + 299 / 300, rtol=1e-5)
    class_ids, log_expected, _ = mixed.draw_for(40, np.random.default_rng(0), target, hidden)
    assert len(class_ids) == 340
    assert_allclose(np.exp(log_expected), counts[class_ids], rtol=1e-9)


# -- what it costs --


def test_memory():
    """The memory is as documented: some bytes a class, and some kilobytes for the cells."""
    n, (V, bias) = 200_000, model(200_000, 8)
    sampler = MultiIndex(n, 8)
    tracemalloc.start()
    sampler.follow(V, bias)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    arrays = [a for a in vars(sampler).values() if isinstance(a, np.ndarray)]
    assert sum(a.nbytes for a in arrays) == pytest.approx(26 * n, rel=0.01)
    assert kept < 1.05 * 26 * n
    assert peak < (26 + 50) * n + V.nbytes / 2


def test_k_means_is_imported_when_it_is_needed():
    code = """
import sys
import numpy as np
import fastsoftmax
from fastsoftmax.samplers import MultiIndex
sampler = MultiIndex(20, 2)
sampler.follow(np.zeros((20, 4)), np.zeros(20))
sampler.draw_for(5, np.random.default_rng(0), np.arange(3), np.ones((3, 4)))
assert "sklearn.cluster" not in sys.modules
sampler._next = 0
sampler.follow(np.eye(20)[:, :4], np.zeros(20))
assert "sklearn.cluster" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_memory_while_the_clusters_are_made():
    n_classes, rng = 300_000, np.random.default_rng(0)
    V, bias = rng.standard_normal((n_classes, 64), np.float32), np.zeros(n_classes, np.float32)
    tracemalloc.start()
    try:
        sampler = MultiIndex(n_classes, n_codes=4, refresh_every=1)
        sampler.follow(V, bias)
        tracemalloc.reset_peak()
        sampler.follow(V, bias)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    most = MultiIndex.bytes_per_class * n_classes
    assert 0.8 * most < peak < most + 2 * CHUNK_CLASSES * 64 * V.itemsize  # no copy of all weights
