"""Models in a folder of several files: written by any number of ranks, read by any other."""

import json
import os

import numpy as np
import pytest
from checkpoint_cases import N_CLASSES, X, Y, classifier
from numpy.testing import assert_allclose, assert_array_equal
from rank_cases import TERMS, arrays, assert_same, dense_rows, fitted, of_all, own_rows, whole
from safetensors import safe_open
from thread_ranks import run

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.estimators import saving
from fastsoftmax.files import class_ranges, tensor_file
from fastsoftmax.files.crc32 import combined
from fastsoftmax.runtime.ranks import ranges


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def saved(folder, size, **params):
    """Train on so many ranks and save; the classifier of each rank, which is alive in its thread no more."""

    def on(ranks):
        model = fitted(ranks, **params)
        model.save(folder)
        return model

    return run(size, on)


@pytest.mark.parametrize("n_files", [1, 2, 3, 4])
@pytest.mark.parametrize("name", [*TERMS, "dense X"])
def test_any_number_of_ranks_reads_any_number_of_files(folder, monkeypatch, name, n_files):
    monkeypatch.setattr(class_ranges, "CHUNK_PAIRS", 7)
    params = {"X": dense_rows(), "direct": "dense"} if name == "dense X" else TERMS[name]
    if n_files > 1:
        parts = [c._model for c in saved(folder, n_files, **params)]
    else:
        one = classifier(**{k: v for k, v in params.items() if k != "X"}).fit(params.get("X", X), Y)
        one.save(folder, n_shards=1)
        parts = [one._model]
    one = load(folder)
    assert_same(arrays(one._model), whole(parts))
    for name, a in one._model.arrays().items():
        like = parts[0].arrays()[name]
        assert a.flags.writeable and (a.flags.c_contiguous, a.flags.f_contiguous) == (
            like.flags.c_contiguous,
            like.flags.f_contiguous,
        )
    for size in (2, 3, 4):
        for memory_map in (False, True):
            loaded = run(size, lambda r, m=memory_map: load(folder, memory_map=m, comm=r))
            for c, begin, end in zip(loaded, *(ranges(N_CLASSES, size)[i:] for i in (0, 1)), strict=False):
                assert (c._model.shard.begin, c._model.shard.end) == (begin, end)
                assert_same(arrays(c._model), arrays(one._model, begin, end))
                assert_array_equal(c.classes_, one.classes_)
            assert_same(whole([c._model for c in loaded]), arrays(one._model))


@pytest.mark.parametrize("params", TERMS.values(), ids=TERMS)
def test_training_goes_on(folder, params):
    """To the bit where there are as many ranks as before, else to rounding."""

    def straight(ranks):
        model = fitted(ranks, **params)
        model.save(folder)
        return model.partial_fit(*own_rows(ranks))

    def resumed(ranks):
        model = load(folder, comm=ranks)
        model.partial_fit(*own_rows(ranks)).save(f"{folder}-{ranks.size}")
        return model, model.predict_topk(own_rows(ranks)[0], 3), model.score(*own_rows(ranks))

    a = run(3, straight)
    b = run(3, resumed)
    assert_same(whole([c._model for c in a]), whole([c._model for c, *_ in b]))
    states = [c._state.rng.bit_generator.state for c in [*a, *(c for c, *_ in b)]]
    assert all(state == states[0] for state in states)
    one = load(f"{folder}-3")
    codes, log_proba = (np.concatenate([topk[i] for _, topk, _ in b]) for i in (0, 1))
    expected = one.predict_topk(X, 3)
    assert_array_equal(codes, expected[0])
    assert_allclose(log_proba, expected[1], rtol=1e-5, atol=1e-6)
    run(2, resumed)
    load(folder).partial_fit(X, Y).save(f"{folder}-1")
    for size in (1, 2):
        other = load(f"{folder}-{size}")
        for name, value in arrays(other._model).items():
            assert_allclose(value, arrays(one._model)[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_file_is_read_by_ranks(tmp_path):
    one = classifier(**TERMS["sparse and low rank"]).fit(X, Y)
    one.save(tmp_path / "file")
    loaded = run(3, lambda ranks: load(tmp_path / "file", comm=ranks))
    assert_same(whole([c._model for c in loaded]), arrays(one._model))


def test_calibration_after_loading(folder):
    saved(folder, 2, **TERMS["sparse and low rank"])
    a = run(3, lambda ranks: load(folder, comm=ranks).calibrate(*own_rows(ranks)))
    b = load(folder).calibrate(X, Y)
    assert_allclose(list(a[0].calibration_.values()), list(b.calibration_.values()), rtol=1e-3)


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "int8"])
@pytest.mark.parametrize("name", ["low rank", "sparse", "dense", "dense and low rank", "dense X"])
def test_compressed_models(folder, name, storage):
    params, rows = (TERMS["dense"], dense_rows()) if name == "dense X" else (TERMS[name], X)
    small = classifier(**params).fit(rows, Y).compressed(storage)
    small.save(folder, n_shards=3)
    for options in ({}, {"memory_map": True}):
        one = load(folder, **options)
        for key, a in small._model.arrays().items():
            assert_array_equal(one._model.arrays()[key], a)
        assert_array_equal(one.predict_topk(rows, 3)[1], small.predict_topk(rows, 3)[1])


def test_one_process_goes_on_from_several_files(folder, tmp_path):
    one = classifier(**TERMS["sampled"]).set_params(loss="sampled_softmax").fit(X, Y)
    one.save(folder, n_shards=4)
    one.save(tmp_path / "file")
    assert (tmp_path / "file").is_file()
    again = load(folder)
    assert again.get_params() == one.get_params()
    assert_same(arrays(one.partial_fit(X, Y)._model), arrays(again.partial_fit(X, Y)._model))


def test_what_is_mapped(folder):
    classifier(**TERMS["sparse and low rank"]).fit(X, Y).save(folder, n_shards=2)
    one = load(folder, memory_map=True)._model
    assert not one.E.flags.owndata and one.V.flags.owndata  # of two files
    loaded = run(2, lambda ranks: load(folder, memory_map=True, comm=ranks)._model)
    assert all(not a.flags.owndata for model in loaded for a in model.arrays().values())
    loaded = run(4, lambda ranks: load(folder, memory_map=True, comm=ranks)._model)
    assert all(not (model.V.flags.owndata or model.bias.flags.owndata) for model in loaded)
    assert all(model.W.flags.owndata for model in loaded)  # picked out of the pairs of a file


def test_labels_and_names_are_of_all_ranks(folder):
    labels = np.array([f"label {k}" for k in range(N_CLASSES)])

    def on(ranks):
        rows, codes = own_rows(ranks)
        classifier(direct="sparse", comm=ranks).fit(rows, labels[codes]).save(folder)

    run(3, on)
    assert_array_equal(load(folder).classes_, np.sort(labels))
    assert load(folder).comm is None


def test_a_generator_that_is_not_saved_is_the_same_on_all_ranks(folder):
    class Mine(np.random.PCG64):
        pass

    classifier(**TERMS["low rank"], random_state=np.random.Generator(Mine(3))).fit(X, Y).save(folder, n_shards=2)
    states = run(3, lambda ranks: load(folder, comm=ranks)._state.rng.bit_generator.state)
    assert states[0] == states[1] == states[2]


def test_the_index_is_as_hugging_face_has_it(folder):
    saved(folder, 3, **TERMS["dense and low rank"])
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    names, total = {f"model-0000{i}-of-00003.safetensors": set() for i in (1, 2, 3)}, 0
    for tensor, name in index["weight_map"].items():
        names[name].add(tensor)
    for name, tensors in names.items():
        with safe_open(folder / name, "np") as file:
            assert set(file.keys()) == tensors
            total += sum(file.get_tensor(tensor).nbytes for tensor in tensors)
    assert index["metadata"]["total_size"] == total
    assert index["metadata"]["starts"] == ranges(N_CLASSES, 3).tolist()
    assert {p.name for p in folder.iterdir()} == {*names, "model.safetensors.index.json"}


def test_a_rank_reads_its_share(folder, monkeypatch):
    """All ranks together read each array of classes once for its checksum, and keep no more than their own."""
    classifier(**TERMS["dense"]).fit(X, Y).save(folder, n_shards=1)
    n_read, checksum = [], tensor_file.checksum
    monkeypatch.setattr(tensor_file, "checksum", lambda a: n_read.append(a.nbytes) or checksum(a))
    loaded = run(4, lambda ranks: load(folder, comm=ranks)._model)
    W = N_CLASSES * X.shape[1] * 4
    assert sum(n for n in n_read if n >= W // 4) == 2 * W  # W and its state
    assert all(model.W.nbytes == W // 4 and model.W.base is None for model in loaded)


@pytest.mark.parametrize("n", [0, 1, 5, 1000, 123_457])
def test_checksums_of_parts(n):
    import zlib

    rng = np.random.default_rng(n)
    first, second = rng.bytes(300), rng.bytes(n)
    assert combined(zlib.crc32(first), zlib.crc32(second), n) == zlib.crc32(first + second)
    assert combined(0, zlib.crc32(second), n) == zlib.crc32(second)


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
    with pytest.raises(IsADirectoryError):
        one.save(folder)


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


def test_command_line(folder, tmp_path, capsys):
    from fastsoftmax.cli import main as cli

    lines = "".join(f"{label} {label + 1}:1 {50 + i % 7}:0.5\n" for i, label in enumerate(Y.tolist()))
    (tmp_path / "data.svm").write_text(lines)
    assert (
        cli.main(["train", str(tmp_path / "data.svm"), "--quiet", "--epochs", "2", "-o", str(tmp_path / "file")]) == 0
    )
    SoftmaxClassifier.load(tmp_path / "file").save(folder, n_shards=3)
    capsys.readouterr()
    shown = []
    for model in (tmp_path / "file", folder):
        for command in (["predict", str(model)], ["evaluate", str(model)]):
            assert cli.main([*command, str(tmp_path / "data.svm")]) == 0
            shown.append(capsys.readouterr().out)
    assert shown[:2] == shown[2:] and shown[0]
    assert cli.main(["info", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "3, " in out and "of tensors; classes from 0, 13, 26" in out
