from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn import metrics as sklearn_metrics

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.metrics import (
    compare,
    evaluate,
    hit_at_k,
    log_loss,
    mrr_at_k,
    ndcg_at_k,
    perplexity,
    precision_at_k,
    recall_at_k,
)

RANKINGS = [precision_at_k, hit_at_k, mrr_at_k, ndcg_at_k, recall_at_k]


def random_ranking(n_samples=200, n_classes=12, seed=0):
    """Scores without ties, and the classes best first."""
    scores = np.random.default_rng(seed).permuted(np.tile(np.arange(n_classes), (n_samples, 1)), axis=1)
    return scores, np.argsort(-scores, axis=1)


def random_indicator(n_samples=200, n_classes=12, seed=1):
    """About two labels a row; some rows have none."""
    return sparse.csr_array(np.random.default_rng(seed).random((n_samples, n_classes)) < 0.16)


def label_sets(Y):
    return [set(labels.tolist()) for labels in np.split(Y.indices, Y.indptr[1:-1])]


def by_hand(topk, labels, k):
    """The five metrics from their definitions, a row at a time; `labels` holds a set for each row."""
    rows = []
    for ranking, true in zip(topk, labels, strict=True):
        ranks = [rank for rank, label in enumerate(ranking[:k], 1) if label in true and label != -1]
        dcg, best = (sum(1 / np.log2(1 + r) for r in rs) for rs in (ranks, range(1, min(k, len(true)) + 1)))
        ratios = (dcg / best, len(ranks) / len(true)) if true else (0, 0)
        rows.append((len(ranks) / k, bool(ranks), 1 / ranks[0] if ranks else 0, *ratios))
    return np.mean(rows, axis=0)


class TableModel:
    """Knows `log_proba` of `classes_` for sample i where X[i, 0] = i; notes how many rows it was asked for at once."""

    def __init__(self, log_proba, classes):
        self.log_proba, self.classes_ = log_proba, np.asarray(classes)
        self.blocks = []

    def rows(self, X):
        X = X.toarray() if sparse.issparse(X) else X
        return X[:, 0].astype(int)

    def predict_topk(self, X, k):
        assert k <= len(self.classes_)
        self.blocks.append(X.shape[0])
        log_proba = self.log_proba[self.rows(X)]
        order = np.argsort(-log_proba, axis=1)[:, :k]
        return self.classes_[order], np.take_along_axis(log_proba, order, axis=1)

    def target_log_proba(self, X, y):
        codes = {label: code for code, label in enumerate(self.classes_.tolist())}
        log_proba = self.log_proba[self.rows(X)]
        return np.array(
            [row[codes[t]] if t in codes else -np.inf for row, t in zip(log_proba, y.tolist(), strict=True)]
        )


def random_model(n_samples, classes, seed=2):
    z = np.random.default_rng(seed).normal(size=(n_samples, len(classes)))
    return TableModel(z - np.log(np.exp(z).sum(axis=1, keepdims=True)), classes)


# Ranking metrics


@pytest.mark.parametrize("k", [1, 2, 5, 11])
def test_single_label_against_scikit_learn(k):
    scores, topk = random_ranking()
    y = np.random.default_rng(3).integers(12, size=200)
    expected = sklearn_metrics.top_k_accuracy_score(y, scores, k=k, labels=np.arange(12))
    assert hit_at_k(topk, y, k) == pytest.approx(expected, abs=1e-15)
    assert precision_at_k(topk, y, k) == pytest.approx(expected / k, abs=1e-15)
    assert ndcg_at_k(topk, y, k) == pytest.approx(sklearn_metrics.ndcg_score(np.eye(12)[y], scores, k=k), rel=1e-13)
    assert recall_at_k(topk, y, k) == hit_at_k(topk, y, k)


def test_everything_at_one_is_the_accuracy():
    _, topk = random_ranking()
    y = np.random.default_rng(3).integers(12, size=200)
    accuracy = sklearn_metrics.accuracy_score(y, topk[:, 0])
    for metric in RANKINGS:
        assert metric(topk, y, 1) == pytest.approx(accuracy, abs=1e-15)


@pytest.mark.parametrize("k", [1, 3, 12])
def test_multi_label_ndcg_against_scikit_learn(k):
    scores, topk = random_ranking()
    Y = random_indicator()
    assert ndcg_at_k(topk, Y, k) == pytest.approx(sklearn_metrics.ndcg_score(Y.toarray(), scores, k=k), rel=1e-13)


def test_mrr_of_one_label_is_label_ranking_average_precision():
    scores, topk = random_ranking()
    y = np.random.default_rng(4).integers(12, size=200)
    expected = sklearn_metrics.label_ranking_average_precision_score(np.eye(12)[y], scores)
    assert mrr_at_k(topk, y, 12) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_multi_label_by_hand(k):
    _, topk = random_ranking()
    topk = np.where(np.random.default_rng(5).random(topk.shape) < 0.2, -1, topk)
    Y = random_indicator()
    labels = label_sets(Y)
    assert set() in labels
    assert [metric(topk, Y, k) for metric in RANKINGS] == pytest.approx(by_hand(topk, labels, k), rel=1e-13)


@pytest.mark.parametrize("metric", RANKINGS)
def test_one_label_in_an_indicator_or_an_array_is_the_same(metric):
    _, topk = random_ranking()
    y = np.random.default_rng(6).integers(12, size=200)
    Y = sparse.csr_array((np.ones(200), (np.arange(200), y)), shape=(200, 12))
    assert metric(topk, y, 4) == metric(topk, Y, 4)


@pytest.mark.parametrize("convert", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_any_sparse_format(convert):
    _, topk = random_ranking()
    Y = random_indicator()
    assert ndcg_at_k(topk, convert(Y), 5) == ndcg_at_k(topk, Y, 5)


def test_unsorted_repeated_and_explicitly_zero_entries_of_an_indicator():
    Y = sparse.csr_array((np.array([1.0, 1, 1, 0]), np.array([2, 0, 0, 1]), np.array([0, 4])), shape=(1, 3))
    assert precision_at_k([[0, 1, 2]], Y, 3) == pytest.approx(2 / 3)
    assert Y.nnz == 4


def test_padding_is_never_a_hit():
    assert hit_at_k([[-1, 3], [-1, -1]], sparse.csr_array([[0, 0, 0, 1], [1, 0, 0, 0]]), 2) == 0.5
    # In keys of row and column, -1 in the second row would be the last column of the first.
    assert hit_at_k([[0], [-1]], sparse.csr_array([[0, 1], [0, 0]]), 1) == 0


def test_a_label_may_be_minus_one():
    assert hit_at_k([[-1, 1], [1, -1]], [-1, -1], 1) == 0.5


REPEATS = [
    ([[1, 2], [3, 3]], [1, 2]),
    ([[1, 2], [3, 3]], sparse.csr_array(np.eye(2, 4))),
    ([["a", "b"], ["a", "a"]], ["a", "b"]),
    ([["a", "b"], ["a", "a"]], [["a"], ["b", "c"]]),
    ([[1.0, 2.0], [3.0, 3.0]], [1, 2]),
    (np.array([[1, "a"], [1, 1]], object), [1, "a"]),
]


@pytest.mark.parametrize("metric", RANKINGS)
@pytest.mark.parametrize(("topk", "y"), REPEATS)
def test_a_ranking_names_no_label_twice(metric, topk, y):
    with pytest.raises(ValueError, match=r"topk must not name a label twice in a row, got \[.*\] in row 1"):
        metric(topk, y, 2)
    assert 0 <= metric(np.asarray(topk)[:, :1], y, 1) <= 1


PADDED = [
    ([[1, -1, -1], [-1, -1, -1]], [1, 2]),
    ([["a", "", ""], ["", "", ""]], ["a", "b"]),
    (np.array([["a", None, None], [None, None, None]], object), [["a"], ["c", "b"]]),
    (np.array([[1, "a", "b"], [-1, -1, -1]], object), [1, 2]),
    (np.array([["2020-01-01", "NaT", "NaT"], ["NaT"] * 3], "M8[D]"), np.array(["2020-01-01"] * 2, "M8[D]")),
]


@pytest.mark.parametrize(("topk", "y"), PADDED)
def test_padding_may_be_repeated(topk, y):
    assert hit_at_k(topk, y, 3) in (0, 0.5)


def test_evaluate_refuses_a_model_that_ranks_a_label_twice():
    model = random_model(6, np.arange(4))
    twice = SimpleNamespace(
        classes_=model.classes_,
        predict_topk=lambda X, k: tuple(np.repeat(a[:, :1], k, axis=1) for a in model.predict_topk(X, k)),
        target_log_proba=model.target_log_proba,
    )
    with pytest.raises(ValueError, match=r"predict_topk.* must not name a label twice"):
        evaluate(twice, np.arange(6)[:, None], np.arange(6) % 4, ks=[2])


@pytest.mark.parametrize("other", [[1, 2], [b"a", b"b"], np.array([1, 2], "M8[D]"), [True, False], [[1], [2, 3]]])
def test_labels_of_another_kind_are_refused(other):
    with pytest.raises((TypeError, ValueError), match=r"same kind|which is not among"):
        hit_at_k([["a", "b"], ["b", "a"]], other, 2)


@pytest.mark.parametrize("metric", RANKINGS)
def test_lists_of_labels_are_an_indicator(metric):
    (_, topk), Y = random_ranking(), random_indicator()
    names = np.array([f"name {k:02}" for k in range(12)])
    y = [[*names[list(row)], *names[list(row)][:1]] for row in label_sets(Y)]
    assert metric(names[topk], y, 4) == metric(topk, Y, 4)


@pytest.mark.parametrize("metric", RANKINGS)
def test_lists_without_any_label(metric):
    assert metric([["a", "b"], ["b", ""]], [[], []], 2) == 0


def test_string_labels():
    topk = np.array([["cat", "dog"], ["dog", "emu"]])
    assert mrr_at_k(topk, ["dog", "dog"], 2) == 0.75
    assert hit_at_k(topk.astype(object), ["dog", "unheard of"], 2) == 0.5


def test_unsigned_predictions_of_a_huge_indicator():
    Y = sparse.csr_array((np.ones(3), np.array([2**50, 5, 2**50 + 5]), np.array([0, 1, 2, 3])), shape=(3, 2**60))
    topk = np.array([[2**50], [5], [2**50 + 4]], np.uint64)  # keys that would not survive as float64
    assert hit_at_k(topk, Y, 1) == pytest.approx(2 / 3)


# Log-loss and perplexity


def test_log_loss_against_scikit_learn():
    model = random_model(100, np.arange(7))
    rng = np.random.default_rng(7)
    y, weight = rng.integers(7, size=100), rng.random(100)
    log_proba = model.log_proba[np.arange(100), y]
    for sample_weight in (None, weight):
        expected = sklearn_metrics.log_loss(
            y, np.exp(model.log_proba), sample_weight=sample_weight, labels=np.arange(7)
        )
        assert log_loss(log_proba, sample_weight) == pytest.approx(expected, rel=1e-13)
        assert perplexity(log_proba, sample_weight) == pytest.approx(np.exp(expected), rel=1e-13)


def test_perplexity_of_a_uniform_model_is_the_number_of_classes():
    assert perplexity(np.full(10, -np.log(50), np.float32)) == pytest.approx(50, rel=1e-6)


def test_probability_zero_is_an_infinite_loss():
    assert log_loss([-1, -np.inf]) == np.inf
    assert perplexity([-1, -np.inf]) == np.inf
    assert perplexity([-1000.0]) == np.inf
    assert log_loss([-1, -np.inf], [1, 0]) == 1


# evaluate


@pytest.mark.parametrize("batch_size", [1, 7, 100, 1000])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_evaluate_one_label(batch_size, convert):
    n_samples, classes = 100, np.arange(30) * 10
    model = random_model(n_samples, classes)
    y = np.random.default_rng(8).choice(classes, n_samples)
    X = convert(np.arange(n_samples, dtype=float).reshape(-1, 1))
    result = evaluate(model, X, y, ks=(5, 1), batch_size=batch_size)
    topk, _ = model.predict_topk(X, 5)
    log_proba = model.log_proba[np.arange(n_samples), y // 10]
    expected = {"n": n_samples, "n_unlabelled": 0, "n_unknown": 0}
    expected |= {"log_loss": log_loss(log_proba), "perplexity": perplexity(log_proba)}
    for k in (1, 5):
        expected |= {f"precision@{k}": precision_at_k(topk, y, k), f"hit@{k}": hit_at_k(topk, y, k)}
        expected |= {f"mrr@{k}": mrr_at_k(topk, y, k), f"ndcg@{k}": ndcg_at_k(topk, y, k)}
    assert list(result) == list(expected)
    assert result == pytest.approx(expected, rel=1e-13)
    assert max(model.blocks[:-1]) <= batch_size


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_compare(batch_size):
    n_samples, classes = 100, np.arange(30) * 10
    models = [random_model(n_samples, classes, seed) for seed in (2, 3)]
    models[1].log_proba[:60] = models[0].log_proba[:60]
    y = np.random.default_rng(8).choice(classes, n_samples)
    X = np.arange(n_samples, dtype=float).reshape(-1, 1)
    result = compare(*models, X, y, ks=(1, 5), batch_size=batch_size)
    assert [result["model"], result["other"]] == [evaluate(m, X, y, (1, 5), batch_size) for m in models]
    best = [m.predict_topk(X, 1)[0][:, 0] for m in models]
    assert result["same_best"] == np.mean(best[0] == best[1]) and 0.6 <= result["same_best"] < 1
    assert set(result["change"]) == set(result["model"]) - {"n", "n_unlabelled", "n_unknown"}
    for name, change in result["change"].items():
        assert change == result["other"][name] - result["model"][name]


@pytest.mark.parametrize("batch_size", [3, 100])
def test_evaluate_several_labels(batch_size):
    n_samples, n_classes = 100, 12
    model = random_model(n_samples, np.arange(n_classes - 2))  # the last two labels are unknown
    Y = random_indicator(n_samples, n_classes)
    X = np.arange(n_samples, dtype=float).reshape(-1, 1)
    result = evaluate(model, X, Y, ks=(1, 4), batch_size=batch_size)
    labels = label_sets(Y)
    topk, _ = model.predict_topk(X, 4)
    names = ("precision", "hit", "mrr", "ndcg", "recall")
    for k in (1, 4):
        assert [result[f"{name}@{k}"] for name in names] == pytest.approx(by_hand(topk, labels, k), rel=1e-13)
    known = [[c for c in row if c < n_classes - 2] for row in labels]
    losses = [-np.mean(model.log_proba[i, codes]) for i, codes in enumerate(known) if codes]
    assert result["log_loss"] == pytest.approx(np.mean(losses), rel=1e-13)
    assert result["n_unlabelled"] == sum(not row for row in labels) > 0
    assert result["n_unknown"] == sum(len(row) for row in labels) - sum(len(codes) for codes in known) > 0


def test_evaluate_unknown_labels_are_misses_without_a_log_loss():
    model = random_model(4, ["a", "b", "c"])
    X = np.arange(4.0).reshape(-1, 1)
    y = np.array(["a", "z", "c", "zz"])
    result = evaluate(model, X, y, ks=(3,))
    assert result["n_unknown"] == 2
    assert result["hit@3"] == 0.5
    assert result["log_loss"] == pytest.approx(-(model.log_proba[0, 0] + model.log_proba[2, 2]) / 2)
    nothing_known = evaluate(model, X, np.array(["z"] * 4), ks=(3,))
    assert nothing_known["n_unknown"] == 4
    assert np.isnan(nothing_known["log_loss"])
    assert np.isnan(nothing_known["perplexity"])


def test_evaluate_deeper_than_the_number_of_classes():
    model = random_model(5, [0, 1, 2])
    X, y = np.arange(5.0).reshape(-1, 1), np.array([0, 1, 2, 0, 1])
    result = evaluate(model, X, y, ks=(3, 20))
    assert result["hit@20"] == result["hit@3"] == 1
    assert result["precision@20"] == pytest.approx(1 / 20)
    assert result["ndcg@20"] == result["ndcg@3"]


def test_metrics_take_dense_indicators():
    X, indicator = sparse.eye_array(40, format="csr", dtype=np.float32), np.eye(4, dtype=int)[np.arange(40) % 4]
    model = SoftmaxClassifier(random_state=0, max_iter=20, n_threads=1).fit(X, indicator)
    dense, in_csr = (evaluate(model, X, y) for y in (indicator, sparse.csr_array(indicator)))
    assert dense == in_csr


# Errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: hit_at_k([[1, 2]], [1], 3),
            ValueError,
            r"topk must have two .* at least 3 columns, got shape \(1, 2\)",
        ),
        (lambda: hit_at_k([1, 2], [1, 2], 1), ValueError, r"topk must have two dimensions.*got shape \(2,\)"),
        (lambda: hit_at_k([[1], [2]], [1], 1), ValueError, "topk must have as many rows as y, got 2 and 1"),
        (lambda: hit_at_k([[1]], np.array([[1]]), 1), ValueError, r"y must have one dim.* or be a sparse.*\(1, 1\)"),
        (lambda: hit_at_k(np.empty((0, 1)), [], 1), ValueError, "y must have at least one row"),
        (lambda: hit_at_k([[1]], [1], 0), ValueError, "k must be at least 1, got 0"),
        (lambda: hit_at_k([["a"]], [1], 1), TypeError, "topk and y must hold labels of the same kind"),
        (lambda: hit_at_k([[2]], sparse.csr_array([[1, 0]]), 1), ValueError, r"topk must hold column.*\[0, 2\).*got 2"),
        (lambda: hit_at_k([[-2]], sparse.csr_array([[1, 0]]), 1), ValueError, "topk must hold column.*got -2"),
        (lambda: hit_at_k([[0.0]], sparse.csr_array([[1]]), 1), TypeError, "topk must hold column indices.*float64"),
        (lambda: log_loss([]), ValueError, "log_proba_of_target must have one dimension and at least one entry"),
        (lambda: log_loss([-1, np.nan]), ValueError, "log_proba_of_target must not hold NaN or .*got nan at index 1"),
        (lambda: log_loss([np.inf]), ValueError, "log_proba_of_target must not hold NaN or .inf, got inf at index 0"),
        (lambda: log_loss([-1], [1, 2]), ValueError, "sample_weight must have as many rows as log_proba_of_target"),
        (lambda: log_loss([-1], [-1]), ValueError, "sample_weight must be finite and non-negative"),
        (lambda: evaluate(None, np.ones((2, 1)), [1]), ValueError, "y must have as many rows as X, got 1 and 2"),
        (lambda: evaluate(None, np.ones((1, 1)), [1], ks=(0,)), ValueError, "ks must be at least 1, got 0"),
        (lambda: evaluate(None, np.ones((1, 1)), [1], ks=()), ValueError, "ks must name at least one depth"),
        (
            lambda: evaluate(None, np.ones((1, 1)), [1], batch_size=0),
            ValueError,
            "batch_size must be at least 1, got 0",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
