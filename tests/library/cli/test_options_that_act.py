"""Options of the command that could not act are refused before any work, and messages name options."""

import io
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastsoftmax import load
from fastsoftmax.cli import main as cli

ROWS = "1 0:1\n2 1:1\n3 0:1 1:1\n" * 10


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data"
    path.write_text(ROWS)
    return str(path)


SAMPLED = ["--loss", "sampled_softmax", "--hidden-size", "4", "--direct", "none"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--negatives", "5"], "--negatives needs --loss sampled_softmax, got --loss auto"),
        (["--sampler", "unigram"], "--sampler needs --loss sampled_softmax, got --loss auto"),
        ([*SAMPLED, "--negatives", "5"], "--negatives needs a --sampler that draws"),
        ([*SAMPLED, "--negatives", "5", "--sampler", "in_batch"], "--negatives needs a --sampler that draws"),
        ([*SAMPLED, "--negatives", "0", "--sampler", "uniform"], "--negatives must be at least 1, got 0"),
        (["--checkpoint-every", "5"], "--checkpoint-every needs --checkpoint"),
        (["--checkpoint", "f", "--checkpoint-every", "-5"], "--checkpoint-every must be"),
        (["--threads", "0"], "--threads must be"),
        (["--threads", "0"], "--threads must be -1 or an integer from 1 to 1024, got 0"),
        (["--output", ""], "--output must be the path of a file, got ''"),
    ],
)
def test_options_that_cannot_act(options, message, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", data, "-o", str(tmp_path / "model"), *options]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"fastsoftmax: error: {message}") and captured.err.count("\n") == 1
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("option", ["--hidden-size", "--epochs", "--alpha", "--learning-rate", "--threads"])
def test_a_word_in_the_place_of_a_number(option, data, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", data, "-o", "model", option, "foo"])
    assert f"argument {option}: must be a" in capsys.readouterr().err


def test_the_number_of_negatives_acts_with_a_sampler(data, tmp_path):
    weights = []
    for n in ("1", "2"):
        command = ["train", data, "-o", str(tmp_path / "model"), *SAMPLED, "--sampler", "uniform", "--negatives", n]
        assert cli.main([*command, "--quiet"]) == 0
        weights.append(load(tmp_path / "model").hidden_coef_)
    assert not np.array_equal(*weights)


def test_training_from_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(ROWS.encode())))
    assert cli.main(["train", "-", "-o", str(tmp_path / "model"), "--quiet"]) == 0
    assert load(tmp_path / "model").classes_.tolist() == [1, 2, 3]


def test_predictions_of_no_rows(data, tmp_path, monkeypatch, capsys):
    assert cli.main(["train", data, "-o", str(tmp_path / "model"), "--quiet"]) == 0
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert cli.main(["predict", str(tmp_path / "model")]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="redirections of a shell")
@pytest.mark.parametrize(
    ("redirection", "message"), [("<&-", "standard input is closed"), (">&-", "standard output is closed")]
)
def test_closed_streams(redirection, message, data, tmp_path):
    model = tmp_path / "model"
    assert cli.main(["train", data, "-o", str(model), "--quiet"]) == 0
    rows = "" if redirection == "<&-" else data
    command = f"{sys.executable} -m fastsoftmax predict {model} {rows} {redirection}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1
