"""A training that is stopped anywhere and started again gives the very model that it would have become."""

import json
import multiprocessing
import random
import signal
import time

import numpy as np
import pytest
import scipy.sparse as sp
from checkpoint_cases import (
    LOW_RANK,
    MODELS,
    N_CLASSES,
    SAMPLED,
    Killed,
    X,
    Y,
    assert_same,
    classifier,
    data,
    in_pieces,
    stop_after,
    stopped,
)

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.estimators import saving
from fastsoftmax.files import state_dict, tensor_file
from fastsoftmax.training.trainer import Trainer
from fastsoftmax.training.watchers import checkpoint


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
    assert whole._state.rng.bit_generator.state == model._state.rng.bit_generator.state
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
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now.__setitem__(0, now[0] + 1) or now[0])
    stopped(monkeypatch, path, 11, checkpoint_every=3.5, **SAMPLED)
    done = tensor_file.read(path, checkpoint.FORMAT, (checkpoint.FORMAT_VERSION,))[0]["state"]["trainer"]["steps_done"]
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
    start = tensor_file.read(path, checkpoint.FORMAT, (checkpoint.FORMAT_VERSION,))[0]["start"]
    model, n_times = in_pieces(monkeypatch, path, 3, **params)
    assert n_times > 3
    assert_same(classifier(**params | {"random_state": state_dict.generator(start)}).fit(X, Y), model)


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
    model = SoftmaxClassifier.load(path).set_params(loss__sampler="multi_index")
    model.save(path)  # with no state of a sampler
    assert_same(model.partial_fit(X, Y), SoftmaxClassifier.load(path).partial_fit(X, Y))


def train_and_save(path, name):
    model = classifier(**MODELS[name], checkpoint=path, checkpoint_every=0)
    model.set_params(max_iter=40, hidden_size=256).fit(X, Y).save(f"{path}.model")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learned unigram", "normaliser"])
def test_killed_at_any_moment(path, name):
    """SIGKILL comes at random moments, and every second time while the file is written."""
    context = multiprocessing.get_context("fork")  # a fresh Python would import for seconds before it trains
    chance, n_resumed, n_writing = random.Random(0), 0, 0
    part = path.parent / f".{path.name}.part"
    for n_times in range(100):
        n_resumed += path.exists()
        before = path.stat().st_mtime_ns if path.exists() else None
        process, started = context.Process(target=train_and_save, args=(str(path), name)), time.monotonic()
        process.start()
        while process.exitcode is None and time.monotonic() < started + 60:
            if path.exists() and path.stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        if n_times % 2:
            while process.exitcode is None and not part.exists():
                pass
        else:
            time.sleep(chance.random() * 0.05 * (1 + n_times))  # a machine may be fast
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        n_writing += part.exists()
        names = {p.name for p in path.parent.iterdir() if ".model" not in p.name}  # but for what `save` was killed in
        assert names <= {path.name, part.name}
    assert n_resumed >= 3 and n_writing >= 1
    whole = classifier(**MODELS[name]).set_params(max_iter=40, hidden_size=256).fit(X, Y)
    assert_same(whole, SoftmaxClassifier.load(f"{path}.model"))
    assert not path.exists() and not part.exists()


def test_command_line(tmp_path, path, monkeypatch):
    from fastsoftmax.cli import main as cli

    lines = (f"{label} {label + 1}:1 {50 + i % 7}:0.5\n" for i, label in enumerate(Y.tolist()))
    (tmp_path / "data.svm").write_text("".join(lines))
    common = ["train", str(tmp_path / "data.svm"), "--quiet", "--epochs", "2", "--batch-size", "16", "-o"]
    cli.main([*common, str(tmp_path / "whole")])
    resumed = [*common, str(tmp_path / "resumed"), "--checkpoint", str(path), "--checkpoint-every", "0"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, 9)
        cli.main(resumed)
    with monkeypatch.context() as patch:
        patch.setattr(saving, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        assert cli.main(resumed) == 1
    assert path.exists()
    assert cli.main(resumed) == 0
    assert not path.exists()
    assert_same(*(SoftmaxClassifier.load(tmp_path / name) for name in ("whole", "resumed")))


def test_nothing_in_the_file_is_executable(monkeypatch, path):
    stopped(monkeypatch, path, **MODELS["multi-index"])
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["fastsoftmax"])["format"] == checkpoint.FORMAT
    assert b"pickle" not in content
