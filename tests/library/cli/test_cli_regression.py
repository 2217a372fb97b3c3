"""The command on files of SoftmaxRegression, which Python alone writes."""

import json
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastsoftmax import SoftmaxRegression, features, load, metrics
from fastsoftmax.cli import main as cli

TEXTS = ["boil an egg", "egg white foam", "why does bread rise", "bread and butter"]
LABELS = ["egg", "egg", "bread", "bread"]
ROWS = "7 0:1 2:0.5\n9 1:2\n7 2:1\n"


@pytest.fixture
def columns(tmp_path):
    """The paths of a model of columns, and of rows for it."""
    path, rows = tmp_path / "model", tmp_path / "rows"
    SoftmaxRegression().fit(np.eye(3)[np.arange(30) % 3], np.array([7, 8, 9])[np.arange(30) % 3]).save(path)
    rows.write_text(ROWS)
    return str(path), str(rows)


@pytest.fixture
def texts(tmp_path):
    """The paths of a model of texts, and of texts with their labels."""
    path, data, vectorizer = tmp_path / "model", tmp_path / "texts", features.TextVectorizer()
    model = SoftmaxRegression(C=10.0).fit(vectorizer.fit_transform(TEXTS), LABELS)
    model.save(path, vectorizer=vectorizer)
    data.write_text("".join(f"__label__{label} {text}\n" for label, text in zip(LABELS, TEXTS, strict=True)))
    return str(path), str(data)


def printed(capsys, *arguments):
    assert cli.main([*arguments]) == 0
    return capsys.readouterr().out


def test_info(texts, capsys):
    shown = printed(capsys, "info", texts[0])
    for line in (
        r"regression: +C = 10",
        r"classes: +2",
        r"features: +\d+",
        r"iterations: +\d+",
        r"rows: +texts: words.*",
    ):
        assert re.search(rf"^{line}$", shown, re.MULTILINE), line
    assert re.search(r"^W: +2 x \d+ float32, .*\nbias|^bias: +2 float32, .*\nW", shown, re.MULTILINE)


def test_predictions(columns, capsys):
    model, rows = columns
    lines = [line.split("\t") for line in printed(capsys, "predict", model, rows, "-k", "3").splitlines()]
    labels, log_proba = load(model).predict_topk(np.array([[1, 0, 0.5], [0, 2, 0], [0, 0, 1.0]]), 3)
    assert [[int(label) for label in line[::2]] for line in lines] == labels.tolist()
    assert_allclose([[float(p) for p in line[1::2]] for line in lines], np.exp(log_proba), rtol=1e-5)


def test_texts_from_end_to_end(texts, tmp_path, capsys):
    model, data = texts
    lines = printed(capsys, "predict", model, data, "-k", "1").splitlines()
    assert [line.split("\t")[0] for line in lines] == LABELS
    found = dict(line.split("\t") for line in printed(capsys, "evaluate", model, data, "-k", "1").splitlines())
    expected = metrics.evaluate(load(model), TEXTS, LABELS, ks=[1])
    assert float(found["log_loss"]) == pytest.approx(expected["log_loss"], rel=1e-5)
    assert float(found["precision@1"]) == 1
    (line, *_) = printed(capsys, "explain", model, data, "--jsonl", "--top", "3").splitlines()
    assert json.loads(line)["label"] == "egg" and {"egg", "boil"} <= {
        a["feature"] for a in json.loads(line)["features"]
    }


def test_compression(texts, tmp_path, capsys):
    model, data = texts
    small = str(tmp_path / "small")
    shown = printed(capsys, "compress", model, "-o", small, "--data", data, "-k", "1")
    assert "same_best\t1" in shown
    assert type(load(small)) is SoftmaxRegression and load(small).storage_ == "bfloat16"
    assert load(small).predict(TEXTS).tolist() == LABELS
    assert re.search(r"weights kept as: +bfloat16\n", printed(capsys, "info", small))


def test_what_it_has_not(columns, capsys):
    model, rows = columns
    assert cli.main(["predict", model, rows, "--marginals"]) == 1
    error = "fastsoftmax: error: --marginals does not act on a SoftmaxRegression, which has no predict_marginals\n"
    assert capsys.readouterr() == ("", error)
