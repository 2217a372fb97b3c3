"""Classifiers with a normalised low-rank term: predictions by all ways, calibration, further training, files, bad values."""

import copy
import json
import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.estimators import saving
from fastsoftmax.files import model_file, shard_index, tensor_file
from fastsoftmax.losses import NCE, NegativeSampling, OneVsAll, SampledLogistic, SampledSoftmax, Softmax
from fastsoftmax.optimizers import SGD
from fastsoftmax.terms import SCALE, LowRank, SparseTerm

N, N_FEATURES, K = 600, 40, 31
TERMS = {
    "low rank": {"direct": None},
    "sparse": {"direct": "sparse"},
    "sparse, first features": {"direct": "sparse", "hidden_size": LowRank(8, n_features=25, normalize=7)},
    "dense": {"direct": "dense", "calibration_fraction": 0},
}
LOSSES = [Softmax(), SampledSoftmax(), SampledSoftmax("uniform", n_negatives=9), NCE("uniform", n_negatives=9)]
LOSSES += [SampledLogistic("uniform"), NegativeSampling("uniform"), OneVsAll(), OneVsAll("squared_hinge")]
LOSSES += [SampledSoftmax("multi_index")]


def rows(seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, N)
    own = np.random.default_rng(1).random((K, N_FEATURES)) < 0.2
    X = (own[y] & (rng.random((N, N_FEATURES)) < 0.6)) * rng.random((N, N_FEATURES))
    X[5] = 0
    return sp.csr_array(X, dtype=np.float32), y


X, Y = rows()


def fitted(**params):
    common = {"direct": None, "hidden_size": LowRank(8, normalize=True), "random_state": 0, "max_iter": 3}
    return SoftmaxClassifier(**{**common, "batch_size": 64, "calibration_fraction": 0.1, **params}).fit(X, Y)


def logits(c, X):
    """Those of the formula, in float64."""
    X = sp.csr_array(X).astype(np.float64)
    z = np.tile(c.intercept_.astype(np.float64), (X.shape[0], 1))
    h = X[:, : len(c.embedding_)] @ c.embedding_.astype(np.float64)
    z += c._model.scale * reference.unit(h) @ c.hidden_coef_.astype(np.float64).T
    if hasattr(c, "coef_"):
        W = c.coef_
        z += X @ (W.toarray() if sp.issparse(W) else W).astype(np.float64).T
    return z


def lengths(c):
    return np.linalg.norm(c.hidden_coef_.astype(np.float64), axis=1)


@pytest.mark.parametrize("params", TERMS.values(), ids=TERMS)
def test_all_predictions_are_those_of_the_formula(params, tmp_path):
    c = fitted(**params)
    expected = reference.log_softmax(logits(c, X), axis=1)
    c.save(tmp_path / "model")
    c.save(tmp_path / "folder", n_shards=3)
    models = [c, load(tmp_path / "model"), load(tmp_path / "model", memory_map=True), load(tmp_path / "folder")]
    for model in [*models, pickle.loads(pickle.dumps(c)), copy.deepcopy(c)]:
        assert model._model.scale == c._model.scale
        assert_allclose(model.predict_log_proba(X), expected, rtol=2e-5, atol=2e-5)
    few, few_log_proba = c.predictor().predict_topk(X[5:8], 4)
    every, every_log_proba = c.predict_topk(X, 4)
    assert_array_equal(few, every[5:8])
    assert_allclose(few_log_proba, every_log_proba[5:8], rtol=2e-5, atol=2e-5)
    assert_allclose(every_log_proba, -np.sort(-expected, axis=1)[:, :4], rtol=2e-5, atol=2e-5)
    assert_allclose(c.predict_log_proba(X.toarray()[:3]), expected[:3], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "int8"])
@pytest.mark.parametrize("params", TERMS.values(), ids=TERMS)
def test_compressed(params, storage, tmp_path):
    c = fitted(**params).compressed(storage)
    c.save(tmp_path / "model")
    for model in (c, load(tmp_path / "model")):
        expected = reference.log_softmax(logits(model, X), axis=1)
        assert_allclose(model.predict_log_proba(X), expected, rtol=3e-5, atol=3e-5)
        assert_allclose(model.predict_topk(X[:1], K)[1], -np.sort(-expected[:1], axis=1), rtol=3e-5, atol=3e-5)


def test_a_screen_finds_the_same():
    c = fitted()
    (labels, log_proba), (best, of_best) = c.predictor(screen=True).predict_topk(X, 3), c.predict_topk(X, 3)
    assert_array_equal(labels, best)
    assert_allclose(np.diff(log_proba), np.diff(of_best), atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_every_loss_leaves_unit_vectors_and_learns(loss):
    c = fitted(loss=loss, max_iter=20)
    assert_allclose(lengths(c), 1, atol=1e-6)
    assert c.score(X, Y) > 0.3  # of 31 classes
    assert c.alpha_ == 0
    assert c.class_alpha_ is None
    assert fitted(loss=loss, hidden_size=8).alpha_ > 0


@pytest.mark.parametrize("more", [{"average": 0.5}, {"average": 0.5, "early_stopping": True}, {"optimizer": "sgd"}])
def test_vectors_have_length_1_after_any_training(more):
    c = fitted(**more)
    assert_allclose(lengths(c), 1, atol=1e-6)
    assert_allclose(np.linalg.norm(c.transform(X[:5]), axis=1), c._model.scale, rtol=1e-6)


def test_early_stopping_judges_by_unit_vectors():
    c = fitted(average=1.0, early_stopping=True, calibration_fraction=0, max_iter=1)
    from sklearn.model_selection import train_test_split

    rng = np.random.default_rng(0)
    held = train_test_split(np.arange(N), test_size=0.1, random_state=int(rng.integers(np.iinfo(np.int32).max)))[1]
    expected = -reference.log_softmax(logits(c, X[held]), axis=1)[np.arange(len(held)), Y[held]].mean()
    assert c.validation_curve_[-1] == pytest.approx(expected, rel=1e-5)


def test_calibration_scales_the_scale():
    c = fitted()
    assert c._model.scale == pytest.approx(SCALE * c.calibration_["V"])
    assert c.calibration_["V"] != 1
    V, scale = c.hidden_coef_.copy(), c._model.scale
    c.calibrate(X, Y)
    assert_array_equal(c.hidden_coef_, V)
    assert c._model.scale == pytest.approx(scale * c.calibration_["V"])
    before = c._model.scale
    assert c.calibrate(X, Y).calibration_["V"] == pytest.approx(1, abs=0.02)
    assert c._model.scale == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_further_training_keeps_the_scale(way):
    c = fitted()
    scale, V = c._model.scale, c.hidden_coef_.copy()
    if way == "partial_fit":
        c.partial_fit(X, Y)
    else:
        c.set_params(warm_start=True, calibration_fraction=0, hidden_size=LowRank(8, normalize=20)).fit(X, Y)
    assert c._model.scale == scale
    assert not np.array_equal(V, c.hidden_coef_)
    assert_allclose(lengths(c), 1, atol=1e-6)


def test_new_classes_have_vectors_of_zeros_until_a_row_steps_them():
    c = fitted()
    before = c.decision_function(X)
    c.add_classes([K, K + 1])
    assert_array_equal(lengths(c)[K:], 0)
    assert_allclose(c.decision_function(X)[:, :K], before, rtol=1e-6)
    y = np.where(np.arange(N) < 200, K, Y)
    c.partial_fit(X, y)
    assert_allclose(lengths(c)[: K + 1], 1, atol=1e-6)
    assert c.predict(X[:200]).tolist().count(K) >= 10


def test_rows_of_zeros_have_the_logits_of_the_bias():
    c = fitted()
    zeros = sp.csr_array((2, N_FEATURES), dtype=np.float32)
    assert_array_equal(c.decision_function(zeros), np.tile(c.intercept_, (2, 1)))
    assert_allclose(c.predictor().predict_topk(zeros, 1)[1], reference.log_softmax(c.intercept_).max(), rtol=1e-5)
    assert_array_equal(c.transform(zeros), 0)
    E = np.zeros((N_FEATURES, 8))
    frozen = SoftmaxClassifier(hidden_size=LowRank(8, normalize=True, freeze=True), direct=None, max_iter=1)
    assert np.isfinite(frozen.fit(X, Y, embedding_init=E).decision_function(X)).all()


def test_the_beginning():
    """V is drawn after E, which is that of a model that is not normalised; a rank's part is tested with ranks."""
    E = fitted(hidden_size=LowRank(8, freeze=True)).embedding_
    c = fitted(hidden_size=LowRank(8, freeze=True, normalize=True), optimizer=SGD(), learning_rate=1e-30)
    assert_array_equal(c.embedding_, E)
    assert_allclose(lengths(c), 1, atol=1e-6)
    assert np.abs(c.hidden_coef_ @ c.hidden_coef_.T - np.eye(K)).max() < 0.99
    given = np.random.default_rng(3).standard_normal((N_FEATURES, 5))
    c = SoftmaxClassifier(hidden_size=LowRank("auto", freeze=True, normalize=4), direct=None, calibration_fraction=0)
    c.set_params(max_iter=1).fit(X, Y, embedding_init=given)
    assert c._model.scale == 4
    assert_allclose(c.embedding_, given, rtol=1e-6)


def test_what_is_left_for_precision():
    """One-vs-all on hard negatives comes last, beside a share of the logits."""
    y = [[int(label), (int(label) + 1) % K] for label in Y]
    c = SoftmaxClassifier(objective="precision", hidden_size=LowRank(8, normalize=True), random_state=0, max_iter=2)
    c.fit(X, y)
    assert_allclose(lengths(c), 1, atol=1e-6)
    assert c._model.scale == pytest.approx(SCALE * c.ranking_["softmax_share"] * c.calibration_["V"])
    assert_allclose(c.decision_function(X), logits(c, X), rtol=1e-4, atol=1e-4)


def header_of(path, versions):
    return tensor_file.read(path, saving.FORMAT, versions)[0]


def test_files_that_earlier_builds_refuse_or_read(tmp_path):
    """They know version 2 alone, and no LowRank.normalize."""
    path = tmp_path / "model"
    fitted().save(path)
    assert header_of(path, model_file.VERSIONS)["format_version"] == 3
    with pytest.raises(ValueError, match="version 3, but this version reads"):
        header_of(path, (2, 1))
    fitted().save(tmp_path / "folder", n_shards=2)
    name = tmp_path / "folder" / shard_index.file_name(1, 2)
    assert tensor_file.read(name, f"{saving.FORMAT}.shard", (3, 2))[0]["format_version"] == 3
    fitted(hidden_size=LowRank(8)).save(path)
    header = header_of(path, (2,))
    assert "scale" not in header
    assert "normalize" not in json.dumps(header["params"])
    assert load(path).hidden_size.normalize is False


@pytest.mark.parametrize(
    ("normalize", "error", "message"),
    [
        ("yes", TypeError, "LowRank.normalize must be a real number, got 'yes'"),
        (None, TypeError, "LowRank.normalize must be a real number, got None"),
        (0, ValueError, "LowRank.normalize must be above 0, got 0"),
        (-2.0, ValueError, "LowRank.normalize must be above 0, got -2.0"),
        (np.inf, ValueError, "LowRank.normalize must be finite, got inf"),
        (1e9, ValueError, "LowRank.normalize must be at most 10000.0, got 1000000000.0"),
    ],
)
def test_bad_values(normalize, error, message):
    with pytest.raises(error, match=message):
        fitted(hidden_size=LowRank(8, normalize=normalize))


@pytest.mark.parametrize("value", [np.True_, 9, np.float32(9)])
def test_values_that_mean_9(value):
    assert LowRank(normalize=value).scale == 9
    LowRank(normalize=value).check()
    assert LowRank(normalize=np.False_).scale is None


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("hidden_size", [8, LowRank(8), "auto"])
def test_it_stays_on_or_off(hidden_size, way):
    changed = {"hidden_size": hidden_size, "warm_start": True}
    with pytest.raises(ValueError, match=r"LowRank\.normalize must stay as it was in the first training, on, got off"):
        c = fitted().set_params(**changed)
        c.partial_fit(X, Y) if way == "partial_fit" else c.fit(X, Y)
    with pytest.raises(ValueError, match=r"LowRank\.normalize must stay as it was in the first training, off, got on"):
        c = fitted(hidden_size=8).set_params(**changed | {"hidden_size": LowRank(8, normalize=3)})
        c.partial_fit(X, Y) if way == "partial_fit" else c.fit(X, Y)


def test_same_bits_for_any_number_of_threads():
    models = [fitted(n_threads=n, direct=SparseTerm()) for n in (1, 2, 3)]
    for c in models[1:]:
        assert c._model.scale == models[0]._model.scale
        for name, a in c._model.arrays().items():
            assert_array_equal(a, models[0]._model.arrays()[name], err_msg=name)
