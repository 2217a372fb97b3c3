"""Values and gradients of the linear kernels against float64 twins, on every instruction set."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
import scipy.special
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy, linear_logsumexp, linear_topk
from fastsoftmax.runtime import memory

DTYPES = [np.float32, np.float64]
# rows, classes, features: one tile and several, full and cut; widths that no vector divides
SHAPES = [(1, 2, 1), (0, 7, 3), (9, 7, 13), (33, 123, 128), (5, 507, 1), (64, 1000, 37), (17, 5003, 31), (3, 4096, 40)]
OPTIONS = [
    {},
    {"reduction": "sum", "ignore_index": 3},
    {"weight": True},
    {"label_smoothing": 0.1},
    {"weight": True, "label_smoothing": 0.3, "reduction": "none", "ignore_index": 3},
]


def dense_problem(n_rows, n_classes, n_features, dtype=np.float64, seed=0):
    """X, W, bias, target, logits of a deviation of about 3."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features)).astype(dtype)
    W = (3 / np.sqrt(n_features) * rng.standard_normal((n_classes, n_features))).astype(dtype)
    bias = rng.standard_normal(n_classes).astype(dtype)
    return X, W, bias, rng.integers(0, n_classes, n_rows)


@pytest.fixture(params=["dense", "csr"])
def problem(request, sparse_X):
    """Makes X (dense or CSR), W, bias, target."""

    def make(n_rows, n_classes, n_features, dtype=np.float64, seed=0):
        X, W, bias, target = dense_problem(n_rows, n_classes, n_features, dtype, seed)
        if request.param == "csr":
            X = sparse_X(n_rows, n_features, dtype, seed=seed)
        return X, W, bias, target

    return make


def options_for(options, n_classes):
    options = dict(options)
    if options.pop("weight", False):
        options["weight"] = np.random.default_rng(1).random(n_classes)
    if "ignore_index" in options:
        options["ignore_index"] = n_classes // 2
    return options


def naive_cross_entropy(X, W, target, bias, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """What one writes with NumPy, all in the dtype of W."""
    dtype, n_classes = W.dtype.type, len(W)
    X = X.toarray() if sp.issparse(X) else X
    log_p = scipy.special.log_softmax(X @ W.T + (0 if bias is None else bias), axis=1)
    counted = (target != ignore_index).astype(dtype)
    weight = np.ones(n_classes, dtype) if weight is None else weight.astype(dtype)
    t = np.full(log_p.shape, label_smoothing / n_classes, dtype)
    t[np.arange(len(t)), target] += dtype(1 - label_smoothing)
    t *= weight * counted[:, None]
    scale = dtype(1) / (weight[target] * counted).sum() if reduction == "mean" else dtype(1)
    dlogits = scale * (t.sum(axis=1, keepdims=True) * np.exp(log_p) - t)
    losses = -(t * log_p).sum(axis=1)
    loss = losses if reduction == "none" else losses.sum() * scale
    return np.asarray(loss), (dlogits @ W, dlogits.T @ X, dlogits.sum(axis=0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logsumexp_and_topk_against_reference(isa, problem, shape, dtype, assert_no_worse):
    X, W, bias, _ = problem(*shape, dtype)
    k = min(5, shape[1])
    for b in (bias, None):
        expected = reference.linear_logsumexp(X, W, b)
        z = (X.toarray() if sp.issparse(X) else X) @ W.T + (0 if b is None else b)
        lse = linear_logsumexp(X, W, b, n_threads=1)
        assert lse.dtype == dtype
        assert_no_worse(lse, scipy.special.logsumexp(z, axis=1), expected)
        ids, log_proba = linear_topk(X, W, k, b, n_threads=1)
        expected_ids, expected_log_proba = reference.linear_topk(X, W, k, b)
        assert ids.dtype == np.int64 and log_proba.dtype == dtype
        naive = np.take_along_axis(scipy.special.log_softmax(z, axis=1), expected_ids, axis=1)
        assert_no_worse(log_proba, naive, expected_log_proba)
        assert_array_equal(ids, expected_ids)


@covering(
    {
        "isa": ISAS,
        "problem": ["dense", "csr"],
        "shape": [s for s in SHAPES if s[0]],
        "dtype": DTYPES,
        "options": OPTIONS,
    },
    fixtures=("isa", "problem"),
)
def test_cross_entropy_against_reference(isa, problem, shape, dtype, options, assert_no_worse):
    X, W, bias, target = problem(*shape, dtype)
    options = options_for(options, shape[1])
    target[1::4] = options.get("ignore_index", target[0])
    for b in (bias, None):
        loss, gradients = linear_cross_entropy(X, W, target, b, return_grad=True, n_threads=1, **options)
        assert_allclose(linear_cross_entropy(X, W, target, b, n_threads=1, **options), loss, rtol=1e-14)
        expected_loss, expected = reference.linear_cross_entropy(X, W, target, b, **options)
        naive_loss, naive = naive_cross_entropy(X, W, target, b, **options)
        assert_no_worse(loss, naive_loss, expected_loss)
        assert (gradients[0] is None) == sp.issparse(X)
        assert (gradients[2] is None) == (b is None)
        for ours, naively, truth in zip(gradients, naive, expected, strict=True):
            if ours is not None:
                assert ours.dtype == dtype
                assert_no_worse(ours, naively, truth)


def test_more_features_than_a_cache_holds(isa, sparse_X):
    """The tiles of W are packed in several parts."""
    _, W, bias, target = dense_problem(200, 2000, 900)
    X = sparse_X(200, 900, n_entries=30)
    expected_loss, (_, expected_dW, _) = reference.linear_cross_entropy(X, W, target, bias)
    loss, (_, dW, _) = linear_cross_entropy(X, W, target, bias, return_grad=True)
    assert_allclose(loss, expected_loss, rtol=1e-12)
    assert_allclose(dW, expected_dW, rtol=1e-9, atol=1e-13)
    assert_array_equal(linear_topk(X, W, 9, bias)[0], reference.linear_topk(X, W, 9, bias)[0])


@covering(
    {"isa": ISAS, "problem": ["dense", "csr"], "shape": [(70, 123, 9), (70, 5003, 9)], "options": OPTIONS},
    fixtures=("isa", "problem"),
)
def test_little_working_memory(isa, problem, shape, options):
    """With chunks of 64 rows, and no tile kept, some of them, or all, the values are the same."""
    X, W, bias, target = problem(*shape)
    options = options_for(options, shape[1])
    expected_loss, expected = reference.linear_cross_entropy(X, W, target, bias, **options)
    for working_memory in (0, 64 * 512 * 8, 3 * 64 * 512 * 8, 1 << 30):
        loss, gradients = linear_cross_entropy(
            X, W, target, bias, return_grad=True, working_memory=working_memory, **options
        )
        assert_allclose(loss, expected_loss, rtol=1e-12)
        for ours, truth in zip(gradients, expected, strict=True):
            if ours is not None:
                assert_allclose(ours, truth, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(33, 123, 13), (150, 5003, 32)], ids=str)
def test_bitwise_the_same_for_any_n_threads(isa, problem, shape, dtype):
    X, W, bias, target = problem(*shape, dtype)
    for working_memory in (0, 1 << 28):
        results = []
        for n_threads in (1, 2, 3):
            loss, gradients = linear_cross_entropy(
                X,
                W,
                target,
                bias,
                return_grad=True,
                label_smoothing=0.1,
                n_threads=n_threads,
                working_memory=working_memory,
            )
            topk = linear_topk(X, W, 7, bias, n_threads=n_threads)
            lse = linear_logsumexp(X, W, bias, n_threads=n_threads)
            results.append([loss, *(g for g in gradients if g is not None), *topk, lse])
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                assert_array_equal(a, b)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_the_derivatives_of_the_loss(problem, numerical_gradient, options):
    X, W, bias, target = problem(4, 9, 3)
    options = options_for(options, 9)
    options["reduction"] = options.get("reduction", "mean").replace("none", "sum")
    _, (dX, dW, dbias) = linear_cross_entropy(X, W, target, bias, return_grad=True, **options)
    arrays = [(W, dW), (bias, dbias)] if dX is None else [(X, dX), (W, dW), (bias, dbias)]

    def loss():
        return linear_cross_entropy(X, W, target, bias, n_threads=1, **options)

    for a, analytic in arrays:
        assert_allclose(analytic, numerical_gradient(loss, a), rtol=1e-6, atol=1e-9)


def test_the_loss_keeps_its_digits_where_the_target_is_certain(isa):
    """1 - p is below the float32 spacing at 1, but neither the loss nor its gradient may vanish."""
    W, target = np.array([[40.0], [0.0], [0.0]], np.float32), np.array([0])
    loss, (_, dW, _) = linear_cross_entropy(np.ones((1, 1), np.float32), W, target, return_grad=True)
    assert_allclose(loss, 2 * np.exp(-40.0), rtol=1e-6)
    assert_allclose(dW[:, 0], np.exp(-40.0) * np.array([-2, 1, 1]), rtol=1e-6)


@covering(
    {
        "isa": ISAS,
        "problem": ["dense", "csr"],
        "n_classes": [3, 123, 1500],
        "dtype": DTYPES,
        "layout": ["C", "F", "pairs"],
        "weighted": [False, True],
    },
    fixtures=("isa", "problem"),
)
def test_smoothing_stays_where_probabilities_underflow(isa, problem, n_classes, dtype, layout, weighted):
    """Whole tiles have no probability left next to one class, but each class has its part of the smoothed target."""
    X, W, bias, target = problem(9, n_classes, 4, dtype)
    bias[n_classes // 2] = 5000
    options = {"label_smoothing": 0.1, "reduction": "sum", "ignore_index": int(target[0])}
    if weighted:
        options["weight"] = np.where(np.arange(n_classes) % 3, 0.5, 0.0)
    given = sp.csc_array(W) if layout == "pairs" else np.asarray(W, order=layout)
    expected_loss, expected = reference.linear_cross_entropy(X, W, target, bias, **options)
    for working_memory in (0, 1 << 28):
        options["working_memory"] = working_memory
        loss, (dX, dW, dbias) = linear_cross_entropy(X, given, target, bias, return_grad=True, **options)
        assert_allclose(loss, expected_loss, rtol=1e-6)
        dW = sp.csc_array((dW, given.indices, given.indptr), given.shape).toarray() if layout == "pairs" else dW
        rtol = 2e-5 if dtype == np.float32 else 1e-11
        for ours, truth in zip((dX, dW, dbias), expected, strict=True):
            if ours is not None:
                assert_allclose(ours, truth, rtol=rtol, atol=rtol * np.abs(truth[truth < 0]).max())


# -- no row, no mass, extreme values --


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("layout", ["C", "F", "pairs"])
def test_a_row_that_does_not_count_may_overflow(isa, problem, layout, label_smoothing):
    X, W, bias, target = problem(9, 123, 4, np.float32)
    given = sp.csc_array(W) if layout == "pairs" else np.asarray(W, order=layout)
    target[3] = -1
    options = {"ignore_index": -1, "label_smoothing": label_smoothing, "return_grad": True}
    loss, (dX, dW, dbias) = linear_cross_entropy(X, given, target, bias, **options)
    if sp.issparse(X):
        X.data[X.indptr[3] : X.indptr[4]] = 3e38
    else:
        X[3] = 3e38
    huge_loss, (huge_dX, huge_dW, huge_dbias) = linear_cross_entropy(X, given, target, bias, **options)
    assert_allclose(huge_loss, loss, rtol=1e-6)
    assert_allclose(huge_dW, dW, rtol=1e-5, atol=1e-7)
    assert_allclose(huge_dbias, dbias, rtol=1e-5, atol=1e-7)
    if dX is not None:
        assert_allclose(huge_dX, dX, rtol=1e-5, atol=1e-7)


def test_nothing_to_average(problem):
    """The mean over no row, or over a mass of zero, is nan, as in torch."""
    X, W, bias, target = problem(4, 9, 3)
    empty = linear_cross_entropy(X[:0], W, target[:0], bias, return_grad=True)
    assert np.isnan(empty[0]) and not empty[1][1].any()
    loss, (_, dW, dbias) = linear_cross_entropy(X, W, np.full(4, -100), bias, return_grad=True)
    assert np.isnan(loss) and not dW.any() and not dbias.any()
    assert np.isnan(linear_cross_entropy(X, W, target, bias, weight=np.zeros(9), return_grad=True)[0])
    assert linear_cross_entropy(X[:0], W, target[:0], reduction="sum") == 0
    assert linear_cross_entropy(X[:0], W, target[:0], reduction="none").shape == (0,)
    assert linear_logsumexp(X[:0], W).shape == (0,)
    assert [a.shape for a in linear_topk(X[:0], W, 2)] == [(0, 2), (0, 2)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_logits(isa, dtype):
    X, target = np.array([[1.0], [-1.0]], dtype), np.array([0, 1])
    W = np.array([[3e4], [-3e4], [0.0]], dtype)
    assert_allclose(linear_logsumexp(X, W), [3e4, 3e4])
    loss, (_, dW, _) = linear_cross_entropy(X, W, 1 - target, return_grad=True)
    assert_allclose(loss, 6e4)
    assert_allclose(dW[:, 0], [1, -1, 0], atol=1e-30)


def test_one_class():
    X, W = np.ones((3, 2)), np.ones((1, 2))
    loss, gradients = linear_cross_entropy(X, W, np.zeros(3, int), np.ones(1), return_grad=True)
    assert loss == 0 and not any(g.any() for g in gradients)
    assert_array_equal(linear_topk(X, W, 1)[1], np.zeros((3, 1)))


# -- top-k --


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [7, 123, 5003])
def test_topk_of_ties_takes_the_smaller_ids(isa, n_classes, dtype):
    """There are few different logits, so nearly all are ties, within tiles and across them."""
    rng = np.random.default_rng(0)
    W = rng.integers(0, 3, (n_classes, 1)).astype(dtype)
    X = np.array([[1.0], [-1.0], [0.0]], dtype)
    for k in (1, 2, 7, n_classes):
        ids, log_proba = linear_topk(X, W, k)
        expected_ids, expected_log_proba = reference.linear_topk(X, W, k)
        assert_array_equal(ids, expected_ids)
        assert_allclose(log_proba, expected_log_proba, rtol=1e-6)
    assert_array_equal(ids[2], np.arange(n_classes))


def test_topk_of_minus_infinity():
    bias = np.array([-np.inf, 0.0, -np.inf, 1.0])
    ids, log_proba = linear_topk(np.ones((1, 1)), np.zeros((4, 1)), 4, bias)
    assert_array_equal(ids, [[3, 1, 0, 2]])
    assert_array_equal(log_proba[0, 2:], [-np.inf, -np.inf])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("n_classes", [7, 5003])
def test_topk_refuses_nan_logits(isa, n_classes, value):
    X, W, bias, _ = dense_problem(5, n_classes, 4)
    W[n_classes - 2, 1] = value
    with pytest.raises(ValueError, match=r"row 0 are NaN: W or bias"):
        linear_topk(np.abs(X), W, 3, bias)


@pytest.mark.slow
@pytest.mark.skipif((memory.available() or np.inf) < 14 * 2**30, reason="needs 10 GiB of memory")
def test_more_than_two_to_the_31_weights():
    """W has 2**31 + 2**12 weights (8 GiB): classes beyond 2**31 weights are right, and pairs of row and class beyond too."""
    k, d = 2**19 + 1, 2**12
    W = np.zeros((k, d), np.float32)
    W[-1, -1] = 20
    X = sp.csr_array(([1.0], ([4200], [d - 1])), shape=(4201, d), dtype=np.float32)
    class_ids, log_proba = linear_topk(X[-1:], W, 2)
    assert_array_equal(class_ids, [[k - 1, 0]])
    assert_allclose(log_proba[0, 0], 20 - np.log(k - 1 + np.exp(20.0)), atol=2e-6)  # a difference of 20s in float32
    assert_allclose(linear_logsumexp(X[-2:].toarray(), W), [np.log(k), np.log(k - 1 + np.exp(20.0))], rtol=1e-6)
    W = W[:, -4:].copy()  # and n k > 2**31 without an array of it
    class_ids, _ = linear_topk(X[:, -4:], W, 1)
    assert_array_equal(class_ids[[0, -1], 0], [0, k - 1])
