"""SoftmaxClassifier as scikit-learn and its users see it: labels, predictions, choices, errors."""

import copy
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier, plain_params
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.runtime import memory
from fastsoftmax.training import planning
from fastsoftmax.training.options import Options
from fastsoftmax.training.trainer import Trainer

N_CLASSES = 12


@pytest.fixture
def data():
    y = np.resize(np.arange(N_CLASSES), 120)
    return sp.csr_array(sp.eye_array(N_CLASSES, format="csr")[y]), y


@pytest.fixture
def fitted(data):
    return flat_classifier(random_state=0, max_iter=5, n_threads=1).fit(*data)


def small(**params):
    return flat_classifier(**{"random_state": 0, "n_threads": 1, "max_iter": 8, "learning_rate": 0.5} | params)


# -- labels --

LABELS = {
    "strings": np.array([f"käse {k:03d}" * (1 + k % 3) for k in range(N_CLASSES)]),
    "objects": np.array([f"class {k:02d}" for k in range(N_CLASSES)], dtype=object),
    "integer objects": np.arange(N_CLASSES).astype(object),
    "negative": np.arange(N_CLASSES) - 7,
    "gaps": np.arange(N_CLASSES) * 10**15,
    "int8": np.arange(N_CLASSES, dtype=np.int8),
    "uint64": np.arange(N_CLASSES, dtype=np.uint64) + 2**63,
    "floats": np.arange(N_CLASSES) * 1.0,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("as_list", [False, True])
def test_labels(data, labels, as_list):
    X, codes = data
    y = labels[codes].tolist() if as_list else labels[codes]
    classifier = small().fit(X, y)
    assert_array_equal(classifier.classes_, labels)
    assert_array_equal(classifier.predict(X), labels[codes])
    assert_array_equal(classifier.predict_topk(X, 3)[0][:, 0], labels[codes])


def test_bool_labels_and_a_column(data):
    X, codes = data
    y = codes % 2 == 0
    assert small().fit(X, y).predict(X).dtype == bool
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        assert_array_equal(small().fit(X, y[:, None]).predict(X), y)


BAD_LABELS = [
    (np.zeros(120), ValueError, r"y must hold at least two classes, got 1 class: \[0.0\]"),
    (
        np.array(["a"] * 119 + [None], dtype=object),
        ValueError,
        "y must not hold missing labels, got None at position 119",
    ),
    (np.linspace(0, 1, 120), ValueError, r"Unknown label type: y must hold class labels, got 0.008.* at position 1"),
    (np.full(120, np.nan), ValueError, "y must hold class labels, got nan at position 0"),
    (np.arange(120) * 1j, TypeError, "y must hold .*complex128"),
    (np.zeros((120, 2), int), ValueError, "y must have a label or a mass above 0 in at least one row"),
    (np.zeros((120, 2, 2), int), ValueError, r"y must be 1-D, .*\(120, 2, 2\)"),
    (np.arange(119), ValueError, "y has 119 labels, but X has 120 rows"),
]


@pytest.mark.parametrize(("y", "error", "message"), BAD_LABELS, ids=[message for *_, message in BAD_LABELS])
def test_bad_labels(data, y, error, message):
    with pytest.raises(error, match=message):
        small().fit(data[0], y)


# -- X and parameters --

BAD_X = [
    (np.full((120, 3), np.nan), ValueError, "X must be finite, got NaN in row 0, column 0"),
    (sp.csr_array(np.full((120, 3), np.inf)), ValueError, "X must be finite, got inf in row 0, column 0"),
    (
        np.ones((0, 3)),
        ValueError,
        r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required by SoftmaxClassifier",
    ),
    (
        np.ones((120, 0)),
        ValueError,
        r"0 feature\(s\) \(shape=\(120, 0\)\) while a minimum of 1 is required by SoftmaxClassifier",
    ),
    (np.ones(120), ValueError, "Expected 2D array, got 1D array instead"),
    (np.full((120, 3), "a"), ValueError, "not compatible with arrays of bytes/strings"),
]
BAD_PARAMS = [
    ({"loss": "hinge"}, ValueError, "loss must be one of .*'hinge'"),
    ({"direct": "low rank"}, ValueError, "direct must be one of .*'low rank'"),
    ({"hidden_size": 0}, ValueError, "hidden_size must be at least 1, got 0"),
    ({"hidden_size": 1.5}, TypeError, "hidden_size must be an integer, got 1.5"),
    ({"direct": None, "hidden_size": None}, ValueError, "direct and hidden_size are both None"),
    ({"optimizer": "adam"}, ValueError, "optimizer must be one of .*'adam'"),
    ({"learning_rate": 0}, ValueError, "learning_rate must be above 0, got 0"),
    ({"learning_rate": np.nan}, ValueError, "learning_rate must be finite, got nan"),
    ({"alpha": -1}, ValueError, "alpha must be at least 0, got -1"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"max_iter": 2.0}, TypeError, "max_iter must be an integer, got 2.0"),
    ({"n_threads": 0}, ValueError, "n_threads must be None, -1 or an integer from 1 to 1024, got 0"),
    ({"dtype": "int32"}, ValueError, "dtype must be float32 or float64, got 'int32'"),
    ({"dtype": "floaty"}, ValueError, "dtype must be float32 or float64, got 'floaty'"),
    ({"dtype": None}, ValueError, "dtype must be float32 or float64, got None"),
    ({"working_memory": -1}, ValueError, "working_memory must be at least 0, got -1"),
    ({"random_state": "seed"}, TypeError, "random_state must be .*'seed'"),
    ({"early_stopping": True, "validation_fraction": 1.5}, ValueError, "validation_fraction must be at most .*1.5"),
    (
        {"loss": "nce", "sampler": "uniform", "n_negatives": 12},
        ValueError,
        r"n_negatives must be below .*\(12\), got 12",
    ),
    ({"loss": "sampled_softmax", "n_negatives": 3, "sampler": "zipf"}, ValueError, "sampler must be one of .*'zipf'"),
    ({"loss": "sampled_softmax", "n_negatives": 3, "sampler": 7}, TypeError, "sampler must be .*7"),
]


@pytest.mark.parametrize(("X", "error", "message"), BAD_X, ids=[message for *_, message in BAD_X])
def test_bad_X(data, X, error, message):
    y = data[1][: X.shape[0]]
    with pytest.raises(error, match=message):
        small().fit(X, y)
    with pytest.raises(error, match=message):
        small().partial_fit(X, y, classes=np.arange(N_CLASSES))


@pytest.mark.parametrize(("params", "error", "message"), BAD_PARAMS, ids=[message for *_, message in BAD_PARAMS])
def test_bad_params(data, params, error, message):
    with pytest.raises(error, match=message):
        small(**params).fit(*data)


def test_prediction_checks_its_input(data, fitted):
    with pytest.raises(NotFittedError):
        flat_classifier().predict(data[0])
    for method in ("predict", "predict_topk", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(ValueError, match="X has 11 features, but SoftmaxClassifier is expecting 12 features"):
            getattr(fitted, method)(data[0][:, :11])
    for k, error in ((0, ValueError), (13, ValueError), (2.0, TypeError)):
        with pytest.raises(error, match=f"k must be .*got {k}"):
            fitted.predict_topk(data[0], k)
    for n_threads in (0, -5):
        with pytest.raises(ValueError, match=f"n_threads must be .*got {n_threads}"):
            fitted.set_params(n_threads=n_threads).predict(data[0])


def test_partial_fit_checks_its_input(data, fitted):
    X, y = data
    with pytest.raises(ValueError, match="classes must be given in the first call of partial_fit"):
        small().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y holds .*11.* at position 11, which is not among the 11 classes"):
        small().partial_fit(X, y, classes=np.arange(11))
    with pytest.raises(ValueError, match="classes must hold at least two classes"):
        small().partial_fit(X, y, classes=[3])
    weights = fitted.coef_.copy()
    with pytest.raises(ValueError, match=r"y holds .*12.* at position 11, which is not among the 12 classes"):
        fitted.partial_fit(X, y + 1)
    with pytest.raises((TypeError, ValueError), match=r"y holds .*'a'"):
        fitted.partial_fit(X, ["a"] * 120)
    with pytest.raises(ValueError, match="X has 11 features, but SoftmaxClassifier is expecting 12 features"):
        fitted.partial_fit(X[:, :11], y)
    assert_array_equal(fitted.coef_, weights)


def test_int64_indices_and_input_unchanged(data):
    X, y = data
    expected = small().fit(X, y).coef_
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    for a in (X.data, X.indices, X.indptr, y):
        a.flags.writeable = False
    assert_array_equal(small().fit(X, y).coef_, expected)


# -- predictions --


@pytest.mark.parametrize("params", [{"direct": "dense"}, {"direct": None}, {"direct": "dense", "hidden_size": 5}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_predictions_agree(data, params, dtype):
    X, y = data
    X = sp.csr_array(sp.vstack([X, sp.csr_array((1, N_CLASSES))]))  # an empty row
    classifier = small(**params, dtype=dtype, max_iter=2, learning_rate=0.1).fit(*data)
    logits, proba, log_proba = (
        classifier.decision_function(X),
        classifier.predict_proba(X),
        classifier.predict_log_proba(X),
    )
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    assert logits.dtype == proba.dtype == log_proba.dtype == dtype
    assert_allclose(proba.sum(axis=1), 1, rtol=tolerance)
    assert_allclose(np.log(proba), log_proba, rtol=tolerance, atol=tolerance)
    assert_allclose(logits - logits[:, :1], log_proba - log_proba[:, :1], rtol=tolerance, atol=tolerance)
    labels, top = classifier.predict_topk(X, N_CLASSES)
    assert_allclose(top, np.take_along_axis(log_proba, labels, axis=1), rtol=tolerance, atol=tolerance)
    assert_array_equal(np.sort(labels, axis=1)[0], classifier.classes_)
    assert_array_equal(classifier.predict(X), labels[:, 0])
    assert_allclose(
        classifier.target_log_proba(X[:-1], y), log_proba[np.arange(120), y], rtol=tolerance, atol=tolerance
    )
    terms = [classifier.intercept_]
    if params["direct"]:
        terms.append(X @ classifier.coef_.T)
    if params["direct"] is None or "hidden_size" in params:
        terms.append((X @ classifier.embedding_) @ classifier.hidden_coef_.T)
    assert_allclose(logits, sum(terms), rtol=tolerance, atol=tolerance)
    assert classifier.predict(X[:0]).shape == (0,) and classifier.predict_proba(X[:0]).shape == (0, N_CLASSES)


def test_target_log_proba_of_unknown_labels(data, fitted):
    y = data[1].copy()
    y[::2] = 99
    log_proba = fitted.target_log_proba(data[0], y)
    assert_array_equal(np.isneginf(log_proba), y == 99)
    assert np.isfinite(log_proba[y != 99]).all()


# -- what "auto" chooses, and what it says --


def choose(n_classes, n_features, dense_input, n_samples=1000, **params):
    size = {"n_entries": 10 * n_samples, "dense_input": dense_input}
    options = Options.of(SoftmaxClassifier(**params).get_params(deep=False))
    return planning.choose(options, n_samples, n_classes, n_features, **size)


@pytest.mark.parametrize(
    ("params", "n_classes", "n_features", "dense_input", "expected"),
    [
        ({}, 100, 100, False, ("softmax", "dense", None)),
        ({}, 8192, 65, False, ("sampled_softmax", "dense", None)),
        ({}, 8192, 66, False, ("sampled_softmax", None, 128)),
        ({}, 8192, 131, True, ("sampled_softmax", "dense", None)),
        ({"hidden_size": 7}, 100, 10, True, ("softmax", None, 7)),
        ({"hidden_size": None}, 10**6, 10**6, False, ("sampled_softmax", "dense", None)),
        ({"direct": "dense"}, 10**6, 10**6, False, ("sampled_softmax", "dense", None)),
        ({"direct": None}, 10, 10, True, ("softmax", None, 128)),
        (
            {"direct": "dense", "hidden_size": 9, "loss": "sampled_softmax"},
            10,
            10,
            False,
            ("sampled_softmax", "dense", 9),
        ),
    ],
)
def test_auto(params, n_classes, n_features, dense_input, expected):
    plan = choose(n_classes, n_features, dense_input, **params)
    assert (plan.loss, plan.direct, plan.hidden_size) == expected


def test_auto_heeds_the_memory(monkeypatch):
    assert choose(10**5, 784, True).direct == "dense"
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    assert choose(10**5, 784, True).hidden_size == 128


def test_verbose_says_what_it_chose(data, capsys):
    small(verbose=1, max_iter=2).fit(*data)
    out, err = capsys.readouterr()
    assert "loss='softmax', direct='dense', hidden_size=None" in err and "12 classes x 12 features" in err
    assert "epoch 2/2" in err and "loss" in err and out == ""
    small().fit(*data)
    assert capsys.readouterr() == ("", "")


# -- memory, divergence, interruption --


def test_memory_error_before_allocating(data, monkeypatch, fitted):
    X, y = data
    hashed = sp.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=(120, 2**40))
    with pytest.raises(MemoryError, match=r"12 classes x 1,099,511,627,776 features.*4 bytes each.*optimiser's state"):
        small(direct="dense").fit(hashed, y)
    monkeypatch.setattr(memory, "available", lambda: 100)
    for fit in (small().fit, lambda X, y: small().partial_fit(X, y, classes=y)):
        with pytest.raises(
            MemoryError, match=r"training needs 0.25 GiB .*working_memory: 256.0 MiB.*only 0.00 GiB are available"
        ):
            fit(X, y)
    with pytest.raises(MemoryError, match=r"\(n_samples, n_classes\) result .*120 x 12 x 4 bytes; predict_topk"):
        fitted.predict_proba(X)
    assert fitted.predict(X).shape == (120,)


@pytest.mark.parametrize("make_X", [sp.csr_array, sp.coo_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize(("optimizer", "learning_rate"), [("sgd", 1e36), ("adagrad", 1e37)])
def test_divergence_is_an_error_and_leaves_finite_weights(make_X, optimizer, learning_rate):
    rng = np.random.default_rng(0)
    X, y = 100 * rng.standard_normal((200, 10)), rng.integers(0, 5, 200)
    classifier = small(optimizer=optimizer, learning_rate=learning_rate, batch_size=20, max_iter=50)
    with pytest.raises(FloatingPointError, match=rf"lower learning_rate \(now {learning_rate:.0e}".replace("+", r"\+")):
        classifier.fit(make_X(sp.coo_array(X)), y)
    for name, a in classifier._model.arrays().items():
        assert np.isfinite(a).all(), name


def test_interruption_leaves_a_usable_model(data, monkeypatch):
    n_updates = 0

    def step(self, rows):
        nonlocal n_updates
        n_updates += 1
        if n_updates == 12:
            raise KeyboardInterrupt
        return unpatched(self, rows)

    unpatched = Trainer._step
    monkeypatch.setattr(Trainer, "_step", step)
    classifier = small(batch_size=10, max_iter=100)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(*data)
    assert classifier.score(*data) == 1
    classifier.partial_fit(*data)


INTERRUPTED = """
import numpy as np
from fastsoftmax import SoftmaxClassifier
X, y = np.random.default_rng(0).standard_normal((4096, 256), np.float32), np.arange(4096)
classifier = SoftmaxClassifier(loss="softmax", direct="dense", batch_size=4096, max_iter=10**6, verbose=1)
try:
    classifier.fit(np.tile(X, (8, 1)), np.arange(8 * 4096))
except KeyboardInterrupt:
    print(classifier.predict(X[:3]).shape)
"""


def test_ctrl_c_reaches_a_running_step():
    """33,000 classes x 4,096 rows x 256 features: a step takes seconds, and the signal is seen within it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], **pipes, text=True)
    assert process.stderr.readline().startswith("loss=")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "(3,)\n"


# -- scikit-learn --


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))], ids=["deepcopy", "pickle"])
def test_copies_are_independent_and_go_on_alike(data, copied):
    classifier = small(loss="sampled_softmax", n_negatives=5, max_iter=2).fit(*data)
    other = copied(classifier)
    before = classifier.coef_.copy()
    other.partial_fit(*data)
    assert_array_equal(classifier.coef_, before)
    assert_array_equal(classifier.partial_fit(*data).coef_, other.coef_)


def test_clone_has_the_parameters_and_no_model(fitted):
    other = clone(fitted.set_params(optimizer=Adagrad(alpha=0.25)))
    assert plain_params(other) == plain_params(fitted)
    assert not hasattr(other, "coef_") and not hasattr(other, "classes_")


def test_pipeline_and_grid_search(data):
    X, y = data
    pipeline = make_pipeline(MaxAbsScaler(), small())
    search = GridSearchCV(pipeline, {"softmaxclassifier__batch_size": [7, 30]}, cv=2).fit(X, y)
    assert search.best_score_ == search.score(X, y) == 1
