"""Files of models whose rows of E are divided among ranks, and of those whose rows are to be."""

import numpy as np
import pytest
from embedding_cases import (
    N_FEATURES,
    X,
    Y,
    assert_close,
    assert_divided,
    assert_equal,
    fitted,
    weights,
)
from problems import part
from thread_ranks import run

from fastsoftmax import load
from fastsoftmax.files import tensor_file

FILES = ["full", "dense + low rank", "first features"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


@pytest.mark.parametrize("name", FILES)
def test_files_of_ranks(folder, tmp_path, name):
    """Written by three ranks, read by any number, as one file too, and to the bit."""

    def write(ranks):
        c = fitted(ranks, name)
        c.save(folder)
        return c

    written = run(3, write)
    one = load(folder)
    assert one._model.features is None and one.hidden_size.divide is True
    assert_equal(weights([one]), weights(written))
    assert_equal(weights([load(folder, memory_map=True)]), weights(written))
    for size in (2, 3, 4):
        for memory_map in (False, True):
            loaded = run(size, lambda ranks, m=memory_map: load(folder, memory_map=m, comm=ranks))
            assert_divided(loaded)
            assert_equal(weights(loaded), weights(written))
    one.save(tmp_path / "file")
    loaded = run(3, lambda ranks: load(tmp_path / "file", comm=ranks))
    assert_divided(loaded)
    assert_equal(weights(loaded), weights(written))


@pytest.mark.parametrize("name", FILES)
def test_files_with_all_of_E(folder, name):
    """Divided where they are read, by what their parameters say; and all of it from divided ones."""
    fitted(None, name).save(folder, n_shards=2)
    alone = load(folder)
    assert_divided(run(3, lambda ranks: load(folder, comm=ranks)))

    def whole(ranks):
        c = load(folder, comm=ranks)
        c.set_params(hidden_size__divide=False).save(folder)
        return load(folder, comm=ranks)

    loaded = run(3, whole)
    assert all(c._model.features is None and len(c.embedding_) == len(alone.embedding_) for c in loaded)
    assert_equal(weights(loaded), weights([alone]))

    def divided(ranks):
        c = load(folder, comm=ranks)
        c.set_params(hidden_size__divide=True).save(folder)
        return load(folder, comm=ranks)

    loaded = run(2, divided)
    assert_divided(loaded)
    assert_equal(weights(loaded), weights([alone]))


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "int8"])
def test_compressed_models(folder, storage):
    small = fitted(None, "full").compressed(storage)
    small.save(folder, n_shards=2)
    expected = small.predict_log_proba(X)

    def on(ranks):
        c = load(folder, comm=ranks)
        assert len(c.embedding_) < N_FEATURES
        return c.predict_log_proba(X[part(ranks)])

    np.testing.assert_allclose(np.concatenate(run(3, on)), expected, rtol=1e-5, atol=1e-5)


def test_training_goes_on_from_files(folder):
    def straight(ranks):
        c, own = fitted(ranks, "sparse + low rank"), part(ranks)
        c.save(folder)
        return c.partial_fit(X[own], Y[own])

    def resumed(ranks):
        return load(folder, comm=ranks).partial_fit(X[part(ranks)], Y[part(ranks)])

    expected = weights(run(3, straight))
    assert_equal(weights(run(3, resumed)), expected)
    assert_close(weights(run(2, resumed)), expected, 2e-3)
    assert_close(weights([load(folder).partial_fit(X, Y)]), expected, 2e-3)


def refused(folder, message):
    for size in (1, 2, 3):
        with pytest.raises(ValueError, match=message):
            run(size, lambda ranks: load(folder, comm=ranks if ranks.size > 1 else None))


def test_a_row_is_damaged(folder):
    run(2, lambda ranks: fitted(ranks, "full").save(folder))
    path = folder / "model-00002-of-00002.safetensors"
    content = path.read_bytes()
    at = content.index(load(folder)._model.E[N_FEATURES // 2 :].tobytes()[:64])
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    refused(folder, "a checksum is wrong")


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("full", {"features": [31, 60]}, "those from 30 on are missing"),
        ("full", {"features": [30, 30]}, "those from 30 on are missing"),
        ("full", {"features": [30, 59]}, "59 of 60 features of E"),
        ("full", {"features": [30, {}]}, "TypeError"),
        ("full", {"features": [30]}, "not enough values|IndexError"),
        ("full", {"n_hidden_features": 61}, "E has shape|60 of 61 features of E"),
        ("first features", {"features": [18, 38]}, "38 of 37 features of E"),
    ],
)
def test_ranges_that_do_not_fit(monkeypatch, folder, name, changed, message):
    write = tensor_file.write

    def written(path, tensors, header, **kwargs):
        is_changed = header["shard"] == ("n_hidden_features" not in changed)
        return write(path, tensors, header | (changed if is_changed else {}), **kwargs)

    monkeypatch.setattr(tensor_file, "write", written)
    run(2, lambda ranks: fitted(ranks, name).save(folder))
    refused(folder, message)


@pytest.mark.parametrize("name", ["full", "first features"])
def test_rows_of_other_features(monkeypatch, folder, name):
    """The ranges fit each other, but not the rows, or the columns of X."""
    write = tensor_file.write

    def written(path, tensors, header, **kwargs):
        if header["shard"]:
            header = header | {"features": [header["features"][0], 70], "n_hidden_features": 70}
        else:
            header = header | {"n_hidden_features": 70}
        return write(path, tensors, header, **kwargs)

    monkeypatch.setattr(tensor_file, "write", written)
    run(2, lambda ranks: fitted(ranks, name).save(folder))
    refused(folder, r"has shape .* for \d+ features|E has rows for 70 features, but 60 are expected")
