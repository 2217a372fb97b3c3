"""The forecast of memory, beside what `fit` and `partial_fit` then take."""

import re
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.losses import SampledSoftmax
from fastsoftmax.runtime import memory
from fastsoftmax.training import planning

MANY_FEATURES, MANY_CLASSES, MANY_ROWS = {"n_features": 1_000_000}, {"n_classes": 200_000}, {"n_rows": 150_000}


def make_rows(n_rows=1000, n_features=1000, n_classes=500, per_row=10):
    rng = np.random.default_rng(0)
    ids, indptr = rng.integers(0, n_features, n_rows * per_row), np.arange(0, n_rows * per_row + 1, per_row)
    X = sp.csr_array(
        (np.ones(len(ids), np.float32), ids.astype(np.int32), indptr.astype(np.int32)), (n_rows, n_features)
    )
    X.sum_duplicates()
    return X, np.arange(n_rows) % min(n_classes, n_rows)


@pytest.fixture
def forecasts(monkeypatch):
    made = []
    monkeypatch.setattr(planning, "check_memory", lambda what, n_bytes, formula: made.append(n_bytes))
    return made


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("size", "params"),
    [
        (MANY_FEATURES, {"direct": "sparse"}),
        (MANY_FEATURES, {"direct": "sparse", "dtype": "float64"}),
        (MANY_FEATURES, {"direct": "sparse", "hidden_size": 8}),
        (MANY_FEATURES, {"hidden_size": 8}),
        (MANY_FEATURES, {"hidden_size": 8, "average": True, "early_stopping": True}),
        (MANY_FEATURES | {"n_classes": 3}, {"direct": "dense"}),
        (MANY_FEATURES | {"n_classes": 3}, {"direct": "dense", "optimizer": "sgd"}),
        (MANY_CLASSES, {"hidden_size": 16, "loss": "softmax"}),
        *(
            (MANY_CLASSES, {"hidden_size": 16, "loss": SampledSoftmax(s)})
            for s in ("in_batch", "unigram", "learned_unigram")
        ),
        (MANY_CLASSES, {"direct": "sparse", "hidden_size": 16}),
        (MANY_ROWS, {"hidden_size": 4, "calibration_fraction": 0}),
        (MANY_ROWS | {"n_features": 10_000}, {"direct": "sparse", "calibration_fraction": 0}),
        (MANY_ROWS | {"n_classes": 10}, {"direct": "dense"}),
        (MANY_ROWS, {"direct": "sparse"}),
        (MANY_ROWS | {"n_features": 10_000}, {"direct": "sparse"}),
        (MANY_ROWS | {"n_features": 100_000, "n_classes": 20_000}, {"direct": "sparse"}),
    ],
    ids=str,
)
def test_the_forecast_is_near_what_training_takes(size, params, forecasts):
    X, y = make_rows(**size)
    model = SoftmaxClassifier(random_state=0, max_iter=1, n_threads=2, working_memory=1 << 20, **params)
    model.fit(*make_rows(1200, 50, 20))  # what is kept for later calls, and imported by the first, is there
    model.__dict__.pop("_model")
    forecasts.clear()
    tracemalloc.start()
    if "n_classes" in size and size["n_classes"] > len(y):
        model.partial_fit(X, y, n_classes=size["n_classes"])
    else:
        model.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.8 < forecasts[0] / peak < 1.25


def test_features_are_in_the_forecast(monkeypatch):
    X = sp.csr_array((np.ones(2, np.float32), ([0, 1], [0, 9_999_999])), shape=(2, 10_000_000))
    monkeypatch.setattr(memory, "available", lambda: 1 << 27)
    message = r"training needs 0\.\d+ GiB .*10,000,000 features.*but only 0.12 GiB are available"
    with pytest.raises(MemoryError, match=message):
        SoftmaxClassifier(direct="sparse", working_memory=1 << 20).fit(X, [0, 1])


def test_the_parts_of_a_huge_forecast_are_in_its_unit():
    assert memory.shown(2**30 - 2**20) == "1,023.0 MiB" and memory.shown(2**40) == "1024.00 GiB"
    X, y = make_rows(n_rows=20, n_features=2**31 - 1)
    with pytest.raises(MemoryError, match=r"training needs \d+\.\d\d GiB \(.*: \d+\.\d\d GiB") as caught:
        SoftmaxClassifier(hidden_size=10_000).fit(X, y)
    assert not re.search(r"\d,\d\d\d\.\d MiB", str(caught.value))
