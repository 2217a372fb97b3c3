import argparse
import inspect
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from fastsoftmax import NGramFeatures, linear_cross_entropy
from fastsoftmax.text.kneser_ney import FALLBACK, estimate_discounts

N_CLASSES = 6
DOCUMENTS = st.lists(st.lists(st.integers(0, 4), max_size=12), max_size=6)
DISCOUNTS = [None, (0.3, 0.7, 2.0), (1, 2, 3), "by order"]
PARAMETERS = st.fixed_dictionaries(
    {"order": st.integers(1, 5), "places": st.integers(0, 3), "min_count": st.integers(1, 3), "boundary": st.booleans()}
)


def joined(documents):
    """`ids` and `starts`."""
    ids = np.array([token for document in documents for token in document], dtype=np.int64)
    return ids, np.cumsum([0, *(len(document) for document in documents)])[:-1]


def histories_of_rows(documents, order, boundary):
    """For each row its histories, the shortest (of one token) first."""
    rows = []
    for document in documents:
        padded = [-1, *document] if boundary else document
        for i in range(int(boundary), len(padded)):
            rows.append([tuple(padded[i - n : i]) for n in range(1, min(order - 1, i) + 1)])
    return rows


class SlowKneserNey:
    """Counts in sets and dicts, probabilities by the recursion, in float64."""

    def __init__(self, documents, n_classes, *, order, min_count, boundary, discounts=None, min_pair_count=1):
        self.n_classes, self.order, self.boundary = n_classes, order, boundary
        rows = histories_of_rows(documents, order, boundary)
        n_rows = Counter(history for row in rows for history in row)
        self.known = {history for history in n_rows if n_rows[history] >= min_count}
        seen_after, self.occurrences = defaultdict(set), Counter()
        for i, (row, k) in enumerate(zip(rows, (k for document in documents for k in document), strict=True)):
            row = [(), *(history for history in row if history in self.known)]
            for history, longer in zip(row, [*row[1:], ("row", i)], strict=True):
                seen_after[history, k].add(longer)
                self.occurrences[history, k] += 1
        self.counts = defaultdict(dict)
        for (history, k), longer in seen_after.items():
            self.counts[history][k] = len(longer)
        self.min_pair_count = min_pair_count
        self.discounts = [
            self.estimate(length) if discounts is None else np.broadcast_to(discounts, (order, 3))[length]
            for length in range(order)
        ]

    def estimate(self, length):
        n = Counter(c for history in self.counts if len(history) == length for c in self.counts[history].values())
        if not (n[1] and n[2] and n[3]):
            return FALLBACK
        y = n[1] / (n[1] + 2 * n[2])
        d = 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]
        return d if min(d) > 0 else FALLBACK

    def discount(self, history, k):
        count = self.counts[history].get(k, 0)
        if count == 0 or (len(history) >= 3 and self.occurrences[history, k] < self.min_pair_count):
            return count
        return self.discounts[len(history)][min(count, 3) - 1]

    def proba(self, history):
        """Of all classes after a history that is known, or ()."""
        lower = self.proba(history[1:]) if history else np.full(self.n_classes, 1 / self.n_classes)
        total = sum(self.counts[history].values())
        if not total:
            return lower
        counts = np.array([self.counts[history].get(k, 0) for k in range(self.n_classes)])
        discounts = np.array([self.discount(history, k) for k in range(self.n_classes)])
        return (counts - discounts + discounts.sum() * lower) / total

    def log_proba(self, documents):
        rows = histories_of_rows(documents, self.order, self.boundary)
        longest = [max([(), *(history for history in row if history in self.known)], key=len) for row in rows]
        return np.log([self.proba(history) for history in longest]).reshape(len(rows), self.n_classes)


def check(train, test, n_classes, parameters, **options):
    """Softmax of the weights and the recursion agree; returns the features and weights."""
    features = NGramFeatures(**parameters).fit(*joined(train))
    W, bias = features.kneser_ney(*joined(train), n_classes, **options)
    assert W.shape == (n_classes, features.n_features_) and W.has_canonical_format and np.all(W.data > 0)
    assert W.dtype == bias.dtype == np.float32 and W.indices.dtype == np.int32
    np.testing.assert_allclose(np.exp(bias.astype(float)).sum(), 1, rtol=1e-5)
    logits = (features.transform(*joined(test)) @ W.T.astype(np.float64)).toarray() + bias
    slow = SlowKneserNey(train, n_classes, **{k: v for k, v in parameters.items() if k != "places"}, **options)
    np.testing.assert_allclose(log_softmax(logits, axis=1), slow.log_proba(test), rtol=2e-6, atol=2e-6)
    return features, W, bias


@given(
    train=DOCUMENTS,
    test=DOCUMENTS,
    parameters=PARAMETERS,
    discounts=st.sampled_from(DISCOUNTS),
    min_pair_count=st.integers(1, 3),
)
def test_is_kneser_ney(train, test, parameters, discounts, min_pair_count):
    if discounts == "by order":
        discounts = np.linspace(0.1, 0.9, parameters["order"])[:, None] * [1, 2, 3]
    features, W, _ = check(train, test, N_CLASSES, parameters, discounts=discounts, min_pair_count=min_pair_count)
    for column in range(features.n_features_):
        tokens = features.describe(column)
        if None in tokens or len(tokens) >= parameters["order"]:
            assert not len(W[:, [column]].data)


@pytest.fixture(scope="module")
def text():
    """Lines of words, most of them once."""
    lines = [re.findall(r"\w+|[^\w\s]", line) for line in inspect.getsource(argparse).split("\n")[:1500]]
    codes = {}
    return [[codes.setdefault(word, len(codes)) for word in line] for line in lines], codes


@pytest.mark.parametrize("min_count", [1, 2, 4])
@pytest.mark.parametrize("min_pair_count", [1, 2])
def test_text(text, min_count, min_pair_count):
    documents, codes = text
    train, test = documents[:1000], documents[1000:1050]
    parameters = {"order": 5, "places": 2, "min_count": min_count, "boundary": True}
    features, W, bias = check(train, test, len(codes), parameters, min_pair_count=min_pair_count)
    ids, starts = joined(test)
    slow = SlowKneserNey(train, len(codes), order=5, min_count=min_count, boundary=True, min_pair_count=min_pair_count)
    assert min_count > 2 or FALLBACK not in slow.discounts
    loss = linear_cross_entropy(features.transform(ids, starts), W, ids, bias)
    expected = -slow.log_proba(test)[np.arange(len(ids)), ids].mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_min_pair_count_drops_pairs(text):
    documents, codes = text
    features = NGramFeatures(order=5).fit(*joined(documents))
    kept, dropped = (features.kneser_ney(*joined(documents), len(codes), min_pair_count=n)[0] for n in (1, 2))
    length = np.array([len(features.describe(column)) for column in range(features.n_features_)])
    n_kept, n_dropped = np.diff(kept.indptr), np.diff(dropped.indptr)
    np.testing.assert_array_equal(n_dropped[length < 3], n_kept[length < 3])
    assert n_dropped[length >= 3].sum() < 0.5 * n_kept[length >= 3].sum()


def test_weights_of_other_text_than_fitted(text):
    documents, codes = text
    features = NGramFeatures(order=3).fit(*joined(documents[:500]))
    W, bias = features.kneser_ney(*joined(documents[500:1000]), len(codes))
    counted = {history for row in histories_of_rows(documents[500:1000], 3, True) for history in row}
    for column in range(features.n_features_):
        if features.describe(column) not in counted:
            assert W.indptr[column] == W.indptr[column + 1]
    assert W.nnz and np.isfinite(bias).all()


def test_discounts_of_chen_and_goodman():
    counts = np.repeat([0, 1, 2, 3, 4, 7], [9, 100, 40, 20, 10, 30])
    np.testing.assert_allclose(estimate_discounts(counts), [100 / 180, 2 - 3 * 20 / 40 * 100 / 180, 3 - 4 * 0.5 / 1.8])


@pytest.mark.parametrize("n", [(0, 5, 5, 5), (5, 0, 5, 5), (5, 5, 0, 5), (9, 1, 2, 1), (9, 1, 1, 9)])
def test_discounts_that_cannot_be_estimated(n):
    assert estimate_discounts(np.repeat([1, 2, 3, 4], n)) == FALLBACK


@pytest.mark.parametrize("documents", [[], [[]], [[], [3], []], [[3]]])
@pytest.mark.parametrize("boundary", [True, False])
def test_one_token_or_none(documents, boundary):
    parameters = {"order": 3, "places": 0, "min_count": 1, "boundary": boundary}
    _, W, bias = check(documents, [[1, 2], [3, 3]], N_CLASSES, parameters)
    assert W.nnz == (boundary and [3] in documents)
    if [3] not in documents:
        np.testing.assert_allclose(bias, -np.log(N_CLASSES), rtol=1e-6)


def test_one_class():
    features = NGramFeatures(order=3)
    X = features.fit_transform([0, 0, 0], [0])
    W, bias = features.kneser_ney([0, 0, 0], [0], 1)
    assert linear_cross_entropy(X, W, [0, 0, 0], bias) == pytest.approx(0, abs=1e-6)


def test_does_not_change_its_input():
    ids, starts = np.array([1, 2, 1, 2, 3]), np.array([0, 3])
    ids.flags.writeable = starts.flags.writeable = False
    NGramFeatures(order=3).fit(ids, starts).kneser_ney(ids, starts, 4)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([0, 1, 4], [0], 4), {}, ValueError, "ids must be below n_classes"),
        (([0, -1], [0], 4), {}, ValueError, "ids must not be negative"),
        (([0, 1], [1], 4), {}, ValueError, "starts must begin with 0"),
        (([0, 1], [0], 0), {}, ValueError, "n_classes must be at least 1"),
        (([0, 1], [0], 4.0), {}, TypeError, "n_classes must be an integer"),
        (([0, 1], [0], 4), {"discounts": 0.5}, ValueError, r"discounts must be of shape \(3,\)"),
        (([0, 1], [0], 4), {"discounts": np.ones((2, 3))}, ValueError, r"discounts must be of shape \(3,\)"),
        (([0, 1], [0], 4), {"discounts": (0, 1, 2)}, ValueError, "discounts must be above 0"),
        (([0, 1], [0], 4), {"discounts": (1, 2.5, 2)}, ValueError, "discounts must be above 0"),
        (([0, 1], [0], 4), {"discounts": (1, 2, np.nan)}, ValueError, "discounts must be above 0"),
        (([0, 1], [0], 4), {"discounts": "modified"}, TypeError, "discounts must hold real numbers"),
        (([0, 1], [0], 4), {"min_pair_count": 0}, ValueError, "min_pair_count must be at least 1"),
    ],
)
def test_bad_input(arguments, options, error, message):
    features = NGramFeatures(order=3).fit([0, 1, 2], [0])
    with pytest.raises(error, match=message):
        features.kneser_ney(*arguments, **options)


def test_needs_fit_and_columns_told_apart():
    with pytest.raises(AttributeError, match="not fitted"):
        NGramFeatures().kneser_ney([0], [0], 1)
    with pytest.raises(ValueError, match="n_hashed must be None"):
        NGramFeatures(n_hashed=10).kneser_ney([0], [0], 1)
