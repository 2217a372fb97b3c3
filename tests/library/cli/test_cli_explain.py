"""`fastsoftmax explain`: what it writes for texts and for rows of columns."""

import io
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.cli import main as cli
from fastsoftmax.text.datasets import read
from fastsoftmax.text.text_vectorizer import TextVectorizer

TEXTS = ["boil an egg", "why does bread rise"] * 10
ROWS = "7 0:1 2:0.5\n# a comment\n\n9 1:2\n9\n"


@pytest.fixture
def texts(tmp_path):
    """The path of a model of texts."""
    vectorizer, path = TextVectorizer(max_words=1), tmp_path / "model"
    X = vectorizer.fit_transform(TEXTS)
    SoftmaxClassifier(hidden_size=None, max_iter=3, random_state=0).fit(X, ["egg", "bread"] * 10).save(
        path, vectorizer=vectorizer
    )
    return str(path)


@pytest.fixture
def columns(tmp_path):
    """The paths of a model of columns, and of rows for it."""
    path, rows = tmp_path / "model", tmp_path / "rows"
    X = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    SoftmaxClassifier(hidden_size=4, max_iter=3, random_state=0).fit(X, np.arange(7, 10)[np.arange(30) % 3]).save(path)
    rows.write_text(ROWS)
    return str(path), str(rows)


def explained(capsys, *arguments):
    assert cli.main(["explain", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_texts(texts, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"boil bread in an egg\n\nxyz\n")))
    lines = explained(capsys, texts, "--top", "2", "--label", "egg")
    assert [line.split(":")[:2] for line in lines if line.startswith("line ")] == [
        ["line 1", " 'egg'"],
        ["line 2", " 'egg'"],
        ["line 3", " 'egg'"],
    ]
    assert {line.split()[1] for line in lines[1:3]} <= {"'boil'", "'an'", "'egg'"}
    assert [line.split()[1:] for line in lines[3:5]] == [["other", "features"], ["bias"]]
    assert len(lines) == 5 + 2 + 2 and lines[6].split()[1:] == lines[8].split()[1:] == ["bias"]


def test_columns(columns, capsys):
    model, rows = columns
    expected = load(model).explain(read(rows, n_features=3).X)
    lines = explained(capsys, model, rows)
    assert lines == [
        line for number, e in zip([1, 4, 5], expected, strict=True) for line in f"line {number}: {e}".splitlines()
    ]
    assert any("feature 1  (value 2)" in line for line in lines)
    assert explained(capsys, model, rows, "--rows", "1") == str(f"line 1: {expected[0]}").splitlines()


@pytest.mark.parametrize("block", [1, 1024])
def test_json(block, columns, capsys, monkeypatch):
    from fastsoftmax.cli import explain

    monkeypatch.setattr(explain, "BLOCK", block)
    model, rows = columns
    classifier, X = load(model), read(rows, n_features=3).X
    for options, labels in (((), classifier.predict(X).tolist()), (("--label", "9"), [9, 9, 9])):
        objects = list(map(json.loads, explained(capsys, model, rows, "--jsonl", *options)))
        assert [a["line"] for a in objects] == [1, 4, 5] and [a["label"] for a in objects] == labels
        own = np.arange(3), np.array(labels) - 7
        assert_allclose([a["logit"] for a in objects], classifier.decision_function(X)[own], atol=1e-5)
        assert_allclose([a["log_proba"] for a in objects], classifier.predict_log_proba(X)[own], atol=1e-5)
        for a in objects:
            added = sum(part["contribution"] for part in a["features"])
            assert a["bias"] + added + a["rest"] == pytest.approx(a["logit"])
            assert all(part["feature"] in (0, 1, 2) and part["value"] in (0.5, 1, 2) for part in a["features"])
    assert objects[2]["features"] == []
    (a,) = map(json.loads, explained(capsys, model, rows, "--jsonl", "--top", "1", "--rows", "1"))
    assert len(a["features"]) == 1 and a["rest"] != 0


def test_labels_that_are_no_numbers_of_json(tmp_path, capsys):
    days, model = np.array(["2020-01-01", "2020-01-02"], "M8[D]"), str(tmp_path / "model")
    SoftmaxClassifier(hidden_size=None, max_iter=1).fit(np.eye(2), days).save(model)
    (tmp_path / "rows").write_text("0 0:1\n")
    (a,) = map(json.loads, explained(capsys, model, str(tmp_path / "rows"), "--jsonl"))
    assert a["label"] == "2020-01-01"


def test_no_rows(columns, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert explained(capsys, columns[0]) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "egg"], "--label must be a whole number, as the labels of the model are, got 'egg'"),
        (["--label", "3"], "--label must hold classes among the 3 classes, got 3"),
        (["--top", "0"], "--top must be at least 1, got 0"),
        (["--rows", "0"], "--rows must be at least 1, got 0"),
    ],
)
def test_options_that_are_wrong(options, message, columns, capsys):
    assert cli.main(["explain", *columns, *options]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"fastsoftmax: error: {message}\n" and captured.out == ""
