"""A disk that is too small for the model, or for a checkpoint, is found out before training."""

import errno
import os
import shutil
from collections import namedtuple

import numpy as np
import pytest
import scipy.sparse as sp

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.cli import main as cli
from fastsoftmax.estimators import Checkpoint
from fastsoftmax.optimizers import SGD
from fastsoftmax.training.training import Training
from fastsoftmax.training.watchers.checkpoint import CheckpointWatcher

Usage = namedtuple("Usage", "total used free")
Y = np.resize(np.arange(50), 400)
X = sp.csr_array(np.eye(50, dtype=np.float32)[Y])
MODELS = [
    {"direct": "dense"},
    {"direct": "dense", "optimizer": "sgd", "dtype": "float64"},
    {"hidden_size": 8},
    {"hidden_size": 8, "optimizer": SGD()},
    {"direct": "sparse"},
    {"direct": "sparse", "hidden_size": 8},
]


@pytest.fixture
def free(monkeypatch):
    """Sets the free space of every disk."""

    def set_free(n_bytes):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2**40, 2**40 - n_bytes, n_bytes))

    return set_free


def no_training(*args, **kwargs):
    raise AssertionError("training began")


def fit(path, **params):
    return SoftmaxClassifier(random_state=0, max_iter=1, **params)._fit(X, Y, output=path)


@pytest.mark.parametrize("params", MODELS, ids=str)
def test_the_forecast_is_a_lower_bound_of_the_file(params, tmp_path, free, monkeypatch):
    path = tmp_path / "model"
    SoftmaxClassifier(random_state=0, max_iter=1, **params).fit(X, Y).save(path)
    free(path.stat().st_size)
    fit(path, **params)  # what fits is never refused
    free(500)
    monkeypatch.setattr(Training, "run", no_training)
    with pytest.raises(
        OSError, match=r"^output cannot be .*model': the file will take at least 0.00 GiB .* are free"
    ) as error:
        fit(path, **params)
    assert error.value.errno == errno.ENOSPC
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(OSError, match=r"^checkpoint cannot be .*checkpoint': the file will take at least"):
        SoftmaxClassifier(random_state=0, checkpoint=checkpoint, **params).fit(X, Y)


@pytest.mark.parametrize("params", MODELS[:5:2], ids=str)
def test_a_refused_training_leaves_the_model_before(params, tmp_path, free):
    model = SoftmaxClassifier(random_state=0, max_iter=1, **params).fit(X, Y)
    before = model.predict_proba(X)
    free(100)
    for warm_start in (False, True):
        model.set_params(checkpoint=tmp_path / "checkpoint", warm_start=warm_start)
        with pytest.raises(OSError, match=r"^checkpoint cannot be"):
            model.fit(X, Y)
        np.testing.assert_array_equal(model.predict_proba(X), before)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_have_no_limit(tmp_path, free):
    free(0)
    os.mkfifo(tmp_path / "pipe")
    for path in (os.devnull, tmp_path / "pipe"):
        fit(path, direct="dense")


@pytest.mark.parametrize("option", ["output", "checkpoint"])
def test_the_command_says_it_in_one_line(option, tmp_path, capsys, free, monkeypatch):
    data, model = tmp_path / "data", tmp_path / "model"
    data.write_text("".join(f"{y} {y}:1\n" for y in Y))
    command = ["train", str(data), "-o", str(model), "--epochs", "1"]
    options = ["--checkpoint", str(tmp_path / "checkpoint")] if option == "checkpoint" else []
    assert cli.main([*command, *options]) == 0
    assert load(model).n_iter_ == 1
    model.unlink()
    capsys.readouterr()
    free(1000)
    monkeypatch.setattr(Training, "run", no_training)
    assert cli.main([*command, *options]) == 1
    written = capsys.readouterr()
    path = tmp_path / ("model" if option == "output" else "checkpoint")
    start = f"fastsoftmax: error: --{option} cannot be '{path}': the file will take at least"
    told, error = written.err.splitlines()[:-1], written.err.splitlines()[-1]
    assert any("400 rows" in line for line in told) and error.startswith(start) and not written.out
    assert not model.exists()


@pytest.mark.parametrize("params", MODELS, ids=str)
def test_a_checkpoint_is_no_smaller_than_forecast(params, tmp_path, free, monkeypatch):
    sizes = []
    write = CheckpointWatcher._write

    def written(self, trainer):
        write(self, trainer)
        sizes.append(self.path.stat().st_size)

    monkeypatch.setattr(CheckpointWatcher, "_write", written)
    checkpoint = Checkpoint(tmp_path / "checkpoint", every=0)
    SoftmaxClassifier(random_state=0, max_iter=1, checkpoint=checkpoint, **params).fit(X, Y)
    free(min(sizes))
    SoftmaxClassifier(random_state=0, max_iter=1, checkpoint=checkpoint, **params).fit(X, Y)
