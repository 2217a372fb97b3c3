"""What ranks make of their own classes is what one process makes of all, for any division of the classes and any targets."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_ranks import run

from fastsoftmax.passes.candidates import Candidates
from fastsoftmax.passes.eligible import Eligible
from fastsoftmax.passes.row_losses import DECOUPLED, LOGISTIC, SOFTMAX, SQUARED_HINGE, negative_losses
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.passes.shard import WHOLE, Shard
from fastsoftmax.runtime.ranks import ranges

K = 11


@st.composite
def problems(draw):
    """(logits, RowTargets, number of ranks): rows with any number of targets, with masses or without."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    n_rows = draw(st.integers(0, 6))
    has = rng.random((n_rows, K)) < draw(st.sampled_from([0.0, 0.1, 0.6]))
    if draw(st.booleans()):
        has = np.arange(K) == rng.integers(0, K, n_rows)[:, None]
    indptr = np.concatenate([[0], np.cumsum(has.sum(axis=1))]).astype(np.intp)
    mass = rng.random(indptr[-1]) if draw(st.booleans()) else None
    logits = rng.standard_normal((n_rows, K)) * draw(st.sampled_from([1.0, 300.0]))
    return logits, RowTargets(indptr, np.nonzero(has)[1], mass), draw(st.integers(2, K))


def first_pass(loss, logits, targets):
    """What a pass over these classes makes: log-sum-exps or sums over all classes but the targets, and the targets' logits."""
    rows = np.repeat(np.arange(targets.n_rows), np.diff(targets.indptr))
    is_target = np.zeros(logits.shape, bool)
    is_target[rows, targets.class_ids] = True
    if loss.binary >= 0:
        negatives = np.where(is_target, 0, negative_losses(loss, logits)).sum(axis=1)
    else:
        negatives = np.logaddexp.reduce(np.where(is_target, -np.inf, logits), axis=1, initial=-np.inf)
    return negatives, logits[rows, targets.class_ids]


@settings(deadline=None, max_examples=40)
@given(problem=problems(), loss=st.sampled_from([SOFTMAX, DECOUPLED, LOGISTIC, SQUARED_HINGE]))
def test_losses_and_gradients(problem, loss):
    logits, targets, size = problem
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        rest, expected = WHOLE.reduce(loss, *first_pass(loss, logits, targets), targets)

        def on(ranks):
            with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
                shard = Shard(ranges(K, size), ranks)
                own = shard.own(targets)
                assert np.array_equal(own.total, targets.total) and shard.everyone(own) is targets
                assert np.array_equal(own.mass, targets.mass[own.at]) and own.mass_is_one == targets.mass_is_one
                return own, *shard.reduce(loss, *first_pass(loss, logits[:, shard.begin : shard.end], own), own)

        answers = run(size, on)
    assert np.array_equal(np.sort(np.concatenate([own.at for own, _, _ in answers])), np.arange(len(targets)))
    for own, of_all, reduced in answers:
        np.testing.assert_allclose(of_all, rest, rtol=1e-12)
        np.testing.assert_allclose(reduced.nll, expected.nll, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(reduced.dlogit, expected.dlogit[own.at], rtol=1e-9, atol=1e-12)
        assert np.array_equal(reduced.nll, answers[0][2].nll, equal_nan=True)  # to the bit, or ranks would drift apart


@settings(deadline=None, max_examples=30)
@given(problem=problems(), k=st.integers(1, K), ties=st.booleans())
def test_the_best_classes(problem, k, ties):
    logits, _, size = problem
    logits = np.round(logits) if ties else logits
    expected = np.lexsort((np.broadcast_to(np.arange(K), logits.shape), -logits))[:, :k]

    def on(ranks):
        shard = Shard(ranges(K, size), ranks)
        own = logits[:, shard.begin : shard.end]
        order = np.lexsort((np.broadcast_to(np.arange(own.shape[1]), own.shape), -own))[:, : shard.depth(k)]
        ids, values = order.astype(np.int64), np.take_along_axis(own, order, axis=1)
        return shard.best(ids, values, k)

    for ids, values in run(size, on):
        assert np.array_equal(ids, expected)
        assert np.array_equal(values, np.take_along_axis(logits, expected, axis=1))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 99), size=st.integers(2, K), loss=st.sampled_from(["sampled_softmax", "nce"]))
def test_candidates(seed, size, loss):
    rng = np.random.default_rng(seed)
    target, drawn = rng.integers(0, K, 7), rng.integers(0, K, 5)
    candidates = Candidates(target, drawn, rng.standard_normal(5), loss=loss)
    candidates.target_shift = rng.standard_normal(7)
    targets = RowTargets.one_each(target)

    def on(ranks):
        shard = Shard(ranges(K, size), ranks)
        return shard, *shard.own_candidates(targets, candidates)

    parts = run(size, on)
    ids = np.concatenate([class_ids + shard.begin for shard, _, class_ids, _ in parts])
    assert np.array_equal(ids, candidates.class_ids)
    for name in ("offset", "weight"):
        whole = getattr(candidates, name)
        if whole is not None:
            assert np.array_equal(np.concatenate([options[name] for *_, options in parts]), whole)
    for shard, own, class_ids, options in parts:
        assert np.array_equal(class_ids[own.class_ids] + shard.begin, target[own.at])
        assert np.array_equal(options["target_shift"], candidates.target_shift[own.at])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 99), size=st.integers(2, K))
def test_eligible_classes(seed, size):
    rng = np.random.default_rng(seed)
    may, excluded = rng.random(K) < 0.5, rng.random((4, K)) < 0.4
    indptr = np.concatenate([[0], np.cumsum(excluded.sum(axis=1))]).astype(np.intp)
    eligible = Eligible(np.flatnonzero(may), indptr, np.nonzero(excluded)[1].astype(np.int64), 0.1)

    def on(ranks):
        shard = Shard(ranges(K, size), ranks)
        return shard, shard.eligible(eligible)

    for shard, own in run(size, on):
        columns = slice(shard.begin, shard.end)
        assert np.array_equal(own.class_ids, np.flatnonzero(may[columns])) and own.threshold == 0.1
        of_rows = [own.excluded[a:b].tolist() for a, b in zip(own.indptr, own.indptr[1:], strict=False)]
        assert of_rows == [np.flatnonzero(row[columns]).tolist() for row in excluded]


def test_logits_of_all_columns():
    logits = np.random.default_rng(0).standard_normal((5, K)).astype(np.float32)

    def on(ranks):
        shard, out = Shard(ranges(K, 4), ranks), np.empty_like(logits)
        shard.fill(out, lambda part: np.copyto(part, logits[:, shard.begin : shard.end]))
        return out

    for out in run(4, on):
        assert np.array_equal(out, logits)


def test_ranges_are_even_and_complete():
    for size in range(1, K + 1):
        widths = np.diff(ranges(K, size))
        assert widths.sum() == K and widths.min() >= K // size and widths.max() <= -(-K // size)


def test_copies():
    assert pickle.loads(pickle.dumps(WHOLE)) is WHOLE and copy.deepcopy(WHOLE) is WHOLE

    def on(ranks):
        with pytest.raises(TypeError, match="cannot be pickled: save it"):
            pickle.dumps(Shard(ranges(K, 2), ranks))

    run(2, on)
