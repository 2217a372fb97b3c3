"""Ranks that each have a range of the features' rows of E, beside one of the classes, have the model of one process."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import N_FEATURES, K, classifier, part, rows
from thread_ranks import run

from fastsoftmax import load
from fastsoftmax.files import tensor_file
from fastsoftmax.losses import Softmax
from fastsoftmax.model import features
from fastsoftmax.model import model as model_module
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.passes import clipping
from fastsoftmax.runtime import allocation
from fastsoftmax.runtime.ranks import ranges
from fastsoftmax.terms import LowRank

X, Y = rows()
DENSE = X.toarray()
E0 = np.random.default_rng(7).standard_normal((N_FEATURES, 8)).astype(np.float32)
LOW_RANK = {"loss": "softmax", "direct": None}
CLIPPED = {"optimizer": Adagrad(clip_norm=0.05), "learning_rate": 1.0, "dtype": "float64"}
CLIPPED |= {"loss": Softmax(gradient_threshold=0)}  # a rounding to the other side would make more of a small difference
KINDS = {
    "full": LOW_RANK,
    "float64": LOW_RANK | {"dtype": "float64"},
    "sampled": {"loss": "sampled_softmax", "direct": None},
    "clipped": {"direct": None} | CLIPPED,
    "frozen": LOW_RANK | {"freeze": True},
    "given E": LOW_RANK | {"fit": {"embedding_init": E0}},
    "SGD": LOW_RANK | {"optimizer": "sgd"},
    "early stopping, averaged": LOW_RANK | {"early_stopping": True, "average": 0.5},
    "dense + low rank": {"loss": "softmax", "direct": "dense"},
    "dense + low rank, clipped": {"direct": "dense"} | CLIPPED,
    "dense rows": LOW_RANK | {"X": DENSE},
    "dense rows, dense + low rank": {"loss": "softmax", "direct": "dense", "X": DENSE},
    "sparse + low rank": {"direct": "sparse"},
    "sparse + low rank, clipped": {"direct": "sparse"} | CLIPPED,
    "first features": {"direct": "sparse", "n_features": 37},
    "first features, clipped": {"direct": "sparse", "n_features": 37} | CLIPPED,
}
FILES = ["full", "dense + low rank", "first features"]


def fitted(ranks, name, *, divide=True, **more):
    kind = KINDS[name] | more
    rows, fit = kind.pop("X", X), kind.pop("fit", {})
    options = {key: kind.pop(key) for key in ("n_features", "freeze") if key in kind}
    own = slice(None) if ranks is None else part(ranks)
    low_rank = LowRank(8, **options, divide=divide)
    return classifier(ranks, hidden_size=low_rank, **kind).fit(rows[own], Y[own], **fit)


def own_features(model, ranks):
    """The rows of the whole E that a rank is to have, if it has a range."""
    n = model._model.n_hidden_features
    return slice(*ranges(n, ranks.size)[ranks.rank : ranks.rank + 2].tolist())


def weights(models):
    """The arrays of all ranks put together."""
    parts = [m._model.arrays() | ({} if m._model.prior is None else {"prior": m._model.prior}) for m in models]
    whole = {}
    for name, a in parts[0].items():
        if name.endswith("W"):
            arrays = [p[name] for p in parts]
            if models[0]._model.pairs is not None:
                arrays = [m._model.sparse_matrix(a).toarray() for m, a in zip(models, arrays, strict=True)]
            whole[name] = np.concatenate(arrays)
        elif name.endswith("E") and models[0]._model.features is None:
            whole[name] = a
        else:
            whole[name] = np.concatenate([p[name] for p in parts])
    return whole


def assert_close(a, b, tolerance=2e-4):
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], rtol=tolerance, atol=tolerance, err_msg=name)


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert value.dtype == b[name].dtype
        np.testing.assert_array_equal(value, b[name], err_msg=name)


def assert_divided(models):
    """Each rank has its range of E, of its state, and no more."""
    n = models[0]._model.n_hidden_features
    for rank, c in enumerate(models):
        begin, end = ranges(n, len(models))[rank : rank + 2]
        assert c._model.features == (begin, end, n)
        assert len(c.embedding_) == end - begin
        assert "E" not in c._model.state or len(c._model.state["E"]) == end - begin


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("name", KINDS)
def test_the_model_of_one_process(name, size):
    alone, together = fitted(None, name), run(size, lambda ranks: fitted(ranks, name))
    assert_divided(together)
    assert_close(weights(together), weights([alone]), 1e-6 if KINDS[name].get("dtype") == "float64" else 5e-4)
    for model in together:
        np.testing.assert_allclose(model.loss_curve_, alone.loss_curve_, rtol=2e-4)
        np.testing.assert_allclose(model.validation_curve_, alone.validation_curve_, rtol=2e-4)
        assert model.calibration_ == pytest.approx(alone.calibration_, rel=1e-2)


@pytest.mark.parametrize("name", [name for name in KINDS if "clipped" in name])
def test_clipping_bites(monkeypatch, name):
    """Or tests of it would show nothing."""
    clip, shares = clipping.clip_hidden, []

    def clipped(clip_norm, dhidden, squared_x, scale):
        before = dhidden.copy()
        clip(clip_norm, dhidden, squared_x, scale)
        shares.append(np.mean((dhidden != before).any(axis=1)))

    monkeypatch.setattr(clipping, "clip_hidden", clipped)
    fitted(None, name)
    assert np.mean(shares) > 0.05


@pytest.mark.parametrize("at_a_time", [1 << 14, 7])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_initial_rows_are_those_of_one_process(monkeypatch, size, at_a_time):
    monkeypatch.setattr(model_module, "ROWS_AT_A_TIME", at_a_time)
    alone = fitted(None, "frozen")
    together = run(size, lambda ranks: fitted(ranks, "frozen"))
    assert_divided(together)
    assert np.array_equal(np.concatenate([c.embedding_ for c in together]), alone.embedding_)
    assert len({c._state.rng.bit_generator.state["state"]["state"] for c in [alone, *together]}) == 1


@pytest.mark.parametrize("name", ["full", "dense + low rank", "first features"])
def test_predictions(name):
    alone = fitted(None, name)

    def on(ranks):
        c, own = fitted(ranks, name), part(ranks)
        few = slice(0, 7 if ranks.rank else 0)
        return (
            c.predict_topk(X[own], 3)[1],
            c.predict_proba(X[own]),
            c.target_log_proba(X[own], Y[own]),
            c.transform(X[own]),
            c.score(X[own], Y[own]),
            c.transform(X[few]),
        )

    answers = run(3, on)
    expected = (
        alone.predict_topk(X, 3)[1],
        alone.predict_proba(X),
        alone.target_log_proba(X, Y),
        alone.transform(X),
    )
    for i, a in enumerate(expected):
        np.testing.assert_allclose(np.concatenate([of[i] for of in answers]), a, rtol=1e-3, atol=2e-4)
    for rank, of_rank in enumerate(answers):
        assert of_rank[4] == pytest.approx(alone.score(X, Y), abs=1e-2)
        np.testing.assert_allclose(of_rank[5], alone.transform(X[: 7 if rank else 0]), rtol=1e-3, atol=2e-4)


def test_transform_of_many_rows():
    """Chunks of rows of which none, some and all are a rank's own."""
    many = sp.vstack([X] * 8, format="csr")

    def on(ranks):
        c = fitted(ranks, "full")
        return c.transform(many[part(ranks, many.shape[0])]), c.transform(X[part(ranks)])

    answers = run(3, on)
    hidden = np.concatenate([a[1] for a in answers])
    np.testing.assert_allclose(np.concatenate([a[0] for a in answers]), np.tile(hidden, (8, 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["full", "sparse + low rank", "first features"])
def test_training_goes_on(name):
    more, held_out = rows(90, seed=5), rows(80, seed=6)

    def learn(ranks):
        c = fitted(ranks, name)
        own = slice(None) if ranks is None else part(ranks, 90)
        c.partial_fit(more[0][own], more[1][own])
        own = slice(None) if ranks is None else part(ranks)
        c.set_params(warm_start=True, max_iter=1).fit(X[own], Y[own])
        own = slice(None) if ranks is None else part(ranks, 80)
        return c.calibrate(held_out[0][own], held_out[1][own])

    alone, together = learn(None), run(3, learn)
    assert_divided(together)
    assert_close(weights(together), weights([alone]), 3e-3)
    assert together[0].calibration_ == pytest.approx(alone.calibration_, rel=1e-2)


def test_weights_in_files_and_what_memory_is_asked_for(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(allocation, "SMALLEST_FILE", 0)
    alone = fitted(None, "full")
    together = run(3, lambda ranks: fitted(ranks, "full", weights_dir=tmp_path, verbose=1))
    assert_close(weights(together), weights([alone]))
    assert f"low rank ({N_FEATURES // 3} features + {-(-K // 3)} classes) x 8" in capfd.readouterr().out


def test_streams():
    def learn(ranks):
        own = slice(None) if ranks is None else part(ranks)
        c = classifier(ranks, **LOW_RANK, hidden_size=LowRank(8, divide=True))
        return c.partial_fit(X[own], Y[own], n_classes=K).partial_fit(X[own], Y[own])

    together = run(3, learn)
    assert_divided(together)
    assert_close(weights(together), weights([learn(None)]))


@pytest.mark.parametrize(("divide", "expected"), [(True, 16 + 8 * 8), (False, 16 + 4 * 8)])
def test_bytes_a_row(divide, expected):
    def sent(n_epochs, ranks):
        fitted(ranks, "full", divide=divide, max_iter=n_epochs, calibration_fraction=0)
        return ranks.bytes_sent

    few, many = (run(2, lambda ranks, n=n: sent(n, ranks))[0] for n in (1, 4))
    assert (many - few) / (3 * len(Y)) == expected


def test_auto_goes_by_the_bytes_of_all_rows_and_their_state(monkeypatch, folder):
    n_bytes = N_FEATURES * (8 + 1) * 4
    for most, is_divided in ((n_bytes, False), (n_bytes - 1, True)):
        monkeypatch.setattr(features, "AUTO_BYTES", most)

        def on(ranks):
            c = fitted(ranks, "full", divide="auto")
            c.save(folder)
            return c, load(folder, comm=ranks)

        for c, again in run(2, on):
            assert [m._model.features is not None for m in (c, again)] == [is_divided] * 2
    assert fitted(None, "full")._model.features is None
    assert load(folder)._model.features is None


def test_more_ranks_than_features():
    def on(ranks):
        own = part(ranks)
        return classifier(ranks, **LOW_RANK, hidden_size=LowRank(3, divide=True)).fit(X[own, :4], Y[own])

    assert all(c._model.features is None for c in run(5, on))
    assert_divided(run(4, on))


def test_the_choice_must_be_the_same_on_all_ranks():
    def on(ranks):
        with pytest.raises(ValueError, match="hidden_size__divide is "):
            fitted(ranks, "full", divide=bool(ranks.rank))

    run(2, on)


@pytest.mark.parametrize("divide", [1, None, "yes"])
def test_what_the_choice_may_be(divide):
    with pytest.raises(TypeError, match=r"LowRank\.divide must be True or False, got"):
        fitted(None, "full", divide=divide)


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
    refused(folder, r"has shape .* for \d+ features")
