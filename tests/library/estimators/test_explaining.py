"""`explain`, `top_features` and `similar_classes`: contributions add up to logits, whatever terms and storage a model has."""

import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression, load
from fastsoftmax.model import contributions
from fastsoftmax.model.compact import STORAGES
from fastsoftmax.terms import LowRank
from fastsoftmax.text.text_vectorizer import TextVectorizer

N, N_FEATURES = 120, 40
RNG = np.random.default_rng(0)
X = sp.random_array((N, N_FEATURES), density=0.2, format="csr", rng=RNG)
X.data -= 0.3
X = sp.csr_array(X.multiply(np.arange(N)[:, None] % 7 != 3))  # some rows are empty
Y = np.array([f"label {i}" for i in RNG.integers(0, 9, N)])
TWO = np.where(X[:, [0]].toarray()[:, 0] + RNG.normal(size=N) > 0, "yes", "no")
SEVERAL = [[int(label[-1]), i % 9] for i, label in enumerate(Y)]
SOFTMAX = {"random_state": 0, "max_iter": 3}


def softmax(direct, hidden_size=None, X=X, y=Y):
    return SoftmaxClassifier(direct=direct, hidden_size=hidden_size, **SOFTMAX).fit(X, y)


MODELS = {
    "sparse": lambda: softmax("sparse"),
    "sparse, two classes": lambda: softmax("sparse", y=TWO),
    "low rank": lambda: softmax(None, 5),
    "low rank of some features": lambda: softmax("sparse", LowRank(5, n_features=20)),
    "sparse, low rank": lambda: softmax("sparse", 5),
    "dense": lambda: softmax("dense"),
    "dense of dense rows": lambda: softmax("dense", X=X.toarray()),
    "dense, low rank": lambda: softmax("dense", 5),
    "dense, pruned": lambda: softmax("dense").prune(0.02),
    "sparse, pruned": lambda: softmax("sparse", 5).prune(0.02),
    "several labels": lambda: softmax("auto", "auto", y=SEVERAL),
    "regression": lambda: SoftmaxRegression(max_iter=9).fit(X, Y),
    "regression, two classes": lambda: SoftmaxRegression(max_iter=9).fit(X.toarray(), TWO),
    "one-vs-all": lambda: OneVsAllClassifier().fit(X, SEVERAL),
    "one-vs-all, two classes": lambda: OneVsAllClassifier().fit(X, TWO),
    "one-vs-all, sparse": lambda: OneVsAllClassifier(min_weight=0.05).fit(X, Y),
}
CLASSIFIERS = [kind for kind in MODELS if not kind.startswith(("regression", "one"))]


@functools.cache
def model_of(kind):
    return MODELS[kind]()


def logits(model, X):
    """All logits, of two classes too, in float64, from the arrays of the model."""
    inner, X = model._model, X.toarray() if sp.issparse(X) else X
    z = np.tile(inner.bias.astype(np.float64), (len(X), 1))
    for j, weights in enumerate(weights_of(model)):
        z += X[:, [j]] * weights
    return z


def weights_of(model):
    """The weights of all features for all classes, (n_features, n_classes), through all terms."""
    inner = model._model
    out = np.zeros((N_FEATURES, inner.n_classes))
    if inner.pairs is not None:
        out += inner.sparse_matrix().toarray().T
    elif inner.W is not None:
        out += model._weights("W").T
    if inner.E is not None:
        E = model._weights("E").astype(np.float64)
        out[: len(E)] += E @ model._weights("V").T
    return out


def assert_explains(model, rows=X, k=4):
    z, codes = logits(model, rows), np.searchsorted(model.classes_, model.predict(rows))
    dense, weights = rows.toarray() if sp.issparse(rows) else rows, weights_of(model)
    explanations = model.explain(rows, k=k)
    assert [e.label for e in explanations] == model.classes_[codes].tolist()
    assert_allclose([e.logit for e in explanations], z[np.arange(len(z)), codes], rtol=1e-5, atol=1e-5)
    for i, e in enumerate(explanations):
        assert e.bias + e.contributions.sum() + e.rest == pytest.approx(e.logit, abs=1e-12)
        expected = dense[i] * weights[:, codes[i]]
        best = np.sort(expected[expected != 0])[::-1][:k]
        assert_allclose(e.contributions, best, rtol=1e-5, atol=1e-7)
        assert_allclose(expected[e.features], e.contributions, rtol=1e-5, atol=1e-7)
        assert_allclose(dense[i][e.features], e.values, rtol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_contributions_add_up_to_logits(kind):
    model = model_of(kind)
    assert_explains(model)
    found, z = np.array([e.logit for e in model.explain(X)]), model.decision_function(X)
    if z.ndim == 2:
        assert_allclose(found, z.max(axis=1), rtol=1e-5, atol=1e-5)
    else:
        first, second = ([e.logit for e in model.explain(X, label)] for label in model.classes_)
        z = z if kind.startswith("one") else z + first
        assert_allclose(second, z, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_compressed_weights(kind, storage):
    model = model_of(kind).compressed(storage)
    assert_explains(model)
    label = model.classes_[1]
    assert_allclose(model.top_features(label, 3)[1], np.sort(weights_of(model)[:, 1])[::-1][:3], rtol=1e-5)
    assert_allclose(model.similar_classes(label, 99)[1], cosines(model, 1), atol=1e-6)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_weights_in_a_file(kind, tmp_path):
    model = model_of(kind)
    model.save(tmp_path / "model")
    mapped = load(tmp_path / "model", memory_map=True)
    assert_explains(mapped)
    label = model.classes_[0]
    assert mapped.top_features(label)[0] == model.top_features(label)[0]
    assert_array_equal(mapped.similar_classes(label)[0], model.similar_classes(label)[0])


@pytest.mark.parametrize("kind", ["sparse", "sparse, low rank", "dense", "low rank", "regression", "several labels"])
def test_log_probabilities(kind):
    model = model_of(kind)
    log_proba = model.predict_log_proba(X)
    label = model.classes_[2].item()
    found = model.explain(X, label)
    assert_allclose([e.log_proba for e in found], log_proba[:, 2], atol=1e-5)
    assert {e.label for e in found} == {label}


def test_binary_problems_have_no_log_probabilities():
    assert {e.log_proba for e in model_of("one-vs-all").explain(X)} == {None}


def test_blocks_of_rows_and_of_weights(monkeypatch):
    from fastsoftmax.estimators import explaining

    model = model_of("sparse, low rank")
    whole = model.explain(X, k=3), model.top_features("label 1", 5), model.similar_classes("label 1")
    monkeypatch.setattr(explaining, "ROWS", 7)
    monkeypatch.setattr(contributions, "BLOCK", 12)
    for a, b in zip(model.explain(X, k=3), whole[0], strict=True):
        assert a.features == b.features and (a.label, a.bias, a.log_proba) == (b.label, b.bias, b.log_proba)
        assert_allclose([*a.contributions, a.rest], [*b.contributions, b.rest], rtol=1e-12)
    for a, b in zip(model.top_features("label 1", 5), whole[1], strict=True):
        assert_allclose(a, b)
    assert_array_equal(model.similar_classes("label 1")[0], whole[2][0])


# -- rows --


def test_rows_without_features_and_k_beyond_those_of_a_row():
    model = model_of("dense")
    rows = sp.csr_array(np.eye(3, N_FEATURES) * [[1], [0], [2]])
    one, none, two = model.explain(rows, "label 4", 10**9)
    assert (one.features, two.features, none.features) == ([0], [2], [])
    assert one.rest == two.rest == none.rest == 0
    assert none.logit == none.bias and none.contributions.shape == none.values.shape == (0,)
    assert_allclose([one.values, two.values], [[1], [2]])
    assert model.explain(rows[:0]) == model.explain(rows[:0], []) == []


def test_zeros_repeated_columns_and_lists():
    model, row = model_of("sparse, low rank"), np.zeros(N_FEATURES)
    row[[3, 8]] = 2, -1
    messy = sp.csr_array(([1.0, 0.0, -1.0, 1.0], [3, 5, 8, 3], [0, 4]), shape=(1, N_FEATURES))
    expected = str(model.explain(row[None])[0])
    for rows in (messy, [row.tolist()], sp.coo_array(row[None])):
        assert str(model.explain(rows)[0]) == expected
    assert messy.nnz == 4


def test_what_is_printed():
    rows = sp.csr_array(np.eye(1, N_FEATURES) * 2)
    (e,) = model_of("dense").explain(rows, "label 1", feature_names=["egg"] * N_FEATURES)
    head, feature, bias = str(e).splitlines()
    assert head == f"'label 1': logit {e.logit:.4g}, probability {np.exp(e.log_proba):.4g}"
    assert feature.split() == [f"{e.contributions[0]:+.4g}", "'egg'", "(value", "2)"]
    assert bias.split() == [f"{e.bias:+.4g}", "bias"]
    (e,) = model_of("one-vs-all").explain(X[:1], 3, 1)
    head, feature, rest, bias = str(e).splitlines()
    assert head == f"3: logit {e.logit:.4g}" and f"feature {e.features[0]}" in feature
    assert rest.split() == [f"{e.rest:+.4g}", "other", "features"]


# -- labels --


def test_a_label_for_each_row():
    model = model_of("sparse")
    labels = model.classes_[np.arange(N) % 9]
    for given in (labels, labels.tolist(), pd.Series(labels, index=range(5, 5 + N))):
        found = model.explain(X, given)
        assert [e.label for e in found] == labels.tolist()
        assert_allclose([e.logit for e in found], logits(model, X)[np.arange(N), np.arange(N) % 9], atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ("egg", ValueError, "labels must hold classes among the 9 classes, got 'egg'"),
        (3, ValueError, r"labels must hold classes among the 9 classes, which are strings.*got 3"),
        (["label 1"], ValueError, "labels must be one label, or one for each of the 120 rows of X, got 1"),
        (["label 1"] * (N - 1) + ["egg"], ValueError, "labels must hold classes .*got 'egg'"),
        ([["label 1"] * 2] * N, ValueError, "labels must be 1-D"),
    ],
)
def test_labels_that_there_are_none_of(labels, error, message):
    with pytest.raises(error, match=message):
        model_of("sparse").explain(X, labels)


def test_labels_that_are_no_strings():
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[ns]")[np.arange(N) % 3]
    pairs = np.fromiter(((i % 2, "a") for i in range(N)), object, N)
    for y in (days, pairs, np.arange(N) % 5, np.arange(N) % 2 == 1):
        model = SoftmaxClassifier(hidden_size=None, **SOFTMAX).fit(X, y)
        assert [e.label for e in model.explain(X)] == list(model.predict(X))
        assert set(model.similar_classes(y[0], 99)[0]) == set(model.classes_) - {y[0]}
        assert model.top_features(y[0])[0]


# -- weights of a label, and labels like it --


@pytest.mark.parametrize("kind", MODELS)
def test_top_features(kind):
    model = model_of(kind)
    for code, label in enumerate(model.classes_):
        weights = weights_of(model)[:, code]
        features, found = model.top_features(label, 3)
        assert_allclose(found, np.sort(weights[weights != 0])[::-1][:3], rtol=1e-5)
        assert_allclose(weights[features], found, rtol=1e-5)
        features, found = model.top_features(label, N_FEATURES + 1)
        assert sorted(features) == np.flatnonzero(weights).tolist()


def cosines(model, code):
    """The cosines of a class's vector with those of the others, largest first."""
    vectors = weights_of(model).T if model._model.V is None else model._weights("V").astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    return np.sort(np.delete(vectors @ vectors[code] / (norms * norms[code]), code))[::-1]


@pytest.mark.parametrize("kind", MODELS)
def test_similar_classes(kind):
    model = model_of(kind)
    for code, label in enumerate(model.classes_):
        labels, found = model.similar_classes(label, 99)
        assert_allclose(found, cosines(model, code), atol=1e-6)
        assert label not in labels.tolist() and len(set(labels.tolist())) == len(model.classes_) - 1
        assert_array_equal(model.similar_classes(label, 2)[0], labels[:2])


def test_classes_without_weights_are_like_none():
    model = SoftmaxClassifier(direct="sparse", hidden_size=None, **SOFTMAX)
    rows = sp.csr_array(np.eye(4)[[0, 1, 0, 1, 2]])
    model.partial_fit(rows, [0, 1, 0, 1, 2], classes=[0, 1, 2, 3])
    assert_array_equal(model.similar_classes(3)[0], [0, 1, 2])
    assert_array_equal(model.similar_classes(3)[1], [0, 0, 0])
    assert model.top_features(3) == ([], pytest.approx(np.empty(0)))


@pytest.mark.parametrize("method", ["top_features", "similar_classes"])
def test_one_known_label(method):
    call = getattr(model_of("sparse"), method)
    for label in (["label 1"], np.array(["label 1"]), {"label 1"}):
        with pytest.raises(TypeError, match="label must be one label, got "):
            call(label)
    with pytest.raises(ValueError, match="label must hold classes among the 9 classes, got 'egg'"):
        call("egg")
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        call("label 1", 0)
    with pytest.raises(NotFittedError):
        getattr(SoftmaxClassifier(), method)("label 1")


# -- names --


def test_names_of_columns():
    frame = pd.DataFrame(X.toarray(), columns=[f"column {j}" for j in range(N_FEATURES)])
    model = SoftmaxRegression().fit(frame, Y)
    by_name, by_number = model.explain(frame[:2], k=2), model.explain(frame[:2], k=2, feature_names=["x"] * N_FEATURES)
    assert all(name.startswith("column ") and type(name) is str for e in by_name for name in e.features)
    assert {name for e in by_number for name in e.features} == {"x"}
    assert model.top_features("label 1", 1)[0][0].startswith("column ")


def test_names_of_words(tmp_path):
    vectorizer = TextVectorizer(max_words=1)
    rows = vectorizer.fit_transform(["boil an egg", "why does bread rise"] * 20)
    model = SoftmaxClassifier(hidden_size=None, **SOFTMAX).fit(rows, ["egg", "bread"] * 20)
    assert all(type(j) is int for j in model.top_features("egg")[0])
    model.save(tmp_path / "model", vectorizer=vectorizer)
    model = load(tmp_path / "model")
    (e,) = model.explain(vectorizer.transform(["boil eggs"]), "egg")
    assert e.features == ["boil"]
    assert set(model.top_features("bread", 4)[0]) == {"why", "does", "bread", "rise"}

    hashing = TextVectorizer(n_features=64)
    model = SoftmaxClassifier(hidden_size=None, **SOFTMAX).fit(hashing.transform(["egg", "bread"] * 20), [1, 2] * 20)
    model.save(tmp_path / "model", vectorizer=hashing)
    assert all(type(j) is int for j in model.top_features(1)[0])


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["a"], ValueError, "feature_names must have a name for each of the 40 features, got 1"),
        ([1] * N_FEATURES, TypeError, "feature_names must hold str, got 1"),
        ("a" * N_FEATURES, TypeError, "feature_names must be a sequence of str, got 'aaa"),
        (7, TypeError, "feature_names must be a sequence of str, got 7"),
    ],
)
def test_wrong_names(names, error, message):
    model = model_of("sparse")
    with pytest.raises(error, match=message):
        model.explain(X, feature_names=names)
    with pytest.raises(error, match=message):
        model.top_features("label 1", feature_names=names)


def test_wrong_rows():
    model = model_of("sparse")
    with pytest.raises(ValueError, match="40 features"):
        model.explain(X[:, :39])
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        model.explain(X, k=0)
    with pytest.raises(NotFittedError):
        SoftmaxClassifier().explain(X)
