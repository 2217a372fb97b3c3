"""SoftmaxClassifier(joint=True): steps of both terms on the loss of their sum, over all classes or over head and tail."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, logsumexp

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.model.model import Model, Pattern
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import Candidates
from fastsoftmax.samplers import InBatch, LogUniform
from fastsoftmax.training.joint import HeadAndTail, JointPart, JointRunner
from fastsoftmax.training.part import FullSoftmax

N_ROWS, N_FEATURES, N_CLASSES, HIDDEN = 30, 40, 150, 11
RULES = {
    "sgd": (SGD(0.3), SGD(0.2)),
    "sgd, alpha": (SGD(0.3, alpha=0.05), SGD(0.2)),
    "adagrad": (Adagrad(0.3), Adagrad(0.2, epsilon=1e-3)),
}
ROWS = np.array([25, 3, 29, 8, 0, 14, 21, 9, 10, 7, 2])  # row 0, 10, 25 are empty


def make_model(rule, *, density=0.1, dtype=np.float64, hidden_size=HIDDEN, n_classes=N_CLASSES):
    """A model in the midst of training: no array is zero."""
    rng = np.random.default_rng(1)
    pattern = sp.csc_array(rng.random((n_classes, N_FEATURES)) < density)
    model = Model.initialise(
        n_classes, N_FEATURES, hidden_size, "sparse", optimizer=rule, dense_input=False, rng=rng, dtype=dtype,
        pattern=Pattern.of(pattern),
    )  # fmt: skip
    for name, a in model.arrays().items():
        values = rng.standard_normal(a.shape) / 2
        a[...] = values**2 if name.startswith("state.") else values
    return model


def make_runner(sparse_X, rules, *, n_threads=2, memory=1 << 20, dtype=np.float64, **kwargs):
    model = make_model(rules[0], dtype=dtype, **kwargs)
    X = sparse_X(N_ROWS, N_FEATURES, dtype)
    X.sum_duplicates()
    return JointRunner(model, X, rules[1], n_threads=n_threads, working_memory=memory)


def targets(n_classes=N_CLASSES):
    return np.random.default_rng(2).integers(0, n_classes, len(ROWS))


def drawn(class_ids, log_expected_counts):
    """What `step` takes."""
    return {"candidates": Candidates(np.empty(0, np.int64), class_ids, log_expected_counts)}


def draws(n=60, n_classes=N_CLASSES):
    return LogUniform(n_classes).draw(n, np.random.default_rng(3))


def everything(n_classes=N_CLASSES):
    return np.arange(n_classes), np.zeros(n_classes)


def applied(rule, w, gradient, state):
    """w and its state after the rule's step."""
    gradient = gradient + rule.alpha * w
    if not rule.has_state:
        return w - rule.learning_rate * gradient, None
    by_row = state.ndim < w.ndim
    state = state + (np.mean(gradient**2, axis=1) if by_row else gradient**2)
    root = np.sqrt(state) + rule.epsilon
    return w - rule.learning_rate * gradient / (root[:, None] if by_row else root), state


def expected_step(runner, target, weight, rule, class_ids=None, log_expected_counts=None):
    """(loss, arrays after the step), with dense float64 arrays, of all classes or of head and tail."""
    model, n = runner.model, len(ROWS)
    a = {name: value.astype(np.float64) for name, value in model.arrays().items()}
    X = runner.X[ROWS].toarray().astype(np.float64)
    entries = sp.csr_array((np.ones(runner.X.nnz), runner.X.indices, runner.X.indptr), shape=runner.X.shape)
    entries = entries[ROWS].toarray()  # explicit zeros of X are entries too
    W, hidden = model.sparse_matrix(a["W"]).toarray(), X @ a["E"]
    logits = a["bias"] + X @ W.T + hidden @ a["V"].T
    head = np.ones(logits.shape, bool)
    log_weight = np.zeros(logits.shape)
    tail_classes = np.empty(0, np.int64)
    if class_ids is not None:
        pattern = model.sparse_matrix(np.ones(len(a["W"]))).toarray()
        head = entries @ pattern.T > 0
        head[np.arange(n), target] = True
        in_tail = np.zeros(logits.shape[1])
        np.add.at(in_tail, class_ids, np.exp(-log_expected_counts))
        with np.errstate(divide="ignore"):
            log_weight = np.where(head, 0.0, np.log(in_tail))
        tail_classes = np.unique(class_ids)
    z = logits + log_weight
    lse = logsumexp(z, axis=1)
    scale = weight / n
    dz = np.exp(z - lse[:, None]) * scale[:, None]
    dz[np.arange(n), target] -= scale
    loss = scale @ (lse - logits[np.arange(n), target])
    dhidden = dz @ a["V"]
    no_alpha = type(rule)(rule.learning_rate)
    head_classes = np.flatnonzero(head.any(axis=0))
    for part, ids in ((dz * ~head, tail_classes), (dz * head, head_classes)):
        for name, gradient, r in (("V", part.T @ hidden, rule), ("bias", part.sum(axis=0), no_alpha)):
            state = a.get(f"state.{name}")
            after, state_after = applied(r, a[name][ids], gradient[ids], None if state is None else state[ids])
            a[name][ids] = after
            if state is not None:
                state[ids] = state_after
    f = np.flatnonzero(entries.any(axis=0))
    a["E"][f], state_E = applied(rule, a["E"][f], X.T[f] @ dhidden, a["state.E"][f] if rule.has_state else None)
    features = np.repeat(np.arange(model.n_features), np.diff(model.pattern.indptr))
    dW = n * (X.T @ dz)[features, model.pattern.class_ids]
    a["W"], state_W = applied(runner.direct_optimizer, a["W"], dW, a.get("state.W"))
    if rule.has_state:
        a["state.E"][f], a["state.W"] = state_E, state_W
    return loss, a


def assert_arrays(model, expected, tolerance):
    for name, a in model.arrays().items():
        assert_allclose(a, expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 3e-5)])
@pytest.mark.parametrize("hidden_size", [1, 8, 11, 37])
def test_step_against_the_formula(isa, sparse_X, rules, sampled, dtype, tolerance, hidden_size):
    runner = make_runner(sparse_X, rules, dtype=dtype, hidden_size=hidden_size)
    target, weight = targets(), np.linspace(0.5, 2, len(ROWS))
    candidates, arguments = (drawn(*draws()), draws()) if sampled else ({}, ())
    expected_loss, expected = expected_step(runner, target, weight, rules[0], *arguments)
    loss = runner.step(ROWS, target, rules[0], weight=weight, **candidates)
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert_arrays(runner.model, expected, tolerance)


@pytest.mark.parametrize(
    ("density", "sample"), [(1.0, draws()), (0.1, everything()), (0.0, everything()), (1.0, everything())]
)
def test_head_and_tail_that_are_all_classes(isa, sparse_X, density, sample):
    """Touched or drawn for certain: nothing is estimated, and it is the full softmax."""
    rules, target = RULES["sgd"], targets()
    full, sampled = (make_runner(sparse_X, rules, density=density) for _ in range(2))
    rows = np.flatnonzero(np.diff(full.X.indptr))[: len(ROWS)]  # an empty one touches nothing
    losses = full.step(rows, target, rules[0]), sampled.step(rows, target, rules[0], **drawn(*sample))
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert_arrays(sampled.model, full.model.arrays(), 1e-12)


@pytest.mark.parametrize("sampled", [False, True])
def test_step_is_along_the_numerical_gradient(sparse_X, sampled):
    rules, target = (SGD(1.0), SGD(1.0)), targets()
    candidates = drawn(*draws()) if sampled else {}
    rng = np.random.default_rng(5)

    def loss_at(name, direction, h):
        runner = make_runner(sparse_X, rules)
        getattr(runner.model, name)[...] += h * direction
        return runner.step(ROWS, target, rules[0], **candidates)

    runner = make_runner(sparse_X, rules)
    before = {name: a.copy() for name, a in runner.model.parameters().items()}
    runner.step(ROWS, target, rules[0], **candidates)
    for name, a in runner.model.parameters().items():
        direction = rng.standard_normal(a.shape)
        numerical = (loss_at(name, direction, 1e-5) - loss_at(name, direction, -1e-5)) / 2e-5
        along = np.vdot(before[name] - a, direction) / (len(ROWS) if name == "W" else 1)
        assert along == pytest.approx(numerical, rel=1e-6), name


def test_the_partition_function_is_right_on_average(sparse_X):
    """Over many samples of the tail, the mean of Z is that of all classes."""
    rules, target = (SGD(1e-9), SGD(1e-9)), targets()
    runner = make_runner(sparse_X, rules)
    rng, row = np.random.default_rng(0), ROWS[:1]
    full = np.exp(runner.step(row, target[:1], rules[0]))  # Z / exp(target's logit)
    found = [
        np.exp(runner.step(row, target[:1], rules[0], **drawn(*LogUniform(N_CLASSES).draw(40, rng))))
        for _ in range(2000)
    ]
    assert np.std(found) > 0
    assert abs(np.mean(found) - full) < 4 * np.std(found) / np.sqrt(len(found))


def test_the_partition_function_is_right_on_average_with_the_batchs_targets(sparse_X):
    """The targets of 20 other rows, independent of the row, estimate the tail."""
    rules, row, rng = (SGD(1e-9), SGD(1e-9)), ROWS[:1], np.random.default_rng(0)
    counts = rng.integers(1, 20, N_CLASSES)
    loss, target = HeadAndTail(InBatch(counts), 60), targets()[:1]
    runner = make_runner(sparse_X, rules)
    full, found = np.exp(runner.step(row, target, rules[0])), []
    for _ in range(2000):
        others = rng.choice(N_CLASSES, size=20, p=counts / counts.sum())
        candidates = loss.candidates(np.concatenate([target, others]), rng)
        found.append(np.exp(runner.step(row, target, rules[0], **candidates)))
    assert np.std(found) > 0
    assert abs(np.mean(found) - full) < 4 * np.std(found) / np.sqrt(len(found))
    assert np.std(found) / np.sqrt(len(found)) < 0.01 * full


def test_a_batch_of_one_row_has_no_tail(sparse_X):
    """Its head is all there is: the same as where the tail's classes hardly count."""
    rules, row = RULES["adagrad"], ROWS[1:2]
    runner, expected = make_runner(sparse_X, rules), make_runner(sparse_X, rules)
    candidates = HeadAndTail(InBatch(np.ones(N_CLASSES), least=0), 60).candidates(
        targets()[1:2], np.random.default_rng(0)
    )
    assert not len(candidates["candidates"].class_ids)
    loss = runner.step(row, targets()[1:2], rules[0], **candidates)
    expected_loss = expected.step(row, targets()[1:2], rules[0], **drawn(np.arange(5), np.full(5, 60.0)))
    assert loss == pytest.approx(expected_loss, rel=1e-9) and loss > 0
    assert_allclose(runner.model.W, expected.model.W, rtol=1e-6)


@pytest.mark.parametrize("sampled", [False, True])
def test_no_threads_and_nothing_kept_change_no_bit(sparse_X, monkeypatch, sampled):
    monkeypatch.setattr(tiles, "MIN_PARTS", tiles.MAX_PARTS)  # sums of parts are the same for any memory
    rules, found = RULES["adagrad"], []
    for n_threads, memory in ((1, 1 << 20), (2, 1 << 20), (3, 1 << 20), (2, 0)):
        runner = make_runner(sparse_X, rules, n_threads=n_threads, memory=memory, n_classes=700)
        candidates = drawn(*draws(400, 700)) if sampled else {}
        for _ in range(2):
            runner.step(ROWS, targets(700), rules[0], **candidates)
        found.append({name: a.copy() for name, a in runner.model.arrays().items()})
    for other in found[1:]:
        for name, a in found[0].items():
            assert_array_equal(a, other[name], err_msg=name)


def test_rounding_is_without_bias_and_not_of_the_sparse_term(sparse_X):
    rules, target = (SGD(1.0), SGD(1.0)), targets()

    def after(rounding):
        runner = make_runner(sparse_X, rules)
        runner.step(ROWS, target, rules[0], rounding=rounding)
        return runner.model.parameters()

    rng, exact = np.random.default_rng(6), after(None)
    rounded = [after(tiles.Rounding(0.05, tiles.draw_row_keys(rng, len(ROWS)))) for _ in range(300)]
    assert_allclose(rounded[0]["W"], exact["W"], rtol=1e-9)
    for name in ("V", "E", "bias"):
        found = np.array([parameters[name] for parameters in rounded])
        assert np.abs(found - exact[name]).max() > 1e-3
        deviation = (found.mean(axis=0) - exact[name]) / (found.std(axis=0) / np.sqrt(len(found)) + 1e-6)
        assert np.abs(deviation).max() < 6


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("name", ["V", "W", "bias"])
def test_a_loss_that_is_not_finite_changes_nothing(sparse_X, sampled, name):
    rules = RULES["adagrad"]
    runner = make_runner(sparse_X, rules, density=1.0)
    getattr(runner.model, name)[...] = np.nan
    before = runner.model.copy().arrays()
    with np.errstate(invalid="ignore"):
        assert np.isnan(runner.step(ROWS, targets(), rules[0], **(drawn(*draws()) if sampled else {})))
    for key, a in runner.model.arrays().items():
        assert_array_equal(a, before[key])


@pytest.mark.parametrize("loss", [FullSoftmax(), HeadAndTail(LogUniform(N_CLASSES), 60)], ids=["full", "sampled"])
def test_both_learning_rates_fall(sparse_X, loss):
    rules = SGD(0.3), SGD(0.2)
    runner, expected = make_runner(sparse_X, rules), make_runner(sparse_X, (SGD(0.15), SGD(0.1)))
    candidates = loss.candidates(targets(), np.random.default_rng(7))
    expected.step(ROWS, targets(), SGD(0.15), **candidates)
    part = JointPart(runner, loss, *rules)
    for rate in (0.25, 0.5):  # of the rates at the beginning
        runner.model = make_model(rules[0])
        part.step(ROWS, targets(), np.ones(len(ROWS)), np.random.default_rng(7), rate)
    assert_arrays(runner.model, expected.model.arrays(), 1e-12)


def test_the_tail_has_no_targets():
    target = np.array([3, 3, 5])
    candidates = HeadAndTail(LogUniform(20), 6).candidates(target, np.random.default_rng(0))["candidates"]
    class_ids, log_expected_counts = LogUniform(20).draw(6, np.random.default_rng(0))
    assert_array_equal(candidates.class_ids, np.unique(class_ids))
    weight = np.bincount(class_ids, np.exp(-log_expected_counts))
    assert_allclose(np.exp(candidates.offset), weight[weight > 0])


# -- through the classifier --


def make_data(n_samples=1500, seed=0):
    """25 classes with a few words of their own, and some that all have in common."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_samples) % 25)
    own = (2 * y[:, None] + rng.integers(0, 2, (n_samples, 2))) % 50
    columns = np.where(rng.random((n_samples, 5)) < 0.7, np.hstack([own, rng.integers(50, 60, (n_samples, 3))]), 55)
    X = sp.csr_array((np.full(columns.size, 0.45), columns.ravel(), np.arange(n_samples + 1) * 5), (n_samples, 60))
    X.sum_duplicates()
    return X, y


def classifier(loss="softmax", **params):
    defaults = {"direct": "sparse", "hidden_size": 4, "max_iter": 3, "batch_size": 64, "n_negatives": 12}
    return SoftmaxClassifier(loss=loss, joint=True, random_state=0, **defaults | params)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
def test_learns(loss, optimizer):
    X, y = make_data()
    model = classifier(loss, optimizer=optimizer).fit(X, y)
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]
    assert model.calibration_.keys() == {"bias", "W", "V"}
    assert np.abs(model.hidden_coef_).max() > 0 and np.abs(model.coef_.data).max() > 0
    X, y = make_data(seed=1)
    assert (model.predict(X) == y).mean() > 0.8
    logits = X @ model.coef_.toarray().T + (X @ model.embedding_) @ model.hidden_coef_.T + model.intercept_
    assert_allclose(model.predict_log_proba(X), log_softmax(logits, axis=1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_same_bits_for_any_number_of_threads(loss):
    models = [classifier(loss, n_threads=n).fit(*make_data()) for n in (1, 3)]
    for name, a in models[0]._model.arrays().items():
        assert_array_equal(a, models[1]._model.arrays()[name])


def test_the_terms_know_of_each_other():
    """Apart, each explains all; together, they share it."""
    X, y = make_data()
    norms = [
        np.linalg.norm(classifier(calibration_fraction=0).set_params(joint=joint).fit(X, y).coef_.data)
        for joint in (True, False)
    ]
    assert norms[0] != pytest.approx(norms[1], rel=1e-3)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_save_load_and_partial_fit(loss, tmp_path):
    X, y = make_data()
    model = classifier(loss, schedule="constant").partial_fit(X[:700], y[:700], classes=np.arange(25))
    model.save(tmp_path / "model")
    loaded = SoftmaxClassifier.load(tmp_path / "model")
    assert loaded.joint is True
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    n_pairs = model.coef_.nnz
    model.partial_fit(X[700:], y[700:])
    loaded.partial_fit(X[700:], y[700:])
    assert model.coef_.nnz == loaded.coef_.nnz > n_pairs
    assert model.loss_curve_[1] < model.loss_curve_[0] and loaded.loss_curve_[1] < loaded.loss_curve_[0]


def test_dense_input_is_the_same():
    X, y = make_data()
    sparse, dense = (classifier(dtype="float64").fit(x, y) for x in (X, X.toarray()))
    for name, a in sparse._model.arrays().items():
        assert_allclose(dense._model.arrays()[name], a, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"joint": "yes"}, "joint must be True or False"),
        ({"hidden_size": None}, "joint=True needs"),
        ({"hidden_size": "auto"}, "joint=True needs"),
        ({"direct": "dense"}, "joint=True needs"),
        ({"direct": "auto"}, "joint=True needs"),
        ({"direct": None}, "joint=True needs"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        classifier().set_params(**params).fit(*make_data(50))
