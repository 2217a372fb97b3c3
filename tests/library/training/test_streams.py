"""Streams of rows: class counts that grow, and classes that are added to a model."""

import datetime
import mmap

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import fastsoftmax as fs
from fastsoftmax import samplers
from fastsoftmax.losses import SampledSoftmax
from fastsoftmax.training.initial import log_frequencies

N_CLASSES = 12
KINDS = {
    "dense, CSR": {"direct": "dense"},
    "dense, dense X": {"direct": "dense", "dense_X": True},
    "low rank": {"direct": None, "hidden_size": 4},
    "dense and low rank": {"direct": "dense", "hidden_size": 4},
    "sparse": {"direct": "sparse"},
    "sparse and low rank": {"direct": "sparse", "hidden_size": 4},
}


def small(**params):
    defaults = {"random_state": 0, "n_threads": 1, "max_iter": 5, "batch_size": 16, "n_negatives": 4}
    return flat_classifier(**defaults | params)


def make_data(n_rows=600, n_classes=N_CLASSES, seed=0):
    """Each class has a feature of its own, beside noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n_rows)
    y[:n_classes] = np.arange(n_classes)
    noise = sp.random_array((n_rows, 10), density=0.3, rng=rng)
    return sp.csr_array(sp.hstack([sp.eye_array(N_CLASSES, format="csr")[y], noise])), y


# -- the classes there will be --


def test_n_classes():
    X, y = make_data()
    a = small().partial_fit(X, y, n_classes=N_CLASSES + 2)
    b = small().partial_fit(X, y, classes=np.arange(N_CLASSES + 2))
    assert_array_equal(a.classes_, b.classes_)
    assert a.classes_.dtype.kind == "i"
    assert_array_equal(a.coef_, b.coef_)
    assert_array_equal(small().partial_fit(X, y.astype(float), n_classes=14).predict(X), a.predict(X))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, ValueError, "classes must be given in the first call of partial_fit, or n_classes"),
        ({"n_classes": 11}, ValueError, "y holds 11 at position 11, which is not among the 11 classes"),
        ({"n_classes": 1}, ValueError, "n_classes must be at least 2, got 1"),
        ({"n_classes": 12.0}, TypeError, "n_classes must be an integer, got 12.0"),
        ({"n_classes": 12, "classes": np.arange(12)}, ValueError, "classes and n_classes=12 exclude each other"),
        ({"n_classes": 12, "class_counts": np.ones(11)}, ValueError, r"class_counts must have shape \(12,\)"),
        ({"n_classes": 12, "class_counts": -np.ones(12)}, ValueError, "class_counts must be finite and non-negative"),
    ],
)
def test_bad_first_calls(params, error, message):
    X, y = make_data()
    model = small()
    with pytest.raises(error, match=message):
        model.partial_fit(X, y, **params)
    assert not hasattr(model, "classes_")


def test_partial_fit_of_batches_without_all_classes(sparse_rows):
    """A label that the first call did not name is an error; one that a batch lacks is not, and the weights stay finite."""
    X, y = sparse_rows(90, 20, 9)
    order = np.argsort(y)  # each batch has three classes
    for params in ({"direct": "dense"}, {"direct": "sparse"}, {"direct": None, "hidden_size": 8}):
        model = flat_classifier(random_state=0, **params)
        for batch in np.split(order, 3):
            model.partial_fit(X[batch], y[batch], classes=np.arange(9)[::-1])
        assert_array_equal(model.classes_, np.arange(9))
        assert model.predict_proba(X).shape == (90, 9)
        with pytest.raises(ValueError, match=r"y holds .*9.* at position 1, which is not among the 9 classes"):
            model.partial_fit(X[:3], [0, 9, 1])


# -- counts --


def test_counts_add_up():
    X, y = make_data()
    model = small().partial_fit(X[:100], y[:100], n_classes=20)
    assert_array_equal(model._state.class_counts, np.bincount(y[:100], minlength=20))
    model.partial_fit(X[100:], y[100:])
    assert_array_equal(model._state.class_counts, np.bincount(y, minlength=20))
    masses = sp.csr_array(np.full((100, 20), 0.5))
    model.partial_fit(X[:100], masses)
    assert_allclose(model._state.class_counts, np.bincount(y, minlength=20) + 5)
    assert_allclose(small().fit(X, y)._state.class_counts, np.bincount(y))


@pytest.mark.parametrize("sampler", ["in_batch", "unigram"])
def test_samplers_follow_the_counts(sampler):
    X, y = make_data()
    order = np.argsort(y, kind="stable")  # as bad as it gets: the classes come one after the other
    X, y = X[order], y[order]
    model = small(loss="sampled_softmax", sampler=sampler, direct=None, hidden_size=4)
    for start in range(0, 600, 60):
        model.partial_fit(X[start : start + 60], y[start : start + 60], n_classes=N_CLASSES)
        seen = np.bincount(y[: start + 60], minlength=N_CLASSES)
        expected = samplers.InBatch(seen) if sampler == "in_batch" else samplers.Unigram(np.maximum(seen, 1))
        assert_allclose(model._state.sampler.sampler.probabilities(), expected.probabilities())


def test_samplers_are_made_anew_only_when_it_pays():
    n_classes = 6400  # 100 rows pay for them
    X, y = make_data(800)
    model = small(loss="sampled_softmax", direct=None, hidden_size=4).partial_fit(X[:400], y[:400], n_classes=n_classes)
    made = model._state.sampler.sampler
    assert model.partial_fit(X[:90], y[:90])._state.sampler.sampler is made
    assert model.partial_fit(X[:10], y[:10])._state.sampler.sampler is not made
    given = samplers.LearnedUnigram(n_classes)
    for sampler in ("learned_unigram", "multi_index", given):
        model.set_params(loss=SampledSoftmax(sampler)).partial_fit(X[:90], y[:90])
        made = model._state.sampler.sampler
        assert model.partial_fit(X, y)._state.sampler.sampler is made


def test_a_class_that_is_new_in_few_rows():
    X, y = make_data()
    model = small(loss="sampled_softmax", direct=None, hidden_size=4)
    model.partial_fit(X[y < 11], y[y < 11], n_classes=6400)  # so few rows would not pay for a sampler
    model.partial_fit(X[:20], y[:20])
    assert 11 in y[:20] and model._state.sampler.sampler.probabilities()[11] > 0


def test_known_counts():
    """The starting bias and the samplers know how frequent all classes are, before most of them come."""
    X, y = make_data()
    counts = 10.0 ** np.arange(N_CLASSES)
    params = {"loss": "sampled_softmax", "direct": None, "hidden_size": 4, "learning_rate": 1e-9}
    model = small(**params).partial_fit(X[:60], y[:60], n_classes=N_CLASSES, class_counts=counts)
    total = counts + np.bincount(y[:60], minlength=N_CLASSES)
    assert_allclose(model.intercept_, np.log(total / total.sum()), rtol=1e-5)
    assert_allclose(model._state.sampler.sampler.probabilities(), total / total.sum())


def test_a_stream_learns_what_all_rows_at_once_teach():
    """Counts of the first few rows alone would leave the correction of the sampled logits wrong for good."""
    rng = np.random.default_rng(0)
    n_classes, shares = 300, 1 / np.arange(1, 301)
    y = rng.choice(n_classes, 6000, p=shares / shares.sum())
    X = sp.csr_array(sp.random_array((6000, 5), density=0.5, rng=rng))
    losses = []
    for n_rows in (100, 6000):
        model = small(loss="sampled_softmax", direct=None, hidden_size=4, batch_size=50)
        for _ in range(3):
            for start in range(0, 6000, n_rows):
                rows = slice(start, start + n_rows)
                model.partial_fit(X[rows], y[rows], n_classes=n_classes)
        losses.append(-model.target_log_proba(X, y).mean())
    assert losses[0] < losses[1] + 0.1


def test_full_features_take_in_no_more_classes():
    X, y = make_data()
    model = small(direct="sparse", max_classes_per_feature=5)
    for start in range(0, 600, 3):
        model.partial_fit(X[start : start + 3], y[start : start + 3], n_classes=N_CLASSES)
    per_feature = np.diff(model.coef_.indptr)
    assert per_feature.max() <= 5 + 3  # those of one call more at most
    assert (per_feature[:N_CLASSES] == 1).all()
    assert model.score(X, y) > 0.9


def test_a_memory_map_in_parts(tmp_path):
    """X lies on disk, read-only: of a stream, only the rows of a call are read."""
    X, y = make_data()
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
    arrays = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")]
    mapped = sp.csr_array(tuple(arrays), shape=X.shape, copy=False)
    assert np.shares_memory(mapped.data, arrays[0])
    models = [small(direct="sparse"), small(direct="sparse")]
    for model, rows in zip(models, (X, mapped), strict=True):
        for start in range(0, 600, 100):
            model.partial_fit(rows[start : start + 100], y[start : start + 100], n_classes=N_CLASSES)
    assert_array_equal(models[0].coef_.toarray(), models[1].coef_.toarray())


# -- further classes --


def grown(params, labels=np.arange, seed=0):
    """A model of the classes 1, 3, 5, 7 that 0, 4 and 9 were added to, the one before, and the data."""
    params = dict(params)
    make_X = sp.csr_array.toarray if params.pop("dense_X", False) else sp.csr_array
    X, y = make_data(seed=seed)
    X, labels = make_X(X), labels(N_CLASSES)
    few = np.isin(y, [1, 3, 5, 7])
    before = small(loss="softmax", **params).fit(X[few], labels[y[few]])
    model = small(loss="softmax", **params).fit(X[few], labels[y[few]])
    assert model.add_classes(labels[[9, 4, 0, 4]]) is model
    return model, before, X, y, labels


OLD, ALL = [1, 2, 4, 5], [0, 1, 3, 4, 5, 7, 9]


@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_old_classes_keep_their_logits(params):
    model, before, X, _, _ = grown(params)
    assert_array_equal(model.classes_, ALL)
    logits = model.decision_function(X)
    assert_allclose(logits[:, OLD], before.decision_function(X), rtol=1e-5, atol=1e-5)
    new = np.setdiff1d(np.arange(7), OLD)
    assert_allclose(logits[:, new], np.broadcast_to(model.intercept_[new], (600, 3)), rtol=1e-6)
    assert np.ptp(model.intercept_[new]) == 0
    assert model.predict_proba(X)[:, new].max() < 0.35
    for name, a in model._model.arrays().items():
        b = before._model.arrays()[name]
        assert a.flags.f_contiguous == b.flags.f_contiguous and a.dtype == b.dtype, name
        if name.endswith("E") or (name.endswith("W") and model._model.pairs is not None):
            assert_array_equal(a, b)
        else:
            assert_array_equal(a[OLD], b)
            assert name == "bias" or not a[new].any()


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_added_classes_are_learned(params, loss):
    model, _, X, y, _ = grown(params)
    model.set_params(loss=loss).loss_ = loss
    rows = np.isin(y, ALL)
    assert model.score(X[rows], y[rows]) < 0.7
    with pytest.raises(ValueError, match="which is not among the 7 classes"):
        model.partial_fit(X, y)
    for _ in range(12):
        model.set_params(learning_rate=0.5).partial_fit(X[rows], y[rows])
    assert model.score(X[rows], y[rows]) > 0.9
    assert len(model._state.class_counts) == 7 and model._state.class_counts[0] == 12 * np.count_nonzero(y == 0)


def test_new_classes_begin_as_unseen_ones():
    """A class that was there from the beginning, but never seen, has the same bias, up to what training did to it."""
    X, y = make_data()
    params = {"loss": "softmax", "direct": "dense", "learning_rate": 1e-9}
    model = small(**params).partial_fit(X, y, n_classes=N_CLASSES).add_classes([12])
    expected = log_frequencies(np.append(np.bincount(y), 0))
    assert model.intercept_[12] == pytest.approx(expected[12], rel=1e-3)
    sparse = small(direct="sparse").partial_fit(X, y, n_classes=N_CLASSES).add_classes([12])
    assert sparse.intercept_[12] == pytest.approx(0.5 * expected[12], rel=1e-3)


@pytest.mark.parametrize("params", [KINDS["low rank"], KINDS["sparse"], KINDS["sparse and low rank"]], ids=str)
def test_new_classes_of_a_calibrated_model(params):
    X, y = make_data(1500)
    model = small(**params).fit(X, y)
    factors = [model.calibration_["bias"], model.calibrate(X[:200], y[:200]).calibration_["bias"]]
    least = model.intercept_.min()
    model.add_classes([12])
    assert -12 < model.intercept_[12] < least  # unseen: rarer than any other
    assert model.predict_proba(X)[:, 12].max() < 0.2
    if params["direct"] == "sparse" and "hidden_size" not in params:  # by the same factors, all of them
        expected = 0.5 * factors[0] * factors[1] * np.log(1 / (1 + model._state.class_counts.sum()))
        assert model.intercept_[12] == pytest.approx(expected, rel=1e-3)


LABELS = {
    "strings": lambda n: np.array([f"{'x' * k} {k}" for k in range(n)]),
    "tuples": lambda n: np.fromiter(((k, "a") for k in range(n)), object, n),
    "dates": lambda n: np.fromiter((datetime.date(2000 + k, 1, 1) for k in range(n)), object, n),
    "int8": lambda n: np.arange(n, dtype=np.int8),
    "datetime64": lambda n: np.arange(n).astype("M8[D]"),
    "floats": lambda n: np.arange(n) * 1.0,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_any_kind_are_added(labels):
    model, _, X, y, labels = grown(KINDS["dense, CSR"], labels)
    assert sorted(model.classes_.tolist()) == model.classes_.tolist()
    assert set(model.classes_.tolist()) == set(labels[ALL].tolist())
    assert model.classes_.dtype.kind == labels.dtype.kind
    rows = np.isin(y, [1, 3, 5, 7])
    assert model.score(X[rows], labels[y[rows]]) > 0.9


def test_unsorted_labels_are_added_at_the_end():
    X, y = make_data(n_classes=3)
    labels = np.fromiter([("b",), "a", 2], object, 3)
    model = small().fit(X, labels[y])
    assert model.add_classes([("a",), 1]).classes_.tolist() == [*labels.tolist(), ("a",), 1]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([], ValueError, "labels must hold at least one new class, got none"),
        ([20, 3], ValueError, "labels holds 3 at position 1, which is a class already"),
        (["a"], TypeError, r"labels holds strings \(<U1\), but the classes are integers"),
        ([2**63 + 5], TypeError, "labels of uint64 and classes of int64 have no common type"),
        ([1.5], ValueError, "Unknown label type: labels must hold class labels, got 1.5"),
        ([[20, 21], [22, 23]], ValueError, r"labels must be 1-D"),
    ],
)
def test_classes_that_cannot_be_added(labels, error, message):
    model = small().fit(*make_data())
    before = model.coef_.copy()
    with pytest.raises(error, match=message):
        model.add_classes(labels)
    assert_array_equal(model.coef_, before)
    with pytest.raises(NotFittedError):
        small().add_classes([1])


def test_classes_whose_weights_do_not_fit_into_memory(monkeypatch):
    model = small().fit(*make_data())
    monkeypatch.setattr("fastsoftmax.runtime.memory.available", lambda: 1000)
    with pytest.raises(MemoryError, match=r"the model with its new classes needs .* 12 classes, now 13"):
        model.add_classes([99])
    assert len(model.classes_) == len(model.coef_) == N_CLASSES


def test_added_classes_lie_in_files(tmp_path):
    X, y = make_data()
    model = small(direct="dense", weights_dir=tmp_path).partial_fit(X, y, n_classes=20_000)
    model.add_classes([20_000])
    assert not model.coef_.flags.owndata and isinstance(base_of(model.coef_).obj, mmap.mmap)
    assert_array_equal(model.partial_fit(X, y).classes_, np.arange(20_001))


def base_of(a):
    while isinstance(a, np.ndarray):
        a = a.base
    return a


def test_a_sampler_object_of_the_old_size():
    model = small(loss="sampled_softmax", sampler=samplers.Uniform(N_CLASSES), n_negatives=4).fit(*make_data())
    model.add_classes([99])
    with pytest.raises(ValueError, match="sampler"):
        model.partial_fit(*make_data())
    model.set_params(loss__sampler=samplers.Uniform(N_CLASSES + 1)).partial_fit(*make_data())


def test_saved_and_loaded(tmp_path):
    model, _, X, y, _ = grown(KINDS["sparse and low rank"])
    model.save(tmp_path / "model")
    other = fs.load(tmp_path / "model")
    assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    rows = np.isin(y, ALL)
    assert np.isfinite(other.partial_fit(X[rows], y[rows]).loss_curve_[-1])


@pytest.mark.parametrize("sampler", ["in_batch", "unigram", "learned_unigram"])
def test_a_loaded_stream_goes_on_to_the_bit(tmp_path, sampler):
    X, y = make_data(800)
    model = small(loss="sampled_softmax", direct=None, hidden_size=4, sampler=sampler)
    model.partial_fit(X[:500], y[:500], n_classes=6400)
    for start in range(500, 800, 30):  # the sampler is made anew for one of them
        model.save(tmp_path / "model")
        loaded = fs.load(tmp_path / "model")
        for each in (model, loaded):
            each.partial_fit(X[start : start + 30], y[start : start + 30])
        assert_array_equal(loaded.hidden_coef_, model.hidden_coef_)
        assert_array_equal(loaded.embedding_, model.embedding_)
