"""Screening in 8 bits: the same classes as by all logits, whatever the weights, and log-sum-exps within their bound."""

import numpy as np
import pytest
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_array_equal

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.model.model import Model
from fastsoftmax.model.predictor import Predictor
from fastsoftmax.passes import screen
from fastsoftmax.passes.eligible import Eligible

SHAPES = [(1, 1), (2, 3), (17, 4), (333, 7), (5000, 64), (40_000, 20)]  # classes, hidden size


def model_of(n_classes, n_hidden, dtype=np.float32, scale=0.3, bias=1.0, seed=0):
    rng = np.random.default_rng(seed)
    V = (scale * rng.standard_normal((n_classes, n_hidden))).astype(dtype)
    b = (-bias * np.log1p(rng.permutation(n_classes))).astype(dtype)
    return Model(E=rng.standard_normal((30, n_hidden)).astype(dtype), V=V, bias=b)


def rows_of(n, dtype=np.float32, seed=1):
    return sp.random(n, 30, 0.3, "csr", dtype, rng=np.random.default_rng(seed))


def assert_same(model, X, k, eligible=None, n_threads=2):
    """The ids and the bits of the logits are those of all logits, and log-probabilities are within the bound."""
    options = () if eligible is None else (eligible,)
    plain, screened = (Predictor(model, n_threads=n_threads, screens=s) for s in (False, True))
    ids, expected = plain.topk(X, k, *options)
    found, log_proba = screened.topk(X, k, *options)
    assert_array_equal(found, ids)
    assert_array_equal(
        screened.topk(X, k, *options, normalise=False)[1], plain.topk(X, k, *options, normalise=False)[1]
    )
    if X.shape[0] == 0:
        return screened
    hidden = plain.runner(X).hidden(np.arange(X.shape[0]))
    if screened._screen is not None and (rounded := screened._screen.rounded(hidden)) is not None:
        error = screened._screen.lse_error(rounded)[:, None] + 1e-5 * np.abs(np.where(ids < 0, 0, expected))
        left = ids >= 0
        assert (np.abs(log_proba - expected)[left] <= np.broadcast_to(error, ids.shape)[left]).all()
    return screened


@covering(
    {
        "isa": ISAS,
        "shape": SHAPES,
        "dtype": [np.float32, np.float64],
        "n_rows": [0, 1, 4, 5, 150],
        "k": [1, 20, 900],
    }
)
def test_shapes(isa, shape, dtype, n_rows, k):
    assert_same(model_of(*shape, dtype), rows_of(n_rows, dtype), min(k, shape[0]))


@pytest.mark.parametrize("n_rows", [2, 9])
@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-3, 100, 1e6, 1e25, 1e32])
def test_scales(isa, n_rows, scale):
    assert_same(model_of(3000, 8, scale=scale), rows_of(n_rows), 10)


@pytest.mark.parametrize("bias", [0.0, 1e3, 1e20, 1e33])
def test_bias_that_dominates(isa, bias):
    assert_same(model_of(3000, 8, bias=bias), rows_of(9), 10)


@pytest.mark.parametrize("n_rows", [3, 12])
def test_ties_and_zeros(isa, n_rows):
    model = model_of(20_000, 8)
    model.V[:] = model.V[np.arange(20_000) % 37]
    model.bias[:] = 0
    assert_same(model, rows_of(n_rows), 30)
    model.V[:] = 0  # all classes are equal: too many are left
    assert_same(model, rows_of(n_rows), 30)
    assert_same(model, sp.csr_array((n_rows, 30), dtype=np.float32), 30)


def test_rows_of_different_sizes(isa):
    model = model_of(9000, 12)
    model.V *= np.exp2(np.random.default_rng(3).integers(-20, 20, (9000, 1)))
    assert_same(model, rows_of(20), 25)


@pytest.mark.parametrize("n_rows", [3, 40])
def test_eligible(n_rows):
    model, rng = model_of(7000, 16), np.random.default_rng(4)
    excluded = [np.sort(rng.choice(7000, n, replace=False)) for n in rng.integers(0, 400, n_rows)]
    best = Predictor(model, n_threads=1).topk(rows_of(n_rows), 5)[0]
    excluded[0] = np.sort(best[0])
    indptr = np.concatenate([[0], np.cumsum([len(e) for e in excluded])]).astype(np.intp)
    some = np.sort(rng.choice(7000, 50, replace=False))
    assert_same(model, rows_of(n_rows), 12, Eligible(None, indptr, np.concatenate(excluded)))
    assert_same(model, rows_of(n_rows), 12, Eligible(some, indptr, np.concatenate(excluded)))
    for eligible in (Eligible(some), Eligible(threshold=0.01)):  # answered by all logits
        plain, screened = (Predictor(model, n_threads=2, screens=s) for s in (False, True))
        for a, b in zip(
            plain.topk(rows_of(n_rows), 9, eligible), screened.topk(rows_of(n_rows), 9, eligible), strict=True
        ):
            assert_array_equal(a, b)


def test_threads_do_not_change_bits(isa):
    model, X = model_of(60_000, 24), rows_of(30)
    results = [Predictor(model, n_threads=n, screens=True).topk(X, 20) for n in (1, 2, 3, 5)]
    for ids, log_proba in results[1:]:
        assert_array_equal(ids, results[0][0])
        assert_array_equal(log_proba, results[0][1])


def test_instruction_sets_round_alike():
    """The sums of products of codes are whole numbers, the largest of which does not fit into 15 bits."""
    model = model_of(500, 4)
    model.V[:], model.bias[:] = np.where(model.V > 0, 1, -1), 0
    model.E[:] = 1
    assert_same(model, rows_of(9), 20)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["V", "bias"])
@pytest.mark.parametrize("n_rows", [1, 9])
def test_not_finite(bad, where, n_rows):
    model = model_of(600, 5)
    getattr(model, where)[7] = bad
    messages = []
    for screens in (False, True):
        with pytest.raises(ValueError, match="NaN") as error:
            Predictor(model, n_threads=2, screens=screens).topk(rows_of(n_rows), 3)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_few_classes_are_left():
    """Otherwise it would be right, and no faster."""
    predictor = Predictor(model_of(40_000, 20), n_threads=2, screens=True)
    hidden = np.ascontiguousarray(predictor.runner(rows_of(20)).hidden(np.arange(20)))
    found = predictor._screen.candidates(hidden, 10, 1, predictor.runner(rows_of(20)).workspace)
    assert 10 * 20 <= len(found.class_ids) < 400 * 20
    assert predictor._screen.nbytes < 40_000 * (20 + 8) + 1000


def test_bounds_hold():
    model, hidden = model_of(2000, 31), np.random.default_rng(5).standard_normal((12, 31)).astype(np.float32)
    s = screen.Screen.of(model.V, model.bias)
    rounded = s.rounded(hidden)
    q = s.codes.transpose(0, 2, 1, 3).reshape(len(s.scale), -1)[:2000].astype(int) - 128
    p = rounded.codes.reshape(12, -1).astype(int)
    approximate = p @ q.T * rounded.factor[:, None].astype(float) * s.scale[:2000] + s.bias[:2000]
    exact = (hidden.astype(float) @ model.V.T.astype(float) + model.bias) * np.log2(np.e)
    bound = rounded.margin[:, None] * s.scale[:2000] + rounded.slack[:, None]
    assert (np.abs(approximate - exact) <= bound).all()
    assert np.abs(approximate - exact).max() > 0.05 * bound.max()  # and mean something


def test_estimators():
    rng = np.random.default_rng(0)
    X, y = sp.random(400, 40, 0.2, "csr", np.float32, rng=rng), rng.integers(0, 30, 400)
    model = SoftmaxClassifier(loss="softmax", direct=None, hidden_size=8, max_iter=2, random_state=0).fit(X, y)
    predictor = model.predictor(screen=True)
    for n in (2, 400):
        assert_array_equal(predictor.predict_topk(X[:n], 7)[0], model.predict_topk(X[:n], 7)[0])
        assert_array_equal(predictor.predict(X[:n]), model.predict(X[:n]))
    dense = SoftmaxClassifier(loss="softmax", direct="dense", hidden_size=None, max_iter=2).fit(X.toarray(), y)
    for rows in (X.toarray(), X.toarray()[:3], X, X[:3]):
        assert_array_equal(dense.predictor(screen=True).predict_topk(rows, 7)[0], dense.predict_topk(rows, 7)[0])
    sparse = SoftmaxClassifier(loss="softmax", direct="sparse", hidden_size=None).fit(X, y)
    for other in (sparse, model.compressed("int8")):
        with pytest.raises(ValueError, match="one dense product"):
            other.predictor(screen=True)


@pytest.mark.parametrize("n_tied", [6000, 9000, 12_000, 17_000, 30_000])
@pytest.mark.parametrize("n_rows", [1, 20])
def test_lists_that_overflow_in_some_threads(n_tied, n_rows):
    """How many of the near ties a thread lists depends on what it sees; whether a row is screened must not."""
    rng = np.random.default_rng(0)
    V = (0.1 * rng.normal(size=(40_000, 32))).astype(np.float32)
    V[:n_tied] = 1 + 1e-4 * rng.normal(size=(n_tied, 32))
    model = Model(W=V, bias=np.zeros(len(V), np.float32))
    H = (1 + 0.001 * rng.normal(size=(n_rows, 32))).astype(np.float32)
    first, *others = [Predictor(model, n_threads=n, screens=True).topk(H, 5) for n in (1, 2, 4, 7)]
    for other in others:
        assert_array_equal(first[0], other[0])
        assert_array_equal(first[1], other[1])
