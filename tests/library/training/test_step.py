"""One step of every loss, model and optimiser against a float64 twin, and against numerical gradients."""

import numpy as np
import pytest
import reference
from covering import ISAS, covering
from flat_options import of_mean
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.losses import LOSSES
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import KINDS, Estimate
from fastsoftmax.samplers import InBatch, LogUniform, Mixed
from fastsoftmax.training.step_losses import FullLoss, SampledLoss

TERMS = {"direct": (True, None), "low rank": (False, 11), "both": (True, 11)}
MODELS = [("direct", False), *((terms, True) for terms in TERMS)]  # the first takes dense X
RULES = {
    "sgd": SGD().rule(0.3),
    "sgd, alpha": SGD(alpha=0.05).rule(0.3),
    "sgd, class_alpha": SGD(class_alpha=0.7).rule(0.3),
    "sgd, clip_norm": SGD(clip_norm=0.2).rule(0.3),
    "adagrad": Adagrad().rule(0.3),
    "adagrad, alpha": Adagrad(alpha=0.05, epsilon=1e-3).rule(0.3),
    "adagrad, both": Adagrad(alpha=0.05, class_alpha=0.7).rule(0.3),
}
DTYPES = [(np.float64, 1e-11), (np.float32, 5e-5)]
N_FEATURES = 40
WEIGHT = np.linspace(0, 2, 30)  # the first row has none


def random_model(n_classes, terms, rule, *, dense_input, dtype, n_features=N_FEATURES, order="C", spread=0.5):
    """A model in the midst of training: no array is zero."""
    rng = np.random.default_rng(1)
    has_direct, hidden_size = terms
    direct = "dense" if has_direct else None
    model = Model.initialise(
        n_classes, n_features, hidden_size, direct, optimizer=rule, dense_input=dense_input, rng=rng, dtype=dtype
    )
    for name, a in model.arrays().items():
        values = rng.standard_normal(a.shape) * spread
        a[...] = values**2 if name.startswith("state.") else values
    if model.V is not None:
        model.V = np.asarray(model.V, order=order)
    return model


def batch(is_sparse, sparse_X, dtype, n_classes, n_rows=30, rule=None):
    X, rng = sparse_X(n_rows, N_FEATURES, dtype), np.random.default_rng(2)
    if rule is not None and rule.clip_norm is not None:
        X.sum_duplicates()  # as SoftmaxClassifier does, since norms of rows are needed
    target = rng.integers(0, n_classes, n_rows)
    target[1:4] = target[0]  # several rows of a class
    return (X if is_sparse else X.toarray()), target


def sampler_of(name, n_classes):
    if name == "in_batch":
        return InBatch(np.arange(1, n_classes + 1))
    return Mixed([LogUniform(n_classes), InBatch(np.ones(n_classes))]) if name == "mixed" else LogUniform(n_classes)


def draws_for(loss, target, seed):
    """What the twin takes for the draws that `loss.estimate` makes with this seed."""
    if not isinstance(loss, SampledLoss):
        return {}
    drawn = loss.sampler.draw_for(loss.n_negatives, np.random.default_rng(seed), target)
    draws = dict(zip(("class_ids", "log_expected_counts", "target_log_expected_counts"), drawn, strict=True))
    if loss.name == "sampled_softmax":
        del draws["target_log_expected_counts"]  # the positive is certain
    return draws | {"loss": loss.name}


def twin_step(model, X, target, rule, loss, seed, **options):
    """(loss, arrays) of the twin; word2vec's loss is that of a model whose bias lacks log expected counts."""
    draws, arrays, log_expected = draws_for(loss, target, seed), model.arrays(), 0.0
    if draws.get("loss") == "negative_sampling":
        _, expected_counts = loss.sampler._propose(loss.n_negatives, np.random.default_rng(seed), target)
        log_expected = np.log(expected_counts(np.arange(model.n_classes)))
        arrays = arrays | {"bias": arrays["bias"] - log_expected}
    value, arrays = reference.model_step(arrays, X, target, rule, **draws, **options)
    return value, arrays | {"bias": arrays["bias"] + log_expected}


def assert_arrays(model, expected, tolerance):
    for name, a in model.arrays().items():
        assert_allclose(a, expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


@covering(
    {
        "isa": ISAS,
        "n_classes": [50, 901],
        "dtype, tolerance": DTYPES,
        "terms, is_sparse": MODELS,
        "loss_name": ["softmax", *KINDS],
        "rule": RULES,
    }
)
def test_step_against_the_twin(isa, sparse_X, terms, is_sparse, loss_name, rule, dtype, tolerance, n_classes):
    """There are two steps: the second sees what the first left in the parameters and in the optimiser's state."""
    rule = RULES[rule]
    model = random_model(n_classes, TERMS[terms], rule, dense_input=not is_sparse, dtype=dtype)
    X, target = batch(is_sparse, sparse_X, dtype, n_classes, rule=rule)
    loss = (
        FullLoss() if loss_name == "softmax" else SampledLoss(LogUniform(n_classes), 40, LOSSES[loss_name]().trains_as)
    )
    runner = Runner(model, X, n_threads=1, working_memory=4 * 30 * 128 * 3)  # some tiles are kept
    for rows in (np.arange(20), np.array([25, 3, 29, 8])):
        y, weight = target[rows], WEIGHT[rows]
        expected_loss, expected = twin_step(model, X[rows], y, rule, loss, 3, weight=weight)
        estimate = loss.estimate(y, np.random.default_rng(3))
        value = runner.step(rows, y, of_mean(len(rows), weight), rule, estimate)
        assert_allclose(value, expected_loss, rtol=tolerance)
        assert_arrays(model, expected, tolerance)


@covering(
    {
        "isa": ISAS,
        "terms, is_sparse": MODELS,
        "sampler": ["in_batch", "mixed"],
        "loss_name": ["sampled_softmax", "sampled_logistic"],
        "n_rows": [1, 2, 20],
    }
)
def test_negatives_from_the_batch(isa, sparse_X, terms, is_sparse, sampler, loss_name, n_rows):
    """A batch of one row may have no negatives at all."""
    rule, rows = RULES["adagrad, both"], np.arange(n_rows)
    model = random_model(300, TERMS[terms], rule, dense_input=not is_sparse, dtype=np.float64)
    X, target = batch(is_sparse, sparse_X, np.float64, 300)
    loss = SampledLoss(sampler_of(sampler, 300), 40, LOSSES[loss_name]().trains_as)
    expected_loss, expected = twin_step(model, X[rows], target[rows], rule, loss, 3)
    estimate = loss.estimate(target[rows], np.random.default_rng(3))
    value = Runner(model, X, n_threads=2).step(rows, target[rows], of_mean(n_rows), rule, estimate)
    assert_allclose(value, expected_loss, rtol=1e-11)
    assert_arrays(model, expected, 1e-11)


@covering(
    {
        "isa": ISAS,
        "n_classes": [300, 3001],
        "dtype, tolerance": [(np.float64, 1e-11), (np.float32, 5e-5)],
        "terms, is_sparse": [("direct", False), ("low rank", True)],
        "order": "CF",
        "rule": RULES,
    }
)
def test_rounded_step_against_the_twin(isa, sparse_X, terms, is_sparse, rule, order, dtype, tolerance, n_classes):
    """There are one tile and several, and few entries are left of each."""
    rule = RULES[rule]
    model = random_model(n_classes, TERMS[terms], rule, dense_input=not is_sparse, dtype=dtype, order=order, spread=2.5)
    X, target = batch(is_sparse, sparse_X, dtype, n_classes, rule=rule)
    target[5] = n_classes - 1  # in the last tile
    runner, rows, threshold = Runner(model, X, n_threads=2), np.arange(30), 0.02
    keys = tiles.draw_row_keys(np.random.default_rng(4), 30)
    options = {"threshold": threshold, "row_keys": keys, "weight": WEIGHT}
    expected_loss, expected = reference.model_step(model.arrays(), X, target, rule, **options)
    _, exact = reference.model_step(model.arrays(), X, target, rule, weight=WEIGHT)
    estimate = Estimate(rounding=tiles.Rounding(threshold, keys))
    value = runner.step(rows, target, of_mean(30, WEIGHT), rule, estimate)
    assert_allclose(value, expected_loss, rtol=tolerance)
    if dtype == np.float64:  # in float32 a draw beside its bar may fall to the other side
        assert_arrays(model, expected, tolerance)
    assert np.abs(exact["bias"] - model.bias).max() > 3e-5


@covering(
    {"isa": ISAS, "terms, is_sparse": MODELS, "loss_name": ["softmax", *KINDS], "threshold": [0, 0.02]}, strength=2
)
def test_same_bits_for_any_number_of_threads(isa, sparse_X, terms, is_sparse, loss_name, threshold):
    rule = RULES["adagrad, both"]
    X, target = batch(is_sparse, sparse_X, np.float32, 5003)
    loss = (
        FullLoss(threshold)
        if loss_name == "softmax"
        else SampledLoss(LogUniform(5003), 900, LOSSES[loss_name]().trains_as)
    )
    found = []
    for n_threads in (1, 2, 3):
        model = random_model(5003, TERMS[terms], rule, dense_input=not is_sparse, dtype=np.float32, spread=1.0)
        runner, rng = Runner(model, X, n_threads=n_threads), np.random.default_rng(3)
        losses = [
            runner.step(rows, target[rows], of_mean(20, WEIGHT[rows]), rule, loss.estimate(target[rows], rng))
            for rows in (np.arange(20), np.arange(10, 30))
        ]
        found.append((losses, model.copy().arrays()))
    for losses, arrays in found[1:]:
        assert losses == found[0][0]
        for name, a in arrays.items():
            assert_array_equal(a, found[0][1][name], err_msg=name)


@pytest.mark.parametrize("loss_name", ["softmax", "sampled_softmax", "nce", "sampled_logistic"])
@pytest.mark.parametrize(("terms", "is_sparse"), MODELS)
def test_step_is_along_the_numerical_gradient(sparse_X, terms, is_sparse, loss_name):
    """The gradient is that of mean loss + class_alpha / 2 sum_i scale_i ||V_y||^2."""
    rule, rows = SGD(class_alpha=0.7).rule(1.0), np.arange(30)
    X, target = batch(is_sparse, sparse_X, np.float64, 200)
    loss = FullLoss() if loss_name == "softmax" else SampledLoss(LogUniform(200), 40, LOSSES[loss_name]().trains_as)
    estimate = loss.estimate(target, np.random.default_rng(3))

    def moved(name=None, direction=0.0, h=0.0):
        """The model before a step, the one after it, and its penalised loss."""
        model = random_model(200, TERMS[terms], rule, dense_input=not is_sparse, dtype=np.float64)
        if name is not None:
            getattr(model, name)[...] += h * direction
        before = model.copy()
        value = Runner(model, X, n_threads=2).step(rows, target, of_mean(30, WEIGHT), rule, estimate)
        if model.V is not None:
            value += 0.7 / 2 * WEIGHT / 30 @ np.square(before.V[target]).sum(axis=1)
        return before, model, value

    rng, (before, after, _) = np.random.default_rng(5), moved()
    for name, a in before.parameters().items():
        direction = rng.standard_normal(a.shape)
        numerical = (moved(name, direction, 1e-5)[2] - moved(name, direction, -1e-5)[2]) / 2e-5
        along = np.vdot(a - getattr(after, name), direction)
        assert along == pytest.approx(numerical, rel=1e-6), name


@pytest.mark.parametrize("terms", TERMS)
def test_a_weight_counts_as_so_many_rows(sparse_X, terms):
    X, target = batch(True, sparse_X, np.float64, 50)
    rows, weight, rule = np.array([4, 7, 9]), np.array([1.0, 3.0, 0.0]), RULES["sgd, class_alpha"]
    repeated = np.array([4, 7, 7, 7])
    models, losses = [], []
    for these, weights in ((rows, weight * 3 / 4), (repeated, 1.0)):
        models.append(random_model(50, TERMS[terms], rule, dense_input=False, dtype=np.float64))
        runner = Runner(models[-1], X, n_threads=1)
        losses.append(runner.step(these, target[these], of_mean(len(these), weights), rule))
    assert_allclose(losses[0], losses[1], rtol=1e-12)
    for a, b in zip(models[0].arrays().values(), models[1].arrays().values(), strict=True):
        assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_step_on_more_features_than_a_cache_holds(isa, sparse_X):
    """The tiles of a direct term are packed and updated in several parts."""
    rule, X = RULES["adagrad, alpha"], sparse_X(200, 900, n_entries=30)
    target = np.random.default_rng(2).integers(0, 2000, 200)
    model = random_model(2000, TERMS["direct"], rule, dense_input=False, dtype=np.float64, n_features=900)
    expected_loss, expected = reference.model_step(model.arrays(), X, target, rule)
    value = Runner(model, X, n_threads=2).step(np.arange(200), target, of_mean(200), rule)
    assert_allclose(value, expected_loss, rtol=1e-11)
    assert_arrays(model, expected, 1e-11)


@pytest.mark.parametrize("loss_name", ["softmax", "nce"])
@pytest.mark.parametrize("working_memory", [0, 3 * 30 * 512 * 8, 1 << 28])
@pytest.mark.parametrize("terms", TERMS)
def test_the_same_step_with_any_working_memory(sparse_X, terms, working_memory, loss_name):
    X, target = batch(True, sparse_X, np.float64, 5003)
    loss = FullLoss() if loss_name == "softmax" else SampledLoss(LogUniform(5003), 3000, LOSSES[loss_name]().trains_as)
    models, rule = [], RULES["adagrad, both"]
    for memory in (1 << 28, working_memory):
        models.append(random_model(5003, TERMS[terms], rule, dense_input=False, dtype=np.float64))
        estimate = loss.estimate(target, np.random.default_rng(3))
        runner = Runner(models[-1], X, n_threads=2, working_memory=memory)
        runner.step(np.arange(30), target, of_mean(30), rule, estimate)
    for a, b in zip(models[0].arrays().values(), models[1].arrays().values(), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-14)
