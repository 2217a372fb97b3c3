"""Checkpoints of several ranks: whenever they are killed, all of them go on from the same step."""

import contextlib
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from checkpoint_cases import MIXED, N_CLASSES, Killed, X, Y, classifier
from rank_cases import TERMS, arrays, assert_same, of_all, own_rows, whole
from thread_ranks import run

from fastsoftmax.files import tensor_file
from fastsoftmax.training.trainer import Trainer
from fastsoftmax.training.watchers import checkpoint
from fastsoftmax.training.watchers.checkpoint_files import FORMAT, FORMAT_VERSION, FileOfRank

CASES = TERMS | {
    "early stopping": TERMS["sampled"] | {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 6},
    "averaging": TERMS["low rank"] | {"average": 0.7},
    "mixed": TERMS["sampled"] | {"sampler": MIXED},
    "SGD": TERMS["low rank"] | {"optimizer": "sgd"},
    "L1": {"direct": "dense", "l1_alpha": 1e-2},
    "E divided": TERMS["sparse and low rank"] | {"divide_embedding": True},
    "E divided, early stopping": TERMS["low rank"] | {"divide_embedding": True, "early_stopping": True, "average": 0.7},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.checkpoint"


def train(size, path, every=0, **params):
    """The classifiers of all ranks."""

    def on(ranks):
        mine = path(ranks) if callable(path) else path
        return classifier(**params, checkpoint=mine, checkpoint_every=every, comm=ranks).fit(*own_rows(ranks))

    return run(size, on)


def stop_after(monkeypatch, n_steps):
    """Kill all ranks in the middle of a step, after so many others."""
    step = Trainer._step

    def counted(self, rows):
        self.n_made = getattr(self, "n_made", 0) + 1
        if self.n_made > n_steps:
            self.learners[-1].runner.model.bias.fill(7)  # half of a step
            raise Killed
        return step(self, rows)

    monkeypatch.setattr(Trainer, "_step", counted)


def stopped(monkeypatch, size, path, n_steps=5, **params):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, n_steps)
        train(size, path, **params)


def assert_same_training(a, b):
    assert_same(whole([c._model for c in a]), whole([c._model for c in b]))
    assert a[0].loss_curve_ == b[0].loss_curve_ and a[0].calibration_ == b[0].calibration_
    states = [c._state.rng.bit_generator.state for c in [*a, *b]]
    assert all(state == states[0] for state in states)


def names(path):
    return sorted(p.name for p in path.parent.iterdir())


@pytest.mark.parametrize("size", [3])
@pytest.mark.parametrize("name", CASES)
def test_goes_on_to_the_bit(monkeypatch, path, size, name):
    params, n_times = CASES[name], 0
    straight = train(size, None, **params)
    while True:
        with monkeypatch.context() as patch:
            stop_after(patch, 4)
            try:
                resumed = train(size, path, **params)
                break
            except Killed:
                n_times += 1
                assert names(path) == [f"{path.name}.{r + 1:05d}-of-{size:05d}" for r in range(size)]
    assert n_times >= 2
    assert_same_training(straight, resumed)
    assert not names(path)


def test_without_a_seed(monkeypatch, path):
    params = TERMS["sampled"] | {"random_state": None, "early_stopping": True}
    stopped(monkeypatch, 2, path, **params)
    start = tensor_file.read(f"{path}.00001-of-00002", FORMAT, (FORMAT_VERSION,))[0]["start"]
    resumed = train(2, path, **params)
    from fastsoftmax.files.state_dict import generator

    straight = run(2, lambda r: classifier(**params | {"random_state": generator(start)}, comm=r).fit(*own_rows(r)))
    assert_same_training(straight, resumed)


def kill_at(monkeypatch, at, rank):
    """End one rank, or all of them (None), at operation number `at` of those that change files.

    Where it is one, the others wait for it in vain. Returns a list that the operation will be in.
    """
    count, hit, lock = [0], [], threading.Lock()
    tag = ".checkpoint." if rank is None else f".{rank + 1:05d}-of-"

    def counted(owner, name):
        function = getattr(owner, name)

        def call(path, *args, **kwargs):
            if tag in os.fspath(path):
                with lock:
                    count[0] += 1
                    if count[0] >= at:
                        hit.append(name)
                        raise Killed
            return function(path, *args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for owner, name in ((tensor_file, "write"), (os, "replace"), (Path, "unlink")):
        counted(owner, name)
    return hit


@pytest.mark.parametrize("rank", [0, 2, None])
def test_killed_at_any_operation(monkeypatch, path, rank):
    """Ranks end before they write, rename or remove a file, while others may have done so."""
    params = TERMS["sparse and low rank"] | {"batch_size": 100, "max_iter": 2}
    straight, seen = train(3, None, **params), []
    for at in range(1, 200):
        with monkeypatch.context() as patch:
            hit = kill_at(patch, at, rank)
            with contextlib.suppress(Killed):
                train(3, path, **params)
        if not hit:
            break
        seen += hit
        assert_same_training(straight, train(3, path, **params))
        assert not names(path)
    assert {"write", "replace", "unlink"} <= set(seen) and len(seen) > 15


@pytest.mark.parametrize("now", [1, 3])
def test_another_number_of_ranks(monkeypatch, path, now):
    stopped(monkeypatch, 2, path, **TERMS["low rank"])
    before = names(path)
    with pytest.raises(ValueError, match=f"is of a training by 2 ranks, and now there are {now}"):
        if now == 1:
            classifier(**TERMS["low rank"], checkpoint=path).fit(X, Y)
        else:
            train(3, path, **TERMS["low rank"])
    assert names(path) == before


def test_the_checkpoint_of_one_process(monkeypatch, path):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, 5)
        classifier(**TERMS["low rank"], checkpoint=path, checkpoint_every=0).fit(X, Y)
    assert names(path) == [path.name]
    with pytest.raises(ValueError, match="is of a training by 1 rank, and now there are 2"):
        train(2, path, **TERMS["low rank"])


def test_rank_0_decides_by_its_clock(monkeypatch, path):
    written, write = [], FileOfRank.write
    monkeypatch.setattr(
        FileOfRank, "write", lambda self, t, h, step: written.append((self.ranks.rank, step)) or write(self, t, h, step)
    )

    def every(ranks):
        rows = own_rows(ranks)
        model = classifier(**TERMS["low rank"], checkpoint=path, checkpoint_every=10**9 * ranks.rank, comm=ranks)
        model.fit(*rows)

    run(2, every)
    steps = [[step for rank, step in written if rank == r] for r in range(2)]
    assert steps[0] == steps[1] and len(steps[0]) > 5
    written.clear()
    train(2, path, every=10**9, **TERMS["low rank"])
    assert not written


def test_nothing_is_sent_without_a_checkpoint(path):
    sent = []
    for given in (None, path):
        sent.append([c.comm.bytes_sent for c in train(2, given, every=10**9, **TERMS["low rank"])])
    n_steps = 4 * -(-160 // 32)
    assert 0 < sent[1][0] - sent[0][0] <= 8 * (n_steps + 4)


def test_a_checkpoint_on_all_ranks_or_none(path):
    def on(ranks):
        mine = path if ranks.rank else None
        classifier(**TERMS["low rank"], checkpoint=mine, comm=ranks).fit(*own_rows(ranks))

    assert all("checkpoint, whether there is one, is False on rank 0" in str(e) for e in of_all(2, on))


def test_a_folder_of_each_rank(monkeypatch, tmp_path):
    def mine(ranks):
        (tmp_path / str(ranks.rank)).mkdir(exist_ok=True)
        return tmp_path / str(ranks.rank) / "checkpoint"

    straight = train(2, None, **TERMS["dense"])
    stopped(monkeypatch, 2, mine, **TERMS["dense"])
    assert_same_training(straight, train(2, mine, **TERMS["dense"]))


def both_raise(path, match, **params):
    def on(ranks):
        classifier(**params, checkpoint=path, checkpoint_every=0, comm=ranks).fit(*own_rows(ranks))

    raised = of_all(2, on)
    assert all(isinstance(e, ValueError) and match in str(e) for e in raised), raised


def test_a_file_is_missing_or_of_another_or_damaged(monkeypatch, path):
    params = TERMS["low rank"]
    stopped(monkeypatch, 2, path, **params)
    mine, other = (path.with_name(f"{path.name}.0000{i}-of-00002") for i in (2, 1))
    content = mine.read_bytes()
    mine.unlink()
    both_raise(path, "in common: rank 1 has no file", **params)
    mine.write_bytes(other.read_bytes())
    both_raise(path, "the checkpoint of rank 0 of 2", **params)
    damaged = bytearray(content)
    damaged[-9] ^= 1
    mine.write_bytes(damaged)
    both_raise(path, f"{mine.name}: a damaged checkpoint", **params)
    mine.write_bytes(content)
    both_raise(path, "of another training: max_iter was 4, now it is 5", **params | {"max_iter": 5})
    assert_same_training(train(2, None, **params), train(2, path, **params))


def test_files_of_different_generations(monkeypatch, path):
    params = TERMS["low rank"]
    stopped(monkeypatch, 2, path, n_steps=3, **params)
    mine = path.with_name(f"{path.name}.00002-of-00002")
    old = mine.read_bytes()
    stopped(monkeypatch, 2, path, n_steps=3, **params)
    mine.write_bytes(old)
    both_raise(path, "their files are of different ones", **params)


def test_the_model_of_each_rank_is_the_part_of_all(path):
    models = [c._model for c in train(2, path, **TERMS["low rank"])]
    assert sum(model.n_classes for model in models) == N_CLASSES
    one = classifier(**TERMS["low rank"]).fit(X, Y)
    for name, a in whole(models).items():
        np.testing.assert_allclose(a, arrays(one._model)[name], rtol=2e-3, atol=2e-4)
    assert checkpoint.FORMAT == FORMAT
