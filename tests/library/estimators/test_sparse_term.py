"""flat_classifier(direct="sparse"), alone and beside a low-rank term: what is trained, calibrated, predicted and saved."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

import fastsoftmax as fs
from fastsoftmax import optimizers
from fastsoftmax.model import support
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.pairs_runner import PairsRunner
from fastsoftmax.model.runner import Runner
from fastsoftmax.runtime import memory
from fastsoftmax.training import calibration, planning

N_FEATURES, N_CLASSES = 60, 25


def make_data(n_samples=1500, seed=0, dtype=np.float32):
    """Each class has a few words of its own, and all have some in common."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_samples) % N_CLASSES)
    own = (2 * y[:, None] + rng.integers(0, 2, (n_samples, 2))) % 50
    common = rng.integers(50, N_FEATURES, (n_samples, 3))
    columns = np.where(rng.random((n_samples, 5)) < 0.7, np.hstack([own, common]), rng.integers(0, 60, (n_samples, 5)))
    X = sp.csr_array(
        (np.ones(columns.size, dtype), columns.ravel(), np.arange(n_samples + 1) * 5), shape=(n_samples, 60)
    )
    X.sum_duplicates()
    return sp.csr_array(X / np.sqrt(5).astype(dtype)), y


def small(**params):
    defaults = {"direct": "sparse", "hidden_size": None, "max_iter": 3, "random_state": 0, "batch_size": 64}
    return flat_classifier(**defaults | params)


def hybrid(**params):
    return small(**{"hidden_size": 4, "loss": "softmax", **params})


@pytest.fixture(scope="module")
def data():
    return make_data()


def dense_logits(model, X):
    logits = X @ model.coef_.toarray().T + model.intercept_
    return logits if model.hidden_size_ is None else logits + (X @ model.embedding_) @ model.hidden_coef_.T


@pytest.mark.parametrize("make", [small, hybrid], ids=["alone", "hybrid"])
@pytest.mark.parametrize("dense_input", [False, True])
def test_predictions_are_those_of_the_dense_formula(make, dense_input, data, isa):
    X, y = data
    model = make(dtype="float64").fit(X, y)
    x = X[:50].toarray() if dense_input else X[:50]
    expected = log_softmax(dense_logits(model, X[:50].astype(np.float64)), axis=1)
    assert_allclose(model.predict_log_proba(x), expected, rtol=1e-9, atol=1e-12)
    assert_allclose(model.target_log_proba(x, y[:50]), expected[np.arange(50), y[:50]], rtol=1e-9)
    labels, log_proba = model.predict_topk(x, 4)
    assert_allclose(log_proba, np.sort(expected, axis=1)[:, :-5:-1], rtol=1e-9)
    assert_allclose(np.take_along_axis(expected, labels, 1), log_proba, rtol=1e-9)
    assert (model.predict(X) == y).mean() > 0.7


@pytest.mark.parametrize("dense_input", [False, True])
def test_low_rank_term_of_the_first_columns(dense_input, data, tmp_path):
    X, y = (data[0].toarray() if dense_input else data[0]), data[1]
    model = hybrid(n_hidden_features=50, dtype="float64").fit(X, y)
    assert model.embedding_.shape == (50, 4) and model.calibration_
    logits = data[0] @ model.coef_.toarray().T + model.intercept_
    logits += (data[0][:, :50] @ model.embedding_) @ model.hidden_coef_.T
    assert_allclose(model.predict_log_proba(X), log_softmax(logits, axis=1), rtol=1e-9, atol=1e-12)
    model.save(tmp_path / "model")
    assert_array_equal(fs.load(tmp_path / "model").predict(X), model.predict(X))
    model = hybrid(n_hidden_features=50, calibration_fraction=0).fit(X, y)
    alone = hybrid(direct=None, calibration_fraction=0).fit(X[:, :50], y)
    assert_array_equal(alone.embedding_, model.embedding_)  # it learns as if it were alone


@pytest.mark.parametrize("make", [small, hybrid], ids=["alone", "hybrid"])
def test_same_bits_for_any_number_of_threads(make, data):
    models = [make(n_threads=n).fit(*data) for n in (1, 2, 3)]
    for other in models[1:]:
        for name, a in models[0]._model.arrays().items():
            assert_array_equal(a, other._model.arrays()[name])
        assert models[0].calibration_ == other.calibration_


def test_only_pairs_seen_together_have_weights(data):
    X, y = data
    model = small(calibration_fraction=0).fit(X, y)
    assert_array_equal(model.coef_.toarray() != 0, fs.support(X, y).toarray() > 0)
    pruned = small(calibration_fraction=0, min_count=3, max_classes_per_feature=10).fit(X, y)
    counts = fs.support(X, y, min_count=3, max_classes_per_feature=10)
    assert 0 < pruned.coef_.nnz == counts.nnz < model.coef_.nnz


@pytest.mark.parametrize("rule", [optimizers.SGD().rule(0.3), optimizers.Adagrad().rule(0.5)], ids=["sgd", "adagrad"])
def test_step_descends_the_sum_of_the_losses(rule, data):
    """The step is compared with the gradient of linear_cross_entropy and the rule written out."""
    X, y = data[0][:40].astype(np.float64), data[1][:40].astype(np.int64)
    rng = np.random.default_rng(1)
    W = sp.csc_array(fs.support(X, y, n_classes=N_CLASSES), dtype=np.float64)
    W.data[:] = rng.standard_normal(W.nnz)
    bias, state = rng.standard_normal(N_CLASSES), np.full(W.nnz, 0.7)
    weight = rng.random(40)
    loss, gradient = 0.0, np.zeros(W.nnz)
    for i in range(40):
        one, (_, dW, _) = fs.linear_cross_entropy(X[[i]], W, y[[i]], bias, return_grad=True)
        loss, gradient = loss + weight[i] * one, gradient + weight[i] * dW
    expected = W.data - rule.learning_rate * (
        gradient / (np.sqrt(state + gradient**2) + rule.epsilon) if rule.has_state else gradient
    )
    states = {"W": state.copy()} if rule.has_state else {}
    model = Model(W=W.data.copy(), bias=bias, state=states, pairs=Pairs.of(W))
    assert_allclose(PairsRunner(model, X, n_threads=2).step(np.arange(40), y, weight, rule), loss)
    assert_allclose(model.W, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("hidden_size", [None, 4])
def test_calibration_derivatives_are_numerical_ones(hidden_size, data):
    model = small(hidden_size=hidden_size, loss="softmax", dtype="float64", calibration_fraction=0).fit(*data)
    X, y, weight = data[0][:200].astype(np.float64), data[1][:200], np.linspace(0.1, 1, 200)
    runner = model._runner(X)
    assert type(runner) is (Runner if hidden_size else PairsRunner)
    factors = {"bias": 0.7, "prior": 0.2, "W": 1.2, "V": 0.4} if hidden_size else {"bias": 0.7, "W": 1.2}
    terms = {name: getattr(model._model, name) for name in factors}
    loss_of = calibration._low_rank_loss if hidden_size else calibration._pairs_loss

    def derivatives(values):
        return loss_of(runner, terms, values, y, weight, lambda n_rows: None)

    values = np.array([*factors.values()])
    _, gradient, *hessian = derivatives(values)
    for a, step in enumerate(1e-5 * np.eye(len(values))):
        above, below = derivatives(values + step), derivatives(values - step)
        assert gradient[a] == pytest.approx((above[0] - below[0]) / 2e-5, rel=1e-5, abs=1e-8)
        if hidden_size:
            assert_allclose(hessian[0][a], (above[1] - below[1]) / 2e-5, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("make", [small, hybrid], ids=["alone", "hybrid"])
def test_calibration_lowers_the_loss_of_rows_held_out(make, data):
    X, y = make_data(400, seed=1)
    before, after = make(calibration_fraction=0).fit(*data), make(calibration_fraction=0.1).fit(*data)
    assert before.calibration_ == {} and after.calibration_.keys() == (
        {"bias", "W"} if make is small else {"bias", "W", "V", "prior"}
    )
    assert after.target_log_proba(X, y).mean() > before.target_log_proba(X, y).mean()


def test_calibrate_by_hand(data):
    other, new = make_data(400, seed=1), make_data(400, seed=2)
    model = hybrid(calibration_fraction=0).fit(*data)
    before = model.target_log_proba(*new).mean()
    assert model.calibrate(*other) is model and set(model.calibration_) == {"bias", "W", "V", "prior"}
    assert model.target_log_proba(*new).mean() > before
    with pytest.raises(ValueError, match="calibrate needs a sparse direct or a low-rank term"):
        small(direct="dense").fit(*data).calibrate(*other)
    with pytest.raises(ValueError, match="X must have at least 30 rows to calibrate on, got 29"):
        model.calibrate(other[0][:29], other[1][:29])
    with pytest.raises(ValueError, match="X has 3 features"):
        model.calibrate(other[0][:, :3], other[1])
    with pytest.raises(ValueError, match=r"y holds .*99"):
        model.calibrate(other[0], np.full(400, 99))


def test_early_stopping_calibrates_on_its_rows(data):
    model = hybrid(early_stopping=True, max_iter=4).fit(*data)
    assert model.calibration_ and model.validation_curve_


def test_too_few_rows_are_not_calibrated():
    X, y = make_data(200)
    assert small().fit(X, y).calibration_ == {}


def test_partial_fit_takes_new_pairs_in(data):
    X, y = data
    halves = (X[:750], y[:750]), (X[750:], y[750:])
    model = small(calibration_fraction=0)
    for i, half in enumerate(halves):
        model.partial_fit(*half, classes=np.arange(N_CLASSES))
        seen = fs.support(X[: 750 * (i + 1)], y[: 750 * (i + 1)], n_classes=N_CLASSES)
        assert_array_equal(model.coef_.toarray() != 0, seen.toarray() > 0)
    assert (model.predict(X) == y).mean() > 0.7


def test_partial_fit_with_other_parameters(data):
    """Parameters that do not fit the arrays of the first call do not reach the kernels; a new optimiser's state is damped."""
    model = hybrid(n_hidden_features=5).fit(*data)
    for n_features in (None, 6):
        with pytest.raises(ValueError, match=r"LowRank\.n_features must stay as it was"):
            model.set_params(hidden_size__n_features=n_features).partial_fit(*data)
    model = small(optimizer="sgd").fit(*data)
    model.set_params(optimizer="adagrad").partial_fit(*data)
    assert model._model.state["W"].min() >= model._state.damping * (1 - 1e-6)
    fixed = small(direct_learning_rate=0).fit(*data)
    assert fixed.partial_fit(*data).loss_curve_ == []


@pytest.mark.parametrize("hidden_size", [None, 4])
def test_dense_terms_are_not_calibrated(hidden_size, data):
    with pytest.raises(ValueError, match="calibration_fraction must be 0 or 'auto' with direct='dense'"):
        flat_classifier(hidden_size=None, calibration_fraction=0.3).fit(*data)
    with pytest.raises(ValueError, match="calibrate needs a sparse direct or a low-rank term"):
        small(direct="dense", hidden_size=hidden_size).fit(*data).calibrate(*data)


def test_calibration_rows_without_weight(data):
    model = small().fit(*data, sample_weight=np.arange(1500) == 7)
    assert model.calibration_ == {} and np.isfinite(model.coef_.data).all()


def test_a_memory_map_is_calibrated(data, tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(small(calibration_fraction=0).fit(*data), tmp_path / "model")
    assert joblib.load(tmp_path / "model", mmap_mode="r").calibrate(*make_data(300, seed=1)).calibration_


def test_growing_keeps_weights_and_states():
    first, second = sp.csc_array([[1, 0], [0, 1], [0, 0]]), sp.csc_array([[0, 1], [0, 1], [1, 0]])
    model = Model(W=np.array([1.0, 2.0]), bias=np.zeros(3), state={"W": np.array([3.0, 4.0])}, pairs=Pairs.of(first))
    model.add_pairs(Pairs.of(second), 0.5)
    assert_array_equal(model.sparse_matrix().toarray(), [[1, 0], [0, 2], [0, 0]])
    assert_array_equal(model.sparse_matrix(model.state["W"]).toarray(), [[3, 0.5], [0, 4], [0.5, 0]])
    assert model.W.dtype == model.state["W"].dtype == np.float64


@pytest.mark.parametrize("make", [small, hybrid], ids=["alone", "hybrid"])
def test_saved_and_loaded(make, data, tmp_path):
    X, y = data
    model = make().fit(X, y)
    model.save(tmp_path / "model")
    other = fs.load(tmp_path / "model")
    assert_array_equal(model.predict_log_proba(X[:20]), other.predict_log_proba(X[:20]))
    assert other.calibration_ == model.calibration_ and other.alpha_ == model.alpha_
    model.partial_fit(X, y), other.partial_fit(X, y)
    assert (other.predict(X) == y).mean() > 0.7


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
def test_rows_of_another_length_learn_as_fast(optimizer, data):
    """The learning rate is chosen by the rows' length, so logits do not depend on the unit of X."""
    X, y = data
    models = [small(optimizer=optimizer, calibration_fraction=0, dtype="float64").fit(c * X, y) for c in (1.0, 8.0)]
    assert_allclose(models[0].predict_log_proba(X[:50]), models[1].predict_log_proba(8 * X[:50]), rtol=1e-6, atol=1e-9)


def test_repeated_entries_are_added_up(data):
    X, y = data
    halves = sp.csr_array((np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)
    models = [small(dtype="float64").fit(x, y) for x in (X, halves)]
    assert_allclose(models[0].predict_log_proba(X[:50]), models[1].predict_log_proba(halves[:50]), rtol=1e-9)
    assert halves.nnz == 2 * X.nnz


@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_rows_too_long_or_short(scale, data):
    with pytest.raises(ValueError, match="the rows of X have a mean squared length of"):
        small().fit(scale * data[0], data[1])


@pytest.mark.parametrize("dense_input", [False, True])
def test_memory_of_a_step_is_said_before(dense_input, data, monkeypatch):
    X = data[0].toarray() if dense_input else data[0]
    lengths = np.diff(fs.support(X, data[1]).indptr)
    pairs = np.full(1500, lengths.sum()) if dense_input else (X != 0) @ lengths
    expected = int(np.sort(pairs)[-64:].sum())
    monkeypatch.setattr(memory, "available", lambda: 12 * expected - 1)
    monkeypatch.setattr(support, "support_bytes", lambda *sizes: 0)  # which needs more of these few rows
    monkeypatch.setattr(planning, "memory_needed", lambda *args, **options: (0, ""))
    with pytest.raises(MemoryError, match=f"a training step needs .*{expected:,} pairs"):
        small(calibration_fraction=0).fit(X, data[1])


def test_unknown_features_and_empty_rows_have_the_bias(data):
    X, y = data
    model = small().fit(X, y)
    nothing = sp.csr_array((2, N_FEATURES), dtype=np.float32)
    assert_allclose(model.decision_function(nothing), np.tile(model.intercept_, (2, 1)))
    assert_array_equal(model.predict_topk(nothing, N_CLASSES)[0][0], np.argsort(-model.intercept_, kind="stable"))


def start_of(X, y, seed=3):
    W = sp.csc_array(fs.support(X, y, min_count=2))
    rng = np.random.default_rng(seed)
    W.data[:] = rng.standard_normal(W.nnz)
    return W, rng.standard_normal(W.shape[0]).astype(np.float32)


def test_given_weights_stay_where_the_learning_rate_is_zero(data):
    W, bias = start_of(*data)
    model = small(direct_learning_rate=0, calibration_fraction=0).fit(*data, coef_init=W, intercept_init=bias)
    assert_array_equal(model.coef_.toarray(), W.toarray())
    assert_array_equal(model.intercept_, bias)
    assert model.loss_curve_ == []
    assert small(direct_learning_rate=0).fit(*data, coef_init=W).calibration_ == {}
    calibrated = small(direct_learning_rate=0, calibration_fraction=0.1).fit(*data, coef_init=W, intercept_init=bias)
    assert_allclose(calibrated.coef_.toarray(), calibrated.calibration_["W"] * W.toarray(), rtol=1e-6)
    assert_allclose(calibrated.intercept_, calibrated.calibration_["bias"] * bias, rtol=1e-6)
    trained = small(calibration_fraction=0).fit(*data, coef_init=W)
    assert_array_equal(trained.coef_.indices, W.indices)
    assert (trained.coef_.data != W.data).mean() > 0.9


def test_given_weights_beside_a_low_rank_term(data, tmp_path):
    X, y = data
    W, bias = start_of(X, y)
    model = (
        hybrid(direct_learning_rate=0).fit(X, y, coef_init=W, intercept_init=bias).calibrate(*make_data(300, seed=5))
    )
    assert_allclose(model.coef_.toarray(), model.calibration_["W"] * W.toarray(), rtol=1e-6)
    assert_array_equal(model._model.prior, bias)
    model.save(tmp_path / "model")
    assert_array_equal(fs.load(tmp_path / "model")._model.prior, bias)


def test_given_weights_beside_a_low_rank_term_need_other_rows(data, tmp_path):
    """The rows that weights were counted on cannot calibrate them, so `fit` leaves that to the user, and says so in time."""
    X, y = data
    W, bias = start_of(X, y)
    model = hybrid(direct_learning_rate=0).fit(X, y, coef_init=W, intercept_init=bias)
    for use in (model.predict, model.predict_topk, lambda X: model.score(X, y), model.predictor):
        with pytest.warns(UserWarning, match=r"not calibrated.*call calibrate"):
            use(*([] if use == model.predictor else [X]))
    with pytest.warns(UserWarning, match="not calibrated"):
        model.save(tmp_path / "model")
    model = model.calibrate(*make_data(300, seed=5))  # from here on nothing warns
    model.predict(X)
    hybrid(direct_learning_rate=0, calibration_fraction=0).fit(X, y, coef_init=W, intercept_init=bias).predict(X)
    hybrid(direct_learning_rate=0).fit(X, y, coef_init=W, intercept_init=bias).fit(X, y).predict(X)
    small(direct_learning_rate=0).fit(X, y, coef_init=W, intercept_init=bias).predict(X)


@pytest.mark.parametrize(
    ("start", "params", "error", "message"),
    [
        ({"coef_init": np.zeros((25, 60))}, {}, TypeError, "coef_init must be a scipy.sparse matrix, got ndarray"),
        ({"coef_init": sp.csc_array((24, 60))}, {}, ValueError, r"coef_init must have shape \(25, 60\)"),
        ({"coef_init": sp.csc_array((25, 60))}, {"direct": "dense"}, ValueError, "needs direct='sparse'"),
        ({"intercept_init": np.zeros(25)}, {}, ValueError, "got intercept_init without coef_init"),
        (
            {"coef_init": sp.csc_array((25, 60)), "intercept_init": np.zeros(3)},
            {},
            ValueError,
            "intercept_init must have shape",
        ),
    ],
)
def test_bad_starts(start, params, error, message, data):
    with pytest.raises(error, match=message):
        small(**params).fit(*data, **start)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"min_count": 0}, "min_count must be at least 1, got 0"),
        ({"max_classes_per_feature": 0}, "max_classes_per_feature must be at least 1, got 0"),
        ({"direct_learning_rate": -1.0}, r"SparseTerm\.learning_rate must be at least 0"),
        ({"calibration_fraction": 0.9}, "calibration_fraction must be at most 0.5"),
        ({"n_hidden_features": 61, "hidden_size": 4}, r"LowRank\.n_features must be at most 60, got 61"),
        ({"n_hidden_features": 5, "hidden_size": 4, "direct": "dense"}, r"LowRank\.n_features needs direct='sparse'"),
        ({"calibration_fraction": 0.1, "direct": "dense"}, "calibration_fraction must be 0 or 'auto'"),
    ],
)
def test_bad_params(params, message, data):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(*data)
