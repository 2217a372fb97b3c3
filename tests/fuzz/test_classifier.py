"""SoftmaxClassifier in all its terms, losses, samplers and optimisers: every way to the same number gives that number."""

import itertools
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from fuzz import strategies as s
from fuzz.campaign import examples
from fuzz.tolerances import assert_within
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastsoftmax as fs
from fastsoftmax import losses, optimizers, terms

SAMPLERS = ["in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"]
STORAGES = ["bfloat16", "float16", "int8"]
KINDS_OF_LABELS = {
    "int": np.asarray,
    "wide int": lambda codes: codes * 10**12 - 7,
    "unsigned": lambda codes: codes.astype(np.uint16),
    "str": lambda codes: np.char.add("label ", np.char.zfill(codes.astype(str), 5)),
    "bytes": lambda codes: np.char.zfill(codes.astype("S5"), 5),
    "object": lambda codes: np.array([f"ü{code:05}" for code in codes.tolist()], object),
    "date": lambda codes: codes.astype("datetime64[D]"),
    "float": lambda codes: codes * 1.0,
}


# Some of the options have no effect beside others, or the classes are in no order, and warnings say so.
pytestmark = pytest.mark.filterwarnings("ignore")


@st.composite
def any_loss(draw, has_hidden):
    name = draw(st.sampled_from(sorted(losses.LOSSES)))
    labels = draw(st.sampled_from(["auto", *losses.LABELS]))
    if name == "softmax":
        return losses.Softmax(gradient_threshold=draw(st.sampled_from([0.0, "auto"])), labels=labels)
    if name == "decoupled_softmax":
        return losses.DecoupledSoftmax()
    if name == "one_vs_all":
        return losses.OneVsAll(draw(st.sampled_from(["logistic", "squared_hinge"])))
    sampler = draw(st.sampled_from(SAMPLERS if has_hidden else SAMPLERS[:-1]))  # the last one draws by the hidden layer
    return losses.LOSSES[name](sampler, n_negatives="auto" if sampler == "in_batch" else draw(st.sampled_from([1, 2])))


@st.composite
def classifiers(draw):
    sparse = terms.SparseTerm(
        learning_rate=draw(st.sampled_from(["auto", 0.5])),
        min_count=draw(st.integers(1, 2)),
        max_classes_per_feature=draw(st.sampled_from([None, 1, 3, 1000])),
    )
    size = draw(st.sampled_from([1, 3, 8]))
    direct, hidden = draw(
        st.sampled_from([("dense", None), (sparse, None), (None, size), ("dense", size), (sparse, size)])
    )
    optimizer = draw(st.sampled_from([optimizers.SGD, optimizers.Adagrad]))
    optimizer = optimizer(
        alpha="auto" if hidden is None and direct is sparse else draw(st.sampled_from(["auto", 1e-3])),
        l1_alpha=0.0 if direct is None else draw(st.sampled_from([0.0, 1e-3])),
        clip_norm=draw(st.sampled_from([None, 0.5])),
    )
    may_diverge = hidden is not None and isinstance(optimizer, optimizers.SGD)  # with 0.1, on batches of one row
    return fs.SoftmaxClassifier(
        loss="softmax" if hidden is None and direct is sparse else draw(any_loss(hidden is not None)),
        direct=direct,
        hidden_size=hidden,
        optimizer=optimizer,
        learning_rate=0.01 if may_diverge else "auto",
        batch_size=draw(st.sampled_from([1, 7, 64])),
        max_iter=draw(st.integers(1, 2)),
        average=draw(st.booleans()),
        early_stopping=draw(st.booleans()),
        schedule=draw(st.sampled_from(["auto", "constant", "cosine"])),
        dtype=draw(st.sampled_from(["float32", "float64"])),
        random_state=draw(st.integers(0, 99)),
        working_memory=draw(st.sampled_from([0, 2**26])),
        class_weight=draw(st.sampled_from([None, "balanced"])),
    )


@st.composite
def problems(draw):
    """A classifier with training rows, labels, weights, and new rows."""
    n, d, k = (
        draw(st.sampled_from([12, 40, 150])),
        draw(st.sampled_from([1, 2, 9, 20])),
        draw(st.sampled_from([3, 5, 17])),
    )
    rng = draw(s.rngs)
    n_new = draw(st.sampled_from([1, 2, 4, 5, 9, 33]))  # batches of few rows have kernels of their own
    X, X_new = (draw(s.rows((m, d), np.float32)) for m in (n + k, n_new))
    y = s.labels(rng, n + k, min(k, (n + k) // 2))
    y[: y.max() + 1] = np.arange(y.max() + 1)
    weight = draw(st.sampled_from([None, rng.random(n + k) + 0.1]))
    return SimpleNamespace(model=draw(classifiers()), X=X, y=y, weight=weight, X_new=X_new)


def as_csr(X):
    """CSR rows in the machine's byte order, since SciPy has no other."""
    X = s.dense(X)
    return sp.csr_array(X.astype(X.dtype.newbyteorder("=")))


def for_streams(model):
    """With class weights that `partial_fit` takes."""
    return model if model.class_weight is None else model.set_params(class_weight={0: 2.0})


def logits_of(model, X):
    """In float64, from the public attributes, and a bound for the rounding errors of the model's own."""
    X = s.dense(X.astype(np.float64))  # duplicate entries are added up in float64
    parts = [np.broadcast_to(model.intercept_.astype(np.float64), (len(X), len(model.classes_)))]
    sizes = [np.abs(parts[0])]
    if model.direct_ is not None:
        W = s.dense(model.coef_).astype(np.float64)
        parts.append(X @ W.T)
        sizes.append(np.abs(X) @ np.abs(W).T)
    if model.hidden_size_ is not None:
        E, V = model.embedding_.astype(np.float64), model.hidden_coef_.astype(np.float64)
        width = len(E)
        parts.append(X[:, :width] @ E @ V.T)
        sizes.append(np.abs(X[:, :width]) @ np.abs(E) @ np.abs(V).T)
    eps = np.finfo(model.intercept_.dtype).eps
    return sum(parts), 64 * eps * (1 + np.max(sum(sizes), initial=0)) * (1 + X.shape[1])


def assert_consistent(model, X):
    """All predictions are those of the logits."""
    z, allowed = logits_of(model, X)
    log_p = reference.log_softmax(z, axis=1)
    n, k = z.shape
    decision = model.decision_function(X)
    assert_within(decision, z if k != 2 else z[:, 1] - z[:, 0], 2 * allowed, "decision_function")
    assert_within(model.predict_log_proba(X), log_p, 2 * allowed, "predict_log_proba")
    assert_within(model.predict_proba(X), np.exp(log_p), 2 * allowed, "predict_proba")
    labels, of_labels = model.predict_topk(X, k)
    codes = np.searchsorted(model.classes_, labels)
    assert (np.sort(codes, axis=1) == np.arange(k)).all() and (np.diff(of_labels, axis=1) <= 0).all()
    assert_within(of_labels, np.take_along_axis(log_p, codes, axis=1), 2 * allowed, "predict_topk")
    assert_array_equal(model.predict(X), labels[:, 0])
    assert_array_equal(model.predict_topk(X, 1)[0], labels[:, :1])
    y = model.classes_[np.arange(n) % k]
    assert_within(model.target_log_proba(X, y), log_p[np.arange(n), np.arange(n) % k], 2 * allowed, "target_log_proba")
    assert model.score(X, y) == pytest.approx(np.mean(labels[:, 0] == y))


@examples(25)
@given(p=problems(), storage=st.sampled_from(STORAGES))
def test_predictions_of_models_in_all_their_lives(p, storage, tmp_path_factory):
    model = for_streams(p.model).fit(p.X, p.y, p.weight)
    assert np.isfinite(model.predict_proba(p.X_new)).all()
    assert_consistent(model, p.X_new)
    path = tmp_path_factory.mktemp("models") / "model"
    model.save(path)
    assert_consistent(fs.load(path, memory_map=True), p.X_new)
    assert_consistent(model.compressed(storage), p.X_new)
    model.partial_fit(p.X, p.y, sample_weight=p.weight)
    assert_consistent(model, p.X_new)
    before = model.decision_function(p.X_new)
    model.add_classes([-5, 1000])
    assert_consistent(model, p.X_new)
    assert_array_equal(model.decision_function(p.X_new)[:, 1:-1], before)
    if model.direct_ is not None:
        before = model.predict_proba(p.X_new)
        np.testing.assert_allclose(model.prune().predict_proba(p.X_new), before, atol=1e-4)
        assert_consistent(model, p.X_new)


def assert_same_model(one, other):
    for name in ("classes_", "intercept_", "coef_", "embedding_", "hidden_coef_"):
        a, b = (getattr(model, name, None) for model in (one, other))
        assert (a is None) == (b is None)
        if a is not None:
            assert_array_equal(s.dense(a), s.dense(b), err_msg=name)


@examples(25)
@given(p=problems(), storage=st.sampled_from(STORAGES))
def test_files_and_pickles_keep_every_bit(p, storage, tmp_path_factory):
    model, path = for_streams(p.model).fit(p.X, p.y, p.weight), tmp_path_factory.mktemp("models") / "model"
    model.save(path)
    loaded, pickled = fs.load(path), pickle.loads(pickle.dumps(model))
    for other in (loaded, pickled, fs.load(path, memory_map=True)):
        assert_same_model(other, model)
        assert_array_equal(other.predict_log_proba(p.X_new), model.predict_log_proba(p.X_new))
    small = model.compressed(storage)
    small.save(path)
    assert_array_equal(fs.load(path).predict_log_proba(p.X_new), small.predict_log_proba(p.X_new))
    model.partial_fit(p.X, p.y)
    assert_same_model(loaded.partial_fit(p.X, p.y), model)
    assert_same_model(pickled.partial_fit(p.X, p.y), model)


@examples(25)
@given(p=problems(), n_threads=s.threads, kind=st.sampled_from(sorted(KINDS_OF_LABELS)))
def test_neither_threads_nor_the_kind_of_labels_change_a_bit(p, n_threads, kind):
    base = p.model.set_params(n_threads=1).fit(p.X, p.y, p.weight)
    other = fs.SoftmaxClassifier(**p.model.get_params(deep=False) | {"n_threads": n_threads})
    other.fit(p.X, KINDS_OF_LABELS[kind](p.y), p.weight)
    assert_array_equal(other.classes_, np.unique(KINDS_OF_LABELS[kind](p.y)))
    assert_array_equal(other.intercept_, base.intercept_)
    assert_array_equal(other.predict_log_proba(p.X_new), base.predict_log_proba(p.X_new))


@examples(15)
@given(p=problems())
def test_csr_and_dense_rows_train_alike(p):
    model = p.model.set_params(
        dtype="float64", loss="softmax" if p.model.loss == "softmax" else losses.Softmax(gradient_threshold=0)
    )
    X = s.dense(p.X)
    by_dense = model.fit(X, p.y, p.weight).predict_proba(p.X_new)
    by_csr = model.fit(as_csr(X), p.y, p.weight).predict_proba(p.X_new)
    np.testing.assert_allclose(by_csr, by_dense, atol=1e-5)


@examples(15)
@given(p=problems(), n_parts=st.integers(1, 5))
def test_streams(p, n_parts):
    """Also parts that lack most classes, or hold a single row."""
    X, classes = as_csr(p.X), np.arange(p.y.max() + 3)
    model = for_streams(p.model)
    cuts = np.unique([0, 1, *np.linspace(1, len(p.y), n_parts + 1).astype(int)])
    for start, end in itertools.pairwise(cuts):
        weight = None if p.weight is None else p.weight[start:end]
        model.partial_fit(X[start:end], p.y[start:end], classes, weight)
        assert_consistent(model, p.X_new)
    assert model.n_iter_ == len(cuts) - 1


@examples(10)
@given(p=problems())
def test_calibration_on_a_weight_of_two_is_that_on_two_rows(p):
    model = p.model.fit(p.X, p.y)
    X, y = as_csr(p.X), p.y
    counts = np.random.default_rng(0).integers(1, 3, len(y))
    at = np.repeat(np.arange(len(y)), counts)
    if len(y) < 30 or model.direct_ == "dense":
        return
    other = pickle.loads(pickle.dumps(model)).calibrate(X[at], y[at])
    model.calibrate(X, y, counts)
    np.testing.assert_allclose(model.predict_proba(p.X_new), other.predict_proba(p.X_new), atol=1e-2)
