"""A training that is stopped anywhere and started again gives the very model that it would have become."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from fastsoftmax import SoftmaxClassifier, _checkpoint, _state, _tensor_file, persistence, samplers
from fastsoftmax._training import Trainer

N_CLASSES = 40


def data(seed=0, n_rows=200):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, N_CLASSES, n_rows)
    y[:N_CLASSES] = np.arange(N_CLASSES)
    noise = sp.random_array((n_rows, 12), density=0.3, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(N_CLASSES, format="csr")[y], noise])).astype(np.float32), y


X, Y = data()
LOW_RANK = {"direct": None, "hidden_size": 6}
SAMPLED = LOW_RANK | {"loss": "sampled_softmax"}
MIXED = samplers.Mixed([samplers.LearnedUnigram(N_CLASSES), samplers.InBatch(np.ones(N_CLASSES))])
MODELS = {
    "full direct": {"direct": "dense"},
    "full low rank": LOW_RANK | {"gradient_threshold": 0.01},
    "full both, SGD": {"direct": "dense", "hidden_size": 6, "optimizer": "sgd"},
    "sampled": SAMPLED,
    "SGD": SAMPLED | {"optimizer": "sgd"},
    "unigram": SAMPLED | {"sampler": "unigram"},
    "uniform": SAMPLED | {"sampler": "uniform", "loss": "nce"},
    "log-uniform": SAMPLED | {"sampler": samplers.LogUniform(N_CLASSES)},
    "learned unigram": SAMPLED | {"sampler": "learned_unigram"},
    "multi-index": SAMPLED | {"sampler": samplers.MultiIndex(N_CLASSES, n_codes=3, refresh_every=2)},
    "mixed": SAMPLED | {"sampler": MIXED},
    "normaliser": SAMPLED | {"normaliser_rate": 0.5},
    "sparse direct": {"direct": "sparse"},
    "sparse beside": {"direct": "sparse", "hidden_size": 6},
    "joint": {"direct": "sparse", "hidden_size": 6, "joint": True, "loss": "sampled_softmax"},
    "early stopping": SAMPLED | {"early_stopping": True, "n_iter_no_change": 2, "learning_rate": 3.0, "max_iter": 9},
    "early stopping, dense": {"direct": "dense", "early_stopping": True, "max_iter": 3},
    "averaging": SAMPLED | {"average": 0.7},
    "averaging, dense, early stopping": {
        "direct": "dense",
        "average": True,
        "early_stopping": True,
        "n_iter_no_change": 9,
    },
    "L1": {"direct": "dense", "l1_alpha": 1e-2},
    "L1, sparse": {"direct": "sparse", "l1_alpha": 1e-3, "average": True},
    "clipped": SAMPLED | {"clip_norm": 0.1, "class_weight": "balanced", "schedule": "cosine"},
}


def classifier(**params):
    defaults = {"n_negatives": 8, "batch_size": 32, "max_iter": 4, "n_threads": 1, "random_state": 3}
    if params.get("direct") != "dense":
        defaults["calibration_fraction"] = 0.2
    return SoftmaxClassifier(**defaults | params)


class Killed(BaseException):
    pass


def stop_after(monkeypatch, n_steps):
    """Training ends in the middle of the step after so many."""
    step, left = Trainer._step, [n_steps]

    def counted(self, rows):
        if not left[0]:
            self.parts[-1].runner.model.bias.fill(7)  # half of a step
            raise Killed
        left[0] -= 1
        return step(self, rows)

    monkeypatch.setattr(Trainer, "_step", counted)


def in_pieces(monkeypatch, path, n_steps, make=classifier, X=X, Y=Y, fit_params=None, **params):
    """The model of a training that is killed whenever it has made `n_steps` more, and how often that was."""
    for n_times in range(1000):
        model = make(checkpoint=path, checkpoint_every=0, **params)
        with monkeypatch.context() as patch:
            stop_after(patch, n_steps)
            try:
                return model.fit(X, Y, **(fit_params or {})), n_times
            except Killed:
                assert path.exists()
    raise AssertionError("it never ends")


def stopped(monkeypatch, path, n_steps=5, fit_params=None, **params):
    """One that is killed once."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, n_steps)
        classifier(**{"checkpoint_every": 0} | params, checkpoint=path).fit(X, Y, **(fit_params or {}))


def assert_same(a, b):
    assert a.loss_curve_ == b.loss_curve_ and a.validation_curve_ == b.validation_curve_
    assert a.calibration_ == b.calibration_
    for name, value in a._model.arrays().items():
        assert_array_equal(value, b._model.arrays()[name], err_msg=name)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.checkpoint"


@pytest.mark.parametrize("verbose", [(0, 1), (1, 0)])
def test_a_progress_bar_may_come_and_go(monkeypatch, path, verbose):
    params = {"direct": "dense", "l1_alpha": 0.01, "average": True, "early_stopping": True}
    stopped(monkeypatch, path, verbose=verbose[0], **params)
    model = classifier(checkpoint=path, verbose=verbose[1], **params).fit(X, Y)
    assert_same(model, classifier(**params).fit(X, Y))


def test_functions_of_one_name_are_told_apart(monkeypatch, path):
    def make(power):
        return lambda progress: (1 - progress) ** power

    stopped(monkeypatch, path, schedule=make(1), **LOW_RANK)
    with pytest.raises(ValueError, match="of another training: schedule was"):
        classifier(checkpoint=path, schedule=make(2), **LOW_RANK).fit(X, Y)
    model = classifier(checkpoint=path, schedule=make(1), **LOW_RANK).fit(X, Y)
    assert_same(model, classifier(schedule=make(1), **LOW_RANK).fit(X, Y))


def test_a_file_of_somebody_else_is_not_removed(monkeypatch, path):
    end = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda self, *args: (end(self, *args), path.write_text("mine")))
    classifier(checkpoint=path, **LOW_RANK).fit(X, Y)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("n_steps", [1, 3, 7])
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_goes_on_to_the_bit(monkeypatch, path, params, n_steps):
    whole = classifier(**params).fit(X, Y)
    model, n_times = in_pieces(monkeypatch, path, n_steps, **params)
    assert n_times >= 14 // n_steps
    assert_same(whole, model)
    assert whole._rng.bit_generator.state == model._rng.bit_generator.state
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("params", [SAMPLED, {"direct": "sparse"}], ids=["sampled", "sparse"])
def test_several_classes_a_row(monkeypatch, path, params):
    masses = sp.csr_array(np.eye(N_CLASSES)[Y] + 0.5 * np.eye(N_CLASSES)[Y[::-1]])
    whole = classifier(**params).fit(X, masses)
    assert_same(whole, in_pieces(monkeypatch, path, 3, Y=masses, **params)[0])


def test_validation_rows(monkeypatch, path):
    params, valid = SAMPLED | {"early_stopping": True}, {"X_val": X[:50], "y_val": Y[:50]}
    whole = classifier(**params).fit(X, Y, **valid)
    assert_same(whole, in_pieces(monkeypatch, path, 3, fit_params=valid, **params)[0])
    stopped(monkeypatch, path, fit_params=valid, **params)
    with pytest.raises(ValueError, match=r"of another training: X_val, y_val, sample_weight_val was"):
        classifier(**params, checkpoint=path).fit(X, Y, X_val=X[:50], y_val=Y[1:51])


def test_dense_X(monkeypatch, path):
    params = {"direct": "dense", "early_stopping": True}
    whole = classifier(**params).fit(X.toarray(), Y)
    assert_same(whole, in_pieces(monkeypatch, path, 3, X=X.toarray(), **params)[0])


def test_steps_since_the_last_checkpoint_are_made_again(monkeypatch, path):
    now = [0.0]
    monkeypatch.setattr(_checkpoint.time, "monotonic", lambda: now.__setitem__(0, now[0] + 1) or now[0])
    stopped(monkeypatch, path, 11, checkpoint_every=3.5, **SAMPLED)
    done = persistence.read(path, _checkpoint.FORMAT, 1)[0]["state"]["trainer"]["steps_done"]
    assert 6 <= done < 11
    assert_same(classifier(**SAMPLED).fit(X, Y), classifier(**SAMPLED, checkpoint=path).fit(X, Y))


@pytest.mark.parametrize("kind", [np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_random_generators_of_the_user(monkeypatch, path, kind):
    def make(**params):
        return classifier(**params, random_state=np.random.Generator(kind(5)))

    whole = make(**SAMPLED).fit(X, Y)
    model, _ = in_pieces(monkeypatch, path, 3, make, **SAMPLED)
    assert_same(whole, model)
    assert model.random_state.random() == whole.random_state.random()


def test_without_a_seed(monkeypatch, path):
    """Held-out rows, weights and order are those that the first of the calls began with."""
    params = SAMPLED | {"early_stopping": True, "random_state": None}
    stopped(monkeypatch, path, **params)
    start = persistence.read(path, _checkpoint.FORMAT, 1)[0]["start"]
    model, n_times = in_pieces(monkeypatch, path, 3, **params)
    assert n_times > 3
    assert_same(classifier(**params | {"random_state": _state.generator(start)}).fit(X, Y), model)


OTHERS = {
    "learning_rate was 0.1, now it is 0.2": {"learning_rate": 0.2},
    "random_state was": {"random_state": 4},
    "sampler was": {"sampler": samplers.Unigram(np.arange(1, N_CLASSES + 1))},
    "max_iter was 4, now it is 5": {"max_iter": 5},
}


@pytest.mark.parametrize(("message", "other"), OTHERS.items(), ids=OTHERS)
def test_other_parameters(monkeypatch, path, message, other):
    given = SAMPLED | {"sampler": samplers.Unigram(np.ones(N_CLASSES))}
    stopped(monkeypatch, path, **given)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        classifier(**given | {"checkpoint": path} | other).fit(X, Y)
    assert path.read_bytes() == content


def test_other_data(monkeypatch, path):
    stopped(monkeypatch, path, **SAMPLED)
    changed = X.copy()
    changed.data[5] += 1
    model = classifier(**SAMPLED, checkpoint=path)
    for name, arguments in {
        "X": (changed, Y),
        "y": (X, np.roll(Y, 1)),
        "sample_weight": (X, Y, np.arange(1, len(Y) + 1)),
    }.items():
        with pytest.raises(ValueError, match=f"is of another training: {name} was"):
            model.fit(*arguments)
    with pytest.raises(ValueError, match="is of another training: y was"):
        model.fit(X, Y + 1)
    assert_same(model.fit(X, Y), classifier(**SAMPLED).fit(X, Y))


def test_another_start(monkeypatch, path):
    params = {"direct": "sparse", "checkpoint": path, "checkpoint_every": 0, "calibration_fraction": "auto"}
    start = sp.csc_array(np.eye(N_CLASSES, X.shape[1], dtype=np.float32))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, 3)
        classifier(**params).fit(X, Y, coef_init=start)
    with pytest.raises(ValueError, match="the model that training begins at was"):
        classifier(**params).fit(X, Y, coef_init=2 * start)
    classifier(**params).fit(X, Y, coef_init=start)


def test_what_does_not_matter_may_differ(monkeypatch, path, tmp_path):
    (tmp_path / "weights").mkdir()
    stopped(monkeypatch, path, **SAMPLED)
    other = {"n_threads": 2, "checkpoint_every": 5, "weights_dir": tmp_path / "weights"}
    assert_same(classifier(**SAMPLED | other, checkpoint=path).fit(X, Y), classifier(**SAMPLED).fit(X, Y))


def test_damaged_files(monkeypatch, path):
    stopped(monkeypatch, path, **SAMPLED)
    content = path.read_bytes()
    model, whole = classifier(**SAMPLED, checkpoint=path), classifier(**SAMPLED).fit(X, Y)
    rng, n_refused = np.random.default_rng(0), 0
    start = 8 + int.from_bytes(content[:8], "little")
    for at in [len(content) - 3, *rng.integers(start, len(content), size=30), *rng.integers(start, size=60)]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            model.fit(X, Y)
        except ValueError as error:
            assert path.name in str(error)
            n_refused += 1
            assert path.read_bytes() == damaged
        else:
            raise AssertionError(f"byte {at} of {len(content)} was changed, and nobody noticed")
    for n in np.linspace(0, len(content) - 1, 15).astype(int):
        path.write_bytes(content[:n])
        with pytest.raises(ValueError, match=path.name):
            model.fit(X, Y)
    path.write_bytes(content)
    assert_same(model.fit(X, Y), whole)


def test_a_model_is_no_checkpoint(path):
    classifier(**SAMPLED).fit(X, Y).save(path)
    with pytest.raises(ValueError, match=r"holds 'fastsoftmax.SoftmaxClassifier' version 1, but this version reads"):
        classifier(**SAMPLED, checkpoint=path).fit(X, Y)


def test_the_file_of_another_is_not_overwritten(monkeypatch, path):
    step = Trainer._step

    def somebody(self, rows):
        if self.steps_done == 5:
            path.write_bytes(b"something else")
        return step(self, rows)

    monkeypatch.setattr(Trainer, "_step", somebody)
    with pytest.raises(FileExistsError, match="was changed by another training"):
        classifier(**SAMPLED, checkpoint=path, checkpoint_every=0).fit(X, Y)
    assert path.read_bytes() == b"something else"


def test_a_full_disk_leaves_the_last_one(monkeypatch, path):
    write, n_writes = _tensor_file._write_tensor, [0]

    def full(file, a):
        n_writes[0] += 1
        if n_writes[0] > 20:
            raise OSError(28, "No space left on device")
        return write(file, a)

    with monkeypatch.context() as patch:
        patch.setattr(_tensor_file, "_write_tensor", full)
        with pytest.raises(OSError, match="No space"):
            classifier(**SAMPLED, checkpoint=path, checkpoint_every=0).fit(X, Y)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert_same(classifier(**SAMPLED, checkpoint=path).fit(X, Y), classifier(**SAMPLED).fit(X, Y))


class Foreign:
    n_classes = N_CLASSES

    def draw(self, n, rng):
        return rng.integers(N_CLASSES, size=n), np.full(n, np.log(n / N_CLASSES))


class Resumable(Foreign):
    """Goes round."""

    def __init__(self):
        self.n_draws = 0

    def draw(self, n, rng):
        self.n_draws += n
        return (self.n_draws + np.arange(n)) % N_CLASSES, np.full(n, np.log(n / N_CLASSES))

    def state(self):
        return {"n_draws": self.n_draws}

    def restore(self, state):
        self.n_draws = state["n_draws"]


def test_samplers_of_the_user(monkeypatch, path):
    with pytest.raises(TypeError, match=r"sampler must have state\(\) and restore\(state\) for checkpoints"):
        classifier(**SAMPLED, sampler=Foreign(), checkpoint=path).fit(X, Y)

    def make(**params):
        return classifier(**params, sampler=Resumable())

    assert_same(make(**SAMPLED).fit(X, Y), in_pieces(monkeypatch, path, 3, make, **SAMPLED)[0])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"checkpoint": 5}, TypeError, "checkpoint must be a path, got 5"),
        ({"checkpoint": "/nothing/there"}, FileNotFoundError, "/nothing is not a folder"),
        ({"checkpoint_every": -1}, ValueError, "checkpoint_every must be at least 0"),
        ({"checkpoint_every": "1h"}, TypeError, "checkpoint_every must be a real number, got '1h'"),
    ],
)
def test_wrong_parameters(params, error, message):
    with pytest.raises(error, match=message):
        classifier(**params).fit(X, Y)


def test_nothing_learns(path):
    start = sp.csc_array(np.eye(N_CLASSES, X.shape[1], dtype=np.float32))
    classifier(direct="sparse", direct_learning_rate=0, checkpoint=path).fit(X, Y, coef_init=start)
    assert not path.exists()


@pytest.mark.parametrize("sampler", ["in_batch", "learned_unigram", "multi_index"])
@pytest.mark.parametrize("terms", [LOW_RANK, {"direct": "sparse", "hidden_size": 6}], ids=["low rank", "both"])
def test_save_is_the_checkpoint_of_partial_fit(path, terms, sampler):
    blocks = [data(seed) for seed in range(4)]
    params = terms | {"loss": "sampled_softmax", "sampler": sampler}
    whole = classifier(**params)
    for rows in blocks:
        whole.partial_fit(*rows, classes=np.arange(N_CLASSES))
    for i, rows in enumerate(blocks):
        model = SoftmaxClassifier.load(path) if i else classifier(**params)
        model.partial_fit(*rows, classes=np.arange(N_CLASSES)).save(path)
    SoftmaxClassifier.load(path).save(path)  # what was loaded and not used is kept
    assert_same(whole, SoftmaxClassifier.load(path))
    assert_same(whole.partial_fit(*blocks[0]), SoftmaxClassifier.load(path).partial_fit(*blocks[0]))


def test_another_sampler_than_was_saved(path):
    params = SAMPLED | {"sampler": "learned_unigram"}
    classifier(**params).fit(X, Y).save(path)
    model = SoftmaxClassifier.load(path).set_params(sampler="multi_index")
    model.save(path)  # with no state of a sampler
    assert_same(model.partial_fit(X, Y), SoftmaxClassifier.load(path).partial_fit(X, Y))


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[3])
import test_checkpoint as t
model = t.classifier(**t.MODELS[sys.argv[2]], checkpoint=sys.argv[1], checkpoint_every=0)
model.set_params(max_iter=40, hidden_size=256).fit(t.X, t.Y)
model.save(sys.argv[1] + ".model")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learned unigram", "normaliser"])
def test_killed_at_any_moment(path, name):
    """SIGKILL at random moments, and every second time while the file is written."""
    arguments = [sys.executable, "-c", PROGRAM, str(path), name, os.path.dirname(os.path.abspath(__file__))]
    chance, n_resumed, n_writing = random.Random(0), 0, 0
    part = path.parent / f".{path.name}.part"
    for n_times in range(100):
        n_resumed += path.exists()
        before = path.stat().st_mtime_ns if path.exists() else None
        process, started = subprocess.Popen(arguments), time.monotonic()
        while process.poll() is None and time.monotonic() < started + 60:
            if path.exists() and path.stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        if n_times % 2:
            while process.poll() is None and not part.exists():
                pass
        else:
            time.sleep(chance.random() * 0.03 * (1 + n_times))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
        n_writing += part.exists()
        names = {p.name for p in path.parent.iterdir() if ".model" not in p.name}  # but for what `save` was killed in
        assert names <= {path.name, part.name}
    assert n_resumed >= 3 and n_writing >= 1
    whole = classifier(**MODELS[name]).set_params(max_iter=40, hidden_size=256).fit(X, Y)
    assert_same(whole, SoftmaxClassifier.load(f"{path}.model"))
    assert not path.exists() and not part.exists()


def test_command_line(tmp_path, path, monkeypatch):
    from fastsoftmax import cli

    lines = (f"{label} {label + 1}:1 {50 + i % 7}:0.5\n" for i, label in enumerate(Y.tolist()))
    (tmp_path / "data.svm").write_text("".join(lines))
    common = ["train", str(tmp_path / "data.svm"), "--quiet", "--epochs", "2", "--batch-size", "16", "-o"]
    cli.main([*common, str(tmp_path / "whole")])
    resumed = [*common, str(tmp_path / "resumed"), "--checkpoint", str(path), "--checkpoint-every", "0"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, 9)
        cli.main(resumed)
    with monkeypatch.context() as patch:
        patch.setattr(persistence, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        assert cli.main(resumed) == 1
    assert path.exists()
    assert cli.main(resumed) == 0
    assert not path.exists()
    assert_same(*(SoftmaxClassifier.load(tmp_path / name) for name in ("whole", "resumed")))


def test_nothing_in_the_file_is_executable(monkeypatch, path):
    stopped(monkeypatch, path, **MODELS["multi-index"])
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["fastsoftmax"])["format"] == _checkpoint.FORMAT
    assert b"pickle" not in content
