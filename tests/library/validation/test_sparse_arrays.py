"""Sparse arrays, wherever they are taken: unusual ones count as their canonical copies, hostile ones are refused."""

import copy
from unittest import mock

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sparse_variants import UNUSUAL, hostile

import fastsoftmax as fs
from fastsoftmax import metrics

N, M = 12, 9
RNG = np.random.default_rng(0)
A = sp.csr_array(sp.random_array((N, M), density=0.3, rng=RNG) + sp.csr_array(np.eye(N, M) + np.eye(N, M, -M)))
A.sum_duplicates()
ROWS = RNG.standard_normal((5, M))
X = RNG.random((N, M))
Y = np.arange(N) % 3
W = RNG.standard_normal((N, M))
SPARSE_W = sp.csc_array(np.where(W > 0, W, 0))
CLASS_IDS, COUNTS = np.arange(4), np.zeros(4)
MODEL = flat_classifier(direct="sparse", random_state=0, max_iter=2, dtype="float64").fit(
    np.tile(A.toarray(), (2, 1)), np.tile(Y, 2)
)
CLASSES = flat_classifier(direct="dense", hidden_size=None, random_state=0, max_iter=2).fit(X, np.arange(N) % M)
REGRESSION = fs.SoftmaxRegression(max_iter=5).fit(A, Y)
ONE_VS_ALL = fs.OneVsAllClassifier().fit(A, Y)


def gradients(result):
    loss, parts = result
    return [loss, *(part for part in parts if part is not None)]


def fitted(X, y=Y, **params):
    """What a classifier, whose `fit` has these parameters beginning with "fit_", has learned."""
    params = {"random_state": 0, "max_iter": 3, "batch_size": 4, "dtype": "float64", "n_threads": 1} | params
    of_fit = {name.removeprefix("fit_"): params.pop(name) for name in list(params) if name.startswith("fit_")}
    model = flat_classifier(**params).fit(X, y, **of_fit)
    return [model.predict_log_proba(ROWS), *model.validation_curve_]


def partly_fitted(X):
    model = flat_classifier(direct="dense", hidden_size=None, random_state=0, dtype="float64")
    model.partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y)
    return model.predict_log_proba(ROWS)


def calibrated(X):
    with mock.patch("fastsoftmax.training.calibration.MIN_ROWS", N):
        return copy.deepcopy(MODEL).calibrate(X, Y).predict_log_proba(ROWS)


def evaluated(*args):
    return list(metrics.evaluate(*args, ks=(1, 3)).values())


SAMPLED = {"class_ids": CLASS_IDS, "log_expected_counts": COUNTS, "return_grad": True}
ENTRIES = {
    "X of linear_logsumexp": lambda a: fs.linear_logsumexp(a, W),
    "X of linear_logsumexp, sparse W": lambda a: fs.linear_logsumexp(a, SPARSE_W),
    "X of linear_topk": lambda a: fs.linear_topk(a, W, 3),
    "X of linear_cross_entropy": lambda a: gradients(fs.linear_cross_entropy(a, W, Y, return_grad=True)),
    "X of linear_cross_entropy, sparse W": lambda a: gradients(
        fs.linear_cross_entropy(a, SPARSE_W, Y, label_smoothing=0.1, return_grad=True)
    ),
    "X of sampled_cross_entropy": lambda a: gradients(fs.sampled_cross_entropy(a, W, Y, **SAMPLED)),
    "X of support": lambda a: fs.support(a, Y).toarray(),
    "W of linear_logsumexp": lambda a: fs.linear_logsumexp(X, a),
    "W of linear_topk": lambda a: fs.linear_topk(X, a, 3),
    "pairs of linear_cross_entropy": lambda a: gradients(fs.linear_cross_entropy(X, a, Y, return_grad=True)),
    "target of sampled_cross_entropy": lambda a: gradients(fs.sampled_cross_entropy(X, W[:M], a, **SAMPLED)),
    "y of support": lambda a: fs.support(X, a).toarray(),
    "pairs to exclude in linear_topk": lambda a: fs.linear_topk(X, W[:M], 3, exclude=a),
    "pairs to exclude in predict_topk": lambda a: CLASSES.predict_topk(X, 3, exclude=a),
    "X of fit, dense": lambda a: fitted(a, direct="dense", hidden_size=None),
    "X of fit, sparse": lambda a: fitted(a, direct="sparse", hidden_size=None),
    "X of fit, low rank": lambda a: fitted(a, direct=None, hidden_size=3),
    "X of fit, both": lambda a: fitted(a, direct="sparse", hidden_size=3),
    "X of fit, sampled": lambda a: fitted(a, direct="dense", hidden_size=None, loss="sampled_softmax", n_negatives=2),
    "X of fit, SGD": lambda a: fitted(a, direct="dense", hidden_size=None, optimizer="sgd"),
    "X of fit, clipped": lambda a: fitted(a, direct="dense", hidden_size=None, clip_norm=0.1),
    "y of fit": lambda a: fitted(X, a, direct="dense", hidden_size=None),
    "y of fit, sampled": lambda a: fitted(X, a, direct=None, hidden_size=3, loss="nce", n_negatives=2),
    "X_val of fit": lambda a: fitted(X, early_stopping=True, fit_X_val=a, fit_y_val=Y),
    "y_val of fit": lambda a: fitted(X, A, early_stopping=True, fit_X_val=X, fit_y_val=a),
    "pairs of coef_init": lambda a: fitted(X, np.arange(N), direct="sparse", hidden_size=None, fit_coef_init=a),
    "X of partial_fit": partly_fitted,
    "X of predict_log_proba": lambda a: MODEL.predict_log_proba(a),
    "X of predict_topk": lambda a: MODEL.predict_topk(a, 2),
    "X of score": lambda a: MODEL.score(a, Y),
    "X of target_log_proba": lambda a: MODEL.target_log_proba(a, Y),
    "X of calibrate": lambda a: calibrated(a),
    "y of score": lambda a: CLASSES.score(X, a),
    "y of target_log_proba": lambda a: CLASSES.target_log_proba(X, a),
    "X of a regression's fit": lambda a: fs.SoftmaxRegression(max_iter=9).fit(a, Y).coef_,
    "X of a regression's predict_proba": lambda a: REGRESSION.predict_proba(a),
    "X of a one-vs-all fit": lambda a: fs.OneVsAllClassifier().fit(a, Y).coef_,
    "y of a one-vs-all fit": lambda a: fs.OneVsAllClassifier().fit(X, a).coef_,
    "X of predict_marginals": lambda a: ONE_VS_ALL.predict_marginals(a),
    "X of evaluate": lambda a: evaluated(MODEL, a, Y),
    "y of evaluate": lambda a: evaluated(CLASSES, X, a),
    "y of hit_at_k": lambda a: metrics.hit_at_k(np.tile(np.arange(M), (N, 1)), a, 2),
    "y of psp_at_k": lambda a: metrics.psp_at_k(np.tile(np.arange(M), (N, 1)), a, 2, 1 + np.arange(M)),
    "y of inverse_propensities": lambda a: metrics.inverse_propensities(a),
    "y of f1_at_threshold": lambda a: metrics.f1_at_threshold(X, a, average=None),
    "scores of f1_at_threshold": lambda a: metrics.f1_at_threshold(a, np.arange(N) % M, average=None),
}
BLOCKS_HAVE_ZEROS = {"BSR"}  # where zeros are stored elements like others


@pytest.mark.parametrize("call", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_unusual_arrays_count_as_their_canonical_copies(call, request):
    expected = call(A)
    for name, make in UNUSUAL.items():
        if name in BLOCKS_HAVE_ZEROS and "pairs" in request.node.name:
            continue
        unusual = make(A.copy())
        before = copy.deepcopy(vars(unusual))
        results = call(unusual)
        for ours, theirs in zip(
            results if isinstance(results, (list, tuple)) else [results],
            expected if isinstance(expected, (list, tuple)) else [expected],
            strict=True,
        ):
            assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9, err_msg=name)
        assert vars(unusual).keys() == before.keys(), f"{name} was modified"  # flags are kept there
        for part, value in vars(unusual).items():
            assert_array_equal(value, before[part], err_msg=f"{part} of {name} was modified")


@pytest.mark.parametrize("call", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hostile_arrays_are_refused_by_name(call):
    for name, bad in hostile((N, M)):
        with pytest.raises(
            (ValueError, TypeError), match=r"^(the keys of )?(X|W|y|target|exclude|X_val|y_val|coef_init|scores)\b"
        ):
            call(bad)
            pytest.fail(f"{name} was taken")


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (3, 4)])
def test_nothing_stored(format, shape):
    empty = sp.csr_array(shape).asformat(format)
    n_rows, n_features = shape
    expected = np.full(n_rows, np.log(2))
    assert_allclose(fs.linear_logsumexp(empty, np.ones((2, n_features))), expected)
    assert_allclose(fs.linear_logsumexp(empty, sp.csc_array((2, n_features))), expected)
    assert fs.support(empty, np.zeros(n_rows, int), n_classes=2).nnz == 0


@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_duplicates_of_bools_and_small_integers(format):
    """True and True are True, as in SciPy; integers add up beyond their own type."""
    index, ones = np.array([0, 0]), np.ones((1, 1))
    for data, value in ((np.array([True, True]), 1.0), (np.array([100, 100], np.int8), 200.0)):
        if format == "coo":
            double = sp.coo_array((data, (index, index)), shape=(1, 1))
        else:
            double = getattr(sp, f"{format}_array")((data, index, [0, 2]), shape=(1, 1))
        assert fs.linear_logsumexp(double, ones) == value
        assert fs.linear_logsumexp(ones, double) == value


@pytest.mark.parametrize("make", [sp.coo_array, sp.csr_array, sp.dok_array])
def test_one_dimension_is_refused(make):
    a = make(np.array([1.0, 0.0, 2.0]))
    calls = {
        "X": (lambda: fs.linear_logsumexp(a, np.ones((2, 3))), lambda: MODEL.predict(a), lambda: fs.support(a, Y)),
        "W": (lambda: fs.linear_logsumexp(np.ones((2, 3)), a),),
        "y": (lambda: fitted(X, a), lambda: metrics.hit_at_k(np.ones((3, 1), int), a, 1), lambda: MODEL.score(X, a)),
        "exclude": (lambda: fs.linear_topk(X, W, 1, exclude=a),),
        "target": (lambda: fs.sampled_cross_entropy(X, W, a, **SAMPLED),),
    }
    for name, takes in calls.items():
        for call in takes:
            with pytest.raises(ValueError, match=rf"^{name} (must|has)\b"):
                call()
