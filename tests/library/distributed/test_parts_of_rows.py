"""Ranks whose parts of the rows are unlike: some have none, or weights of another size."""

import numpy as np
import pytest
import scipy.sparse as sp
import thread_ranks

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.distributed.rows import collect_labels, collect_X

X = sp.random(200, 50, 0.1, format="csr", dtype=np.float32, random_state=0)
CODES = np.random.default_rng(0).integers(0, 20, 200)
LABELS = {
    "integers": CODES,
    "strings": CODES.astype(str),
    "long strings": np.array([f"{'x' * 70}{code}" for code in CODES], object),
}


def model(comm=None, **params):
    return SoftmaxClassifier(
        **{"comm": comm, "random_state": 0, "max_iter": 2, "n_threads": 1, "hidden_size": 8, "dtype": "float64"}
        | params
    )


@pytest.mark.parametrize("kind", LABELS)
def test_ranks_without_rows(kind):
    y = LABELS[kind]
    alone = model().fit(X, y)

    def on(ranks):
        own = slice(0, 200) if ranks.rank == 1 else slice(0, 0)
        c = model(ranks).fit(X[own], y[own]).partial_fit(X[own], y[own])
        best, log_proba = c.predict_topk(X[own], 3)
        assert len(best) == len(log_proba) == len(c.target_log_proba(X[own], y[own])) == own.stop
        return c.loss_curve_[:2], c.score(X[own], y[own])

    (losses, score), *others = thread_ranks.run(3, on)
    np.testing.assert_allclose(losses, alone.loss_curve_, rtol=1e-6)
    assert others == [(losses, score)] * 2
    assert score == alone.partial_fit(X, y).score(X, y)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("kind", LABELS)
def test_lists_of_a_rank_without_rows(rank, kind):
    y = LABELS[kind]
    alone = model().fit(X, y)

    def on(ranks):
        rows, labels = (X[:0].astype(np.float64), []) if ranks.rank == rank else (X, y)
        c = model(ranks).fit(rows, labels)
        return c.loss_curve_, c.score(rows, labels), c.classes_.dtype

    results = thread_ranks.run(2, on)
    assert results[0] == results[1]
    np.testing.assert_allclose(results[0][0], alone.loss_curve_, rtol=1e-5)
    assert results[0][1:] == (alone.score(X, y), alone.classes_.dtype)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("dtype", ["int64", "float64", "U3", "S3", "T", "M8[D]", "O"])
def test_collected_labels_have_the_dtype_of_those_that_there_are(rank, dtype):
    if dtype == "T" and not hasattr(np.dtypes, "StringDType"):
        pytest.skip("NumPy has no strings of variable width")
    y = np.array(["1", "23"]).astype("M8[Y]" if dtype == "M8[D]" else dtype).astype(dtype)

    def on(ranks):
        return collect_labels(ranks, np.array([]) if ranks.rank == rank else y, common=False)

    for collected in thread_ranks.run(2, on):
        assert collected.dtype == y.dtype
        np.testing.assert_array_equal(collected, y)


def test_collected_rows_have_the_dtype_of_those_that_there_are():
    for to_dense in (sp.csr_array, sp.csr_array.toarray):
        rows = to_dense(sp.csr_array(X))

        def on(ranks, rows=rows):
            return collect_X(ranks, rows if ranks.rank else rows[:0].astype(np.float64), common=False)[0]

        for collected in thread_ranks.run(2, on):
            assert collected.dtype == X.dtype and collected.shape == X.shape
    with pytest.raises(ValueError, match="number of columns"):
        thread_ranks.run(2, lambda ranks: collect_X(ranks, rows if ranks.rank else rows[:0, 1:], common=False))


def test_no_rank_has_rows():
    with pytest.raises(ValueError, match="in at least one row"):
        thread_ranks.run(2, lambda ranks: model(ranks).fit(X[:0], CODES[:0]))


@pytest.mark.parametrize("weights", [(1.0, 8.0), (0.0, 1.0)])
def test_weights_of_another_size_on_each_rank(weights):
    weight = np.repeat(weights, 100)
    validation = {"X_val": X[:50], "y_val": CODES[:50], "sample_weight_val": np.repeat(weights, 25)}
    params = {"early_stopping": True, "random_state": 0}
    alone = model(**params).fit(X, CODES, weight, **validation)

    def on(ranks):
        own = slice(0, 100) if ranks.rank == 0 else slice(100, 200)
        held_out = {name: a[own.start // 4 : own.stop // 4] for name, a in validation.items()}
        c = model(ranks, **params).fit(X[own], CODES[own], weight[own], **held_out)
        return c.loss_curve_, c.validation_curve_, c.score(X[own], CODES[own], weight[own])

    for result in thread_ranks.run(2, on):
        for measured, expected in zip(
            result, (alone.loss_curve_, alone.validation_curve_, alone.score(X, CODES, weight)), strict=True
        ):
            np.testing.assert_allclose(measured, expected, rtol=1e-6)
