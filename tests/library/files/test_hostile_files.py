"""Files that are damaged, foreign or made to do harm: a ValueError that names the file, before much is allocated."""

import json
import os
import threading
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier

from fastsoftmax import load, softmax
from fastsoftmax.estimators import saving
from fastsoftmax.files import model_file, tensor_file
from fastsoftmax.model.compact import STORAGES

MODELS = {
    "dense": {"direct": "dense"},
    "sparse": {"direct": "sparse", "hidden_size": 2},
    "low rank": {"direct": None, "hidden_size": 2, "loss": "sampled_softmax", "n_negatives": 3},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a model.fastsoftmax"


def trained(seed=0, n_classes=4, **params):
    X = sp.random_array((40, 5), density=0.5, rng=np.random.default_rng(seed), format="csr")
    return flat_classifier(random_state=seed, max_iter=1, n_threads=1, **params).fit(X, np.arange(40) % n_classes)


def layout(content):
    """The table of the tensors in the bytes of a file, and where the first of them begins."""
    start = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:start]), start


def with_table(content, change):
    """The bytes of a file whose table was changed."""
    entries, start = layout(content)
    change(entries)
    table = json.dumps(entries).encode()
    return len(table).to_bytes(8, "little") + table + content[start:]


def refused(path, **options):
    """Check that loading fails with one line that names the file, and return it."""
    with pytest.raises(ValueError, match="fastsoftmax") as caught:
        load(path, **options)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_damage_at_every_byte(path, params):
    """An error, or the very same model: only white space and the names of sums can change without a trace."""
    model = trained(**params)
    model.save(path)
    content = path.read_bytes()
    start = layout(content)[1]
    rng, n_same = np.random.default_rng(0), 0
    for at in [*range(start), *rng.integers(start, len(content), 200).tolist()]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            other = load(path)
        except ValueError as error:
            assert str(path) in str(error)
            continue
        n_same += 1
        assert repr(other.get_params()) == repr(model.get_params())
        for name, a in model._model.arrays().items():
            np.testing.assert_array_equal(other._model.arrays()[name], a)
        np.testing.assert_array_equal(other.classes_, model.classes_)
        assert other.classes_.dtype == model.classes_.dtype
        assert other._state.class_counts.dtype == model._state.class_counts.dtype
    assert n_same < 30


@pytest.mark.parametrize("memory_map", [False, True])
def test_cut_short_anywhere(path, memory_map):
    trained().save(path)
    content = path.read_bytes()
    for n in range(len(content)):
        path.write_bytes(content[:n])
        refused(path, memory_map=memory_map)


CHANGES = {
    "no bfloat16": (lambda t: t["bias"].update(dtype="BF16"), "data of type 'BF16'"),
    "not a name": (lambda t: t["bias"].update(dtype=3), "data of type 3"),
    "a list for a name": (lambda t: t["bias"].update(dtype=["F32"]), "data of type"),
    "no shape": (lambda t: t["bias"].pop("shape"), "'bias' is not a tensor"),
    "a number": (lambda t: t.update(bias=3), "'bias' is not a tensor"),
    "negative": (lambda t: t["bias"].update(shape=[-2, -2]), "'bias' has shape"),
    "true": (lambda t: t["bias"].update(shape=[True, 4]), "'bias' has shape"),
    "too large": (lambda t: t["bias"].update(shape=[2**62, 2**62]), "'bias' has shape"),
    "many dimensions": (lambda t: t["bias"].update(shape=[1] * 60 + [4]), "'bias' has shape"),
    "another shape": (lambda t: t["bias"].update(shape=[3]), "but 16 bytes"),
    "overlap": (lambda t: t["bias"].update(data_offsets=[0, 16]), "begins at byte"),
    "beyond": (lambda t: t["bias"].update(data_offsets=[10**9, 10**9 + 16]), "begins at byte"),
    "backwards": (lambda t: t["bias"].update(data_offsets=[16, 0]), "-16 bytes"),
    "a tensor less": (lambda t: t.pop("bias"), "begins at byte|the file has"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("memory_map", [False, True])
def test_tables_of_tensors(path, change, message, memory_map, monkeypatch):
    monkeypatch.setattr(tensor_file, "_table_checksum", lambda entries: 0)  # so that the sum is right
    trained().save(path)
    path.write_bytes(with_table(path.read_bytes(), change))
    with pytest.raises(ValueError, match=message):
        load(path, memory_map=memory_map)
    refused(path, memory_map=memory_map)


def test_a_table_with_another_sum(path):
    """Labels that are numbers of another type have the same bytes."""
    trained().save(path)
    path.write_bytes(with_table(path.read_bytes(), lambda t: t["classes"].update(dtype="U64")))
    assert "a checksum is wrong" in refused(path)


def table_of(header):
    text = header.encode()
    return len(text).to_bytes(8, "little") + text


FILES = {
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "zeros": b"\0" * 1000,
    "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.",
    "a long header": (10**15).to_bytes(8, "little") + b"{}",
    "the longest header": b"\xff" * 8 + b"{}",
    "a list": table_of("[]"),
    "deep": table_of("[" * 100_000),
    "deep metadata": table_of(json.dumps({"__metadata__": {"fastsoftmax": "[" * 100_000}})),
    "deep names": table_of('{"a":' * 100_000),
    "metadata of another type": table_of('{"__metadata__": {"fastsoftmax": {}}}'),
    "metadata that are a number": table_of('{"__metadata__": 3}'),
    "metadata twice": table_of('{"__metadata__": {}, "__metadata__": {}}'),
    "not UTF-8": table_of("{}")[:8] + b"\xff}",
    "a surrogate": table_of(r'{"__metadata__": {"fastsoftmax": "\ud800"}}'),
    "a number without end": table_of('{"a": ' + "9" * 10_000 + "}"),
    "bfloat16 of another program": table_of('{"w": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}')
    + b"\0" * 8,
    "float8 of another program": table_of('{"w": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}')
    + b"\0" * 8,
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("memory_map", [False, True])
def test_foreign_files(path, content, memory_map):
    path.write_bytes(content)
    tracemalloc.start()
    refused(path, memory_map=memory_map)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fastsoftmax pipe")
    assert "not a file" in refused(tmp_path / "fastsoftmax pipe")
    with pytest.raises(ValueError, match="/dev/zero"):
        load("/dev/zero")
    with pytest.raises(ValueError, match="path must be the path of a file"):
        load("")
    with pytest.raises(TypeError, match="path must be a path"):
        load(0)
    with pytest.raises(TypeError, match="memory_map must be True or False"):
        load("model", memory_map="yes")


def test_a_file_larger_than_memory(path, monkeypatch):
    """A file with a hole takes no space on the disk."""
    n = 2**40
    table = table_of(json.dumps({"w": {"dtype": "U8", "shape": [n], "data_offsets": [0, n]}}))
    with open(path, "wb") as file:
        file.write(table)
        file.truncate(len(table) + n)
    assert "not a fastsoftmax model" in refused(path)
    with open(path, "rb") as file, pytest.raises(MemoryError, match=r"a model\.fastsoftmax needs 1024\.00 GiB"):
        entries, start = tensor_file._entries(file, os.path.getsize(path))
        tensor_file._copied(file, start, tensor_file._places(entries, n))


def test_a_checkpoint_is_no_model(path, tmp_path):
    header = {"format": "fastsoftmax.checkpoint", "format_version": 2}
    tensor_file.write(path, {}, header)
    assert "this is the checkpoint of a training" in refused(path)
    model = tmp_path / "model.fastsoftmax"
    trained().save(model)
    y = np.arange(40) % 4
    with pytest.raises(ValueError, match=r"this is a model, but the checkpoint of a training.* is expected"):
        flat_classifier(checkpoint=model).fit(np.eye(40), y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["W", "bias"])
def test_weights_that_are_not_finite(path, name, value, monkeypatch):
    model = trained(direct="dense")
    getattr(model._model, name)[-1] = value
    with pytest.raises(ValueError, match=f"the model's {name} is not finite"):
        model.save(path)
    assert not path.exists()
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "_check_finite", lambda model: None)
        model.save(path)
    assert f"the model's {name} is not finite" in refused(path)


@pytest.mark.parametrize("kind", ["params", "fitted", "state", "classes", "feature_names", "fortran", "storage"])
@pytest.mark.parametrize("value", [None, 3, "text", [], [1], {}, {"kind": 3}, {"a": {"b": None}}, -1e300])
def test_headers_of_anything(path, kind, value):
    """The header is what somebody wrote, with a sum that is right: it is refused, or it does no harm."""
    trained().save(path)
    header, tensors = tensor_file.read(path, saving.FORMAT, (model_file.FORMAT_VERSION,))
    tensor_file.write(path, tensors, header | {kind: value})
    try:
        load(path).predict(np.ones((2, 5)))
    except ValueError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_hidden_layer_of_no_width(path, storage):
    """Nobody can train it, but a file can hold it: the kernels must not divide by its width."""
    model = trained(direct=None, hidden_size=2).compressed(storage)
    for weights in (model._model.E, model._model.V):
        weights.data = weights.data[:, :0].copy()
    model.save(path)
    expected = np.tile(softmax(model.intercept_), (3, 1))
    np.testing.assert_allclose(load(path).predict_proba(np.ones((3, 5))), expected, rtol=1e-6)


def test_a_file_does_not_choose_where_others_are_written(path, tmp_path):
    trained().save(path)
    header, tensors = tensor_file.read(path, saving.FORMAT, (model_file.FORMAT_VERSION,))
    header["params"] |= {"checkpoint": str(tmp_path / "elsewhere"), "weights_dir": str(tmp_path)}
    tensor_file.write(path, tensors, header)
    model = load(path)
    assert model.checkpoint is None and model.weights_dir is None


def test_loading_while_another_model_is_saved(path):
    """Each file is read as one whole, whichever it is."""
    models = [trained(seed=1, n_classes=5), trained(seed=2, n_classes=7)]
    models[0].save(path)
    weights = [model.coef_ for model in models]
    done, failed = threading.Event(), []

    def save():
        while not done.is_set():
            for model in models:
                model.save(path)

    def read():
        try:
            for i in range(100):
                model = load(path, memory_map=bool(i % 2))
                np.testing.assert_array_equal(model.coef_, weights[len(model.classes_) == 7])
        except BaseException as error:
            failed.append(error)

    writer, reader = threading.Thread(target=save), threading.Thread(target=read)
    writer.start(), reader.start()
    reader.join()
    done.set()
    writer.join()
    assert not failed, failed
