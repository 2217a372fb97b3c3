"""A value that is given and on which nothing acts is an error before any work; "auto" resolves to what acts."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastsoftmax import SoftmaxClassifier, load, samplers
from fastsoftmax.losses import LOSSES, SampledSoftmax, Softmax
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.terms import LowRank, SparseTerm
from fastsoftmax.training import planning
from fastsoftmax.training.options import Options

Y = np.resize(np.arange(6), 60)
X = sp.csr_array(np.eye(6, dtype=np.float32)[Y])


def fitted(X=X, **params):
    return SoftmaxClassifier(**{"random_state": 0, "max_iter": 1} | params).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"direct": "sparse", "loss": "nce"},
            "loss must be 'auto' or 'softmax' where a sparse term is the only term.*'nce'",
        ),
        ({"direct": "sparse", "loss": SampledSoftmax("uniform")}, "loss must be .*got 'sampled_softmax'"),
        ({"direct": "sparse", "learning_rate": 0.3}, "learning_rate must be 'auto' .*got 0.3: SparseTerm"),
        ({"direct": "sparse", "learning_rate": 0.1}, "learning_rate must be 'auto' .*got 0.1: SparseTerm"),
        (
            {"direct": "sparse", "loss": Softmax(gradient_threshold=3e-4)},
            r"Softmax\.gradient_threshold must be .*got 0.0003",
        ),
        ({"direct": "sparse", "optimizer": Adagrad(alpha=1e-4)}, r"Adagrad\.alpha must be 'auto' or 0 .*got 0.0001"),
        ({"direct": "sparse", "optimizer": SGD(class_alpha=2.0)}, r"SGD\.class_alpha must be .*low-rank.*got 2.0"),
        ({"direct": "dense", "optimizer": Adagrad(class_alpha=2.0)}, r"Adagrad\.class_alpha must be .*got 2.0"),
        (
            {"direct": "sparse", "loss": Softmax(gradient_threshold=0.01)},
            r"Softmax\.gradient_threshold must be .*got 0.01",
        ),
        (
            {"direct": "dense", "loss": Softmax(gradient_threshold=0.01)},
            r"Softmax\.gradient_threshold must be .*got 0.01",
        ),
        (
            {"hidden_size": 4, "loss": SampledSoftmax(n_negatives=9)},
            r"SampledSoftmax\.n_negatives must be 'auto'.*got 9",
        ),
    ],
)
def test_values_that_nothing_acts_on(params, message, monkeypatch):
    monkeypatch.setattr(SoftmaxClassifier, "_name_features", None)  # nothing is trained
    with pytest.raises(ValueError, match=message):
        fitted(**params)
    with pytest.raises(ValueError, match=message):
        SoftmaxClassifier(**params).partial_fit(X, Y, range(6))


@pytest.mark.parametrize(
    "params",
    [
        {"direct": "sparse", "loss": "softmax", "optimizer": Adagrad(alpha=0.0, class_alpha=None)},
        {"direct": "sparse", "hidden_size": 4, "loss": "nce", "learning_rate": 0.3},
        {"direct": "sparse", "hidden_size": 4, "optimizer": Adagrad(alpha=1e-4, class_alpha=2.0)},
        {"direct": "sparse", "hidden_size": LowRank(4), "loss": Softmax(gradient_threshold=0.01)},
        {"direct": "dense", "X": X.toarray(), "loss": Softmax(gradient_threshold=0.01)},
        {"direct": "dense", "optimizer": Adagrad(alpha=1e-4)},
    ],
)
def test_values_that_act(params):
    fitted(**params)


def test_what_auto_stood_for(monkeypatch):
    monkeypatch.setattr(planning, "AUTO_SAMPLED_CLASSES", 6)
    assert fitted(direct="sparse").loss_ == "softmax"
    assert fitted(direct="sparse", hidden_size=4).loss_ == "sampled_softmax"
    assert fitted(hidden_size=4).loss_ == "sampled_softmax"


@pytest.mark.parametrize("loss", [name for name, kind in LOSSES.items() if kind.is_sampled])
@pytest.mark.parametrize("sampler", ["unigram", "uniform", samplers.Uniform(6)])
def test_the_default_number_of_negatives_suits_few_classes(loss, sampler):
    kind = LOSSES[loss]
    assert planning.n_negatives(kind(sampler=sampler), 6) == 5
    assert planning.n_negatives(kind(sampler=sampler), 5000) == 1024
    fitted(hidden_size=4, loss=kind(sampler=sampler))


@pytest.mark.parametrize(
    "params", [{"direct": SparseTerm(min_count=1000)}, {"direct": SparseTerm(min_count=1000), "hidden_size": 4}]
)
def test_a_sparse_term_without_a_pair_warns(params):
    with pytest.warns(UserWarning, match=r"SparseTerm\(min_count=1000.*leaves no pair"):
        fitted(**params)


@pytest.mark.parametrize(
    "params", [{"direct": "dense"}, {"hidden_size": 4}, {"hidden_size": 4, "loss": "sampled_softmax"}]
)
def test_training_that_diverges_warns(params):
    params = params | {"max_iter": 5, "batch_size": 8}
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((60, 6)).astype(np.float32)
    message = r"the loss of the last epoch is .* training diverged; lower learning_rate \(now 10000.0\)"
    with pytest.warns(ConvergenceWarning, match=message):
        fitted(X=noise, learning_rate=1e4, **params)
    model = SoftmaxClassifier(random_state=0, learning_rate=1e4, **params | {"max_iter": 1})
    with pytest.warns(ConvergenceWarning, match=message):
        for _ in range(3):
            model.partial_fit(noise, Y, range(6))


@pytest.mark.parametrize(
    ("auto", "number"),
    [
        ({"learning_rate": "auto"}, {"learning_rate": 0.1}),
        ({"loss": Softmax(gradient_threshold="auto")}, {"loss": Softmax(gradient_threshold=3e-4)}),
    ],
)
def test_what_auto_always_stands_for(auto, number, tmp_path):
    path = tmp_path / "checkpoint"
    models = [fitted(hidden_size=4, checkpoint=path, **params) for params in (auto, number)]
    np.testing.assert_array_equal(models[0].hidden_coef_, models[1].hidden_coef_)
    flat = [Options.of(model.get_params(deep=False)).flat() for model in models]
    assert flat[0] == flat[1]  # a checkpoint of one is a checkpoint of the other
    assert clone(models[0]).get_params()["learning_rate"] == auto.get("learning_rate", "auto")
    models[1].save(path)
    assert load(path).learning_rate == number.get("learning_rate", "auto")


def test_files_of_builds_without_auto(tmp_path, monkeypatch):
    """A sparse term alone had the learning rate 0.1, and a loss its threshold, without anybody who gave them."""
    model = fitted(direct="sparse", loss=Softmax()).set_params(learning_rate=0.1, loss__gradient_threshold=3e-4)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model").set_params(warm_start=True)
    assert loaded.learning_rate == "auto" and loaded.loss.gradient_threshold == "auto"
    loaded.fit(X, Y)
