"""What somebody new to the library ran into, each once."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from fastsoftmax import SoftmaxClassifier, SoftmaxRegression, metrics, samplers

X = sp.eye_array(40, format="csr", dtype=np.float32)
Y = np.arange(40) % 4
DATES = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], "M8[D]")


def small(**params):
    return SoftmaxClassifier(**{"random_state": 0, "max_iter": 3, "n_threads": 1} | params)


@pytest.mark.parametrize(
    "sampler", ["learned_unigram", samplers.Mixed([samplers.LearnedUnigram(4), samplers.Uniform(4)])]
)
def test_a_memory_mapped_sampler_learns(tmp_path, sampler):
    model = small(loss="sampled_softmax", sampler=sampler, n_negatives=3, hidden_size=8).fit(X, Y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r").partial_fit(X, Y)
    assert_array_equal(mapped.predict_proba(X), model.partial_fit(X, Y).predict_proba(X))


@pytest.mark.parametrize("dates", [DATES, DATES - DATES[0]], ids=["dates", "durations"])
@pytest.mark.parametrize("fitted_on", [np.asarray, list])
def test_dates_in_lists_are_those_in_arrays(dates, fitted_on):
    y = dates[Y]
    for model in (small(max_iter=20).fit(X, fitted_on(y)), SoftmaxRegression().fit(X, fitted_on(y))):
        assert model.classes_.dtype == dates.dtype
        assert model.score(X, y) == model.score(X, list(y)) > 0.9
        labels, _ = model.predict_topk(X, 1, classes=list(dates[:2]))
        assert set(labels[:, 0].tolist()) <= set(dates[:2].tolist())


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_regression_that_cannot_step_warns(solver):
    Z = np.random.default_rng(0).normal(size=(60, 3))
    t = (Z[:, 0] > 0).astype(int)
    Z[3, 2] = 1e30
    with pytest.warns(ConvergenceWarning, match="or scale X"):
        SoftmaxRegression(solver=solver).fit(Z, t)


@pytest.mark.parametrize(("name", "value"), [("hidden_size", 4), ("direct", "sparse")])
def test_partial_fit_keeps_the_terms(name, value):
    model = small(hidden_size=8, direct=None).fit(X, Y).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"{name} must stay as it was in the first training"):
        model.partial_fit(X, Y)


def test_what_is_ignored_is_no_class():
    with pytest.raises(ValueError, match="labels must not hold ignore_label, 9"):
        small(ignore_label=9).fit(X, Y).add_classes([9])
    with pytest.raises(ValueError, match="classes must not hold ignore_label, 9"):
        small(ignore_label=9).partial_fit(X, Y, classes=[0, 1, 2, 3, 9])


def test_warm_start_goes_on_with_the_width_of_a_given_embedding():
    E = np.random.default_rng(0).normal(size=(40, 6))
    model = small(direct=None, warm_start=True).fit(X, Y, embedding_init=E)
    assert model.fit(X, Y).embedding_.shape == (40, 6)


def test_metrics_take_dense_indicators():
    indicator = np.eye(4, dtype=int)[Y]
    model = small(max_iter=20).fit(X, indicator)
    dense, in_csr = (metrics.evaluate(model, X, y) for y in (indicator, sp.csr_array(indicator)))
    assert dense == in_csr
