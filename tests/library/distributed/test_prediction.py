"""Ranks that each have a range of the classes predict what one process predicts; each gets the answers to its own rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import K, classifier, part, rows
from thread_ranks import run

X, Y = rows()
KINDS = {
    "low rank": {"loss": "softmax", "hidden_size": 8},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "both": {"direct": "sparse", "hidden_size": 8},
    "dense": {"direct": "dense", "hidden_size": None, "loss": "softmax"},
}


@pytest.fixture(scope="module", params=KINDS)
def alone(request):
    return classifier(**KINDS[request.param]).fit(X, Y)


def on_ranks(alone, answer, size=3):
    """What `answer(model, rows of the rank)` returns on each rank."""

    def fit(ranks):
        params = {name: a for name, a in alone.get_params(deep=False).items() if name != "comm"}
        model = type(alone)(**params, comm=ranks).fit(X[part(ranks)], Y[part(ranks)])
        return answer(model, part(ranks))

    return run(size, fit)


def assert_same(answers, expected, **tolerance):
    np.testing.assert_allclose(np.concatenate(answers), expected, **tolerance)


@pytest.mark.parametrize("k", [1, 5, K])
def test_the_best_classes(alone, k):
    answers = on_ranks(alone, lambda model, own: model.predict_topk(X[own], k))
    labels, log_proba = alone.predict_topk(X, k)
    assert_same([a[1] for a in answers], log_proba, atol=2e-5)
    same = np.concatenate([a[0] for a in answers]) == labels
    apart = np.abs(np.diff(log_proba, axis=1, append=-np.inf, prepend=np.inf))
    assert same[(apart[:, 1:] > 1e-4) & (apart[:, :-1] > 1e-4)].all()


def test_subsets_exclusions_and_thresholds(alone):
    classes = np.arange(1, K, 3)
    exclude = sp.csr_array(np.random.default_rng(4).random((len(Y), K)) < 0.3)

    def answer(model, own):
        return (
            model.predict_topk(X[own], 6, classes=classes)[1],
            model.predict_topk(X[own], K, exclude=exclude[own])[0],
            model.predict_topk(X[own], 4, threshold=0.2)[1],
            model.predict_topk(X[own], 30, classes=classes, exclude=exclude[own])[1],
        )

    answers = on_ranks(alone, answer)
    assert_same([a[0] for a in answers], alone.predict_topk(X, 6, classes=classes)[1], atol=2e-5)
    excluded = np.concatenate([a[1] for a in answers])
    assert np.array_equal(np.sort(excluded), np.sort(alone.predict_topk(X, K, exclude=exclude)[0]))
    expected = alone.predict_topk(X, 4, threshold=0.2)[1]
    clear = np.abs(np.exp(alone.predict_topk(X, 4)[1]) - 0.2).min(axis=1) > 1e-4
    assert_same([np.concatenate([a[2] for a in answers])[clear]], expected[clear], atol=2e-5)
    assert_same([a[3] for a in answers], alone.predict_topk(X, 30, classes=classes, exclude=exclude)[1], atol=2e-5)


def test_all_probabilities_targets_and_scores(alone):
    def answer(model, own):
        return (
            model.predict_proba(X[own]),
            model.decision_function(X[own]),
            model.target_log_proba(X[own], Y[own]),
            model.score(X[own], Y[own], sample_weight=1.0 + own.start + np.arange(len(Y[own]))),
        )

    answers = on_ranks(alone, answer)
    assert_same([a[0] for a in answers], alone.predict_proba(X), atol=2e-6)
    assert_same([a[1] for a in answers], alone.decision_function(X), atol=2e-5)
    assert_same([a[2] for a in answers], alone.target_log_proba(X, Y), atol=2e-5)
    for a in answers:
        assert a[3] == pytest.approx(alone.score(X, Y, sample_weight=1.0 + np.arange(len(Y))))


def test_a_rank_without_rows_takes_part(alone):
    def answer(model, own):
        n = 0 if own.start else 7
        return model.predict_topk(X[:n], 3)[0], model.predict(X[:n])

    answers = on_ranks(alone, answer, size=2)
    assert [len(a[0]) for a in answers] == [7, 0] and [len(a[1]) for a in answers] == [7, 0]
    assert np.array_equal(answers[0][1], alone.predict(X[:7]))


def test_ties_go_to_the_first_class():
    models = on_ranks(
        classifier(hidden_size=4, max_iter=1, calibration_fraction=0).fit(X, Y), lambda m, own: _zeros(m), size=4
    )
    for labels in models:
        assert np.array_equal(labels, np.tile(np.arange(9), (5, 1)))


def _zeros(model):
    model._model.V[...], model._model.bias[...] = 0, 0
    return model.predict_topk(X[:5], 9)[0]
