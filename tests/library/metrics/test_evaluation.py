"""`evaluate` of rows with several labels: recall, the default depths, and the propensity-scored metrics block by block."""

from types import SimpleNamespace

import numpy as np
import pytest
from metric_twins import label_sets
from scipy import sparse

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier
from fastsoftmax.metrics import (
    compare,
    evaluate,
    inverse_propensities,
    psndcg_at_k,
    psp_at_k,
    recall_at_k,
)

NAMES = np.array(["ant", "bee", "cow", "dog", "eel", "fox"])
rng = np.random.default_rng(0)
INDICATOR = sparse.csr_array(rng.random((80, 6)) < [0.6, 0.4, 0.3, 0.2, 0.1, 0.1])
X = INDICATOR.toarray().astype(np.float32) + rng.normal(size=(80, 6)).astype(np.float32)
LISTS = [NAMES[sorted(row)].tolist() for row in label_sets(INDICATOR)]


def fitted(y, seed=0):
    return SoftmaxClassifier(direct="dense", max_iter=3, random_state=seed, n_threads=1).fit(X, y)


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_propensity_scored(batch_size):
    model, weights = fitted(INDICATOR), inverse_propensities(INDICATOR)
    topk, _ = model.predict_topk(X, 4)
    result = evaluate(model, X, INDICATOR, (1, 4), batch_size, inverse_propensities=weights)
    for k in (1, 4):
        expected = [metric(topk, INDICATOR, k, weights) for metric in (psp_at_k, psndcg_at_k)]
        assert [result[f"psp@{k}"], result[f"psndcg@{k}"]] == pytest.approx(expected, rel=1e-13)
        assert result[f"recall@{k}"] == pytest.approx(recall_at_k(topk, INDICATOR, k), rel=1e-13)
    plain = evaluate(model, X, INDICATOR, (1, 4), batch_size)
    assert set(result) - set(plain) == {"psp@1", "psndcg@1", "psp@4", "psndcg@4"}
    assert result.items() > plain.items()


def test_labels_with_names():
    weights = inverse_propensities(LISTS)
    expected = evaluate(fitted(INDICATOR), X, INDICATOR, inverse_propensities=weights)
    model = fitted(LISTS)
    for given in (
        weights,
        dict(zip(model.classes_, weights, strict=True)),
        dict(zip(NAMES.tolist(), weights, strict=True)),
    ):
        result = evaluate(model, X, LISTS, inverse_propensities=given)
        assert result == pytest.approx(expected, rel=1e-6)
    first = [row[0] if row else "ant" for row in LISTS]
    ranks = evaluate(model, X, first, ks=(2,), inverse_propensities=weights)
    topk = model.predict_topk(X, 2)[0]
    assert ranks["psp@2"] == psp_at_k(topk, first, 2, dict(zip(NAMES, weights, strict=True)))
    assert "recall@2" not in ranks


def test_labels_that_the_model_does_not_know():
    model, y = fitted(LISTS), [*LISTS[:-1], ["yak", "ant"]]
    weights = inverse_propensities(LISTS, [*NAMES, "yak"])
    named = dict(zip([*NAMES, "yak"], weights, strict=True))
    result = evaluate(model, X, y, inverse_propensities=named)
    assert result["n_unknown"] == 1
    topk = model.predict_topk(X, 5)[0]
    assert result["psp@5"] == pytest.approx(psp_at_k(topk, y, 5, named), rel=1e-13)
    without = evaluate(model, X, [*LISTS[:-1], ["ant"]], inverse_propensities=named)
    assert result["psp@5"] < without["psp@5"]
    with pytest.raises(ValueError, match="a number for every label of y, got none for 'yak'"):
        evaluate(model, X, y, inverse_propensities=weights[:6])
    with pytest.raises(ValueError, match="a number for each of the 6 classes, got 7"):
        evaluate(model, X, y, inverse_propensities=weights)


def test_default_depths():
    model = fitted(LISTS)
    depths = [
        {int(name.split("@")[1]) for name in evaluate(model, X, y) if "@" in name} for y in (LISTS, NAMES[[0] * 80])
    ]
    assert depths == [{1, 3, 5}, {1, 5, 20}]


def test_deeper_than_the_number_of_classes():
    model, weights = fitted(INDICATOR), inverse_propensities(INDICATOR)
    result = evaluate(model, X, INDICATOR, ks=(6, 20, 10**12), inverse_propensities=weights)
    for name in ("psp", "psndcg"):
        for k in (20, 10**12):
            assert result[f"{name}@{k}"] == pytest.approx(result[f"{name}@6"], rel=1e-13)
    assert result["psp@6"] == pytest.approx(1) and result["recall@6"] == np.mean(np.diff(INDICATOR.indptr) > 0)


def test_compare():
    models, weights = (fitted(INDICATOR), fitted(INDICATOR, 1)), inverse_propensities(INDICATOR)
    result = compare(*models, X, INDICATOR, inverse_propensities=weights)
    assert result["change"]["psp@3"] == result["other"]["psp@3"] - result["model"]["psp@3"]


def test_compare_with_a_model_that_has_no_likelihood():
    softmax, one_vs_all = fitted(INDICATOR), OneVsAllClassifier().fit(X, INDICATOR)
    assert "log_loss" in evaluate(softmax, X, INDICATOR) and "log_loss" not in evaluate(one_vs_all, X, INDICATOR)
    for models in ((softmax, one_vs_all), (one_vs_all, softmax)):
        change = compare(*models, X, INDICATOR)["change"]
        assert "precision@1" in change and "log_loss" not in change


def test_a_model_whose_classes_are_in_no_order():
    model, weights = fitted(LISTS), inverse_propensities(LISTS)
    order = np.array([3, 0, 5, 1, 4, 2])
    other = SimpleNamespace(
        classes_=NAMES[order], predict_topk=model.predict_topk, target_log_proba=model.target_log_proba
    )
    expected = evaluate(model, X, LISTS, inverse_propensities=weights)
    assert evaluate(other, X, LISTS, inverse_propensities=weights[order]) == expected
