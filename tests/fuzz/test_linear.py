"""Functions of linear models against float64 truth, and every path against every other."""

from types import SimpleNamespace

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from fuzz import strategies as s
from fuzz.campaign import examples
from fuzz.tolerances import LinearTolerance, assert_within
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastsoftmax as fs

either = st.booleans()


@st.composite
def problems(draw, kinds=s.moderate, sparse_W=either):
    """X, W, bias, target and the options of the loss."""
    n, d, k, dtype = draw(s.few), draw(s.few), draw(s.n_classes), draw(s.dtypes)
    rng = draw(s.rngs)
    X = draw(s.rows((n, d), dtype, kinds))
    if draw(sparse_W):
        W = draw(s.sparse((k, d), dtype, kinds))
    else:
        W = s.laid_out(draw(kinds)(rng, (k, d)).astype(dtype), draw(s.array_layouts))
    bias = draw(st.none() | s.values)
    bias = None if bias is None else s.laid_out(bias(rng, k).astype(dtype), draw(s.layouts))
    ignore_index = draw(st.sampled_from([-100, -1, 0]))
    target = rng.integers(0, k, n)
    target[rng.random(n) < 0.2] = ignore_index
    weight = draw(st.sampled_from([None, rng.random(k), np.where(rng.random(k) < 0.5, 0.0, 1.0), rng.random(k) * 1e3]))
    options = {
        "weight": weight,
        "ignore_index": ignore_index,
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.0, 1e-3, 0.1, 1.0])),
    }
    return SimpleNamespace(X=X, W=W, bias=bias, target=target, options=options, shape=(n, d, k), dtype=dtype)


def row_masses(p):
    """The factor of each row in the gradients, and the sum that the mean divides by."""
    counted, smooth = p.target != p.options["ignore_index"], p.options["label_smoothing"]
    weight = np.ones(p.shape[2]) if p.options["weight"] is None else p.options["weight"]
    of_target = np.where(counted, weight[np.where(counted, p.target, 0)], 0.0)
    total = of_target.sum() if p.options["reduction"] == "mean" else 1.0
    return (1 - smooth) * of_target + smooth * np.where(counted, weight.mean(), 0.0), total


@examples(60)
@given(p=problems(), n_threads=s.threads, memory=st.sampled_from([0, 10_000, 2**26]))
def test_loss_and_gradients(p, n_threads, memory):
    mass, total = row_masses(p)
    assume(total > 0)
    options = {**p.options, "return_grad": True, "working_memory": memory}
    loss, gradients = fs.linear_cross_entropy(p.X, p.W, p.target, p.bias, **options, n_threads=n_threads)
    truth, of_truth = reference.linear_cross_entropy(p.X, p.W, p.target, p.bias, **p.options)
    bounds = LinearTolerance(p.X, p.W, p.bias)
    of_rows = 4 * bounds.logits * mass / total
    assert_within(loss, truth, of_rows if p.options["reduction"] == "none" else of_rows.sum(), "loss")
    allowed = bounds.gradients(mass / total)
    if sp.issparse(p.W):
        assert_stored_gradient(p.W, gradients[1], of_truth[1], allowed[1])
    else:
        assert gradients[1].flags.f_contiguous == p.W.flags.f_contiguous or not p.W.flags.forc
        assert_within(gradients[1], of_truth[1], allowed[1], "dW")
    for name, at in (("dX", 0), ("dbias", 2)):
        if gradients[at] is not None:
            assert_within(gradients[at], of_truth[at], allowed[at], name)


def assert_stored_gradient(W, ours, truth, allowed):
    """The gradient at the stored elements of W, in the order of its canonical CSC format."""
    W = W.tocsc(copy=True)
    W.sum_duplicates()
    at = W.indices, np.repeat(np.arange(W.shape[1]), np.diff(W.indptr))
    assert_within(ours, truth[at], allowed[at], "dW")


@examples(25)
@given(p=problems(kinds=st.sampled_from([s.MODERATE[0]]), sparse_W=st.just(False)))
def test_label_smoothing_far_below_the_largest_logit(p):
    """Where exp underflows for whole tiles of classes, the smoothing still acts."""
    assume(p.shape[0] and p.shape[2] > 1)
    p.options |= {"label_smoothing": 0.1, "reduction": "sum", "weight": None, "ignore_index": -100}
    target = np.where(p.target < 0, 0, p.target)
    bias = np.where(np.arange(p.shape[2]) == p.shape[2] // 2, 5000.0, 0.0)
    gradients = fs.linear_cross_entropy(p.X, p.W, target, bias, **p.options, return_grad=True)[1]
    _, truth = reference.linear_cross_entropy(p.X, p.W, target, bias, **p.options)
    allowed = LinearTolerance(p.X, p.W, np.zeros(p.shape[2])).gradients(np.ones(p.shape[0]))
    assert_within(gradients[2], truth[2], allowed[2], "dbias")
    assert_within(gradients[1], truth[1], allowed[1], "dW")


@examples(20)
@given(p=problems(), n_threads=s.threads)
def test_threads_change_no_bit(p, n_threads):
    assume(row_masses(p)[1] > 0)

    def results(n_threads):
        loss, gradients = fs.linear_cross_entropy(
            p.X, p.W, p.target, p.bias, **p.options, return_grad=True, n_threads=n_threads
        )
        k = min(3, p.shape[2])
        topk = fs.linear_topk(p.X, p.W, k, p.bias, n_threads=n_threads)
        return [loss, *gradients, *topk, fs.linear_logsumexp(p.X, p.W, p.bias, n_threads=n_threads)]

    for one, several in zip(results(1), results(n_threads), strict=True):
        assert_array_equal(one, several)


@examples(30)
@given(p=problems(kinds=s.moderate), k=st.integers(1, 1100), data=st.data())
def test_topk_is_the_head_of_the_full_sort(p, k, data):
    n, _, n_classes = p.shape
    rng = data.draw(s.rngs)
    class_ids = data.draw(st.none() | st.just(rng.integers(0, n_classes, 2 + n_classes // 2)))
    exclude = data.draw(st.none() | st.just(rng.random((n, n_classes)) < 0.3))
    threshold = data.draw(st.none() | st.floats(1e-6, 0.9))
    if class_ids is None and exclude is None and threshold is None:
        k = min(k, n_classes)
    mask = None if exclude is None else sp.csr_array(exclude)
    ids, log_proba = fs.linear_topk(p.X, p.W, k, p.bias, class_ids=class_ids, exclude=mask, threshold=threshold)
    truth = reference.log_softmax(reference.linear_logits(p.X, p.W, p.bias), axis=1)
    allowed = 4 * LinearTolerance(p.X, p.W, p.bias).logits
    assert ids.shape == log_proba.shape == (n, k)
    for i in range(n):
        left = np.arange(n_classes) if class_ids is None else np.unique(class_ids)
        left = left if exclude is None else left[~exclude[i, left]]
        assert_head_of_sort(ids[i], log_proba[i], truth[i], left, threshold, allowed[i])


def assert_head_of_sort(ids, log_proba, truth, left, threshold, allowed):
    """Where rounding decides between two classes, either may come first."""
    found = ids[ids >= 0]
    n = len(found)
    assert (ids[n:] == -1).all() and (log_proba[n:] == -np.inf).all()
    assert len(set(found.tolist())) == n and np.isin(found, left).all()
    assert (np.diff(log_proba[:n]) <= 0).all()
    assert_within(log_proba[:n], truth[found], allowed, "log_proba")
    surely = left if threshold is None else left[truth[left] >= np.log(threshold) + allowed]
    assert n >= min(len(ids), len(surely))
    best = np.sort(truth[left])[::-1][:n]
    assert_within(log_proba[:n], best, 2 * allowed, "sorted")
    if threshold is not None:
        assert (truth[found] >= np.log(threshold) - allowed).all()


@examples(30)
@given(p=problems(kinds=s.moderate))
def test_sparse_and_dense_agree(p):
    """CSR rows and dense X; pairs and dense W in both orders: the same loss, log-sum-exp and best classes."""
    assume(row_masses(p)[1] > 0)
    X, W = (a.astype(a.dtype.newbyteorder("=")) for a in (s.dense(p.X), s.dense(p.W)))  # SciPy has no other order
    of_rows = 4 * LinearTolerance(X, W, p.bias).logits
    truth = reference.linear_logsumexp(X, W, p.bias)
    for one in (X, sp.csr_array(X)):
        for other in (W, np.asfortranarray(W), sp.csc_array(W), sp.csr_array(W)):
            lse = fs.linear_logsumexp(one, other, p.bias)
            assert lse.dtype == p.dtype
            assert_within(lse, truth, of_rows, f"lse {type(one).__name__} {type(other).__name__}")
            _, log_proba = fs.linear_topk(one, other, p.shape[2], p.bias)
            total = np.exp(log_proba.astype(float)).sum(axis=1)
            assert_within(total, np.ones(len(total)), 4 * of_rows, "sum of probabilities")


@examples(20)
@given(p=problems(kinds=s.moderate, sparse_W=st.just(False)), offset=st.sampled_from([-3000.0, -7.0, 100.0, 20000.0]))
def test_an_offset_of_all_logits_and_the_order_of_classes(p, offset):
    _, _, k = p.shape
    bias = np.zeros(k) if p.bias is None else np.asarray(p.bias, float)
    order = np.random.default_rng(0).permutation(k)
    base = fs.linear_logsumexp(p.X, p.W, bias)
    moved = fs.linear_logsumexp(p.X, np.asarray(p.W)[order], (bias + offset)[order])
    allowed = 4 * LinearTolerance(p.X, p.W, np.abs(bias) + abs(offset)).logits
    assert_within(moved.astype(float) - offset, base, allowed, "lse")


@examples(20)
@given(p=problems(kinds=st.just(s.MODERATE[0])), at=st.integers(0, 2**16))
def test_numerical_gradient(p, at):
    """Along one random direction of X, W and bias, in float64."""
    p.options["reduction"] = "mean"  # of no row it is NaN
    assume(p.shape[0] and p.shape[1] and row_masses(p)[1] > 0)
    rng = np.random.default_rng(at)
    X, W = s.dense(p.X).astype(float), s.dense(p.W).astype(float)
    bias = np.zeros(p.shape[2])
    directions = [rng.standard_normal(a.shape) for a in (X, W, bias)]

    def loss(step):
        moved = (a + step * b for a, b in zip((X, W, bias), directions, strict=True))
        X_moved, W_moved, bias_moved = moved
        return fs.linear_cross_entropy(X_moved, W_moved, p.target, bias_moved, **p.options)

    _, gradients = fs.linear_cross_entropy(X, W, p.target, bias, **p.options, return_grad=True)
    slope = sum((g * b).sum() for g, b in zip(gradients, directions, strict=True))
    assume(np.isfinite(slope))
    step = 1e-6
    assert (loss(step) - loss(-step)) / (2 * step) == pytest.approx(slope, rel=1e-3, abs=1e-3)


@examples(20)
@given(
    p=problems(kinds=st.just(s.MODERATE[0]), sparse_W=st.just(False)),
    threshold=st.sampled_from([1e-6, 1e-3, 0.1, 0.9]),
    seed=st.integers(0, 2**31),
)
def test_gradient_threshold_moves_no_element_further_than_it(p, threshold, seed):
    mass, total = row_masses(p)
    assume(total > 0)
    X, options = s.dense(p.X), p.options | {"label_smoothing": 0.0, "return_grad": True}
    bias = np.zeros(p.shape[2])
    exact = fs.linear_cross_entropy(X, p.W, p.target, bias, **options)
    rounded = fs.linear_cross_entropy(
        X, p.W, p.target, bias, **options, gradient_threshold=threshold, random_state=seed
    )
    assert_array_equal(exact[0], rounded[0])
    mass = (mass if not p.options["label_smoothing"] else row_masses_without_smoothing(p)) / total
    allowed = threshold * mass.sum() + LinearTolerance(X, p.W, bias).gradients(mass)[2]
    assert_within(rounded[1][2], exact[1][2], allowed, "dbias")


def row_masses_without_smoothing(p):
    counted = p.target != p.options["ignore_index"]
    weight = np.ones(p.shape[2]) if p.options["weight"] is None else p.options["weight"]
    return np.where(counted, weight[np.where(counted, p.target, 0)], 0.0)
