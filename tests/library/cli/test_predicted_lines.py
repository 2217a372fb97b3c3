"""What `fastsoftmax predict` writes for which lines."""

import bz2
import io
import os
import threading

import numpy as np
import pytest

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.cli import main as cli
from fastsoftmax.text.text_vectorizer import TextVectorizer


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    X = np.eye(3, dtype=np.float32)
    SoftmaxClassifier(hidden_size=None, learning_rate=1.0, max_iter=50).fit(X, [7, 8, 9]).save(path)
    return str(path)


ROWS = b"\xef\xbb\xbf# first\n\n7 0:1\n \n0 2:1\n1:1\n\n"


def test_a_line_for_each_row_that_is_no_blank_line(model, tmp_path, capsys, monkeypatch):
    path = tmp_path / "rows"
    path.write_bytes(ROWS)
    assert cli.main(["predict", model, str(path), "-k", "1"]) == 0
    written = capsys.readouterr().out
    assert [line.split("\t")[0] for line in written.splitlines()] == ["7", "9", "8"]

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bz2.compress(ROWS))))
    assert cli.main(["predict", model, "-k", "1"]) == 0
    assert capsys.readouterr().out == written


@pytest.mark.parametrize(("lines", "n"), [(b"\n", 1), (b"\n \n\n", 3), (b" ", 1), (b"", 0), (b"egg\n\n", 2)])
def test_a_line_for_each_text_even_a_blank_one(lines, n, tmp_path, capsys, monkeypatch):
    path, vectorizer = tmp_path / "texts", TextVectorizer()
    X = vectorizer.fit_transform(["boil an egg", "bread"])
    SoftmaxClassifier(hidden_size=None, max_iter=1).fit(X, ["a", "b"]).save(path, vectorizer=vectorizer)
    for options in ([], ["--format", "fasttext"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
        assert cli.main(["predict", str(path), "-k", "1", *options]) == 0
        assert len(capsys.readouterr().out.splitlines()) == n


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_rows_from_a_named_pipe(model, tmp_path, capsys):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(ROWS,))
    writer.start()
    assert cli.main(["predict", model, str(path), "-k", "1"]) == 0
    writer.join()
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("label", ["a\tb", "a\nb", "a\r"])
def test_a_label_that_would_break_the_columns_is_refused(label, tmp_path, capsys):
    model, rows = tmp_path / "model", tmp_path / "rows"
    SoftmaxClassifier(hidden_size=None, max_iter=1).fit(np.eye(2, dtype=np.float32), ["x y\xa0z", label]).save(model)
    rows.write_bytes(ROWS.replace(b"2:1", b"1:1"))
    assert cli.main(["predict", str(model), str(rows)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert f"classes_ must hold no tab and no line end to be written in columns, got {label!r}" in output.err
