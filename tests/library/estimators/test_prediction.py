"""Predictions at their limits: very negative scores, ties, every k."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.utils.validation
from numpy.testing import assert_allclose, assert_array_equal

import fastsoftmax as fs
from fastsoftmax import SoftmaxClassifier


def test_probabilities_at_very_negative_scores(sparse_rows):
    """Independent sigmoids that are all zero cannot be normalised; a softmax can."""
    X, y = sparse_rows(60, 20, 6)
    model = SoftmaxClassifier(direct="dense", random_state=0, max_iter=2).fit(X, y)
    model._model.bias -= 1e30
    for p in (model.predict_proba(X), np.exp(model.predict_log_proba(X))):
        assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    for scores in (np.full((2, 4), -1e30, np.float32), np.array([[-1e4, -1e4, -2e4, -np.inf]])):
        assert_allclose(fs.softmax(scores, axis=1).sum(axis=1), 1)
    assert_allclose(fs.cross_entropy(np.array([[-1e4, -2e4]]), [1]), 1e4)


def test_topk_has_k_columns(sparse_rows):
    """Their classes are distinct, and those of a smaller k are the first ones of a larger k."""
    X, y = sparse_rows(30, 20, 11)
    X.data[:] = 1  # so that there are ties
    for params in ({"direct": "dense"}, {"direct": "sparse"}, {"direct": None, "hidden_size": 4}):
        model = SoftmaxClassifier(random_state=0, max_iter=1, **params).fit(X, y)
        all_labels, all_log_proba = model.predict_topk(X, 11)
        assert_array_equal(np.sort(all_labels, axis=1), np.tile(np.arange(11), (30, 1)))
        for k in range(1, 11):
            labels, log_proba = model.predict_topk(X, k)
            assert labels.shape == log_proba.shape == (30, k)
            assert_array_equal(labels, all_labels[:, :k])
            assert_allclose(log_proba, all_log_proba[:, :k], rtol=1e-5)


def test_scikit_learn_does_not_check_sparse_rows_again(monkeypatch):
    """Our own check is the stricter one, and theirs takes longer than a prediction of one row."""
    X = sp.csr_array(np.eye(4, dtype=np.float32))
    model = SoftmaxClassifier(random_state=0, max_iter=1).fit(X, [0, 1, 2, 3])

    def check_array(*_, **__):
        raise AssertionError("scikit-learn checks the array")

    monkeypatch.setattr(sklearn.utils.validation, "check_array", check_array)
    assert model.predict(X[:1]).shape == (1,)
    with pytest.raises(ValueError, match="X has 3 features, but SoftmaxClassifier is expecting 4 features"):
        model.predict(X[:, :3])
    with pytest.raises(AssertionError, match="scikit-learn"):
        model.predict(X.toarray())
