"""Sampled losses against float64 truth, against the full softmax, and the samplers that they draw from."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from fuzz import strategies as s
from fuzz.campaign import examples
from fuzz.tolerances import LinearTolerance, assert_within
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastsoftmax as fs
from fastsoftmax import samplers

LOSSES = ["sampled_softmax", "nce", "sampled_logistic", "negative_sampling"]
positive = st.sampled_from([1, 2, 3, 8, 17, 33])


@st.composite
def problems(draw):
    """The arguments of sampled_cross_entropy: repeated draws, hits, and targets of every kind."""
    n, d, k, dtype, rng = draw(positive), draw(s.few), draw(s.n_classes), draw(s.dtypes), draw(s.rngs)
    kind = draw(s.moderate)
    X, W = draw(s.rows((n, d), dtype)), s.laid_out(kind(rng, (k, d)).astype(dtype), draw(s.array_layouts))
    counts = rng.normal(size=k)
    class_ids = rng.integers(0, k, draw(st.integers(0, 40)))
    target = draw(st.sampled_from([rng.integers(0, k, n), rng.integers(0, k, (n, 3)), indicator(rng, n, k)]))
    loss = draw(st.sampled_from(LOSSES))
    of_target = None
    if loss != "sampled_softmax" or draw(st.booleans()):
        codes = target.nonzero()[1] if sp.issparse(target) else target
        of_target = counts[codes]
    draws = {
        "class_ids": class_ids,
        "log_expected_counts": counts[class_ids],
        "target_log_expected_counts": of_target,
        "loss": loss,
        "remove_accidental_hits": draw(st.sampled_from([None, True, False])),
    }
    bias = draw(st.sampled_from([None, rng.standard_normal(k).astype(dtype)]))
    return (X, W, target, bias), draws


def indicator(rng, n, n_classes):
    """Masses of several classes a row, at least of one."""
    masses = np.where(rng.random((n, n_classes)) < 0.1, rng.random((n, n_classes)) + 0.1, 0)
    masses[np.arange(n), rng.integers(0, n_classes, n)] = 1
    return sp.csr_array(masses)


@examples(100)
@given(p=problems(), n_threads=s.threads)
def test_loss_and_gradients(p, n_threads):
    arguments, draws = p
    X, W, target, bias = arguments
    n = X.shape[0]
    loss, (dX, rows, dW, dbias) = fs.sampled_cross_entropy(*arguments, **draws, return_grad=True, n_threads=n_threads)
    truth, of_truth = reference.sampled_cross_entropy(*arguments, **draws)
    true = target.nonzero()[1] if sp.issparse(target) else target
    assert_array_equal(rows, np.union1d(draws["class_ids"], true))
    extra = 4 + np.abs(draws["log_expected_counts"]).max(initial=0)
    bounds = LinearTolerance(X, W, extra if bias is None else np.abs(bias) + extra)
    m = 1 + len(draws["class_ids"])  # a logistic loss is a sum over them
    assert_within(loss, truth, 4 * m * bounds.logits.mean(), "loss")
    allowed = bounds.gradients(np.full(n, 4 * m / n))
    assert_within(dW, of_truth[1][rows], allowed[1][rows], "dW")
    if dbias is not None:
        assert_within(dbias, of_truth[2][rows], allowed[2], "dbias")
    if dX is not None:
        assert_within(dX, of_truth[0], m * allowed[0], "dX")
    one = fs.sampled_cross_entropy(*arguments, **draws, return_grad=True, n_threads=1)
    assert one[0] == loss
    assert_array_equal(one[1][2], dW)


@examples(40)
@given(p=problems())
def test_every_class_once_is_the_full_softmax(p):
    (X, W, target, bias), _ = p
    k = W.shape[0]
    if sp.issparse(target) or target.ndim > 1:
        target = np.asarray(target.argmax(axis=1)).reshape(-1) if sp.issparse(target) else target[:, 0]
    loss = fs.sampled_cross_entropy(X, W, target, bias, class_ids=np.arange(k), log_expected_counts=np.zeros(k))
    full = fs.linear_cross_entropy(X, W, target, bias)
    assert_within(loss, full, 8 * LinearTolerance(X, W, bias).logits.mean(), "loss")


@st.composite
def any_sampler(draw):
    k, rng = draw(st.sampled_from([1, 2, 3, 17, 100, 1000])), draw(s.rngs)
    counts = np.where(rng.random(k) < 0.3, 0.0, rng.pareto(1.0, k)) * draw(s.factors.filter(lambda f: f < 1e200))
    counts[rng.integers(k)] = counts.max() or 1.0
    kinds = {
        "uniform": lambda: samplers.Uniform(k),
        "log_uniform": lambda: samplers.LogUniform(k),
        "unigram": lambda: samplers.Unigram(counts, power=draw(st.sampled_from([0.0, 0.5, 0.75, 1.0]))),
        "learned": lambda: samplers.LearnedUnigram(k),
        "custom": lambda: samplers.Custom(counts),
        "in_batch": lambda: samplers.InBatch(counts),
        "multi_index": lambda: samplers.MultiIndex(k, n_codes=4),
        "mixed": lambda: samplers.Mixed([samplers.Uniform(k), samplers.Custom(counts)]),
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))](), draw(st.integers(1, 300)), draw(st.integers(0, 2**31))


@examples(100)
@given(p=any_sampler())
def test_samplers_say_how_often_they_draw(p):
    sampler, n, seed = p
    q = sampler.probabilities()
    assert q.shape == (sampler.n_classes,) and (q >= 0).all() and q.sum() == pytest.approx(1)
    ids, log_counts = sampler.draw(n, np.random.default_rng(seed))
    assert ids.shape == log_counts.shape == (n,) and (q[ids] > 0).all()
    with np.errstate(divide="ignore"):
        counts = np.exp(sampler.log_expected_counts(np.arange(len(q)), n))
    np.testing.assert_allclose(np.exp(log_counts), counts[ids], rtol=1e-9)
    assert counts.sum() == pytest.approx(n)
    if not isinstance(sampler, samplers.Mixed):  # which splits the draws as evenly as whole numbers allow
        np.testing.assert_allclose(counts, n * q, rtol=1e-9)
    assert_array_equal(sampler.draw(n, np.random.default_rng(seed))[0], ids)


@examples(60)
@given(p=any_sampler())
def test_unique_draws(p):
    sampler, n, seed = p
    q = sampler.probabilities()
    n = min(n, np.count_nonzero(q))
    ids, log_counts, n_tries = sampler.draw_unique(n, np.random.default_rng(seed))
    assert len(np.unique(ids)) == len(ids) == n and (q[ids] > 0).all() and n_tries >= n
    assert (log_counts <= 0).all()
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(-np.expm1(n_tries * np.log1p(-q[ids])), np.exp(log_counts), rtol=1e-9)
