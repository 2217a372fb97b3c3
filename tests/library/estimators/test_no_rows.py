"""Rows and labels that are none: a ValueError from every method, whatever kind of emptiness they are."""

import numpy as np
import pytest

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression
from fastsoftmax.text.text_vectorizer import TextVectorizer

EMPTY = [[], (), [[]], [[], []], [[[]]], {}, range(0), "", np.empty(0), np.empty((0, 0)), np.empty((3, 0)), [None]]
KINDS = [lambda: SoftmaxClassifier(max_iter=1), SoftmaxRegression, OneVsAllClassifier]
PREDICTIONS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "predict_topk",
    "predict_marginals",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("X", EMPTY, ids=repr)
def test_no_rows_are_refused(kind, X):
    fitted = kind().fit(np.eye(3), [0, 1, 2])
    for y in ([], [0, 1, 2]):
        for call in (kind().fit, fitted.score, getattr(fitted, "target_log_proba", fitted.score)):
            with pytest.raises(ValueError, match=r"2D array|dim|with 0 (feature|sample)"):
                call(X, y)
        if kind not in (SoftmaxRegression, OneVsAllClassifier):
            with pytest.raises(ValueError, match=r"2D array|dim|with 0 (feature|sample)"):
                kind().partial_fit(X, y, classes=[0, 1])
            with pytest.raises(ValueError, match=r"2D array|dim|with 0 feature|0 features, but"):
                fitted.partial_fit(X, y)
            with pytest.raises(ValueError, match=r"2D array|dim|with 0 (feature|sample)"):
                kind().set_params(early_stopping=True).fit(np.eye(3), [0, 1, 2], X_val=X, y_val=y)
    for name in filter(lambda name: hasattr(fitted, name), PREDICTIONS):
        with pytest.raises(ValueError, match=r"2D array|dim|with 0 feature"):
            getattr(fitted, name)(X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("y", [[], (), [[]], {}, range(0), "", np.empty(0), [None]], ids=repr)
def test_no_labels_are_refused(kind, y):
    with pytest.raises((ValueError, TypeError), match=r"^y "):
        kind().fit(np.eye(3), y)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_different_lengths_are_refused_by_name(kind):
    for call in (kind().fit, kind().fit(np.eye(2), [0, 1]).score):
        with pytest.raises(ValueError, match=r"^X is no array: .*inhomogeneous"):
            call([[], [1.0]], [0, 1])


@pytest.mark.parametrize("texts", [[], (), np.empty(0), np.empty((0, 3))], ids=repr)
def test_no_texts_are_no_rows(texts):
    assert TextVectorizer(n_features=8).transform(texts).shape == (0, 8)
    assert TextVectorizer(n_features=8).fit_transform(texts).shape == (0, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_of_no_rows(kind):
    with pytest.raises(ValueError, match=r"^X has no rows$"):
        kind().fit(np.eye(3), [0, 1, 2]).score(np.eye(3)[:0], [])
