"""Clones and copies of estimators that hold ranks, which cannot be copied: these are shared, and all else is copied."""

import copy

import numpy as np
import pytest
from problems import classifier, part, rows
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from thread_ranks import run

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.runtime.ranks import Ranks
from fastsoftmax.terms import LowRank, SparseTerm

X, Y = rows()


class NotCopied(Ranks):
    """Ranks as an MPI communicator that was split has them: neither copied nor pickled."""

    def __reduce__(self):
        raise TypeError("cannot pickle it")


def test_clones_share_the_ranks():
    terms = {"direct": SparseTerm(min_count=2), "hidden_size": LowRank(5)}
    model = SoftmaxClassifier(comm=NotCopied(), random_state=3, class_weight={0: 2.0}, **terms)
    for other in (
        clone(model),
        clone(make_pipeline(model))[0],
        clone(GridSearchCV(model, {})).estimator,
        clone([model])[0],
    ):
        assert type(other) is SoftmaxClassifier and other is not model and other.comm is model.comm
        assert other.direct is not model.direct and other.class_weight is not model.class_weight
        mine, its = ({**m.get_params(), "direct": 0, "hidden_size": 0} for m in (model, other))
        assert mine == its
    assert model.comm is not None and clone(SoftmaxClassifier()).comm is None


def test_clones_keep_what_scikit_learn_keeps():
    model = SoftmaxClassifier(comm=NotCopied()).set_output(transform="default")
    assert clone(model)._sklearn_output_config == {"transform": "default"}


def test_clones_and_copies_of_models_of_several_ranks():
    def on(ranks):
        own = part(ranks)
        model = classifier(ranks, hidden_size=4).fit(X[own], Y[own])
        other, copied = clone(model), copy.deepcopy(model)
        assert not hasattr(other, "classes_") and other.comm is copied.comm is ranks
        again = other.fit(X[own], Y[own])
        before = model.predict_log_proba(X[own])
        np.testing.assert_array_equal(again.predict_log_proba(X[own]), before)
        np.testing.assert_array_equal(copied.predict_log_proba(X[own]), before)
        copied.partial_fit(X[own], Y[own])
        assert not np.array_equal(copied.predict_log_proba(X[own]), before)
        np.testing.assert_array_equal(model.predict_log_proba(X[own]), before)

    run(2, on)


def test_copies_of_what_holds_a_model_twice():
    model = SoftmaxClassifier(comm=NotCopied())
    first, second = copy.deepcopy([model, model])
    assert first is second and first is not model and first.comm is model.comm
    with pytest.raises(TypeError, match="cannot pickle it"):
        copy.deepcopy(model.comm)
