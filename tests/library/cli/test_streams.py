"""`fastsoftmax predict` answers rows as they come, in columns or as JSON, up to the first line that is wrong."""

import gzip
import io
import json
import os
import select
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from fastsoftmax import LanguageModel, NextItemModel, SoftmaxClassifier
from fastsoftmax.cli import main as cli
from fastsoftmax.text.text_vectorizer import TextVectorizer

PATIENCE = 300  # seconds for an answer, or an end, on a machine that is busy
PREDICT = [sys.executable, "-m", "fastsoftmax", "predict"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The paths of a model of columns, of texts, of items and of words."""
    folder = tmp_path_factory.mktemp("models")
    X, vectorizer = np.eye(3, dtype=np.float32), TextVectorizer()
    SoftmaxClassifier(hidden_size=None, learning_rate=1.0, max_iter=50).fit(X, [7, 8, 9]).save(folder / "columns")
    texts = vectorizer.fit_transform(["boil an egg", "rise of bread"])
    classifier = SoftmaxClassifier(hidden_size=None, learning_rate=1.0, max_iter=50).fit(texts, ["egg", "bread"])
    classifier.save(folder / "texts", vectorizer=vectorizer)
    sequences = [[f"i{(first + j) % 5}" for j in range(4)] for first in range(30)]
    NextItemModel(hidden_size=4, max_iter=1, random_state=0).fit(sequences).save(folder / "items")
    LanguageModel(order=2, hidden_size=None, random_state=0).fit(["a cat sat", "a dog sat"] * 9).save(folder / "words")
    return SimpleNamespace(**{name: str(folder / name) for name in ("columns", "texts", "items", "words")})


LINES = {  # of each model: two lines
    "columns": (b"7 0:1\n", b"9 2:1\n"),
    "texts": (b"an egg\n", b"bread\n"),
    "items": (b"i1 i2\n", b"i3\n"),
    "words": (b"a\n", b"the\n"),
}


@contextmanager
def standard_input(content):
    """A context in which standard input is a file with these bytes."""
    before, sys.stdin = sys.stdin, SimpleNamespace(buffer=io.BytesIO(content))
    try:
        yield
    finally:
        sys.stdin = before


def answers(capsys, model, lines, *options, status=0):
    """What is written where standard input is a file with these bytes, as lines."""
    with standard_input(lines):
        assert cli.main(["predict", model, *options]) == status
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("kind", LINES)
def test_each_line_of_a_pipe_is_answered_before_the_next_one_is_written(kind, models, capsys):
    model, lines = getattr(models, kind), LINES[kind]
    expected = answers(capsys, model, b"".join(lines))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*PREDICT, model], bufsize=0, **pipes) as process:
        seen = []
        for line in lines:
            process.stdin.write(line)
            answer = b""
            while not answer.endswith(b"\n"):
                if not select.select([process.stdout], [], [], PATIENCE)[0]:
                    process.kill()
                    pytest.fail(f"no answer to {line}")
                answer += os.read(process.stdout.fileno(), 1)
            seen.append(answer.decode().rstrip("\n"))
        rest, error = process.communicate(timeout=PATIENCE)
    assert (seen, rest, error, process.returncode) == (expected, b"", b"", 0)


@pytest.mark.parametrize("kind", LINES)
def test_blocks_do_not_change_the_answers(kind, models, capsys, tmp_path, monkeypatch):
    """From a file in blocks of any size, from a pipe, and compressed."""
    model, content = getattr(models, kind), b"".join(LINES[kind]) * 50
    expected = answers(capsys, model, content)
    assert len(expected) == 100 and len(set(expected)) == 2
    done = subprocess.run([*PREDICT, model], input=content, capture_output=True, timeout=PATIENCE)
    assert done.stdout.decode().splitlines() == expected
    assert answers(capsys, model, gzip.compress(content)) == expected
    (tmp_path / "data").write_bytes(content)
    for module in ("predict", "next_item", "language"):
        monkeypatch.setattr(f"fastsoftmax.cli.{module}.BLOCK", 7)
    assert cli.main(["predict", model, str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize("options", [["--jsonl"], ["--format", "jsonl"]])
@pytest.mark.parametrize("kind", LINES)
def test_json(options, kind, models, capsys):
    model, content = getattr(models, kind), b"".join(LINES[kind])
    columns = [line.split("\t") for line in answers(capsys, model, content, "-k", "2")]
    objects = [json.loads(line) for line in answers(capsys, model, content, "-k", "2", *options)]
    for number, (row, found) in enumerate(zip(columns, objects, strict=True), start=1):
        assert list(found) == ["line", "classes", "probabilities"] and found["line"] == number
        assert [str(label) for label in found["classes"]] == row[::2]
        assert found["probabilities"] == list(map(float, row[1::2]))
        assert all(isinstance(label, int if kind == "columns" else str) for label in found["classes"])


def test_json_has_the_lines_of_the_file(models, capsys):
    lines = answers(
        capsys, models.columns, b"# a comment\n\n7 0:1\n\n8 1:1\n", "--jsonl", "-k", "1", "--threshold", "0.5"
    )
    assert [(a["line"], a["classes"]) for a in map(json.loads, lines)] == [(3, [7]), (5, [8])]
    (line,) = answers(capsys, models.columns, b"7 0:0\n", "--jsonl", "--threshold", "0.9")
    assert json.loads(line) == {"line": 1, "classes": [], "probabilities": []}


def test_json_of_a_table_of_events(models, capsys):
    table = b'user,item,time\nu2,i1,5\n"u\t1",i1,1\nu2,i2,6\n"u\t1",i3,2\n'
    options = ["--format", "events", "-k", "1"]
    objects = [json.loads(line) for line in answers(capsys, models.items, table, *options, "--jsonl")]
    assert [list(a) for a in objects] == [["user", "classes", "probabilities"]] * 2
    assert [a["user"] for a in objects] == ["u\t1", "u2"]
    assert answers(capsys, models.items, table, *options, status=1) == []  # a tab cannot be in a column


@pytest.mark.parametrize("label", ["a\tb", "a\nb", 'a"b\\'])
def test_json_of_labels_that_columns_cannot_have(label, tmp_path, capsys):
    SoftmaxClassifier(hidden_size=None, max_iter=1).fit(np.eye(2, dtype=np.float32), ["x", label]).save(
        tmp_path / "model"
    )
    (line,) = answers(capsys, str(tmp_path / "model"), b"0 0:1\n", "--jsonl")
    assert set(json.loads(line)["classes"]) == {"x", label}


@pytest.mark.parametrize("size", [1, 3, 4096])
@pytest.mark.parametrize(
    ("kind", "content", "n", "message"),
    [
        ("columns", b"7 0:1\n8 1:1\n\n9 2:x\n7 0:1\n", 2, "line 4: expected index:value"),
        ("columns", b"7 0:1\n8 1:1 1:2\n", 1, "line 2: index 1 is repeated"),
        ("columns", b"2 3 10\n7 0:1\n8 1:1\n\n9 2:1\n", 2, "line 5: more rows than the 2 of the header"),
        ("columns", b"3 3 10\n7 0:1\n8 1:1\n", 2, "2 rows, 3 in the header"),
        ("columns", b"2 3 10\n7 0:1\n10 1:1\n", 1, "line 3: label must be from 0 to 9, got 10"),
        ("texts", b"egg\nbread\n\xff\n", 2, "line 3: not UTF-8"),
        ("items", b"i1\ni2\n\xff\ni1\n", 2, "line 3: not UTF-8"),
    ],
)
def test_rows_before_a_bad_line_are_answered(kind, content, n, message, size, models, capsys, monkeypatch):
    for module in ("predict", "next_item"):
        monkeypatch.setattr(f"fastsoftmax.cli.{module}.BLOCK", size)
    with standard_input(content):
        assert cli.main(["predict", getattr(models, kind), "-k", "1"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == n and err.startswith("fastsoftmax: error: ") and message in err
    assert err.count("\n") == 1


def test_items_that_are_no_numbers_name_their_line(tmp_path, capsys):
    NextItemModel(hidden_size=4, max_iter=1, random_state=0).fit([[1, 2, 3], [2, 3, 1]]).save(tmp_path / "model")
    for bad in ("x", "--3"):
        with standard_input(f"1 2\n{bad}\n".encode()):
            assert cli.main(["predict", str(tmp_path / "model")]) == 1
        assert f"line 2: the items of the model are numbers, such as 1, got '{bad}'" in capsys.readouterr().err


def test_what_is_ignored_is_counted_over_all_blocks(models, capsys, monkeypatch):
    monkeypatch.setattr("fastsoftmax.cli.predict.BLOCK", 2)
    with standard_input(b"7 0:1 5:1\n" * 5):
        assert cli.main(["predict", models.columns]) == 0
    assert ": 5 value(s) of features beyond the 3 of " in capsys.readouterr().err


def test_a_reader_that_goes_ends_the_command_while_more_is_written(models):
    """Its status is 0, and it ends though standard input does not."""
    command = f"yes '7 0:1' | {' '.join(PREDICT)} {models.columns} -k 1 | head -n 1; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE)
    line, status = done.stdout.splitlines()
    assert line.startswith("7\t") and status == "0" and done.stderr == ""
