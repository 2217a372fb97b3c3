"""The approximate index: most of the best classes, with the model's own logits, and log-sum-exps that are nearly right."""

import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.model import approximate
from fastsoftmax.model.model import Model
from fastsoftmax.model.predictor import Predictor
from fastsoftmax.passes.eligible import Eligible

N_FEATURES = 30


def model_of(n_classes, n_hidden=16, dtype=np.float32, n_clusters=40):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((n_clusters, n_hidden))
    V = (centres[rng.integers(0, n_clusters, n_classes)] + 0.5 * rng.standard_normal((n_classes, n_hidden))) * 0.5
    bias = -np.log1p(rng.permutation(n_classes))
    E = rng.standard_normal((N_FEATURES, n_hidden))
    return Model(E=E.astype(dtype), V=V.astype(dtype), bias=bias.astype(dtype))


def rows_of(n, dtype=np.float32):
    return sp.random(n, N_FEATURES, 0.3, "csr", dtype, rng=np.random.default_rng(1))


def logits_of(model, X):
    """In float64."""
    hidden = X.astype(np.float64) @ model.E.astype(np.float64)
    return hidden @ model.V.T.astype(np.float64) + model.bias


def both(model, n_threads=1):
    return (Predictor(model, n_threads=n_threads, approximates=a) for a in (False, True))


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        assert_array_equal(x, y)


@pytest.fixture(scope="module")
def clustered():
    model = model_of(6000)
    return model, *both(model)


@pytest.mark.parametrize("n_rows", [1, 3, 300])
def test_recall(clustered, n_rows):
    _, plain, index = clustered
    X = rows_of(n_rows)
    expected, found = plain.topk(X, 10)[0], index.topk(X, 10)[0]
    assert np.mean([np.isin(a, b).mean() for a, b in zip(expected, found, strict=True)]) > 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_logits_are_the_models(dtype, k):
    """Also where every class is sampled, so that log-probabilities are the model's."""
    model, X = model_of(3000, 13, dtype), rows_of(150, dtype)
    index = Predictor(model, n_threads=2, approximates=True)
    class_ids, values = index.topk(X, k, normalise=False)
    logits, rtol = logits_of(model, X), 1e-4 if dtype == np.float32 else 1e-12
    assert values.dtype == dtype
    assert_allclose(values, np.take_along_axis(logits, class_ids, axis=1), rtol, rtol)
    assert (np.diff(values, axis=1) <= 0).all()
    assert all(len(set(row)) == k for row in class_ids.tolist())
    log_proba = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    same, values = index.topk(X, k)
    assert_array_equal(same, class_ids)
    assert_allclose(values, np.take_along_axis(log_proba, class_ids, axis=1), rtol, rtol)


def test_log_sum_exps(clustered, monkeypatch):
    """All log-probabilities of a row are off by one number, and by much less than without a sample of the others."""
    model, X = clustered[0], rows_of(200)
    logits = logits_of(model, X)
    expected = np.log(np.exp(logits).sum(axis=1))
    monkeypatch.setattr(approximate, "SAMPLED", 1000)
    index = Predictor(model, n_threads=1, approximates=True)
    class_ids, values = index.topk(X, 10)
    error = np.take_along_axis(logits, class_ids, axis=1) - values - expected[:, None]
    assert np.ptp(error, axis=1).max() < 1e-4
    assert np.abs(error).mean() < 0.05
    best = np.sort(np.argsort(-logits, axis=1)[:, :256], axis=1)  # as if the index missed nothing
    of_best = np.take_along_axis(logits, best, axis=1)
    hidden = index.runner(X).hidden(np.arange(200))
    error = np.abs(index._index.log_sum_exps(hidden, best, of_best.astype(np.float32)) - expected)
    assert error.max() < 0.15
    assert 5 * error.mean() < (expected - np.log(np.exp(of_best).sum(axis=1))).mean()


def test_exclude(clustered):
    model, plain, index = clustered
    X, rng = rows_of(140), np.random.default_rng(2)
    excluded = [np.sort(rng.choice(6000, n, replace=False)) for n in rng.integers(0, 60, 140)]
    for i, best in enumerate(plain.topk(X, 12)[0][::2]):
        excluded[2 * i] = np.sort(best)
    indptr = np.concatenate([[0], np.cumsum([len(e) for e in excluded])]).astype(np.intp)
    eligible = Eligible(None, indptr, np.concatenate(excluded))
    expected, (found, log_proba) = plain.topk(X, 10, eligible)[0], index.topk(X, 10, eligible)
    assert not any(np.isin(row, out).any() for row, out in zip(found, excluded, strict=True))
    assert np.mean([np.isin(a, b).mean() for a, b in zip(expected, found, strict=True)]) > 0.9
    logits = logits_of(model, X)  # probabilities are those among all classes
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert np.abs(log_proba - np.take_along_axis(expected, found, axis=1)).mean() < 0.05


def test_what_is_answered_exactly(clustered):
    _, plain, index = clustered
    X = rows_of(9)
    indptr = (np.arange(10) * 1500).astype(np.intp)
    for k, eligible in (
        (1100, Eligible()),
        (5, Eligible(class_ids=np.arange(0, 6000, 50))),
        (5, Eligible(threshold=0.01)),
        (5, Eligible(None, indptr, np.tile(np.arange(1500), 9))),
    ):
        assert_same(index.topk(X, k, eligible), plain.topk(X, k, eligible))
    assert index.topk(X[:0], 5)[0].shape == (0, 5)


@pytest.mark.parametrize("n_classes", [1, 2, 256, 257, 600])
def test_few_classes(n_classes):
    model, X = model_of(n_classes), rows_of(6)
    plain, index = both(model)
    for k in {1, min(2, n_classes), n_classes}:
        a, b = plain.topk(X, k), index.topk(X, k)
        assert_array_equal(a[0], b[0])
        assert_allclose(a[1], b[1], 1e-4, 1e-4)


def test_ties_go_to_the_smaller_class():
    model = model_of(500)
    model.V[:], model.bias[:] = model.V[0], 0
    class_ids = Predictor(model, n_threads=1, approximates=True).topk(rows_of(5), 9)[0]
    assert (np.diff(class_ids, axis=1) > 0).all()


def test_rows_for_which_too_few_are_found(clustered, monkeypatch):
    _, plain, index = clustered
    X, find = rows_of(20), index._index.candidates

    def finds_less(*args):
        class_ids = find(*args)
        class_ids[[3, 17], 4:] = approximate.EMPTY
        return class_ids

    expected = plain.topk(X, 10)
    monkeypatch.setattr(index._index, "candidates", finds_less)
    found = index.topk(X, 10)
    assert_array_equal(found[0][[3, 17]], expected[0][[3, 17]])
    assert_allclose(found[1][[3, 17]], expected[1][[3, 17]], 1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["V", "bias", "E"])
def test_not_finite(bad, where):
    model = model_of(600)
    getattr(model, where)[7] = bad
    with pytest.raises(ValueError, match="NaN"):
        Predictor(model, n_threads=1, approximates=True).topk(rows_of(40), 3)


def test_threads_give_the_same_of_one_index(clustered):
    _, _, index = clustered
    X = rows_of(60)
    expected, found = index.topk(X, 10), {}
    workers = [threading.Thread(target=lambda i=i: found.update({i: index.topk(X, 10)})) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i in range(4):
        assert_same(found[i], expected)
    again = Predictor(clustered[0], n_threads=1, approximates=True)  # one thread builds the same
    assert_same(again.topk(X, 10), expected)
    again._n_threads = 2
    assert_same(again.topk(X, 10), expected)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X, y = sp.random(1500, 40, 0.2, "csr", np.float32, rng=rng), rng.integers(0, 500, 1500)
    return SoftmaxClassifier(loss="softmax", direct=None, hidden_size=8, max_iter=2, random_state=0).fit(X, y), X, y


def test_estimators(fitted):
    model, X, y = fitted
    predictor = model.predictor(exact=False)
    for n in (2, 400):
        found, expected = predictor.predict_topk(X[:n], 7), model.predict_topk(X[:n], 7)
        assert np.mean(found[0] == expected[0]) > 0.9
        assert_array_equal(predictor.predict(X[:n]), predictor.predict_topk(X[:n], 1)[0][:, 0])
    dense = SoftmaxClassifier(loss="softmax", direct="dense", hidden_size=None, max_iter=2).fit(X.toarray(), y)
    for rows in (X.toarray(), X.toarray()[:3], X, X[:3]):
        found = dense.predictor(exact=False).predict_topk(rows, 7)[0]
        assert np.mean(found == dense.predict_topk(rows, 7)[0]) > 0.9


def test_refusals(fitted):
    model, X, y = fitted
    with pytest.raises(ValueError, match="choose one of them"):
        model.predictor(screen=True, exact=False)
    sparse = SoftmaxClassifier(loss="softmax", direct="sparse", hidden_size=None).fit(X, y)
    for other in (sparse, model.compressed("int8")):
        with pytest.raises(ValueError, match="exact=False needs logits that are one dense product"):
            other.predictor(exact=False)


def test_without_usearch(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    fitted[0].predictor()
    with pytest.raises(ImportError, match=r'pip install "fastsoftmax\[ann\]"'):
        fitted[0].predictor(exact=False)
