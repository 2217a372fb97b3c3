"""Metrics against their definitions, row by row."""

import numpy as np
import pytest
import scipy.sparse as sp
from fuzz import strategies as s
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

from fastsoftmax import metrics


@st.composite
def rankings(draw):
    """Distinct predictions with padding behind them, true labels of one or several a row, a depth."""
    n, k, rng = draw(st.integers(1, 30)), draw(st.integers(1, 40)), draw(s.rngs)
    width = draw(st.integers(1, k))
    topk = np.array([rng.permutation(k)[:width] for _ in range(n)])
    topk[np.arange(width) >= rng.integers(0, width + 1, n)[:, None]] = -1
    if draw(st.booleans()):
        y = rng.integers(0, k, n)
        true = [{int(label)} for label in y]
    else:
        mask = rng.random((n, k)) < draw(st.sampled_from([0.0, 0.1, 0.7]))
        y, true = sp.csr_array(mask), [set(np.flatnonzero(row).tolist()) for row in mask]
        y = draw(st.sampled_from([y, true, lists_of(true), *[mask][: k - 1]]))
    return topk, y, true, draw(st.integers(1, width))


def lists_of(rows):
    """Sets of labels as lists, but for those that could be the rows of an indicator."""
    is_refused = len({len(row) for row in rows}) == 1 and len(rows[0]) > 1 and set().union(*rows) <= {0, 1}
    return rows if is_refused else [list(row) for row in rows]


def one_by_one(row, true, k):
    """precision, hit, reciprocal rank, nDCG and recall at k of one row."""
    hits = [int(label) in true for label in row[:k]]
    ranks = [rank for rank, hit in enumerate(hits, start=1) if hit]
    gain = sum(1 / np.log2(1 + rank) for rank in ranks)
    best = sum(1 / np.log2(1 + rank) for rank in range(1, 1 + min(k, len(true))))
    of_true = (gain / best, len(ranks) / len(true)) if true else (0.0, 0.0)
    return len(ranks) / k, float(bool(ranks)), 1 / ranks[0] if ranks else 0.0, *of_true


@examples(60)
@given(p=rankings())
def test_ranking_metrics(p):
    topk, y, true, k = p
    truth = np.mean([one_by_one(row, labels, k) for row, labels in zip(topk, true, strict=True)], axis=0)
    functions = metrics.precision_at_k, metrics.hit_at_k, metrics.mrr_at_k, metrics.ndcg_at_k, metrics.recall_at_k
    for function, value in zip(functions, truth, strict=True):
        assert function(topk, y, k) == pytest.approx(value), function.__name__
        assert 0 <= value <= 1


@examples(40)
@given(rng=s.rngs, n=st.integers(1, 50), special=st.sampled_from([0.0, -np.inf, -1e300, -5e-324]))
def test_log_loss(rng, n, special):
    log_proba = np.where(rng.random(n) < 0.2, special, -rng.exponential(size=n))
    weight = rng.integers(0, 3, n).astype(float)
    weight[0] = 1
    counted = np.repeat(log_proba, weight.astype(int))
    with np.errstate(over="ignore"):
        assert metrics.log_loss(log_proba, weight) == pytest.approx(-np.mean(counted))
        assert metrics.perplexity(log_proba) == pytest.approx(np.exp(metrics.log_loss(log_proba)))
