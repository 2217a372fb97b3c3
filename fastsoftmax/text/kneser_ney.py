"""The interpolated modified Kneser-Ney model as a sparse maximum-entropy model, whose weights come from counts."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array

FALLBACK = (0.5, 1.0, 1.5)  # the discounts of an order with too few n-grams to estimate them
FIRST_PRUNED = 3  # tokens in the shortest histories whose n-grams `min_pair_count` drops


class Order(NamedTuple):
    """The distinct pairs of a history, of one length, and a class after it, sorted."""

    keys: np.ndarray  # column * n_classes + class; the class alone if the history is empty
    shorter: np.ndarray  # where the pair without its oldest token is in the order below
    counts: np.ndarray  # as Kneser and Ney count
    occurrences: np.ndarray


def count_pairs(columns, ids, n_classes):
    """The Orders, the unigrams first; `columns`, one array (n_rows,) a length, are -1 where a row has no such history.

    For the longest history that a row has, each row counts; for a shorter one, all the rows that share the history one token
    longer, and the class, count once.
    """
    rows, pairs = np.arange(len(ids)), ids
    keys, shorter = np.arange(n_classes), None
    orders = []
    for column in columns:
        longer = column[rows] >= 0
        occurrences = np.bincount(pairs, minlength=len(keys))
        counts = np.bincount(pairs[~longer], minlength=len(keys))
        rows, pairs_before = rows[longer], pairs[longer]
        longer_keys, pairs = np.unique(column[rows] * n_classes + ids[rows], return_inverse=True)
        longer_shorter = np.empty(len(longer_keys), dtype=np.intp)
        longer_shorter[pairs] = pairs_before
        counts += np.bincount(longer_shorter, minlength=len(keys))
        orders.append(Order(keys, shorter, counts, occurrences))
        keys, shorter = longer_keys, longer_shorter
    occurrences = np.bincount(pairs, minlength=len(keys))
    orders.append(Order(keys, shorter, occurrences, occurrences))
    return orders


def estimate_discounts(counts):
    """`chen_goodman`, or FALLBACK where there are too few n-grams for that."""
    discounts = chen_goodman(counts)
    return FALLBACK if discounts is None else discounts


def chen_goodman(counts):
    """D1, D2 and D3+ of Chen and Goodman, from how many n-grams were counted once, twice, three and four times.

    None where one of these numbers is missing to divide by, or a discount is not above 0.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5]
    if not n[:3].all():
        return None
    times = np.arange(1, 4)
    discounts = times - (times + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:3]
    return discounts if np.all(discounts > 0) else None


def kneser_ney_weights(columns, ids, n_classes, n_features, discounts, min_pair_count):
    """W, a csc_array of float32 (n_classes, n_features), and the bias (n_classes,); `columns` as in `count_pairs`."""
    orders = count_pairs(columns, ids, n_classes)
    proba = _unigrams(orders[0].counts, discounts[0] if discounts is not None else None)
    bias = np.log(proba).astype(np.float32)
    all_keys, all_weights = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for length, (keys, shorter, counts, occurrences) in enumerate(orders[1:], start=1):
        discount = _discount(counts, discounts[length] if discounts is not None else None)
        if length >= FIRST_PRUNED:
            discount = np.where(occurrences < min_pair_count, counts, discount)
        history = keys // n_classes
        left_over = np.bincount(history, weights=discount)[history]
        total = np.bincount(history, weights=counts)[history]
        own = counts - discount
        backed_off = left_over * proba[shorter]
        proba = (own + backed_off) / total
        has_weight = own > 0
        all_keys.append(keys[has_weight])
        all_weights.append(np.log1p(own[has_weight] / backed_off[has_weight]).astype(np.float32))
    return _sparse_weights(np.concatenate(all_keys), np.concatenate(all_weights), n_classes, n_features), bias


def _unigrams(counts, discounts):
    """The probabilities of the unigrams, interpolated with the uniform distribution; that alone if nothing was counted."""
    discount = _discount(counts, discounts)
    left_over = discount.sum() if counts.any() else 1.0
    return (counts - discount + left_over / len(counts)) / max(counts.sum(), 1)


def _discount(counts, discounts):
    discounts = estimate_discounts(counts) if discounts is None else discounts
    return np.append(0.0, discounts)[np.minimum(counts, 3)]


def _sparse_weights(keys, weights, n_classes, n_features):
    columns, classes = np.divmod(keys, n_classes)
    indptr = np.append(0, np.cumsum(np.bincount(columns, minlength=n_features)))
    dtype = np.int32 if len(keys) <= np.iinfo(np.int32).max else np.int64
    W = csc_array((weights, classes.astype(dtype), indptr.astype(dtype)), shape=(n_classes, n_features))
    W.has_canonical_format = True
    return W
