"""Candidate sampling in training: what samplers and losses ask of each other, and SoftmaxClassifier with all of them."""

import copy
import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from flat_options import flat_classifier, of_mean
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from fastsoftmax import SoftmaxClassifier, samplers
from fastsoftmax.estimators.fitting import Fitting
from fastsoftmax.losses import LOSSES, SampledSoftmax
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD
from fastsoftmax.passes.candidates import KINDS
from fastsoftmax.training.step_losses import SampledLoss
from fastsoftmax.training.targets import HardTargets

LOGISTIC = [name for name, loss in KINDS.items() if loss.is_logistic]
SAMPLERS = ["in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"]
N_CLASSES = 30


def data(n_rows=1500, seed=0):
    """Each class has a feature of its own, beside noise; the classes fall in frequency."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(3, N_CLASSES + 3)
    y = np.repeat(np.arange(N_CLASSES), np.round(share / share.sum() * n_rows).astype(int))
    rng.shuffle(y)
    noise = sp.random_array((len(y), 20), density=0.2, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(N_CLASSES, format="csr")[y], noise])), y


def classifier(loss="sampled_softmax", sampler="uniform", **params):
    defaults = {
        "direct": None,
        "hidden_size": 12,
        "n_negatives": 12,
        "batch_size": 32,
        "max_iter": 8,
        "random_state": 0,
    }
    return flat_classifier(loss=loss, sampler=sampler, **defaults | params)


def assert_same_model(a, b):
    for name, value in a._model.arrays().items():
        assert_array_equal(value, b._model.arrays()[name], err_msg=name)


class Foreign:
    """A user's sampler: it draws, and says how often its draws were to be expected."""

    def __init__(self, n_classes, sampler=None):
        self.n_classes = n_classes
        self.sampler = sampler or samplers.Uniform(n_classes)

    def draw(self, n, rng):
        return self.sampler.draw(n, rng)


class Complete(Foreign):
    def log_expected_counts(self, class_ids, n):
        return self.sampler.log_expected_counts(class_ids, n)


# -- in one step --


def batch_model(n_classes, n_rows=15, n_features=6):
    rng = np.random.default_rng(1)
    model = Model(W=rng.standard_normal((n_classes, n_features)), bias=rng.standard_normal(n_classes))
    return model, rng.standard_normal((n_rows, n_features)), rng.integers(0, n_classes, n_rows)


@pytest.mark.parametrize("n_rows", [1, 2, 15])
@pytest.mark.parametrize("loss_name", ["nce", "sampled_logistic"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_rows_own_class_is_none_of_its_draws(loss_name, beside, n_rows):
    """With a batch's targets as negatives, a row's negatives are the other rows' targets, also those of the same class."""
    model, X, target = batch_model(8)
    X, target = X[:n_rows], target[:n_rows]
    sampler, n_beside = samplers.InBatch(np.arange(1, 9)), 0
    if beside:
        sampler, n_beside = samplers.Mixed([samplers.Uniform(8), sampler]), 5
    loss = SampledLoss(sampler, 5, LOSSES[loss_name]().trains_as)
    class_ids, counts, target_counts = sampler.draw_for(5, np.random.default_rng(3), target)
    logits = reference.linear_logits(X, model.W, model.bias)
    losses, gradient = np.zeros(n_rows), np.zeros_like(logits)
    for i in range(n_rows):
        others = np.delete(np.arange(len(class_ids)), n_beside + i if n_rows > 1 else [])
        losses[i : i + 1], gradient[i] = reference.sampled_losses(
            logits[[i]], target[[i]], class_ids=class_ids[others], log_expected_counts=counts[others],
            target_log_expected_counts=target_counts[[i]], loss=loss_name,
        )  # fmt: skip
    estimate = loss.estimate(target, np.random.default_rng(3))
    before = model.bias.copy()
    scale, rule = of_mean(n_rows), SGD().rule(1.0)
    value = Runner(model, X, n_threads=1).step(np.arange(n_rows), target, scale, rule, estimate)
    assert value == pytest.approx(losses.mean(), rel=1e-12)
    assert_allclose(before - model.bias, gradient.mean(axis=0), atol=1e-13)


@pytest.mark.parametrize("sampler", ["in_batch", "unigram"])
@pytest.mark.parametrize("loss", ["sampled_softmax", "nce", "negative_sampling"])
def test_logits_become_log_probabilities(loss, sampler):
    """There is one feature that is always there, and a bias, so only the classes' frequencies can be learned."""
    counts = np.array([500, 300, 100, 60, 40])
    y = np.repeat(np.arange(5), counts)
    model = flat_classifier(
        loss, direct="dense", sampler=sampler, n_negatives=4, batch_size=100, max_iter=60, optimizer="sgd",
        learning_rate=0.5, schedule="linear", random_state=0,
    )  # fmt: skip
    X = sp.csr_array(np.ones((len(y), 1)))
    model.fit(X, y)  # once to make the trainer, since the bias starts where it is to end
    model._model.bias += np.array([0.7, -0.5, 0.3, -0.6, 0.1], np.float32)
    trainer = Fitting(model).training().trainer(X, HardTargets(y), np.ones(len(y)), 60)
    trainer.run(60)
    logits = model.decision_function(X[:1])[0]
    expected = np.log(counts / counts.sum())
    if loss == "negative_sampling":  # log odds
        expected -= np.log(1 - counts / counts.sum())
    assert_allclose(logits - logits.mean(), expected - expected.mean(), atol=0.12)
    if loss == "nce":  # normalised by itself
        assert_allclose(np.exp(logits).sum(), 1, atol=0.1)


# -- what they ask of each other --


@pytest.mark.parametrize("loss", KINDS)
def test_somebodys_sampler(loss):
    X, y = data(300)
    made = classifier(loss, Complete(N_CLASSES)).fit(X, y)
    assert_same_model(made, classifier(loss, samplers.Uniform(N_CLASSES)).fit(X, y))
    if loss == "sampled_softmax":
        assert_same_model(made, classifier(loss, Foreign(N_CLASSES)).fit(X, y))


@pytest.mark.parametrize("loss", LOGISTIC)
def test_logistic_losses_need_expected_counts_of_targets(loss, monkeypatch):
    monkeypatch.setattr(Runner, "step", None)  # nothing is trained
    X, y = data(300)
    with pytest.raises(
        TypeError, match=rf"sampler must have log_expected_counts\(class_ids, n\) for loss='{loss}'.*Foreign"
    ):
        classifier(loss, Foreign(N_CLASSES)).fit(X, y)
    share = np.arange(N_CLASSES)
    for sampler in (samplers.Custom(share), samplers.Mixed([samplers.Custom(share), samplers.Unigram(share)])):
        with pytest.raises(
            ValueError, match=f"sampler must draw any class sometimes for loss='{loss}'.*1 classes of prob"
        ):
            classifier(loss, sampler).fit(X, y)


def test_what_somebodys_sampler_gives_is_checked():
    X, y = data(300)

    class Bad(Complete):
        bad_class, bad_count = 3, 0.0

        def draw(self, n, rng):
            return np.full(n, self.bad_class), np.zeros(n)

        def log_expected_counts(self, class_ids, n):
            return np.full(len(class_ids), self.bad_count)

    sampler = Bad(N_CLASSES)
    classifier("nce", sampler).fit(X, y)
    sampler.bad_count = -np.inf
    with pytest.raises(ValueError, match="the sampler's log_expected_counts must be finite, got -inf"):
        classifier("nce", sampler).fit(X, y)
    sampler.bad_class = N_CLASSES
    with pytest.raises(ValueError, match=r"the sampler's class_ids must be in \[0, 30\)"):
        classifier(sampler=sampler).fit(X, y)


@pytest.mark.parametrize("mixed", [False, True])
def test_samplers_that_follow_need_dense_inputs(mixed, monkeypatch):
    X, y = data(300)
    sampler = "multi_index"
    if mixed:
        sampler = samplers.Mixed([samplers.Uniform(N_CLASSES), samplers.MultiIndex(N_CLASSES)])
    for params in ({"direct": "dense"}, {"direct": None, "hidden_size": 5}, {"direct": "dense", "hidden_size": 5}):
        classifier(sampler=sampler, **{"hidden_size": None} | params).fit(X.toarray(), y)
    classifier(sampler=sampler, direct="dense").fit(X, y)
    monkeypatch.setattr(Runner, "step", None)  # nothing is trained
    with pytest.raises(ValueError, match=r"sampler must not be one that follows the model where .* X is sparse"):
        classifier(sampler=sampler, direct="dense", hidden_size=None).fit(X, y)


def test_n_negatives_is_for_samplers_that_draw():
    X, y = data(300)
    batch = samplers.InBatch(np.ones(N_CLASSES))
    for sampler in ("in_batch", batch, samplers.Mixed([batch])):
        loss = SampledSoftmax(sampler, n_negatives=3)
        with pytest.raises(ValueError, match="n_negatives must be 'auto' with a sampler that draws none, got 3"):
            SoftmaxClassifier(loss=loss, hidden_size=4, max_iter=1).fit(X, y)
    for sampler in ("uniform", samplers.Mixed([samplers.InBatch(np.ones(N_CLASSES)), samplers.Uniform(N_CLASSES)])):
        with pytest.raises(ValueError, match="n_negatives must be below the number of classes"):
            classifier(sampler=sampler, n_negatives=N_CLASSES, max_iter=1).fit(X, y)


# -- through the classifier --


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("loss", KINDS)
def test_learns(loss, sampler):
    X, y = data()
    X_test, y_test = data(seed=1)
    model = classifier(loss, sampler).fit(X, y)
    assert model.loss_ == loss
    assert model.score(X_test, y_test) > 0.9
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("loss", KINDS)
def test_same_seed_same_model_for_any_n_threads(loss, sampler):
    X, y = data(300)
    models = [classifier(loss, sampler, n_threads=n, max_iter=2).fit(X, y) for n in (1, 2, 3)]
    for other in models[1:]:
        assert other.loss_curve_ == models[0].loss_curve_
        assert_same_model(models[0], other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: samplers.LearnedUnigram(N_CLASSES),
        lambda: samplers.MultiIndex(N_CLASSES, n_codes=3, refresh_every=5),
        lambda: samplers.Mixed([samplers.MultiIndex(N_CLASSES, n_codes=3), samplers.LearnedUnigram(N_CLASSES)]),
    ],
    ids=["learned", "follows", "mixed"],
)
def test_a_sampler_that_is_given_stays_as_it_was(make):
    X, y = data(300)
    sampler = make()
    before = copy.deepcopy(sampler).probabilities()
    first = classifier(sampler=sampler).fit(X, y)
    assert_array_equal(sampler.probabilities(), before)
    assert (first._state.sampler.sampler.probabilities() != before).any()
    assert_same_model(first, classifier(sampler=sampler).fit(X, y))
    assert_same_model(first, first.fit(X, y))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_partial_fit_goes_on_with_what_was_learned(sampler):
    X, y = data(300)
    once = classifier(sampler=sampler, max_iter=3, schedule="constant", calibration_fraction=0).fit(X, y)
    parts = classifier(sampler=sampler).partial_fit(X, y, classes=np.unique(y))
    learned = parts._state.sampler.sampler
    parts.partial_fit(X, y).partial_fit(X, y)
    assert (parts._state.sampler.sampler is learned) == (
        sampler not in ("in_batch", "unigram")
    )  # those follow the counts
    assert_same_model(once, parts)


def test_partial_fit_with_another_sampler():
    X, y = data(300)
    model = classifier(sampler="learned_unigram").partial_fit(X, y, classes=np.unique(y))
    model.set_params(loss__sampler="uniform").partial_fit(X, y)
    assert isinstance(model._state.sampler.sampler, samplers.Uniform)
    model.set_params(loss__sampler=Foreign(N_CLASSES)).partial_fit(X, y)
    with pytest.raises(
        ValueError, match="loss must stay as it was in the first training, 'sampled_softmax', got 'nce'"
    ):
        model.set_params(loss="nce").partial_fit(X, y)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("loss", KINDS)
def test_save_load_and_partial_fit(loss, sampler, tmp_path):
    X, y = data(300)
    model = classifier(loss, sampler, max_iter=2).fit(X, y)
    model.save(tmp_path / "model")
    loaded = SoftmaxClassifier.load(tmp_path / "model")
    assert (loaded.loss_, loaded.loss.sampler, loaded.class_alpha_) == (loss, sampler, model.class_alpha_)
    assert_same_model(model, loaded)
    loaded.partial_fit(X, y)
    assert len(loaded.loss_curve_) == 3 and np.isfinite(loaded.loss_curve_[-1])


@pytest.mark.parametrize("sampler", [*SAMPLERS, samplers.MultiIndex(N_CLASSES)], ids=str)
def test_clone_and_pickle(sampler):
    X, y = data(300)
    model = classifier(sampler=sampler, class_alpha=0.01)
    assert clone(model).get_params().keys() == model.get_params().keys()
    assert clone(model).get_params()["optimizer__class_alpha"] == 0.01
    model.fit(X, y)
    assert_same_model(model, clone(model).fit(X, y))
    restored = pickle.loads(pickle.dumps(model))
    assert_same_model(model.partial_fit(X, y), restored.partial_fit(X, y))


# -- penalties and calibration by default --


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_low_rank_terms_are_calibrated(loss):
    X, y = data()
    model = classifier(loss).fit(X, y)
    assert model.calibration_.keys() == {"bias", "V"}
    assert model.alpha_ == 3e-5
    assert model.class_alpha_ == pytest.approx(2 * N_CLASSES / len(y))
    dense = classifier(loss, direct="dense", hidden_size=5).fit(X, y)
    assert (dense.calibration_, dense.alpha_, dense.class_alpha_) == ({}, 0.0, None)


@pytest.mark.parametrize(
    ("params", "alpha", "class_alpha"),
    [
        ({"alpha": 1e-3}, 1e-3, None),
        ({"alpha": 0.0}, 0.0, None),
        ({"class_alpha": None}, 3e-5, None),
        ({"class_alpha": 0.25}, 3e-5, 0.25),
        ({"alpha": 0.0, "class_alpha": 0}, 0.0, 0),
        ({"calibration_fraction": 0}, 0.0, None),
        ({"calibration_fraction": 0.0, "class_alpha": 0.25}, 0.0, 0.25),
    ],
)
def test_penalties_that_are_given(params, alpha, class_alpha):
    X, y = data()
    model = classifier(max_iter=1, **params).fit(X, y)
    assert (model.alpha_, model.class_alpha_) == (alpha, class_alpha)
    (learner,) = Fitting(model).training().trainer(X, HardTargets(y), np.ones(len(y))).learners
    assert (learner.rule.alpha, learner.rule.class_alpha) == (alpha, class_alpha)


def test_penalties_of_a_stream_do_not_depend_on_how_its_rows_are_cut():
    X, y = data()
    for n_rows in (100, len(y)):  # class_alpha would be 2 n_classes / n_rows
        model = classifier().partial_fit(X[:n_rows], y[:n_rows], classes=np.unique(y))
        assert (model.alpha_, model.class_alpha_) == (0.0, None)
    model = classifier(alpha=0.01, class_alpha=0.25).partial_fit(X, y, classes=np.unique(y))
    assert (model.alpha_, model.class_alpha_) == (0.01, 0.25)


def test_class_alpha_shrinks_class_weights():
    X, y = data(300)
    norms = [np.linalg.norm(classifier(alpha=0.0, class_alpha=a).fit(X, y).hidden_coef_) for a in (None, 0.1, 1.0)]
    assert norms[0] > norms[1] > norms[2]
    assert_same_model(classifier(alpha=0.0, class_alpha=None).fit(X, y), classifier(alpha=0.0, class_alpha=0).fit(X, y))


def test_too_few_rows_to_calibrate():
    X, y = data(300)
    model = classifier().fit(X, y)
    assert (model.calibration_, model.alpha_, model.class_alpha_) == ({}, 0.0, None)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"class_alpha": -0.5}, ValueError, "class_alpha must be at least 0, got -0.5"),
        ({"class_alpha": "much"}, TypeError, "class_alpha must be a real number, got 'much'"),
        ({"class_alpha": np.nan}, ValueError, "class_alpha must be finite, got nan"),
        ({"class_alpha": True}, TypeError, "class_alpha must be a real number, got True"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        classifier(direct="sparse", **params).fit(*data(300))
