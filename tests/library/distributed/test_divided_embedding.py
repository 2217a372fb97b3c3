"""Ranks that each have a range of the features' rows of E, beside one of the classes, have the model of one process."""

import numpy as np
import pytest
import scipy.sparse as sp
from embedding_cases import (
    KINDS,
    LOW_RANK,
    N_FEATURES,
    X,
    Y,
    assert_close,
    assert_divided,
    fitted,
    weights,
)
from problems import K, classifier, part, rows
from thread_ranks import run

from fastsoftmax import load
from fastsoftmax.model import features
from fastsoftmax.model import model as model_module
from fastsoftmax.passes import clipping
from fastsoftmax.runtime import allocation
from fastsoftmax.terms import LowRank


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


@pytest.mark.parametrize("size", [3])
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
    assert f"low rank ({N_FEATURES // 3} features + {-(-K // 3)} classes) x 8" in capfd.readouterr().err


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
