"""Models that keep what makes columns of texts take texts, wherever a fitted model takes rows."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression, features, load, losses, metrics, plots
from fastsoftmax.cli import main as cli

TEXTS = ["boil an egg", "egg white foam", "why does bread rise", "bread and butter"] * 8
LABELS = ["egg", "egg", "bread", "bread"] * 8
NEW = ["An egg of an ostrich", "butter", "", "xylophone"]
VECTORIZERS = {
    "numbered": lambda: features.TextVectorizer(),
    "hashed": lambda: features.TextVectorizer(512),
    "buckets": lambda: features.TextVectorizer(n_buckets=64, max_chars=4),
}


@functools.cache
def saved(kind, name):
    """What makes the columns, and the bytes of the file of a model."""
    vectorizer = VECTORIZERS[name]()
    X = vectorizer.transform(TEXTS) if name == "hashed" else vectorizer.fit_transform(TEXTS)
    model = (kind(random_state=0) if kind is SoftmaxClassifier else kind()).fit(X, LABELS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save(path, vectorizer=vectorizer)
        return vectorizer, path.read_bytes()


@pytest.fixture(params=[SoftmaxClassifier, SoftmaxRegression])
def kind(request):
    return request.param


@pytest.fixture(params=VECTORIZERS)
def made(request, kind, tmp_path):
    """A model that was loaded from a file, and what makes its columns."""
    vectorizer, content = saved(kind, request.param)
    path = tmp_path / "model"
    path.write_bytes(content)
    return load(path), vectorizer


@pytest.fixture
def model(kind, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(saved(kind, "numbered")[1])
    return load(path)


def test_every_prediction_takes_texts(made):
    model, vectorizer = made
    X = vectorizer.transform(NEW)
    assert type(model.vectorizer_) is features.TextVectorizer
    labels, log_proba = model.predict_topk(NEW, k=2)
    expected, expected_log_proba = model.predict_topk(X, k=2)
    assert_array_equal(labels, expected)
    assert_array_equal(log_proba, expected_log_proba)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        assert_array_equal(getattr(model, name)(NEW), getattr(model, name)(X), err_msg=name)
    y = ["egg", "bread", "egg", "unknown"]
    assert_array_equal(model.target_log_proba(NEW, y), model.target_log_proba(X, y))
    assert model.score(NEW, y) == model.score(X, y)
    assert_array_equal(model.predictor().predict_topk(NEW, 1)[0], expected[:, :1])
    assert_array_equal(model.compressed("float16").predict(NEW), model.compressed("float16").predict(X))
    assert metrics.evaluate(model, NEW, y) == metrics.evaluate(model, X, y)
    assert metrics.evaluate(model, NEW, y)["n_unknown"] == 1


def test_explanations_of_texts(made):
    model, vectorizer = made
    given = model.explain(NEW, "egg", k=50)
    for one, other in zip(given, model.explain(vectorizer.transform(NEW), "egg", k=50), strict=True):
        assert one.features == other.features and one.logit == other.logit
        assert_array_equal(one.contributions, other.contributions)
    assert given[2].features == [] and given[2].logit == given[2].bias  # an empty text has the bias alone
    words = vectorizer.vocabulary_
    assert (words is None) == (not isinstance(given[0].features[0], str))
    if words is not None:
        assert "egg" in given[0].features
        assert set(given[0].features) <= set(vectorizer.get_feature_names_out())


def test_a_text_of_no_known_word_has_the_probabilities_of_none(model):
    proba = model.predict_proba(["", "xylophone", " \t "])
    assert (proba == proba[0]).all()
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)


COLLECTIONS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "objects": lambda a: np.array(a, object),
    "str_ in a list": lambda a: [np.str_(text) for text in a],
    "column of objects": lambda a: pd.Series(a, dtype=object),
    "column of text": lambda a: pd.Series(a, dtype="string"),
    "column with an index of its own": lambda a: pd.Series(a, index=range(7, 7 + len(a))),
    "column of categories": lambda a: pd.Series(a, dtype="category"),
}


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_collections_of_texts(model, collection):
    texts = COLLECTIONS[collection](NEW)
    assert_array_equal(model.predict_proba(texts), model.predict_proba(NEW))
    assert model.predict_topk(texts[:1], 1)[0].tolist() == [["egg"]]


def test_columns_of_polars(model):
    polars = pytest.importorskip("polars")
    assert_array_equal(model.predict_proba(polars.Series(NEW)), model.predict_proba(NEW))


def test_columns_of_pyarrow(model):
    pyarrow = pytest.importorskip("pyarrow")
    for column in (pyarrow.array(NEW), pyarrow.chunked_array([NEW[:1], NEW[1:]])):
        assert_array_equal(model.predict_proba(column), model.predict_proba(NEW))
    with pytest.raises(TypeError, match="X must be a list of str, got None at position 1"):
        model.predict(pyarrow.array(["egg", None]))


@pytest.mark.parametrize("texts", [[], (), np.empty(0, object), pd.Series([], dtype=object)], ids=repr)
def test_no_texts(model, texts):
    labels, log_proba = model.predict_topk(texts, 2)
    assert labels.shape == log_proba.shape == (0, 2) and model.explain(texts) == []


@pytest.mark.parametrize("text", ["boil an egg", "", b"boil"])
def test_one_text_is_no_list(model, text):
    with pytest.raises(TypeError, match=r"X must be a list of str, got one text: b?'"):
        model.predict(text)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([None, "egg"], "None at position 0"),
        (["egg", None], "None at position 1"),
        (["egg", float("nan")], "nan at position 1"),
        ([float("nan"), "egg"], "nan at position 0"),
        (np.array(["egg", np.nan], object), "nan at position 1"),
        (pd.Series([None, "egg"], dtype=object), "None at position 0"),
        (pd.Series(["egg", None], dtype="string"), "<NA> at position 1"),
        ([b"egg"], "b'egg' at position 0"),
        ([0.5, 1.5], "0.5 at position 0"),
        (["egg", 3], "3 at position 1"),
    ],
    ids=repr,
)
def test_what_is_no_text(model, texts, message):
    for call in (
        model.predict,
        lambda X: model.predict_topk(X, 1),
        model.explain,
        lambda X: model.score(X, ["egg"] * 2),
    ):
        with pytest.raises(TypeError, match=f"^X must be a list of str, got {message}$"):
            call(texts)


def test_rows_of_numbers_stay_what_they_are(model):
    n = model.n_features_in_
    X = model.vectorizer_.transform(NEW)
    expected = model.predict_proba(X)
    rows = X.toarray()
    for given in (X, X.tocsc(), rows, rows.tolist(), tuple(map(tuple, rows)), [*rows], pd.DataFrame(rows)):
        assert_allclose(model.predict_proba(given), expected, rtol=1e-6)
    with pytest.raises(ValueError, match=f"expecting {n} features"):
        model.predict(np.eye(n + 1))
    with pytest.raises(TypeError, match="X must hold numbers in all columns, got text in column 'title'"):
        model.predict(pd.DataFrame({"title": NEW}))


def test_fit_takes_columns_and_forgets_texts(model):
    with pytest.raises(ValueError, match=r"X holds texts \('boil an egg'\), and this model takes columns"):
        model.fit(TEXTS, LABELS)
    assert model.vectorizer_ is not None and model.predict(["egg"]) == ["egg"]
    model.fit(np.eye(4), LABELS[:4])
    assert model.vectorizer_ is None
    with pytest.raises(ValueError, match=r"X holds texts .*TextVectorizer\(\).fit_transform\(texts\)"):
        model.predict(["egg"])


def test_training_goes_on_with_texts(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(saved(SoftmaxClassifier, "numbered")[1])
    models = [load(path).set_params(random_state=0) for _ in range(2)]
    models[0].partial_fit(NEW[:2], ["egg", "bread"])
    models[1].partial_fit(models[1].vectorizer_.transform(NEW[:2]), ["egg", "bread"])
    assert_array_equal(models[0].coef_, models[1].coef_)
    assert not np.array_equal(models[0].coef_, load(path).coef_)


def test_calibration_and_the_hidden_layer_take_texts(tmp_path):
    vectorizer = features.TextVectorizer()
    X = vectorizer.fit_transform(TEXTS)
    model = SoftmaxClassifier(hidden_size=4, max_iter=3, random_state=0, calibration_fraction=0).fit(X, LABELS)
    model.save(tmp_path / "model", vectorizer=vectorizer)
    assert_array_equal(model.transform(NEW), model.transform(vectorizer.transform(NEW)))
    other = load(tmp_path / "model").calibrate(TEXTS, LABELS)
    assert other.calibration_ == load(tmp_path / "model").calibrate(X, LABELS).calibration_ != {}


def test_several_labels_by_themselves(tmp_path):
    vectorizer = features.TextVectorizer()
    X = vectorizer.fit_transform(TEXTS)
    model = SoftmaxClassifier(losses.OneVsAll(), max_iter=2, random_state=0)
    model.fit(X, [[label, "food"] for label in LABELS])
    model.save(tmp_path / "model", vectorizer=vectorizer)
    assert_array_equal(model.predict_marginals(NEW), model.predict_marginals(vectorizer.transform(NEW)))


def test_pictures_of_texts(model):
    figure = pytest.importorskip("matplotlib.figure")
    shown = plots.ExplanationDisplay.from_estimator(model, ["boil an egg"], ax=figure.Figure().add_subplot())
    assert "egg" in shown.explanation.features
    plots.ReliabilityDisplay.from_estimator(model, TEXTS, LABELS, ax=figure.Figure().add_subplot())


def test_models_of_columns_say_what_they_take():
    for model in (SoftmaxClassifier(max_iter=1), SoftmaxRegression(), OneVsAllClassifier()):
        model.fit(np.eye(4), LABELS[:4])
        with pytest.raises(ValueError, match=r"X holds texts \('egg'\), and this model takes columns"):
            model.predict(["egg"])


@pytest.mark.parametrize("options", [[], ["--hash"], ["--subwords", "3", "5"], ["--buckets", "100"]])
def test_a_model_of_the_command_takes_texts_in_python(options, tmp_path, capsys):
    data, path = tmp_path / "data.txt", str(tmp_path / "model")
    data.write_text("".join(f"__label__{label} {text}\n" for label, text in zip(LABELS, TEXTS, strict=True)))
    assert cli.main(["train", str(data), "-o", path, "--quiet", *options]) == 0
    model = load(path)
    labels, log_proba = model.predict_topk(["boil an egg", "butter"], k=2)
    assert labels[:, 0].tolist() == ["egg", "bread"]
    (tmp_path / "new").write_text("boil an egg\nbutter\n")
    assert cli.main(["predict", path, str(tmp_path / "new"), "-k", "2"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[::2] for line in lines] == labels.tolist()
    assert_allclose([[float(p) for p in line[1::2]] for line in lines], np.exp(log_proba), rtol=1e-4)
