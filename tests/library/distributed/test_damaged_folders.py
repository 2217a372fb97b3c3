"""What is no model, or a part of one, in a folder of several files, and folders that no model may be written to."""

import json
import os

import numpy as np
import pytest
from checkpoint_cases import X, Y, classifier
from rank_cases import TERMS, arrays, assert_same, fitted, of_all, saved, whole
from thread_ranks import run

from fastsoftmax import load
from fastsoftmax.estimators import saving
from fastsoftmax.files import tensor_file


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def refused(folder, size, error=ValueError):
    """The message of the error that all ranks raise."""
    raised = of_all(size, lambda ranks: load(folder, comm=ranks))
    assert all(isinstance(e, error) for e in raised), raised
    with pytest.raises(error):
        load(folder)
    return str(raised[0])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_damage(folder, n):
    saved(folder, 3, **TERMS["sparse and low rank"])
    path = folder / f"model-0000{n}-of-00003.safetensors"
    content, rng = path.read_bytes(), np.random.default_rng(n)
    start = 8 + int.from_bytes(content[:8], "little")
    for at in [*rng.integers(start, len(content), 12), *rng.integers(20, start - 20, 12)]:
        changed = bytearray(content)
        changed[at] ^= 1 << int(rng.integers(7))
        path.write_bytes(changed)
        for size in (2, 3):
            assert str(path) in refused(folder, size)
    path.write_bytes(content[:-5])
    assert str(path) in refused(folder, 2)
    path.unlink()
    assert f"{path}: missing, but model.safetensors.index.json names it" in refused(folder, 2, FileNotFoundError)


def test_files_of_another_save(folder, tmp_path):
    saved(folder, 2, **TERMS["low rank"])
    saved(tmp_path / "other", 2, **TERMS["low rank"])
    name = "model-00002-of-00002.safetensors"
    os.replace(tmp_path / "other" / name, folder / name)
    message = refused(folder, 2)
    assert name in message and "of another model" in message


def changed_index(folder, change):
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/b", "..", "", 5, "a\0b"])
def test_an_index_that_names_files_outside(folder, name):
    saved(folder, 2, **TERMS["low rank"])
    changed_index(folder, lambda index: index["weight_map"].update({"E": name}))
    assert "is no name of a file in the folder" in refused(folder, 2)


def test_an_index_that_is_none(folder):
    saved(folder, 2, **TERMS["low rank"])
    changed_index(folder, lambda index: index["weight_map"].pop("V.00002"))
    assert "has other tensors than model.safetensors.index.json says" in refused(folder, 2)
    for text in (
        "",
        "[]",
        "{}",
        '{"metadata": {}, "weight_map": {}}',
        '{"metadata": 1, "weight_map": 2}',
        "[" * 100_000,
    ):
        (folder / "model.safetensors.index.json").write_text(text)
        assert "not an index of a model" in refused(folder, 2)
    (folder / "model.safetensors.index.json").unlink()
    assert "never written to its end" in refused(folder, 2, IsADirectoryError)


def test_one_of_the_files_is_no_model(folder):
    saved(folder, 2, **TERMS["low rank"])
    with pytest.raises(ValueError, match="one of the files of a model, whose folder is to be loaded"):
        load(folder / "model-00001-of-00002.safetensors")


def rewritten(path, change):
    header, tensors = tensor_file.read(path, f"{saving.FORMAT}.shard", (2,))
    change(header, tensors)
    tensor_file.write(path, tensors, header)


CHANGES = {
    "range": (lambda h, t: h.update(range=[14, 26]), "classes 14 to 26, but those from 13"),
    "no range": (lambda h, t: h.pop("range"), "KeyError"),
    "more classes": (lambda h, t: t.update({"V.00002": t["V.00002"][:-1].copy()}), "V has shape"),
    "dtype": (lambda h, t: t.update({"V.00002": t["V.00002"].astype(float)}), "V has dtype"),
    "pairs": (lambda h, t: t["pairs.indptr.00002"].__setitem__(1, 10**6), "pairs are not complete"),
    "class numbers": (
        lambda h, t: t["pairs.class_ids.00002"].fill(-3),
        "model-00002-of-00003.safetensors: its pairs are not complete",
    ),
    "shard": (lambda h, t: h.update(shard="x"), "not a complete"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_files_that_say_what_is_not(folder, change, message):
    saved(folder, 3, **TERMS["sparse and low rank"])
    rewritten(folder / "model-00002-of-00003.safetensors", change)
    assert message in refused(folder, 2)


def test_more_ranks_than_classes(folder):
    one = classifier(direct="dense").fit(X[:3], Y[:3])
    one.save(folder, n_shards=3)
    raised = of_all(4, lambda ranks: load(folder, comm=ranks))
    assert all("comm has 4 ranks, and the model only 3 classes" in str(e) for e in raised)
    assert_same(whole([c._model for c in run(3, lambda r: load(folder, comm=r))]), arrays(one._model))
    with pytest.raises(ValueError, match="n_shards must be at most the number of classes"):
        one.save(folder, n_shards=4)
    with pytest.raises(ValueError, match="n_shards must be at least 1"):
        one.save(folder, n_shards=0)


def test_n_shards_is_up_to_comm(folder):
    raised = of_all(2, lambda ranks: fitted(ranks, **TERMS["low rank"]).save(folder, n_shards=3))
    assert all("n_shards must be None or the number of ranks (2)" in str(e) for e in raised)


def test_a_new_save_removes_old_files(folder):
    saved(folder, 4, **TERMS["low rank"])
    (folder / "README.md").write_text("mine")
    (folder / ".model-00001-of-00009.safetensors.0a1b").write_text("of a save that was killed")
    model = saved(folder, 2, **TERMS["sparse"])
    names = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}
    assert {p.name for p in folder.iterdir()} == names | {"README.md"}
    assert_same(arrays(load(folder)._model), whole([c._model for c in model]))


def test_folders_and_files_of_others(folder, tmp_path):
    one = classifier(**TERMS["low rank"]).fit(X, Y)
    folder.mkdir()
    one.save(folder, n_shards=2)  # an empty folder is one
    for i, (name, text) in enumerate(
        {
            "thesis.tex": "text",
            "model-00001-of-00002.safetensors": "of another",
            "model.safetensors.index.json": '{"metadata": {}, "weight_map": {"lm_head": "model-00001-of-00001.safetensors"}}',
        }.items()
    ):
        other = tmp_path / str(i)
        other.mkdir()
        (other / name).write_text(text)
        with pytest.raises(FileExistsError, match="is no part of a model"):
            one.save(other, n_shards=2)
        raised = of_all(2, lambda ranks, other=other: fitted(ranks, **TERMS["low rank"]).save(other))
        assert all(isinstance(e, FileExistsError) for e in raised)
        assert [p.name for p in other.iterdir()] == [name] and (other / name).read_text() == text
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="needs a folder"):
        one.save(tmp_path / "file", n_shards=2)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        one.save(tmp_path / "no" / "model", n_shards=2)
    one.save(folder)  # that of a model: one file in it
    assert_same(arrays(load(folder)._model), arrays(one._model))
    assert len(list(folder.iterdir())) == 2


class Killed(BaseException):
    pass


@pytest.mark.parametrize("first", [True, False], ids=["the first save", "over another"])
@pytest.mark.parametrize("n_done", [0, 1, 2, 3])
def test_killed_while_the_files_take_their_places(folder, monkeypatch, first, n_done):
    one = classifier(**TERMS["low rank"]).fit(X, Y)
    if not first:
        one.save(folder, n_shards=3)
    replace, left = os.replace, [n_done]

    def counted(source, target):
        if os.fspath(target).endswith("of-00003.safetensors"):
            if not left[0]:
                raise Killed
            left[0] -= 1
        if os.fspath(target).endswith("index.json"):
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", counted)
        one.save(folder, n_shards=3)
    if not first and n_done == 0:
        assert_same(arrays(load(folder)._model), arrays(one._model))
    else:
        with pytest.raises(IsADirectoryError if first else ValueError, match=r"written to its end|interrupted"):
            load(folder)
    one.save(folder, n_shards=3)
    assert_same(arrays(load(folder)._model), arrays(one._model))
    assert len(list(folder.iterdir())) == 4


def test_a_full_disk_of_one_rank(folder, monkeypatch):
    saved(folder, 2, **TERMS["low rank"])
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    write = tensor_file.write

    def full(path, *args, **kwargs):
        if "model-00002" in os.fspath(path):
            raise OSError(28, "No space left on device")
        return write(path, *args, **kwargs)

    def on(ranks):
        fitted(ranks, **TERMS["sparse"]).save(folder)

    with monkeypatch.context() as patch:
        patch.setattr(tensor_file, "write", full)
        raised = of_all(2, on)
    assert all(isinstance(e, OSError) and "No space" in str(e) for e in raised)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_weights_that_are_not_finite_on_one_rank(folder):
    def on(ranks):
        model = fitted(ranks, **TERMS["low rank"])
        if ranks.rank == 1:
            model._model.V[0, 0] = np.inf
        model.save(folder)

    assert all("V is not finite" in str(e) for e in of_all(2, on))
    assert not folder.exists()
