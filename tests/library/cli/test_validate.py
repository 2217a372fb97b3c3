"""`fastsoftmax train --validate` prints what `evaluate` does, and chooses nothing."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.cli import main as cli

PATIENCE = 300  # seconds for a command, on a machine that is busy
SVMLIGHT = "".join(f"{i % 3 + 7} {i % 3}:1 {3 + i % 4}:0.5\n" for i in range(60))
SEVERAL = "".join(f"{i % 3},{(i + i % 2) % 3} {i % 3}:1 {3 + i % 4}:0.5\n" for i in range(60))
TEXTS = "".join(f"__label__{'abc'[i % 3]} word{i % 3} other{i % 5}\n" for i in range(60))
EVENTS = "user,item,time\n" + "".join(f"u{u},i{(u + j) % 9},{j}\n" for u in range(60) for j in range(4))
SENTENCES = "".join(f"the {['cat', 'dog', 'cow'][i % 3]} saw a {['cat', 'dog'][i % 2]}\n" for i in range(40))
TASKS = {  # the data, other rows, and options
    "one label": (SVMLIGHT, SVMLIGHT[:84] + "8 0:1\n9 9:1\n7\n", ["--epochs", "3"]),
    "several labels": (SEVERAL, SEVERAL[:84] + "2 0:1\n", ["--epochs", "3"]),
    "texts": (TEXTS, "__label__b word1\nno label\n__label__new word2\n", ["--epochs", "3"]),
    "early stopping": (SVMLIGHT, "8 0:1\n", ["--early-stopping", "--epochs", "3"]),
    "next-item": (EVENTS, "user,item,time\nx,i3,0\nx,i4,1\nx,new,2\n", ["--hidden-size", "4", "--epochs", "1"]),
    "language": (SENTENCES, "the cat saw a cow\nthe horse\n", ["--hidden-size", "none", "--order", "2"]),
}


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("task", TASKS)
def test_as_evaluate(task, write, tmp_path, capsys):
    content, tested, options = TASKS[task]
    train, other = ["train", write("train", content), *options], write("tested", tested)
    if task in ("next-item", "language"):
        train += ["--task", task]
    digests = []
    for name, validate in (("without", []), ("with", ["--validate", other])):
        assert cli.main([*train, "-o", str(tmp_path / name), *validate]) == 0
        out, err = capsys.readouterr()
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
        assert (out == "") == (not validate) and f"wrote {tmp_path / name}" in err
    assert digests[0] == digests[1]  # the same model to the bit
    assert cli.main(["evaluate", str(tmp_path / "with"), other]) == 0
    assert capsys.readouterr().out == out
    assert all(np.isfinite(float(line.split("\t")[1])) for line in out.splitlines()) and out.count("\n") >= 3


def test_quiet(write, tmp_path, capsys):
    validate = ["--validate", write("tested", SVMLIGHT), "--quiet"]
    assert cli.main(["train", write("train", SVMLIGHT), "-o", str(tmp_path / "model"), *validate]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("n\t60\n") and err == ""


def test_where_the_model_is_on_standard_output(write, tmp_path):
    """The metrics are on standard error then."""
    data = write("train", SVMLIGHT)
    program = [sys.executable, "-m", "fastsoftmax", "train", data, "-o", "/dev/stdout", "--quiet", "--validate", data]
    done = subprocess.run(program, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0 and done.stderr.startswith(b"n\t60\n") and b"log_loss\t" not in done.stdout
    (tmp_path / "model").write_bytes(done.stdout)
    assert load(tmp_path / "model").classes_.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("tested", "message"),
    [
        (None, "No such file or directory: "),
        ("7 0:1\n8 x\n", "tested, line 2: "),
        ("3 0:1\n", "none of its labels is a class of the model: it has 3, ..., the model 7, 8, 9, ..."),
        ("0:1\n", "none of the 1 rows has a label"),
        ("__label__7 a\n", "was trained on svmlight data and cannot read fasttext data"),
    ],
)
def test_wrong_rows_are_found_before_the_training(tested, message, write, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(SoftmaxClassifier, "_fit", lambda *args, **kwargs: pytest.fail("it trains"))
    path = str(tmp_path / "tested") if tested is None else write("tested", tested)
    assert cli.main(["train", write("train", SVMLIGHT), "-o", str(tmp_path / "model"), "--validate", path]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "model").exists()


@pytest.mark.parametrize("task", ["classifier", "next-item", "language"])
def test_files_that_cannot_be_validated_on(task, write, tmp_path, capsys):
    train = ["train", "--task", task, "-", "-o", write("model", "")]
    for validate, message in (
        ("-", "DATA cannot be standard input 2 times"),
        (str(tmp_path / "model"), "--output is the validation file"),
        ("", "--validate must be the path of a file, got ''"),
    ):
        assert cli.main([*train, "--validate", validate]) == 1
        assert message in capsys.readouterr().err


def test_an_interrupted_training_is_not_measured(write, tmp_path, capsys, monkeypatch):
    fit = SoftmaxClassifier._fit

    def interrupted(classifier, *args, **kwargs):
        fit(classifier, *args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(SoftmaxClassifier, "_fit", interrupted)
    data = write("train", SVMLIGHT)
    assert cli.main(["train", data, "-o", str(tmp_path / "model"), "--validate", data]) == 130
    assert capsys.readouterr().out == "" and (tmp_path / "model").exists()
