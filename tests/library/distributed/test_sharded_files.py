"""Models in a folder of several files: written by any number of ranks, read by any other."""

import json
import os
import tracemalloc
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import scipy.sparse as sp
from checkpoint_cases import N_CLASSES, X, Y, classifier
from numpy.testing import assert_allclose, assert_array_equal
from rank_cases import TERMS, arrays, assert_same, dense_rows, fitted, own_rows, saved, whole
from safetensors import safe_open
from thread_ranks import run

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.files import class_ranges, tensor_file
from fastsoftmax.files.crc32 import combined
from fastsoftmax.runtime.ranks import ranges

FORMAT_1 = Path(__file__).parents[1] / "files" / "format_1"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


@pytest.mark.parametrize("labels", [int, str])
@pytest.mark.parametrize("is_folder", [True, False])
def test_what_all_classes_share_is_there_once_a_machine(folder, labels, is_folder):
    """The classes, their counts and those of the sampler, which nobody writes to; E is stepped on each rank."""
    params = TERMS["sampled"] | {"sampler": "unigram"}
    classifier(**params).fit(X, Y.astype(labels)).save(folder, **{"n_shards": 3} if is_folder else {})
    made = []

    def on(ranks):
        def common(make):
            if ranks.rank == 0:
                made.append(make())
                for a in made[-1].values():
                    a.flags.writeable = False
            ranks.objects(None)  # until it is made
            return made[-1]

        with mock.patch.object(ranks, "common", common):
            model = load(folder, comm=ranks)
        of_rank = [model.classes_, model._state.class_counts, model._state.sampler.counts]
        rows, y = own_rows(ranks)
        E = model._model.E
        model.partial_fit(rows, y.astype(labels))
        return of_rank, E, model._model.arrays()["state.E"]

    (first, *of_first), (second, *of_second) = run(2, on)
    for a, b in zip(first, second, strict=True):
        assert np.shares_memory(a, b) and not a.flags.writeable
    for a, b in zip(of_first, of_second, strict=True):
        assert not np.shares_memory(a, b) and a.flags.writeable and b.flags.writeable


@pytest.mark.parametrize("n_files", [1, 3])
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


@pytest.mark.parametrize("path", sorted(FORMAT_1.glob("*.safetensors")), ids=lambda path: path.name)
def test_files_of_the_previous_version(path):
    one = load(path)
    loaded = run(2, lambda ranks: load(path, comm=ranks))
    if one.storage_ is None:
        assert_same(whole([c._model for c in loaded]), arrays(one._model))


@pytest.mark.parametrize("name", ["sparse and low rank", "dense"])
def test_training_from_mapped_files(folder, name):
    saved(folder, 3, **TERMS[name])
    for size in (2, 3):
        models = [
            run(size, lambda r, m=m: load(folder, memory_map=m, comm=r).partial_fit(*own_rows(r))._model)
            for m in (False, True)
        ]
        assert_same(whole(models[0]), whole(models[1]))


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


@pytest.mark.parametrize("name", ["low rank", "dense"])
def test_no_second_copy_in_memory(folder, name):
    rng, n = np.random.default_rng(0), 20_000
    rows = sp.random_array((n, 150), density=0.05, rng=rng, format="csr", dtype=np.float32)
    terms = TERMS[name] | ({"hidden_size": 64} if name == "low rank" else {"loss": "sampled_softmax"})
    one = classifier(**terms).set_params(max_iter=1, calibration_fraction=0).fit(rows, np.arange(n))
    n_bytes = sum(a.nbytes for a in one._model.arrays().values())

    def peak(function):
        tracemalloc.start()
        function()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most / n_bytes

    assert peak(lambda: one.save(folder, n_shards=4)) < 0.4
    assert peak(lambda: load(folder)) < 1.4
    assert peak(lambda: load(folder, memory_map=True)) < 1.4
    assert peak(lambda: run(3, lambda ranks: load(folder, comm=ranks))) < 1.6
    assert peak(lambda: run(4, lambda ranks: load(folder, memory_map=True, comm=ranks))) < 0.5


@pytest.mark.parametrize("n", [0, 1, 5, 1000, 123_457])
def test_checksums_of_parts(n):
    rng = np.random.default_rng(n)
    first, second = rng.bytes(300), rng.bytes(n)
    assert combined(zlib.crc32(first), zlib.crc32(second), n) == zlib.crc32(first + second)
    assert combined(0, zlib.crc32(second), n) == zlib.crc32(second)


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


def test_one_process_writes_a_folder_where_its_name_is_one(folder):
    model = classifier(hidden_size=4, max_iter=1).fit(X, Y)
    model.save(f"{folder}/")
    assert sorted(os.listdir(folder)) == ["model-00001-of-00001.safetensors", "model.safetensors.index.json"]
    model.save(folder)  # there is a model's folder now
    assert_array_equal(load(folder).predict(X), model.predict(X))
