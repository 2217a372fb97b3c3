"""ONNX models beside the models that they were made of: onnxruntime gives the same labels and values."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from fastsoftmax import LanguageModel, NextItemModel, OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression, features
from fastsoftmax.terms import LowRank, SparseTerm

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

import fastsoftmax.onnx  # noqa: E402
from fastsoftmax.onnx import to_onnx  # noqa: E402

N_CLASSES, N_FEATURES = 23, 37
TEXTS = ["boil an egg", "bake the bread", "an egg for breakfast", "bread and butter", "A fresh EGG, boiled!"] * 6
TEXT_LABELS = ["egg", "bread", "egg", "bread", "egg"] * 6


@pytest.fixture(scope="module")
def rows():
    """Sparse rows, of which the last is empty, and a class for each."""
    rng = np.random.default_rng(0)
    X = sp.random_array((230, N_FEATURES), density=0.2, format="csr", rng=rng, dtype=np.float32)
    X.data -= 0.3
    X = sp.csr_array(sp.vstack([X, sp.csr_array((1, N_FEATURES), dtype=np.float32)]))
    return X, np.append(rng.permutation(np.resize(np.arange(N_CLASSES), 230)), 3)


def run(proto, X):
    """What onnxruntime makes of rows or texts."""
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"X": X})


def fitted(rows, *, kind=SoftmaxClassifier, dense=False, **params):
    X, y = rows
    if kind is SoftmaxClassifier:
        params = {"max_iter": 3, "random_state": 0} | params
    return kind(**params).fit(X.toarray() if dense else X, y)


TERMS = {
    "dense": {"direct": "dense", "hidden_size": None},
    "dense_rows": {"direct": "dense", "hidden_size": None, "dense": True},
    "low_rank": {"direct": None, "hidden_size": 8},
    "normalised": {"direct": None, "hidden_size": LowRank(8, normalize=6.0)},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "dense_and_low_rank": {"direct": "dense", "hidden_size": 8},
    "sparse_and_low_rank": {"direct": SparseTerm(), "hidden_size": 8},
    "first_columns": {"direct": "sparse", "hidden_size": LowRank(8, n_features=11)},
    "regression": {"kind": SoftmaxRegression},
}


@pytest.mark.parametrize("terms", TERMS)
def test_all_terms(rows, terms):
    model, X = fitted(rows, **TERMS[terms]), rows[0].toarray()
    labels, log_proba = run(to_onnx(model, output="log_proba"), X)
    assert log_proba.dtype == np.float32 and labels.dtype == np.int64
    assert_allclose(log_proba, model.predict_log_proba(X), rtol=0, atol=1e-5)
    assert_array_equal(labels, model.predict(X))
    labels, proba = run(to_onnx(model), X)
    assert_allclose(proba, model.predict_proba(X), rtol=0, atol=1e-6)
    assert_array_equal(labels, model.predict(X))


def test_values_and_labels_are_by_name(rows):
    model = fitted(rows)
    for output, name in (("auto", "probabilities"), ("log_proba", "log_probabilities"), ("logits", "logits")):
        proto = to_onnx(model, output=output)
        assert [out.name for out in proto.graph.output] == ["label", name]
        assert [put.name for put in proto.graph.input] == ["X"]
        (values,) = onnxruntime.InferenceSession(proto.SerializeToString()).run([name], {"X": rows[0].toarray()})
        expected = {
            "auto": model.predict_proba,
            "log_proba": model.predict_log_proba,
            "logits": model.decision_function,
        }
        assert_allclose(values, expected[output](rows[0]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("output", ["proba", "log_proba", "logits"])
def test_topk(rows, output):
    model, X = fitted(rows, direct="sparse", hidden_size=8), rows[0].toarray()
    labels, values = run(to_onnx(model, output=output, topk=4), X)
    expected, log_proba = model.predict_topk(X, 4)
    assert_array_equal(labels, expected)
    if output == "log_proba":
        assert_allclose(values, log_proba, rtol=0, atol=1e-5)
    elif output == "proba":
        assert_allclose(values, np.exp(log_proba), rtol=0, atol=1e-6)
    else:
        assert_allclose(values, -np.sort(-model.decision_function(X), axis=1)[:, :4], rtol=0, atol=1e-5)


def test_topk_of_tied_classes_is_in_the_order_of_classes():
    X, y = np.eye(6, dtype=np.float32), [0, 1, 2, 3, 4, 5]
    model = SoftmaxRegression().fit(X, y)
    nothing = np.zeros((1, 6), np.float32)
    model._model.bias[:] = 0
    assert model.predict_topk(nothing, 6)[0].tolist() == [[0, 1, 2, 3, 4, 5]]
    assert run(to_onnx(model, topk=6), nothing)[0].tolist() == [[0, 1, 2, 3, 4, 5]]
    assert run(to_onnx(model), nothing)[0].tolist() == [0]


@pytest.mark.parametrize("storage", ["bfloat16", "float16", "int8"])
def test_compressed_models_have_their_widened_weights(rows, storage):
    model, X = fitted(rows, direct="sparse", hidden_size=8).compressed(storage), rows[0].toarray()
    _, log_proba = run(to_onnx(model, output="log_proba"), X)
    assert_allclose(log_proba, model.predict_log_proba(X), rtol=0, atol=1e-5)
    model = fitted(rows, direct="dense", hidden_size=None, dense=True).compressed(storage)
    _, log_proba = run(to_onnx(model, output="log_proba"), X)
    assert_allclose(log_proba, model.predict_log_proba(X), rtol=0, atol=1e-5)


def test_float64(rows):
    model, X = fitted(rows, dtype="float64", hidden_size=LowRank(8, normalize=True)), rows[0].toarray()
    _, log_proba = run(to_onnx(model, output="log_proba"), X.astype(np.float64))
    assert log_proba.dtype == np.float64
    assert_allclose(log_proba, model.predict_log_proba(X), rtol=0, atol=1e-12)
    proto = to_onnx(model, X, output="log_proba")  # rows of float32
    assert_allclose(run(proto, X)[1], model.predict_log_proba(X), rtol=0, atol=1e-5)
    assert run(to_onnx(model, rows[0], output="log_proba"), X)[1].dtype == np.float32
    proto = to_onnx(fitted(rows), X.astype(np.float64), output="log_proba")  # of a model of float32
    assert run(proto, X.astype(np.float64))[1].dtype == np.float64


def test_integer_rows():
    X, y = np.eye(5, dtype=np.int64), list("abcde")
    model = SoftmaxRegression().fit(X, y)
    fastsoftmax.onnx.register()
    proto = skl2onnx.to_onnx(model, X, options={SoftmaxRegression: {"zipmap": False}})
    labels, proba = run(proto, X)
    assert labels.tolist() == y
    assert_allclose(proba, model.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [SoftmaxRegression, SoftmaxClassifier])
def test_two_classes(kind):
    X, y = load_iris(return_X_y=True)
    X, y = X[:100].astype(np.float32), np.where(y[:100] == 1, "b", "a")
    model = kind(**({"max_iter": 3, "random_state": 0} if kind is SoftmaxClassifier else {})).fit(X, y)
    labels, log_proba = run(to_onnx(model, output="log_proba"), X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(log_proba, model.predict_log_proba(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("loss", "min_weight"), list(itertools.product(["squared_hinge", "logistic"], [0.0, 0.05])))
def test_one_vs_all(rows, loss, min_weight):
    model, X = fitted(rows, kind=OneVsAllClassifier, loss=loss, min_weight=min_weight), rows[0].toarray()
    proto = to_onnx(model)
    assert proto.graph.output[1].name == "logits"
    labels, logits = run(proto, X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(logits, model.decision_function(X), rtol=0, atol=1e-5)
    labels, logits = run(to_onnx(model, topk=3), X)
    assert_array_equal(labels, model.predict_topk(X, 3)[0])
    assert_allclose(logits, model.predict_topk(X, 3)[1], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="output must be 'logits' for this model"):
        to_onnx(model, output="proba")


def test_one_vs_all_of_two_classes(rows):
    X, y = rows
    model = OneVsAllClassifier().fit(X, y > 11)
    labels, logits = run(to_onnx(model), X.toarray())
    assert_array_equal(labels, model.predict(X))
    assert_allclose(logits[:, 1], model.decision_function(X), rtol=0, atol=1e-5)
    assert_array_equal(logits[:, 0], -logits[:, 1])


# -- labels --


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "bé", "日本"]),
        np.array(["a", "b", "c" * 1000], dtype=object),
        np.array([-5, 7, 2**62]),
        np.array([3, 4, 5], np.uint8),
        np.array([1.0, 2.0, 2.0**52]),
        np.array([False, True, True]),
    ],
    ids=["text", "objects", "int64", "uint8", "floats", "bools"],
)
def test_labels(labels):
    X = np.eye(3, dtype=np.float32)
    model = SoftmaxRegression(C=100).fit(X, labels)
    found, _ = run(to_onnx(model), X)
    assert found.tolist() == model.predict(X).tolist() == labels.tolist()
    found, _ = run(to_onnx(model, topk=2), X)
    assert found.tolist() == model.predict_topk(X, 2)[0].tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["2020-01-01", "2021-01-01"], "datetime64[D]"), r"integers, bools or strings, got .*2020-01-01"),
        ([("a", 1), ("b", 2)], r"integers, bools or strings, got \('a', 1\)"),
        ([1, 2**64 - 1], f"64 bits, got {2**64 - 1}"),
    ],
)
def test_labels_that_onnx_has_not(labels, message):
    X = np.eye(2, dtype=np.float32)
    model = SoftmaxRegression().fit(X, labels)
    with pytest.raises(ValueError, match=message):
        to_onnx(model)
    positions, _ = run(to_onnx(model, options={SoftmaxRegression: {"nocl": True}}), X)
    assert positions.tolist() == [0, 1]


# -- pipelines --


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_scaled_columns(scaler):
    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    model = make_pipeline(scaler, SoftmaxClassifier(max_iter=5, random_state=0)).fit(X, y)
    labels, log_proba = run(to_onnx(model, output="log_proba"), X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(log_proba, model.predict_log_proba(X), rtol=0, atol=1e-5)


# -- skl2onnx's own functions --


def test_registered_converters(rows):
    fastsoftmax.onnx.register()
    model, X = fitted(rows), rows[0].toarray()
    labels, proba = run(skl2onnx.to_onnx(model, X), X)  # a dict for each row
    assert_array_equal(labels, model.predict(X))
    assert_allclose([proba[5][i] for i in range(N_CLASSES)], model.predict_proba(X)[5], rtol=0, atol=1e-6)
    options = {id(model): {"zipmap": False, "raw_scores": True, "output_class_labels": True}}
    labels, logits, classes = run(skl2onnx.to_onnx(model, X, options=options), X)
    assert_allclose(logits, model.decision_function(X), rtol=0, atol=1e-5)
    assert_array_equal(classes, model.classes_)
    with pytest.raises(ValueError, match="topk needs the option zipmap=False of skl2onnx, got zipmap=True"):
        skl2onnx.to_onnx(model, X, options={id(model): {"topk": 2}})


@pytest.mark.parametrize("around", [lambda model: GridSearchCV(model, {"C": [1, 10]}, cv=2), CalibratedClassifierCV])
def test_models_within_others(around):
    fastsoftmax.onnx.register()
    X, y = load_iris(return_X_y=True)
    X, model = X.astype(np.float32), around(SoftmaxRegression())
    model.fit(X, y)
    labels, proba = run(skl2onnx.to_onnx(model, X, options={"zipmap": False}), X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(proba, model.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("opset", [13, 17, None])
def test_versions_of_operators(rows, opset):
    model, X = fitted(rows, hidden_size=LowRank(8, n_features=11, normalize=True), direct="sparse"), rows[0].toarray()
    proto = to_onnx(model, output="log_proba", topk=2, target_opset=opset)
    assert opset is None or max(domain.version for domain in proto.opset_import if domain.domain == "") <= opset
    assert_allclose(run(proto, X)[1], model.predict_topk(X, 2)[1], rtol=0, atol=1e-5)


# -- what is refused --


def test_models_without_operators(tmp_path):
    language = LanguageModel(max_iter=1, hidden_size=None).fit(["a b c", "a b d", "a b c d"] * 5)
    items = NextItemModel(hidden_size=4, max_iter=1, random_state=0).fit([[1, 2, 3], [2, 3, 1], [1, 3]] * 5)
    texts = make_pipeline(features.TextVectorizer(), SoftmaxClassifier(max_iter=1)).fit(TEXTS, TEXT_LABELS)
    hidden = make_pipeline(SoftmaxClassifier(hidden_size=4, max_iter=1), SoftmaxRegression())
    hidden.fit(np.eye(4, dtype=np.float32), [0, 1, 2, 3])
    for model, message in (
        (language, "LanguageModel cannot be exported to ONNX: its counts of n-grams"),
        (items, "NextItemModel cannot be exported to ONNX: its counts"),
        (texts, "TextVectorizer cannot be exported to ONNX: take scikit-learn's TfidfVectorizer"),
        (hidden, "SoftmaxClassifier cannot be exported to ONNX: it can only be the last step"),
    ):
        with pytest.raises(ValueError, match=message):
            to_onnx(model)


def test_other_arguments_that_are_wrong(rows):
    model = fitted(rows)
    with pytest.raises(TypeError, match=r"must be one of SoftmaxClassifier, .*, got StandardScaler"):
        to_onnx(StandardScaler().fit(np.eye(2)))
    with pytest.raises(ValueError, match="not fitted yet"):
        to_onnx(SoftmaxClassifier())
    with pytest.raises(ValueError, match="output must be one of 'auto', 'proba', 'log_proba', 'logits', got 'log'"):
        to_onnx(model, output="log")
    with pytest.raises(ValueError, match="topk must be at most 23, got 24"):
        to_onnx(model, topk=24)
    with pytest.raises(TypeError, match=r"topk must be an integer, got 2\.5"):
        to_onnx(model, topk=2.5)
    with pytest.raises(ValueError, match=r"target_opset must be at least 13 .*, got 12"):
        to_onnx(model, target_opset=12)


class Shapes:
    """A Model of very many classes, as far as `_sizes` looks at it."""

    def __init__(self, n_classes, n_features, *, pairs=None, size=None):
        self.n_classes, self.n_features, self.pairs = n_classes, n_features, pairs
        self.W = None if size else np.empty(0)
        self.E = np.empty((n_features, size), np.float32) if size else None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Shapes(1 << 20, 1 << 9, pairs=()), "2.00 GiB, most of them those of the sparse direct term .* dense matrix"),
        (Shapes(1 << 20, 1 << 9), r"those of the dense direct term \(1,048,576 classes x 512 features\)"),
        (Shapes(1 << 25, 100, size=32), r"those of the low-rank term \(\(100 features \+ 33,554,432 classes\) x 32\)"),
    ],
)
def test_terms_that_are_too_large(model, message):
    from fastsoftmax.onnx.converters import _sizes
    from fastsoftmax.validation import check_exported_size

    with pytest.raises(ValueError, match=message):
        check_exported_size(_sizes(model, 4))


def test_a_sparse_term_over_very_many_classes_is_refused_before_it_is_made_dense():
    X = sp.csr_array(np.eye(700, dtype=np.float32))
    model = SoftmaxClassifier(direct="sparse", hidden_size=None, max_iter=1)
    model.partial_fit(X, np.arange(700), n_classes=1_000_000)
    with pytest.raises(ValueError, match=r"the sparse direct term \(1,000,000 classes x 700 features"):
        to_onnx(model)


def test_without_skl2onnx(run_python):
    program = """if True:
        import sys
        sys.modules["skl2onnx"] = None
        import fastsoftmax
        try:
            import fastsoftmax.onnx
        except ImportError as error:
            print(error)
    """
    assert run_python(program) == 'fastsoftmax.onnx needs skl2onnx: pip install "fastsoftmax[onnx]"\n'


def test_public_names():
    assert dir(fastsoftmax.onnx) == sorted(fastsoftmax.onnx.__all__)
    assert all(hasattr(fastsoftmax.onnx, name) for name in fastsoftmax.onnx.__all__)
