"""Warnings point at the line of whoever calls the library."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import cross_val_predict

from fastsoftmax import SoftmaxClassifier, SoftmaxRegression, terms
from fastsoftmax.cli import main as cli

NOISE = np.random.default_rng(1).integers(6, size=40)
X, Y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
RARE = terms.SparseTerm(min_count=1000)
CALLS = {
    "column": (lambda: SoftmaxRegression().fit(X, Y[:, None]), DataConversionWarning),
    "column of a classifier": (lambda: SoftmaxClassifier(max_iter=1).fit(X, Y[:, None]), DataConversionWarning),
    "iterations": (lambda: SoftmaxRegression(max_iter=1, tol=1e-9).fit(X, Y), ConvergenceWarning),
    "divergence": (
        lambda: SoftmaxClassifier(learning_rate=1e4, max_iter=5, random_state=0).fit(X, NOISE),
        ConvergenceWarning,
    ),
    "no pairs": (lambda: SoftmaxClassifier(direct=RARE, hidden_size=None, max_iter=1).fit(X, Y), UserWarning),
    "in scikit-learn": (lambda: cross_val_predict(SoftmaxRegression(max_iter=1), X, Y, cv=2), ConvergenceWarning),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_file_that_a_warning_points_at(name):
    call, category = CALLS[name]
    with pytest.warns(category) as warned:
        call()
    assert {warning.filename for warning in warned} == {__file__}
    assert {warning.lineno for warning in warned} == {call.__code__.co_firstlineno}


def test_warnings_of_the_command_are_plain(tmp_path):
    data = tmp_path / "data"
    data.write_text("".join(f"{y} 1:{x[0]} 2:{x[1]} 3:{x[2]}\n" for x, y in zip(X, NOISE, strict=True)))
    program = [sys.executable, "-m", "fastsoftmax", "train", str(data), "-o", str(tmp_path / "model"), "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1000000"}
    options = ["--learning-rate", "1e4", "--epochs", "5"]
    done = subprocess.run([*program, *options], env=environment, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and len(lines) >= 1
    assert all(line.startswith("fastsoftmax: warning: ") for line in lines), lines
    assert any("training diverged; lower" in line for line in lines), lines


def test_the_command_leaves_the_format_of_warnings(capsys):
    before = warnings.formatwarning
    assert cli.main(["info"]) == 0
    assert warnings.formatwarning is before
