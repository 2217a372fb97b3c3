"""The progress bar of training."""

import io
import sys

from flat_options import flat_classifier

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.training.watchers import progress


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
    lines = shown.splitlines()
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


def test_progress_is_shown(capfd, sparse_rows):
    X, y = sparse_rows(300, 20, 5)
    SoftmaxClassifier(random_state=0, max_iter=3, verbose=1).fit(X, y)
    shown = capfd.readouterr().err
    for part in ("epoch 3/3", "100%", "rows/s"):
        assert part in shown
    SoftmaxClassifier(random_state=0, max_iter=3).fit(X, y)
    assert capfd.readouterr() == ("", "")
