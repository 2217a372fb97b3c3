"""The progress bar of training."""

import io
import sys

import pytest
from flat_options import flat_classifier

from fastsoftmax import SoftmaxClassifier, SoftmaxRegression, metrics
from fastsoftmax.cli import main as cli
from fastsoftmax.runtime import progress


class Stream(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


def shown_by_training(monkeypatch, stream, rows):
    """What a training with validation and calibration shows on standard error."""
    monkeypatch.setattr(sys, "stderr", stream)
    params = {"direct": "sparse", "hidden_size": None, "early_stopping": True, "max_iter": 2, "random_state": 0}
    flat_classifier(verbose=1, **params).fit(*rows)
    return stream.getvalue()


def test_a_log_gets_a_line_a_phase(monkeypatch, sparse_rows):
    shown = shown_by_training(monkeypatch, Stream(False), sparse_rows(1500, 20, 5))
    assert "\r" not in shown and shown.endswith("\n")
    plan, counting, *lines = shown.splitlines()
    assert plan.startswith("loss=") and counting.startswith("counting the pairs")
    assert all(line == line.strip() and "100%" in line for line in lines)
    starts = [line.split(":")[0].split(",")[0] for line in lines]
    assert sorted(starts) == ["calibrating", "epoch 2/2", "validating", "validating"]
    assert ", pass " in next(line for line in lines if line.startswith("calibrating"))


def test_a_log_gets_lines_in_between(monkeypatch, sparse_rows):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    lines = shown_by_training(monkeypatch, Stream(False), sparse_rows(1500, 20, 5)).splitlines()
    assert any(line.startswith("epoch 1/2") and "loss" in line for line in lines)


def test_a_terminal_gets_a_bar_that_moves(monkeypatch, sparse_rows):
    assert "\r" in shown_by_training(monkeypatch, Stream(True), sparse_rows(1500, 20, 5))


def test_a_closed_standard_error_shows_nothing(monkeypatch, capfd, sparse_rows):
    monkeypatch.setattr(progress, "MANY_ROWS", 1)
    monkeypatch.setattr(sys, "stderr", None)
    flat_classifier(verbose=1, direct="dense", hidden_size=None, max_iter=1).fit(*sparse_rows(300, 20, 5))
    assert "encoding" not in capfd.readouterr().out


def test_progress_is_shown(capfd, sparse_rows):
    X, y = sparse_rows(300, 20, 5)
    SoftmaxClassifier(random_state=0, max_iter=3, verbose=1).fit(X, y)
    shown = capfd.readouterr().err
    for part in ("epoch 3/3", "100%", "rows/s"):
        assert part in shown
    SoftmaxClassifier(random_state=0, max_iter=3).fit(X, y)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def everything_is_large(monkeypatch):
    monkeypatch.setattr(progress, "MANY_ROWS", 1)
    monkeypatch.setattr(progress, "MANY_BYTES", 1)


def test_short_steps_say_nothing(capfd, sparse_rows, tmp_path):
    X, y = sparse_rows(300, 20, 5)
    SoftmaxClassifier(random_state=0, max_iter=1, verbose=1).fit(X, y).save(tmp_path / "model")
    assert "encoding" not in (shown := capfd.readouterr().err) and "saving" not in shown


@pytest.mark.usefixtures("everything_is_large")
def test_every_long_step_says_what_it_does(capfd, sparse_rows, tmp_path):
    """And nothing is said without `verbose`, nor on standard output."""
    X, y = sparse_rows(300, 20, 5)
    said = (
        "encoding the labels",
        "taking checksums of the data",
        "holding out rows",
        "making the initial model",
        "preparing the steps",
        "checking that the weights are finite",
        "saving the model to",
        "evaluating",
    )
    params = {"random_state": 0, "max_iter": 1, "hidden_size": 4, "early_stopping": True}
    for verbose in (0, 1):
        model = SoftmaxClassifier(checkpoint=tmp_path / "c", verbose=verbose, **params).fit(X, y)
        model.save(tmp_path / "model")
        metrics.evaluate(model, X, y, ks=(1,), verbose=verbose)
        SoftmaxRegression(verbose=verbose).fit(X, y)
        shown = capfd.readouterr()
        for part in (*said, "scaling the features"):
            assert (part in shown.err) == bool(verbose)
        assert not shown.out
    with pytest.raises(ValueError, match=r"^verbose must be at least 0"):
        metrics.evaluate(model, X, y, verbose=-1)


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("texts", [False, True])
def test_the_command_says_what_it_does(texts, tmp_path, capfd):
    data, model, small = (str(tmp_path / name) for name in ("data", "model", "small"))
    lines = [f"__label__{i % 3} word{i % 3}" if texts else f"{i % 3} {i % 3}:1" for i in range(60)]
    (tmp_path / "data").write_text("\n".join(lines))
    words = {"finding the words"} if texts else set()
    commands = {
        ("train", data, "-o", model): {f"reading {data}", "collecting the labels", f"saving the model to {model}"}
        | ({"numbering the words", "finding the words"} if texts else set()),
        ("predict", model, data): {f"loading {model}", f"reading {data}", "predicting"} | words,
        ("evaluate", model, data, "-k", "1"): {f"reading {data}", "comparing the labels", "evaluating"} | words,
        ("compress", model, "-o", small, "--data", data, "-k", "1"): {
            "compressing the weights",
            f"saving the model to {small}",
        },
    }
    for command, expected in commands.items():
        loud, quiet = ([], ["--quiet"]) if command[0] == "train" else (["--verbose"], [])
        written = []
        for options in (loud, quiet):
            assert cli.main([*command, *options]) == 0
            written.append(capfd.readouterr())
        for part in expected:
            assert part in written[0].err
        assert written[1].err == ""
        if command[0] != "train":
            assert written[0].out == written[1].out
