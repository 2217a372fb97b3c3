"""Training on files whose rows have several labels: what it aims at, and the probabilities of single labels."""

import re

import numpy as np
import pytest

from fastsoftmax import load
from fastsoftmax.cli import main as cli

N_LABELS = 8


@pytest.fixture
def files(tmp_path):
    """A folder with texts of several labels, each of which has words of its own, and with texts of one label."""
    rng = np.random.default_rng(0)

    def text(n):
        labels = rng.choice(N_LABELS, n, replace=False)
        words = [f"word{label}{letter}" for label in labels for letter in rng.choice(list("abc"), 2)]
        return " ".join([*(f"__label__tag{label}" for label in labels), *words]) + "\n"

    (tmp_path / "several").write_text("".join(text(rng.integers(1, 4)) for _ in range(1200)))
    (tmp_path / "one").write_text("".join(text(1) for _ in range(100)))
    return tmp_path


def train(files, *options, data="several", status=0):
    assert cli.main(["train", str(files / data), "-o", str(files / "model"), "--quiet", *options]) == status
    return str(files / "model")


@pytest.mark.parametrize(
    ("options", "data", "objective"),
    [
        ([], "several", "precision"),
        (["--epochs", "2", "--alpha", "1e-5", "--early-stopping", "--seed", "3"], "several", "precision"),
        (["--direct", "sparse", "--hidden-size", "none"], "several", "precision"),
        (["--objective", "tail"], "several", "tail"),
        (["--objective", "recall"], "several", "recall"),
        (["--loss", "softmax"], "several", "recall"),
        (["--direct", "dense"], "several", "recall"),
        ([], "one", None),
    ],
)
def test_what_the_training_aims_at(options, data, objective, files, capsys):
    model = train(files, *options, data=data)
    assert load(model).objective_ == objective
    assert cli.main(["info", model]) == 0
    shown = re.search(r"objective: +(\w+)\n", capsys.readouterr().out)
    assert (shown and shown[1]) == objective


def test_a_training_for_precision_has_checkpoints(files):
    model = load(train(files, "--checkpoint", str(files / "checkpoint")))
    assert model.objective_ == "precision" and model.ranking_ and not (files / "checkpoint").exists()


def test_an_objective_that_the_terms_cannot_have(files, capsys):
    train(files, "--objective", "tail", "--direct", "dense", status=1)
    message = "fastsoftmax: error: --objective must be 'auto' or 'recall' with direct='dense', got 'tail'"
    assert capsys.readouterr().err.startswith(message)


def predicted(capsys, *arguments):
    assert cli.main(["predict", *arguments]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return [row[::2] for row in rows], [list(map(float, row[1::2])) for row in rows]


def test_marginals_of_predict(files, capsys):
    path, data = train(files), str(files / "several")
    assert cli.main(["info", path]) == 0
    assert re.search(r"marginals: +calibrated\n", capsys.readouterr().out)
    labels, proba = predicted(capsys, path, data, "-k", "3")
    by_itself = predicted(capsys, path, data, "-k", "3", "--marginals")
    assert by_itself[0] == labels and len(labels) == 1200
    assert max(map(sum, proba)) <= 1.001 < max(map(sum, by_itself[1]))
    likely, p = predicted(capsys, path, data, "-k", "8", "--marginals", "--threshold", "0.4")
    assert min(map(min, filter(None, p))) >= 0.4 and len(set(map(len, likely))) > 1


def test_marginals_in_blocks(files, capsys, monkeypatch):
    path, data = train(files), str(files / "several")
    expected = predicted(capsys, path, data, "--marginals")
    monkeypatch.setattr("fastsoftmax.cli.predict.MARGINALS", 5 * N_LABELS)
    assert predicted(capsys, path, data, "--marginals")[0] == expected[0]


def test_errors_of_marginals(files, capsys):
    path = train(files, data="one")
    assert cli.main(["predict", path, str(files / "one"), "--marginals"]) == 1
    assert "marginal probabilities need a model that was calibrated" in capsys.readouterr().err
    path = train(files)
    for options, message in ((["--threshold", "1"], "--threshold must be"), (["-k", "0"], "-k must be")):
        assert cli.main(["predict", path, str(files / "several"), "--marginals", *options]) == 1
        assert capsys.readouterr().err.startswith(f"fastsoftmax: error: {message}")
