"""Rows with several labels, given as lists: what an indicator of them gives, under the labels' own names."""

import collections
import copy

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import MultiLabelBinarizer

from fastsoftmax import SoftmaxRegression
from fastsoftmax.metrics import (
    compare,
    evaluate,
    f1_at_threshold,
    hit_at_k,
    inverse_propensities,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    precision_at_threshold,
    psndcg_at_k,
    psp_at_k,
    recall_at_k,
    recall_at_threshold,
)

LISTS = [["b", "a"], ["c"], ["d", "a", "c"], ["b"], ["d"]] * 12
NAMES = {"strings": {name: name for name in "abcd"}, "numbers": dict(zip("abcd", range(4), strict=True))}
NAMES["long"] = {name: name * 100 for name in "abcd"}
NAMES["tuples"] = {name: (name, 1) for name in "abcd"}
X = sp.csr_array(np.random.default_rng(0).random((60, 7)).astype(np.float32))


def small(**params):
    return flat_classifier(**{"random_state": 0, "n_threads": 1, "max_iter": 4, "direct": "dense"} | params)


def as_array(rows):
    a = np.empty(len(rows), object)
    a[:] = rows
    return a


FORMS = {
    "lists": lambda rows: rows,
    "sets": lambda rows: [set(row) for row in rows],
    "array of lists": as_array,
    "tuple of lists": tuple,
    "repeats": lambda rows: [[*row, row[0]] for row in rows],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_lists_are_an_indicator(names, form):
    y = form([[names[label] for label in row] for row in LISTS])
    Y = MultiLabelBinarizer(sparse_output=True).fit_transform(LISTS)
    stopping = {"early_stopping": True, "class_weight": {names["a"]: 2.0}}
    by_column = {"early_stopping": True, "class_weight": {0: 2.0}}
    model, expected = small(**stopping).fit(X, y, X_val=X, y_val=y), small(**by_column).fit(X, Y, X_val=X, y_val=Y)

    def assert_same():
        assert_array_equal(model.coef_, expected.coef_)
        assert model.classes_.tolist() == list(names.values())
        assert_array_equal(model.target_log_proba(X, y), expected.target_log_proba(X, Y))
        assert model.score(X, y) == expected.score(X, Y)

    assert_same()
    assert evaluate(model, X, y, ks=(1, 3)) == pytest.approx(evaluate(expected, X, Y, ks=(1, 3)))
    topk, columns = model.predict_topk(X, 3)[0], expected.predict_topk(X, 3)[0]
    for metric in (hit_at_k, ndcg_at_k, precision_at_k):
        assert metric(topk, y, 3) == metric(columns, Y, 3)
    model.partial_fit(X, y), expected.partial_fit(X, Y)
    assert_same()
    first = small().partial_fit(X, y, classes=list(names.values()))
    assert_array_equal(first.coef_, small().partial_fit(X, Y, classes=range(4)).coef_)


def test_lists_of_one_label_each_are_labels():
    labels = [row[0] for row in LISTS]
    for y in ([[label] for label in labels], [{label} for label in labels], [[label, label] for label in labels]):
        assert_array_equal(small().fit(X, y).coef_, small().fit(X, labels).coef_)


def test_rows_without_a_label_do_not_count():
    y = [[], *LISTS[1:-1], ["?"]]
    model, expected = small(ignore_label="?").fit(X, y), small().fit(X[1:-1], LISTS[1:-1])
    assert_array_equal(model.coef_, expected.coef_)
    assert model.score(X, y) == expected.score(X[1:-1], LISTS[1:-1])
    assert_array_equal(np.isnan(model.target_log_proba(X, y)), [True] + [False] * 58 + [True])
    result = evaluate(model, X[:3], [[], ["a"], []], ks=[4])
    assert result["n_unlabelled"] == 2 and result["hit@4"] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="none counts"):
        small().fit(X, [[]] * 60)


def test_unknown_labels():
    """They are wrong, as a single unknown label is, and take nothing from the others of their row."""
    model = small(max_iter=30, learning_rate=1.0).fit(np.eye(3, dtype=np.float32), [["a", "b"], ["c"], ["a"]])
    rows, y = np.eye(3, dtype=np.float32), [["b", "a", "new"], ["c"], ["new", "newer"]]
    assert model.score(rows, y) == pytest.approx(2 / 3)
    log_proba = model.target_log_proba(rows, y)
    assert_array_equal(np.isinf(log_proba), [True, False, True])
    assert log_proba[1] == model.target_log_proba(rows[1:2], ["c"])[0]
    result = evaluate(model, rows, y, ks=[1, 2])
    assert result["n_unknown"] == 3 and result["hit@1"] == pytest.approx(2 / 3)
    known = model.target_log_proba(rows[[0, 0, 1]], ["a", "b", "c"])
    assert_allclose(result["log_loss"], -(known[:2].mean() + known[2]) / 2)
    assert model.score(rows[:2], [["new"], ["newer"]]) == 0
    with pytest.raises(ValueError, match="y holds 'new' at position 2, which is not among the 3 classes"):
        model.partial_fit(rows, [["b"], ["c"], ["a", "new"]])


BAD = [
    ([["a"], "b", ["c"]], TypeError, r"y must hold hashable labels, got \['a'\] at position 0"),
    ([["a"], ["b", None], ["c"]], ValueError, "y must not hold missing labels, got None at position 1"),
    ([["a"], ["b", {}], ["c"]], TypeError, r"y must hold hashable labels, got \{\} at position 1"),
    ([["a"], [["b"]], ["c"]], TypeError, r"y must hold hashable labels, got \['b'\] at position 1"),
    ([[[1]], [[2]], [[3]]], ValueError, "y must hold a list of labels for each row, got lists of lists"),
    ([np.array("a"), ["b"], ["c"]], ValueError, "y must hold a list of labels for each row, got array.* for row 0"),
    ([["a", ["b", "c"]], ["a"], ["b"]], TypeError, r"y must hold hashable labels, got \['b', 'c'\] at position 0"),
    ([["a"], ["b", 0.5]], ValueError, "y has 2 lists of labels, but X has 3 rows"),
    ([["a"], ["b", 0.5], ["c"]], ValueError, "Unknown label type: y must hold class labels, got 0.5 at position 1"),
    ([["a"], ["a", "a"], ["a"]], ValueError, r"y must hold at least two classes, got 1 class: \['a'\]"),
    ([["a"], [1, True], ["a"]], ValueError, "y holds 1 and True, which are equal"),
    (
        np.array([[2, 3], [3, 4], [4, 5]]),
        ValueError,
        "y, of two dimensions and integers, must hold zeros and ones, .* several a row sets",
    ),
]


@pytest.mark.parametrize(("y", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_lists(y, error, message):
    with pytest.raises(error, match=message):
        small().fit(X[:3], y)


# -- rows that all have equally many labels --

EQUAL_ROWS = [[3, 7], [7, 2], [1, 3]] * 20  # an array of these would have two dimensions
EQUAL_FORMS = {
    "lists": list,
    "tuple": tuple,
    "deque": collections.deque,
    "arrays": lambda rows: [np.array(row) for row in rows],
    "lists and arrays": lambda rows: [np.array(row) if row[0] == 7 else row for row in rows],
    "floats": lambda rows: [[float(label) for label in row] for row in rows],
    "array of lists": as_array,
    "three, one of them twice": lambda rows: [[*row, row[0]] for row in rows],
}
LABELS = [{k % 10, (k + 1) % 10} for k in range(60)]
MODEL = small(direct="sparse").partial_fit(X, [{3, 7}, {7, 2}, {1, 3}] * 20, n_classes=10)
TOPK, PROBA = MODEL.predict_topk(X, 5)[0], MODEL.predict_proba(X)
PROPENSITIES = np.arange(1.0, 11.0)
CALLS = {
    "fit": lambda y: small().fit(X, y).coef_,
    "fit and X_val": lambda y: small(early_stopping=True).fit(X, LABELS, X_val=X, y_val=y).coef_,
    "first partial_fit": lambda y: small().partial_fit(X, y, n_classes=10).coef_,
    "partial_fit with classes": lambda y: small().partial_fit(X, y, classes=range(10)).coef_,
    "later partial_fit": lambda y: copy.deepcopy(MODEL).partial_fit(X, y).predict_proba(X),
    "calibrate": lambda y: copy.deepcopy(MODEL).calibrate(X, y).predict_proba(X),
    "score": lambda y: MODEL.score(X, y),
    "target_log_proba": lambda y: MODEL.target_log_proba(X, y),
    "evaluate": lambda y: list(evaluate(MODEL, X, y, inverse_propensities=PROPENSITIES).values()),
    "compare": lambda y: list(compare(MODEL, MODEL, X, y)["model"].values()),
    "ranking": lambda y: [f(TOPK, y, 3) for f in (hit_at_k, mrr_at_k, ndcg_at_k, precision_at_k, recall_at_k)],
    "propensity": lambda y: [f(TOPK, y, 3, PROPENSITIES) for f in (psp_at_k, psndcg_at_k)],
    "inverse_propensities": lambda y: inverse_propensities(y, n_classes=10),
    "threshold": lambda y: [
        f(PROBA, y, 0.15, average="macro") for f in (precision_at_threshold, recall_at_threshold, f1_at_threshold)
    ],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_rows_of_equally_many_labels(call):
    """They mean what sets of them mean, as rows of different lengths do."""
    for rows in (EQUAL_ROWS, [[3], [7], [1]] * 20):
        expected = call([set(row) for row in rows])
        for name, form in EQUAL_FORMS.items():
            assert_array_equal(call(form(rows)), expected, err_msg=name)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_zeros_and_ones_in_lists_are_refused(call):
    """They might be columns of an indicator or labels, and neither is taken for the other."""
    for row in ([0, 1], [1, 0, 0], [0.0, 1.0], [True, False], np.array([0, 1], np.uint8)):
        for y in ([row] * 60, (row, row[::-1]) * 30):
            with pytest.raises(
                ValueError, match=r"y(_val)? is a list of lists, .* give np\.array\(y(_val)?\) .* a set"
            ):
                call(y)
    assert_array_equal(call([{0, 1}, {1, 0}] * 30), call(as_array([[0, 1], [1, 0]] * 30)))
    call([[0, 1], [1]] * 30)
    call([[0, 1], [1, 2]] * 30)


def test_lists_and_an_array_of_zeros_and_ones():
    assert small().fit(X, np.array([[0, 1, 0], [1, 0, 1]] * 30)).classes_.tolist() == [0, 1, 2]
    assert small().fit(X, [{1}, {0, 2}] * 30).classes_.tolist() == [0, 1, 2]
    assert hit_at_k([[0], [0]], np.array([[0, 1], [1, 0]]), 1) == 0.5
    assert hit_at_k([[0], [0]], [{0, 1}, {1, 0}], 1) == 1
    assert small().fit(X, [[0, 1], [1, 2]] * 30).classes_.tolist() == [0, 1, 2]


def test_lists_of_fractions_are_masses():
    """No label is a fraction."""
    y = [[0.25, 0.75], [0, 1], [1, 0]] * 20
    expected = small().fit(X, np.array(y)).coef_
    for form in (list, tuple, lambda rows: [np.array(row) for row in rows]):
        assert_array_equal(small().fit(X, form(y)).coef_, expected)
    with pytest.raises(ValueError, match=r"Unknown label type: y must hold class labels, got 0\.25 at position 0"):
        small().fit(X, [*y[:-1], [1]])


def test_padded_rows():
    expected = small().fit(X, [{3, 7}, {7}] * 30).coef_
    assert_array_equal(small(ignore_label=-1).fit(X, [[3, 7], [7, -1]] * 30).coef_, expected)
    assert_array_equal(small(ignore_label=float("nan")).fit(X, [[3, 7], [7, float("nan")]] * 30).coef_, expected)


def test_dates_in_rows_of_equally_many():
    days = np.array([0, 1], "m8[D]")
    assert_array_equal(small().fit(X, [list(days), list(days[:1]) * 2] * 30).classes_, days)


def test_classes_of_exclude_in_lists_of_lists():
    with pytest.raises(
        ValueError, match=r"exclude must hold an array of classes for each row, got \[\[1, 2\]\] for row 0"
    ):
        MODEL.predict_topk(X, 2, exclude=[[[1, 2]]] * 60)


def test_columns_of_one_label_a_row():
    for labels in ([1, 2, 1], ["a", "b", "a"], [np.str_("a"), "b", "a"]):
        with pytest.warns(DataConversionWarning, match="column-vector"):
            model = SoftmaxRegression().fit(X[:3], [[label] for label in labels])
        assert_array_equal(model.coef_, SoftmaxRegression().fit(X[:3], labels).coef_)


@pytest.mark.parametrize(
    ("y", "got"),
    [
        ({"a", "b"}, r"shape \(\): a set is no sequence of labels$"),
        ({"a": 1}, r"shape \(\): a dict is no sequence of labels$"),
        ("ab", r"shape \(\): a str is no sequence of labels$"),
        (sp.csr_array(np.eye(3)), r"a csr_array of shape \(3, 3\)$"),
        (np.eye(3), r"shape \(3, 3\)$"),
    ],
)
def test_what_regression_says_of_other_forms(y, got):
    with pytest.raises(ValueError, match=f"^y must be 1-D, one label a row, got {got}"):
        SoftmaxRegression().fit(X[:3], y)


def test_regression_takes_one_label_a_row():
    for y in ([[0, 1], [1, 0], [1, 1]], [[3, 4], [4, 5], [5, 6]]):
        with pytest.raises(ValueError, match=r"y must be 1-D, one label a row here, got \[., .\] at position 0"):
            SoftmaxRegression().fit(X[:3], y)
    with pytest.raises(ValueError, match=r"y must be 1-D, one label a row here, got \['b', 'a'\] at position 0"):
        SoftmaxRegression().fit(X, LISTS)


@pytest.mark.parametrize("make", [sp.coo_array, sp.coo_matrix, sp.csr_array])
def test_elements_of_an_indicator_that_stand_twice(make):
    """Those of a bool matrix are one; numbers add up, as everywhere in SciPy."""
    rows, columns = np.array([0, 0, 0, 1, 2]), np.array([1, 1, 2, 0, 1])
    Y = [make(sp.coo_array((values, (rows, columns)), shape=(3, 3))) for values in (np.ones(5, bool), np.ones(5))]
    if Y[0].format == "csr":
        Y = [sp.csr_array((np.ones(5, dtype), columns, [0, 3, 4, 5]), shape=(3, 3)) for dtype in (bool, float)]
    model = small().fit(X[:3], [{1, 2}, {0}, {1}])
    log_proba = model.predict_log_proba(X[:1])[0]
    assert_allclose(model.target_log_proba(X[:3], Y[0])[0], log_proba[[1, 2]].mean(), rtol=1e-6)
    assert_allclose(model.target_log_proba(X[:3], Y[1])[0], log_proba[[1, 1, 2]].mean(), rtol=1e-6)
