"""Files of SoftmaxRegression: the same model again, and errors of all others."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from safetensors import safe_open
from safetensors.numpy import load_file
from sklearn.exceptions import NotFittedError

from fastsoftmax import SoftmaxRegression, features, load
from fastsoftmax.files import tensor_file

PARAMS = {
    "default": {},
    "all": {
        "C": np.float32(0.5),
        "tol": 1e-3,
        "max_iter": np.int64(50),
        "solver": "newton-cg",
        "fit_intercept": np.bool_(False),
        "class_weight": {"a": 2, "c": np.float64(0.5)},
        "warm_start": True,
        "n_threads": 1,
    },
    "no penalty": {"C": np.inf, "tol": 1e-2, "class_weight": "balanced"},
}

Y = np.array(["a", "b", "c"])[np.arange(60) % 3]


def rows(is_sparse, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5)).astype(dtype)
    X[rng.random(X.shape) < 0.5] = 0
    return sp.csr_array(X) if is_sparse else X


def trained(is_sparse=True, dtype=np.float64, **params):
    return SoftmaxRegression(**params).fit(rows(is_sparse, dtype), Y)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize(("is_sparse", "dtype"), [(True, np.float32), (False, np.float64)])
@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
def test_the_same_model_again(path, params, is_sparse, dtype, memory_map):
    model, X = trained(is_sparse, dtype, **params), rows(is_sparse, dtype)
    model.save(path)
    for other in (load(path, memory_map=memory_map), SoftmaxRegression.load(path, memory_map=memory_map)):
        assert type(other) is SoftmaxRegression
        assert other.get_params() == model.get_params()
        for name in ("coef_", "intercept_", "classes_", "n_iter_"):
            assert_array_equal(getattr(other, name), getattr(model, name), err_msg=name, strict=True)
        assert other.n_features_in_ == 5 and not hasattr(other, "feature_names_in_") and other.vectorizer_ is None
        assert other.coef_.flags.f_contiguous == model.coef_.flags.f_contiguous
        assert_array_equal(other.predict_log_proba(X), model.predict_log_proba(X))
        assert_array_equal(pickle.loads(pickle.dumps(other)).predict_proba(X), model.predict_proba(X))
        again = other.fit(X, Y)  # warm_start reads the weights, which a file may hold
        assert again.coef_.flags.writeable


def test_two_classes_and_labels_of_other_types(path):
    for labels in (np.array([3, 9]), np.array(["2020-01-01", "2021-01-01"], "M8[D]"), np.array([True, False])):
        model = SoftmaxRegression().fit(rows(True, np.float64), labels[np.arange(60) % 2])
        model.save(path)
        other = load(path)
        assert other.coef_.shape == (1, 5)
        assert_array_equal(other.coef_, model.coef_)
        assert_array_equal(other.classes_, model.classes_, strict=True)


def test_names_of_columns(path):
    X = pd.DataFrame(rows(False, np.float64), columns=list("abcde"))
    model = SoftmaxRegression().fit(X, np.arange(60) % 3)
    model.save(path)
    other = load(path)
    assert_array_equal(other.feature_names_in_, model.feature_names_in_)
    assert_array_equal(other.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="feature names"):
        other.predict(X[list("edcba")])


@pytest.mark.parametrize("storage", ["bfloat16", "float16", "int8"])
def test_compressed_ones(path, storage):
    model = trained().compressed(storage)
    model.save(path)
    other = load(path)
    assert other.storage_ == storage
    assert_array_equal(other.predict_proba(rows(True, np.float64)), model.predict_proba(rows(True, np.float64)))


def test_what_makes_columns_of_texts_is_kept(path):
    texts, labels = ["boil an egg", "egg white foam", "bread and butter"], ["egg", "egg", "bread"]
    vectorizer = features.TextVectorizer(max_words=1)
    model = SoftmaxRegression(C=100).fit(vectorizer.fit_transform(texts), labels)
    assert model.vectorizer_ is None
    with pytest.raises(TypeError, match="vectorizer must be a TextVectorizer"):
        model.save(path, vectorizer=str.split)
    with pytest.raises(ValueError, match="makes 9 columns, but the model has 8 features"):
        model.save(path, vectorizer=features.TextVectorizer(9))
    assert not path.exists() and model.vectorizer_ is None
    model.save(path, vectorizer=vectorizer)
    load(path).compressed().save(path)
    assert load(path).vectorizer_.vocabulary_ == model.vectorizer_.vocabulary_ == vectorizer.vocabulary_
    assert load(path).predict(texts).tolist() == labels


def test_a_save_that_fails_leaves_the_file_alone(path):
    model = trained()
    model.save(path)
    content = path.read_bytes()
    with pytest.raises(NotFittedError):
        SoftmaxRegression().save(path)
    model._model.bias[0] = np.nan
    with pytest.raises(ValueError, match="the model's bias is not finite"):
        model.save(path)
    assert path.read_bytes() == content
    with pytest.raises(TypeError, match="path must be a path, got None"):
        model.save(None)


def test_it_is_a_file_of_safetensors(path):
    model = trained()
    model.save(path)
    tensors = load_file(path)
    assert_array_equal(tensors["W"], model.coef_.T)
    assert_array_equal(tensors["bias"], model.intercept_)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["fastsoftmax"])
    assert header["format"] == "fastsoftmax.SoftmaxRegression" and header["params"]["solver"] == "auto"


def test_damage_at_every_byte(path):
    """An error, or the very same model: only white space and the names of sums can change without a trace."""
    model = trained(dtype=np.float32)
    model.save(path)
    content, X, n_refused = path.read_bytes(), rows(True, np.float32), 0
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        try:
            other = load(path)
        except ValueError as error:
            assert str(path) in str(error)
            n_refused += 1
        else:
            assert_array_equal(other.predict_proba(X), model.predict_proba(X))
            assert other.get_params() == model.get_params()
    assert n_refused > 0.9 * len(content) / 7
    path.write_bytes(content[:-3])
    with pytest.raises(ValueError, match="damaged table"):
        load(path)


def changed(path, change):
    """The file with its header and tensors changed, and checksums that fit."""
    header, tensors = tensor_file.read(path, "fastsoftmax.SoftmaxRegression", (2,))
    change(header, tensors)
    tensor_file.write(path, {name: np.ascontiguousarray(a) for name, a in tensors.items()}, header)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, _: header["params"].update(C=-1.0), "C must be above 0"),
        (lambda header, _: header["params"].update(solver="sag"), "solver must be one of"),
        (lambda header, _: header["params"].update(D=1.0), "unexpected keyword"),
        (lambda header, _: header["params"].pop("class_weight"), "class_weight"),
        (lambda header, _: header.pop("params"), "params"),
        (lambda header, _: header["fitted"].update(n_features_in_=6), "shape"),
        (lambda header, _: header["fitted"].update(n_features_in_=5.0), "n_features_in_ must be an integer"),
        (lambda header, _: header["fitted"].update(n_iter_=[-1]), "n_iter_ must be at least 0"),
        (lambda header, _: header["fitted"].update(n_iter_=3), "not iterable"),
        (lambda header, _: header.update(extra={"format": "fasttext"}), "encoding must be a dict"),
        (lambda _, tensors: tensors.pop("W"), "KeyError: 'W'"),
        (lambda _, tensors: tensors.update(W=tensors["W"][:, :2]), "shape"),
        (lambda _, tensors: tensors.update(W=tensors["W"] * np.nan), "W is not finite"),
        (lambda _, tensors: tensors.update(prior=tensors["bias"]), "other terms than a SoftmaxRegression"),
        (
            lambda _, tensors: tensors.update(E=np.zeros((5, 2)), V=np.zeros((3, 2))),
            "other terms than a SoftmaxRegression",
        ),
    ],
)
def test_what_no_regression_writes(path, change, message):
    trained().save(path)
    changed(path, change)
    with pytest.raises(ValueError, match=f"not a complete fastsoftmax model .*{message}"):
        load(path)
