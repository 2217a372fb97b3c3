"""The constructor of SoftmaxClassifier: names as shorthand, and objects that have the options of one choice."""

import inspect

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.estimators import Checkpoint, EarlyStopping
from fastsoftmax.losses import LOSSES, NCE, SampledSoftmax, Softmax
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.samplers import Uniform
from fastsoftmax.terms import LowRank, SparseTerm

X = sp.csr_array(sp.vstack([sp.eye_array(10, format="csr")] * 8)).astype(np.float32)
Y = np.tile(np.arange(10), 8)


def fitted(**params):
    return SoftmaxClassifier(**{"max_iter": 2, "random_state": 0, "n_threads": 1} | params).fit(X, Y)


def assert_same(a, b):
    for name, array in a._model.arrays().items():
        np.testing.assert_array_equal(array, b._model.arrays()[name], err_msg=name)


def test_the_constructor_is_one_that_a_person_can_hold_in_mind():
    assert len(inspect.signature(SoftmaxClassifier).parameters) <= 23


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"direct": "sparse"}, {"direct": SparseTerm()}),
        ({"hidden_size": 4}, {"hidden_size": LowRank(4)}),
        ({"hidden_size": 4, "loss": "softmax"}, {"hidden_size": LowRank(4), "loss": Softmax()}),
        ({"hidden_size": 4, "loss": "nce"}, {"hidden_size": 4, "loss": NCE()}),
        ({"hidden_size": 4, "optimizer": "sgd"}, {"hidden_size": 4, "optimizer": SGD()}),
        ({"optimizer": "adagrad"}, {"optimizer": Adagrad()}),
        ({"early_stopping": True, "hidden_size": 4}, {"early_stopping": EarlyStopping(), "hidden_size": 4}),
        ({"early_stopping": False}, {}),
    ],
)
def test_names_are_shorthand(short, long):
    assert_same(fitted(**short), fitted(**long))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_name_and_trains(name):
    model = fitted(hidden_size=4, loss=LOSSES[name]())
    assert model.loss_ == name
    assert_same(model, fitted(hidden_size=4, loss=name))


def test_options_reach_training():
    uniform = fitted(hidden_size=4, loss=SampledSoftmax(sampler="uniform", n_negatives=3))
    by_object = fitted(hidden_size=4, loss=SampledSoftmax(sampler=Uniform(10), n_negatives=3))
    assert_same(uniform, by_object)
    assert uniform.loss_curve_ != fitted(hidden_size=4, loss=SampledSoftmax("uniform", n_negatives=4)).loss_curve_
    with pytest.warns(UserWarning, match=r"SparseTerm\(min_count=9, .*\) leaves no pair"):
        assert fitted(direct=SparseTerm(min_count=9)).coef_.nnz == 0
    assert fitted(direct=SparseTerm(max_classes_per_feature=1)).coef_.nnz == 10
    assert fitted(direct="sparse", hidden_size=LowRank(3, n_features=6)).embedding_.shape == (6, 3)
    E = np.ones((10, 5), np.float32)
    frozen = SoftmaxClassifier(hidden_size=LowRank("auto", freeze=True), max_iter=1).fit(X, Y, embedding_init=E)
    np.testing.assert_array_equal(frozen.embedding_, E)
    stopped = fitted(hidden_size=4, early_stopping=EarlyStopping(validation_fraction=0.5), max_iter=2)
    assert len(stopped.validation_curve_) == len(stopped.loss_curve_)


def test_max_iter_auto_is_what_the_terms_want():
    assert fitted(direct="sparse", max_iter="auto").n_iter_ == 3
    assert fitted(direct="sparse", hidden_size=2, max_iter="auto").n_iter_ == 10
    assert fitted(direct="dense", max_iter="auto").n_iter_ == 10
    assert_same(fitted(direct="sparse", max_iter="auto"), fitted(direct="sparse", max_iter=3))


def test_scikit_learn_sees_the_options():
    model = SoftmaxClassifier(
        direct=SparseTerm(min_count=2), loss=SampledSoftmax("uniform"), optimizer=Adagrad(alpha=0.5)
    )
    params = model.get_params()
    assert (params["direct__min_count"], params["loss__sampler"], params["optimizer__alpha"]) == (2, "uniform", 0.5)
    model.set_params(direct__min_count=3)
    copied = clone(model)
    assert copied.direct.min_count == 3 and copied.direct is not model.direct
    search = GridSearchCV(
        SoftmaxClassifier(direct=SparseTerm(), max_iter=1, random_state=0), {"direct__min_count": [1, 2]}, cv=2
    )
    assert search.fit(X, Y).best_params_ == {"direct__min_count": 1}


@pytest.mark.parametrize(
    "params",
    [
        {"loss": SampledSoftmax("uniform", n_negatives=3), "hidden_size": LowRank(4), "optimizer": Adagrad()},
        {"direct": SparseTerm(), "early_stopping": EarlyStopping(validation_fraction=0.4, n_iter_no_change=2)},
    ],
)
def test_training_changes_no_option(params):
    before = {name: repr(value) for name, value in params.items()}
    model = fitted(**params)
    model.partial_fit(X, Y)
    assert {name: repr(value) for name, value in params.items()} == before
    assert all(getattr(model, name) is value for name, value in params.items())


def test_every_option_has_a_docstring():
    for kind in (*LOSSES.values(), SGD, Adagrad, SparseTerm, LowRank, EarlyStopping, Checkpoint):
        assert issubclass(kind, BaseEstimator)
        for name in inspect.signature(kind).parameters:
            assert f"    {name} : " in kind.__doc__, f"{kind.__name__}.{name}"


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"loss": "hinge"}, ValueError, "loss must be one of 'auto', 'softmax', 'sampled_softmax'.*got 'hinge'"),
        ({"loss": SGD()}, TypeError, "loss must be one of .* or an object of Softmax, SampledSoftmax.*got SGD"),
        (
            {"loss": Softmax(gradient_threshold=1.5)},
            ValueError,
            r"Softmax\.gradient_threshold must be below 1, got 1.5",
        ),
        ({"loss": NCE(n_negatives=0)}, ValueError, r"NCE\.n_negatives must be at least 1, got 0"),
        ({"loss": NCE(sampler="zipf")}, ValueError, "sampler must be one of 'uniform'.*got 'zipf'"),
        ({"loss": SampledSoftmax(normaliser_rate=2)}, ValueError, r"SampledSoftmax\.normaliser_rate must be at most 1"),
        ({"direct": SparseTerm(learning_rate=-1)}, ValueError, r"SparseTerm\.learning_rate must be at least 0"),
        ({"direct": SparseTerm(min_count=0)}, ValueError, r"SparseTerm\.min_count must be at least 1, got 0"),
        ({"direct": SparseTerm(max_classes_per_feature=0)}, ValueError, r"SparseTerm\.max_classes_per_feature must be"),
        ({"direct": LowRank()}, TypeError, "direct must be one of .* or an object of SparseTerm, got LowRank"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be at least 1, got 0"),
        ({"hidden_size": "foo"}, TypeError, "hidden_size must be an integer, got 'foo'"),
        ({"hidden_size": LowRank(0)}, ValueError, r"LowRank\.size must be at least 1, got 0"),
        ({"hidden_size": LowRank(freeze=1)}, TypeError, r"LowRank\.freeze must be True or False, got 1"),
        ({"hidden_size": LowRank(n_features=3)}, ValueError, r"LowRank\.n_features needs direct='sparse'"),
        (
            {"direct": "sparse", "hidden_size": LowRank(2, n_features=11)},
            ValueError,
            r"LowRank\.n_features must be at most",
        ),
        ({"optimizer": "adam"}, ValueError, "optimizer must be one of 'adagrad', 'sgd', got 'adam'"),
        ({"optimizer": Adagrad(epsilon=0)}, ValueError, r"Adagrad\.epsilon must be above 0"),
        ({"optimizer": SGD(alpha=-1)}, ValueError, r"SGD\.alpha must be at least 0"),
        ({"optimizer": SGD(class_alpha=-1)}, ValueError, r"SGD\.class_alpha must be at least 0"),
        ({"optimizer": SGD(l1_alpha=-1)}, ValueError, r"SGD\.l1_alpha must be at least 0"),
        ({"optimizer": SGD(clip_norm=0)}, ValueError, r"SGD\.clip_norm must be above 0"),
        ({"early_stopping": 3}, TypeError, "early_stopping must be True or False, got 3"),
        (
            {"early_stopping": EarlyStopping(validation_fraction=0)},
            ValueError,
            r"EarlyStopping\.validation_fraction must be",
        ),
        ({"early_stopping": EarlyStopping(n_iter_no_change=0)}, ValueError, r"EarlyStopping\.n_iter_no_change must be"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path, got 3"),
        ({"checkpoint": Checkpoint("x", every=-1)}, ValueError, r"Checkpoint\.every must be at least 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1, got 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be above 0"),
    ],
)
def test_errors_name_the_object_and_the_parameter(params, error, message):
    with pytest.raises(error, match=message):
        SoftmaxClassifier(**params).fit(X, Y)


def test_another_loss_cannot_go_on_with_a_stream():
    model = SoftmaxClassifier(hidden_size=2, loss="softmax", random_state=0).partial_fit(X, Y, n_classes=10)
    with pytest.raises(ValueError, match="loss must stay as it was in the first training, 'softmax', got 'nce'"):
        model.set_params(loss="nce").partial_fit(X, Y)


def test_an_option_of_a_name_is_refused():
    with pytest.raises(ValueError, match="direct__min_count is an option of an object, but direct is 'sparse'"):
        SoftmaxClassifier(direct="sparse").set_params(direct__min_count=2)
    model = SoftmaxClassifier(direct="sparse").set_params(direct=SparseTerm(), direct__min_count=2)
    assert model.direct.min_count == 2


def test_a_subclass_may_have_more_parameters():
    class Named(SoftmaxClassifier):
        def __init__(self, name="", *, hidden_size="auto"):
            super().__init__(hidden_size=hidden_size, max_iter=2, random_state=0, n_threads=1)
            self.name = name

        @classmethod
        def _get_param_names(cls):
            return sorted({*SoftmaxClassifier._get_param_names(), "name"})

    assert_same(Named("a", hidden_size=4).fit(X, Y), fitted(hidden_size=4))
