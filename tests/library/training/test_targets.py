"""Several classes a row, with masses: training draws one at each visit, everything else takes the mean."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal

import fastsoftmax as fs
from fastsoftmax import metrics
from fastsoftmax.estimators.fitting import Fitting
from fastsoftmax.training import calibration
from fastsoftmax.training.targets import HardTargets, SoftTargets

N_CLASSES, N_FEATURES = 7, 20

TERMS = {
    "dense": {"direct": "dense"},
    "low rank": {"direct": None, "hidden_size": 4},
    "dense and low rank": {"direct": "dense", "hidden_size": 4},
    "sparse": {"direct": "sparse"},
    "sparse and low rank": {"direct": "sparse", "hidden_size": 4},
    "fewer columns": {"direct": "sparse", "hidden_size": 4, "n_hidden_features": 15},
}


def small(**params):
    defaults = {"random_state": 0, "n_threads": 1, "max_iter": 5, "dtype": "float64", "batch_size": 32}
    return flat_classifier(**defaults | params)


def make_data(n_rows=400, seed=0):
    """A row's features are those of its one to three classes."""
    rng = np.random.default_rng(seed)
    Y = np.zeros((n_rows, N_CLASSES))
    for row in Y:
        row[rng.choice(N_CLASSES, rng.integers(1, 4), replace=False)] = 1
    X = Y @ np.random.default_rng(9).standard_normal((N_CLASSES, N_FEATURES)) + 0.1 * rng.standard_normal(
        (n_rows, N_FEATURES)
    )
    X[np.abs(X) < 0.5] = 0
    return sp.csr_array(X), sp.csr_array(Y), rng


@pytest.fixture
def data():
    return make_data()[:2]


@pytest.fixture
def masses():
    Y, rng = make_data()[1:]
    Y.data = rng.random(Y.nnz) + 0.1
    return Y


# -- drawing --


def test_draws_have_the_frequencies_of_the_masses(masses):
    target, n = SoftTargets(_normalised(masses)), 20_000
    rows, rng = np.array([3, 399, 0, 3]), np.random.default_rng(0)
    drawn = np.array([target.take(rows, rng) for _ in range(n)])
    expected = _normalised(masses).toarray()[rows]
    for k in range(N_CLASSES):
        shares = (drawn == k).mean(axis=0)
        assert_allclose(shares, expected[:, k], atol=4 * np.sqrt(0.25 / n))
        assert (shares[expected[:, k] == 0] == 0).all()
    assert drawn.dtype == np.int64
    assert_array_equal(target[rows].masses.toarray(), expected)


def test_masses_of_one_class_are_as_hard_targets():
    codes, rng = np.resize(np.arange(N_CLASSES), 50), np.random.default_rng(0)
    hard, soft = HardTargets(codes), SoftTargets(sp.csr_array(np.eye(N_CLASSES)[codes]))
    rows = rng.permutation(50)
    assert_array_equal(hard.take(rows, None), soft.take(rows, rng))
    assert_array_equal(hard.counts(9), soft.counts(9))
    weight, class_weight = rng.random(50), rng.random(N_CLASSES)
    for a, b in zip(hard.pairs(weight), soft.pairs(weight), strict=True):
        assert_array_equal(a, b)
    factors = hard.weighted(class_weight)[1], soft.weighted(class_weight)[1]  # only ratios matter
    assert_allclose(factors[0] / factors[0].max(), factors[1] / factors[1].max())
    predicted = rng.integers(0, N_CLASSES, 50)
    assert_array_equal(hard.hits(predicted), soft.hits(predicted))


def test_weights_of_classes(masses):
    target = SoftTargets(_normalised(masses))
    class_weight = np.array([0.0, 1.0, 2.0, 0.5, 3.0, 1.0, 1.0])
    weighted, factors = target.weighted(class_weight)
    expected = target.masses.toarray() * (class_weight / 4)  # by a power of two, since only ratios matter
    assert_allclose(factors, expected.sum(axis=1))
    some = factors > 0
    assert_allclose(weighted.masses.toarray()[some] * factors[some, None], expected[some], atol=1e-15)
    assert not some.all()  # a row with nothing but class 0
    assert_allclose(weighted.masses.sum(axis=1), 1)


def _normalised(Y):
    return sp.csr_array(Y / Y.sum(axis=1)[:, None])


# -- training --


@pytest.mark.parametrize("make_X", [sp.csr_array, sp.csr_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "nce"])
@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_learns_the_classes_of_rows(data, terms, loss, make_X):
    X, Y = data
    params = {"loss": loss, "n_negatives": 3, "learning_rate": 0.3}
    if terms == TERMS["sparse"]:
        params = {}  # it has a loss and a rate of its own
    model = small(max_iter=40, **params, **terms).fit(make_X(X), Y)
    X_test, Y_test, _ = make_data(seed=1)
    assert_array_equal(model.classes_, np.arange(N_CLASSES))
    assert model.score(make_X(X_test), Y_test) > 0.85
    chance = np.log(N_CLASSES)
    assert -model.target_log_proba(make_X(X_test), Y_test).mean() < 0.8 * chance


def test_the_optimum_is_the_mean_over_targets():
    """Rows have no features, so the bias learns the share of each class in all masses, and rows count alike."""
    Y = np.tile([[4.0, 0.0, 1.0], [0.0, 0.5, 0.0]], (500, 1))
    model = small(direct="dense", learning_rate=0.1, max_iter=20, optimizer="sgd").fit(np.ones((1000, 1)), Y)
    assert_allclose(model.predict_proba(np.ones((1, 1)))[0], [0.4, 0.5, 0.1], atol=0.03)
    model = small(direct="dense", learning_rate=0.1, max_iter=20, optimizer="sgd")
    model.fit(np.ones((1000, 1)), Y, sample_weight=np.tile([3.0, 1.0], 500))
    assert_allclose(model.predict_proba(np.ones((1, 1)))[0], [0.6, 0.25, 0.15], atol=0.03)
    model.set_params(class_weight={0: 0.5, 2: 2.0}).fit(np.ones((1000, 1)), Y)
    assert_allclose(model.predict_proba(np.ones((1, 1)))[0], np.array([0.4, 1.0, 0.4]) / 1.8, atol=0.03)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_one_hot_masses_are_labels(terms):
    """The draws take random numbers, but no other class can come out; with one epoch the order of rows is the same too."""
    X, Y, _ = make_data()
    codes = Y.indices[Y.indptr[:-1]]
    one_hot = sp.csr_array(np.eye(N_CLASSES)[codes])
    params = terms | {
        "max_iter": 1,
        "batch_size": 400,
        "calibration_fraction": 0.0,
        "loss": "softmax",
        "gradient_threshold": 0,
    }
    a, b = small(**params).fit(X, codes), small(**params).fit(X, 3 * one_hot)
    for name, array in a._model.arrays().items():
        assert_array_equal(array, b._model.arrays()[name], err_msg=name)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_same_seed_same_model(data, n_threads):
    X, Y = data
    params = {"loss": "sampled_softmax", "n_negatives": 3, "direct": None, "hidden_size": 5}
    a, b = small(**params).fit(X, Y), small(n_threads=n_threads, **params).fit(X, Y.toarray())
    assert_array_equal(a.embedding_, b.embedding_)
    assert a.loss_curve_ == b.loss_curve_


# -- everything else takes the mean --


@pytest.mark.parametrize("make_X", [sp.csr_array, sp.csr_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_mean_log_probability(masses, terms, make_X):
    X = make_X(make_data()[0])
    model = small(**terms).fit(X, masses)
    expected = (_normalised(masses).toarray() * model.predict_log_proba(X)).sum(axis=1)
    assert_allclose(model.target_log_proba(X, masses), expected, rtol=1e-9)
    assert_allclose(model.target_log_proba(X, 5 * masses.toarray()), expected, rtol=1e-9)


@pytest.mark.parametrize("terms", [TERMS[name] for name in ("low rank", "sparse", "sparse and low rank")])
def test_calibration_is_that_of_all_pairs(masses, terms):
    X = make_data()[0]
    models = [small(calibration_fraction=0.0, **terms).fit(X, masses) for _ in range(2)]
    pairs, rows = _normalised(masses), np.repeat(np.arange(400), np.diff(masses.indptr))
    models[0].calibrate(X, masses)
    models[1].calibrate(X[rows], pairs.indices, sample_weight=pairs.data)
    assert models[0].calibration_.keys() == models[1].calibration_.keys()
    for name, factor in models[0].calibration_.items():
        assert factor == pytest.approx(models[1].calibration_[name], rel=0.02, abs=1e-4)
    losses = [-np.average(m.target_log_proba(X, masses)) for m in models]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert calibration.MIN_ROWS < 400


def test_validation_loss_is_the_mean(data):
    X, Y = data
    model = small(loss="softmax", direct=None, hidden_size=4, early_stopping=True, max_iter=4).fit(X, Y)
    assert model.validation_curve_[-1] < np.log(N_CLASSES)
    target = SoftTargets(_normalised(Y))
    weight = np.arange(1.0, 401.0)
    expected = -np.average(model.target_log_proba(X, Y), weights=weight)
    assert Fitting(model).training()._validation_loss(model._model, X, target, weight) == pytest.approx(expected)


def test_score_is_precision_at_one(data):
    X, Y = data
    model = small(direct="dense").fit(X, Y)
    expected = metrics.evaluate(model, X, Y, ks=(1,))
    assert model.score(X, Y) == pytest.approx(expected["precision@1"])
    assert -model.target_log_proba(X, Y).mean() == pytest.approx(expected["log_loss"])
    best = Y.toarray() * (1 + np.arange(N_CLASSES))
    found = best[np.arange(400), model.predict(X)] / best.max(axis=1)
    assert model.score(X, best, np.arange(400)) == pytest.approx(np.average(found, weights=np.arange(400)))
    assert 0 < model.score(X, best) < 1


def test_rows_without_targets_do_not_count(data):
    X, Y = data
    Y = Y.toarray()
    Y[::10] = 0
    some = Y.any(axis=1)
    a, b = small(direct="dense").fit(X, Y), small(direct="dense").fit(X[some], Y[some])
    assert_array_equal(a.coef_, b.coef_)
    assert np.isnan(a.target_log_proba(X, Y)[::10]).all()
    assert a.score(X, Y) == b.score(X[some], Y[some])
    a.partial_fit(X, Y), b.partial_fit(X[some], Y[some])
    assert_array_equal(a.coef_, b.coef_)
    with pytest.raises(ValueError, match="none counts"):
        small().fit(X, 0 * Y)


# -- classes --


def test_labels_of_columns(data):
    X, Y = data
    names = np.array(list("abcdefg"))
    model = small(direct="dense").partial_fit(X, Y, classes=names)
    assert_array_equal(model.classes_, names)
    model.partial_fit(X, names[Y.indices[Y.indptr[:-1]]]).partial_fit(X, Y)
    assert model.predict(X).dtype.kind == "U"
    assert model.score(X, Y) > 0.8
    for bad in (names[::-1], ["a", "a", "b", "c", "d", "e", "f"]):
        with pytest.raises(
            ValueError, match="classes must be distinct and in ascending order where y has a column for each"
        ):
            small().partial_fit(X, Y, classes=bad)
    with pytest.raises(ValueError, match="y has 6 columns, but there are 7 classes"):
        model.partial_fit(X, Y[:, :6])
    assert_array_equal(small(direct="dense").partial_fit(X, Y, n_classes=7).classes_, np.arange(7))


def test_a_class_without_rows(data):
    X, Y = data
    Y = sp.hstack([Y, sp.csr_array((400, 1))], format="csr")
    for loss in ("softmax", "sampled_softmax"):
        model = small(loss=loss, n_negatives=3, direct=None, hidden_size=3).fit(X, Y)
        assert len(model.classes_) == 8
        assert model.predict_proba(X)[:, 7].max() < 0.05


def test_support_of_several_classes(data):
    X, Y = data
    counts = fs.support(X, 2 * Y)
    assert_array_equal(counts.toarray(), Y.T.toarray() @ (X.toarray() != 0))
    assert_array_equal(fs.support(X.toarray(), Y, min_count=30).toarray() > 0, counts.toarray() >= 30)
    assert_array_equal(small(direct="sparse").fit(X, Y).coef_.toarray() != 0, counts.toarray() > 0)
    with pytest.raises(ValueError, match=r"y must have shape \(400, 6\), a column a class, got \(400, 7\)"):
        fs.support(X, Y, n_classes=6)


BAD = [
    (np.full((400, 3), -1.0), ValueError, "y must hold finite masses that are not negative, got -1.0 in row 0"),
    (sp.csr_array(np.full((400, 3), np.inf)), ValueError, "y must hold finite .*, got inf in row 0"),
    (
        np.full((400, 3), 2),
        ValueError,
        "y, of two dimensions and integers, must hold zeros and ones, got 2 in row 0, column 0",
    ),
    (np.eye(400, dtype=int) * 3, ValueError, "y, of two .* got 3 in row 0, column 0"),
    (np.full((400, 3), "a"), TypeError, "y, of two dimensions, must hold masses of classes, got an array of <U1"),
    (np.ones((399, 3)), ValueError, r"y has shape \(399, 3\), but X has 400 rows"),
    (
        sp.csr_array(np.ones((400, 1))),
        ValueError,
        r"y must have a column for each of at least two classes, .*\(400, 1\)",
    ),
    (sp.csr_array(np.ones((400, 3)) * 1j), TypeError, "y must hold real numbers"),
]


@pytest.mark.parametrize(("y", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_masses(data, y, error, message):
    with pytest.raises(error, match=message):
        small().fit(data[0], y)
    model = small(direct="dense").fit(*data)
    with pytest.raises(error, match=message):
        model.score(data[0], y)
