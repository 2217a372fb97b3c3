"""Ranks that each have a range of the classes train the model that one process trains."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import TRAININGS, K, classifier, part, rows
from thread_ranks import run

from fastsoftmax.losses import SampledSoftmax
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.terms import SparseTerm

X, Y = rows()
OBJECTS = {
    "clipped": Adagrad(clip_norm=0.5),
    "uniform": SampledSoftmax(sampler="uniform", n_negatives=9),
    "few classes": SparseTerm(min_count=2, max_classes_per_feature=9),
}


def params_of(name):
    return {key: OBJECTS.get(value, value) for key, value in TRAININGS[name].items()}


def fitted(params, size, X=X, y=Y):
    """The classifiers of all ranks."""

    def fit(ranks):
        own = part(ranks, len(y))
        return classifier(ranks, **params).fit(X[own], y[own])

    return run(size, fit)


def weights(models):
    """The weights of all classes: what the ranks have, one after the other."""
    first = models[0]._model
    whole = {
        name: np.concatenate([getattr(m._model, name) for m in models])
        for name in ("bias", "V")
        if getattr(first, name) is not None
    }
    if first.W is not None and first.pairs is None:
        whole["W"] = np.concatenate([m._model.W for m in models])
    elif first.W is not None:
        whole["W"] = np.concatenate([m._model.sparse_matrix().toarray() for m in models])
    if first.E is not None:
        for model in models[1:]:
            assert np.array_equal(model._model.E, first.E)
        whole["E"] = first.E
    return whole


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("name", TRAININGS)
def test_ranks_train_the_model_of_one_process(name, size):
    params = params_of(name)
    alone, together = classifier(**params).fit(X, Y), fitted(params, size)
    tolerance = 1e-9 if params.get("dtype") == "float64" else 2e-4
    expected = weights([alone])
    for attribute, a in weights(together).items():
        np.testing.assert_allclose(a, expected[attribute], rtol=tolerance, atol=tolerance, err_msg=attribute)
    for model in together:
        np.testing.assert_allclose(model.loss_curve_, alone.loss_curve_, rtol=tolerance)
        np.testing.assert_allclose(model.validation_curve_, alone.validation_curve_, rtol=tolerance)
        assert model.calibration_ == pytest.approx(alone.calibration_, rel=1e-2)
        for key, value in alone.marginals_.items():
            np.testing.assert_allclose(model.marginals_[key], value, rtol=2e-2, atol=1e-3, err_msg=key)
        assert np.array_equal(model.classes_, alone.classes_)


@pytest.mark.parametrize("name", ["full", "sampled in batch", "sparse + low rank"])
def test_the_same_ranks_train_the_same_model_to_the_bit_for_any_number_of_threads(name):
    params = params_of(name)
    once, again = fitted(params, 3), fitted(params | {"n_threads": 2}, 3)
    for attribute, a in weights(once).items():
        assert np.array_equal(a, weights(again)[attribute]), attribute


@pytest.mark.parametrize("name", ["full", "sparse", "sparse + low rank"])
def test_streams_and_calibration(name):
    params, more, held_out = params_of(name), rows(90, seed=5), rows(80, seed=6)

    def learn(ranks):
        model = classifier(ranks, **params)
        for X, y in (rows(), more):
            own = part(ranks, len(y)) if ranks is not None else slice(None)
            model.partial_fit(X[own], y[own], n_classes=K)
        own = part(ranks, 80) if ranks is not None else slice(None)
        return model.calibrate(held_out[0][own], held_out[1][own])

    alone, together = learn(None), run(3, learn)
    expected = weights([alone])
    for attribute, a in weights(together).items():
        np.testing.assert_allclose(a, expected[attribute], rtol=2e-3, atol=2e-4, err_msg=attribute)
    assert together[0].calibration_ == pytest.approx(alone.calibration_, rel=1e-2)


def test_rows_with_weights_labels_of_any_width_and_rows_that_do_not_count():
    labels = np.array(["a" * (1 + k % 7) + str(k) for k in range(K)])[Y]
    labels[::11] = "?"
    sample_weight = np.random.default_rng(2).random(len(Y)) * np.linspace(0.01, 50, len(Y))
    params = {"hidden_size": 8, "class_weight": {"a0": 3.0}, "ignore_label": "?"}
    alone = classifier(**params).fit(X, labels, sample_weight)

    def fit(ranks):
        own = part(ranks)
        narrow = np.array(labels[own].tolist())  # as wide as this rank's own labels
        return classifier(ranks, **params).fit(X[own], narrow, sample_weight[own])

    for model in run(2, fit):
        assert model.classes_.tolist() == alone.classes_.tolist()
        np.testing.assert_allclose(model.loss_curve_, alone.loss_curve_, rtol=1e-5)


def test_held_out_rows_and_initial_weights():
    X_val, y_val = rows(60, seed=3)
    pairs = classifier(direct="sparse", hidden_size=None).fit(X, Y)
    start = {"coef_init": pairs.coef_, "intercept_init": pairs.intercept_}
    params = {"direct": "sparse", "hidden_size": 4, "early_stopping": True}
    alone = classifier(**params).fit(X, Y, X_val=X_val, y_val=y_val, **start)

    def fit(ranks):
        own, held_out = part(ranks), part(ranks, 60)
        return classifier(ranks, **params).fit(X[own], Y[own], X_val=X_val[held_out], y_val=y_val[held_out], **start)

    for model in run(2, fit):
        np.testing.assert_allclose(model.validation_curve_, alone.validation_curve_, rtol=1e-5)


@pytest.mark.parametrize(("name", "expected"), [("sparse", 16), ("full", 16 + 4 * 8), ("dense", 16)])
def test_a_step_sends_a_few_bytes_a_row(name, expected):
    def sent(n_epochs, ranks):
        params = params_of(name) | {"max_iter": n_epochs, "calibration_fraction": 0}
        classifier(ranks, **params).fit(X[part(ranks)], Y[part(ranks)])
        return ranks.bytes_sent

    few, many = (run(2, lambda ranks, n=n: sent(n, ranks))[0] for n in (1, 4))
    assert (many - few) / (3 * len(Y)) == expected


def test_exchanges_are_reported(capfd):
    def fit(ranks):
        params = {"loss": "softmax", "hidden_size": 8, "max_iter": 1, "calibration_fraction": 0}
        classifier(ranks, **params, verbose=2).fit(X[part(ranks)], Y[part(ranks)])

    run(2, fit)
    out = capfd.readouterr().err
    assert out.count("48.0 bytes sent for each row") == 1 and "rank 0 of 2" in out


def test_a_memory_map_that_all_ranks_pass_is_not_taken_for_parts(tmp_path):
    arrays = {}
    for name, a in {"data": X.data, "indices": X.indices, "indptr": X.indptr, "dense": X.toarray()}.items():
        np.save(tmp_path / name, a)
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    mapped = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=X.shape)
    for rows_of_all in (mapped, arrays["dense"]):
        params = {"loss": "softmax", "hidden_size": 8, "ignore_label": 3}
        alone = classifier(**params).fit(rows_of_all, Y)

        def fit(ranks, rows_of_all=rows_of_all, params=params):
            model = classifier(ranks, **params).fit(rows_of_all, Y)
            return model, model.predict(rows_of_all), model.score(rows_of_all, Y)

        for model, predicted, score in run(2, fit):
            np.testing.assert_allclose(model.loss_curve_, alone.loss_curve_, rtol=1e-5)
            assert np.array_equal(predicted, alone.predict(rows_of_all)) and score == alone.score(rows_of_all, Y)
