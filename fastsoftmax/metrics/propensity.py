"""Propensity-scored ranking metrics: the rarer a label is in training, the more a hit of it counts.

A data set lacks some true labels of its rows, rare ones more often. The propensity of a label is the estimated probability
that a row which should have it does have it. A hit is weighted by 1 / propensity, which makes up for what is missing.
"""

import numpy as np
from scipy import sparse

from fastsoftmax.metrics.ranking import best_dcg, discounted, relevance
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import (
    check_int,
    check_inverse_propensities,
    check_label_space,
    check_propensity_rows,
    check_real,
    check_topk,
    check_true_indicator,
)


@with_numpys_defaults
def inverse_propensities(y, classes=None, *, n_classes=None, A=0.55, B=1.5):
    """1 / propensity of each class, from how many training rows have it, as estimated by Jain et al. [1]_.

    A class that N_l of N rows have gets ``1 + C (N_l + B)^(-A)``, where ``C = (log N - 1) (B + 1)^A``.

    Parameters
    ----------
    y : array of shape (n_samples,), list of n_samples lists or sets, sparse matrix or array of shape (n_samples, n_classes)
        The labels of all training rows, at least three rows. A row without labels counts among the N.
    classes : 1-D array of labels, optional
        The labels to return a number for, in this order, such as a model's ``classes_``; they must have all labels of `y`, and
        may have others, which no row has. By default the columns of an indicator, otherwise the labels of `y`, ascending.
    n_classes : int, optional
        Instead of `classes`: the labels 0 to n_classes - 1.
    A, B : float
        Parameters of the data set: 0.5 and 0.4 for Wikipedia, 0.6 and 2.6 for Amazon, and the defaults otherwise [1]_.

    Returns
    -------
    ndarray of float64, shape (n_classes,)

    References
    ----------
    .. [1] H. Jain, Y. Prabhu and M. Varma, "Extreme multi-label loss functions for recommendation, tagging, ranking & other
       missing label applications", KDD 2016.
    """
    y, names = check_true_indicator("y", y)
    n_samples = check_propensity_rows("y", y.shape[0])
    A, B = check_real("A", A, minimum=0), check_real("B", B, above=0)
    codes, n_classes = check_label_space("y", y, names, classes, n_classes)
    n_rows = np.bincount(y.indices if codes is None else codes[y.indices], minlength=n_classes)
    return 1 + (np.log(n_samples) - 1) * ((B + 1) / (n_rows + B)) ** A


def psp_at_k(topk, y, k, inverse_propensities):
    """Propensity-scored precision at `k`, PSP@k, divided by the best that any ranking has [1]_.

    It is the sum over the hits up to rank k of all rows of 1 / propensity, divided by the same sum of the rankings which have
    the rarest of each row's labels first.

    Parameters
    ----------
    topk, y, k
        As for `hit_at_k`. A row without labels adds to neither sum.
    inverse_propensities : array of shape (n_classes,) or dict
        1 / propensity of each label, as `inverse_propensities` returns it. An array has a number for each column of an
        indicator `y`; with other labels, these are 0, 1, 2 and so on. For labels of any other kind, it is a dict from label
        to number, such as ``dict(zip(model.classes_, numbers))``.

    Returns
    -------
    float
        In [0, 1]; it is 0 where no row has a label.

    Raises
    ------
    ValueError
        As `hit_at_k`, and if a number is not finite and positive, or a label of `y` has none.
    TypeError
        As `hit_at_k`.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu and M. Varma, "Extreme multi-label loss functions for recommendation, tagging, ranking & other
       missing label applications", KDD 2016. The quotient is that of K. Bhatia et al., "The extreme classification repository:
       multi-label datasets and code", 2016, http://manikvarma.org/downloads/XC/XMLRepository.html
    """
    return _quotient_at_k("psp", topk, y, k, inverse_propensities)


def psndcg_at_k(topk, y, k, inverse_propensities):
    """Propensity-scored nDCG at `k`, PSnDCG@k, divided by the best that any ranking has.

    Of each row, DCG@k is the sum over its hits up to rank k of 1 / (propensity log2(1 + rank)), divided by the best DCG@k
    without propensities. The result is the sum over the rows, divided by the same sum of the rankings which have the rarest of
    each row's labels first.

    Parameters, returns, errors and references are those of `psp_at_k`.
    """
    return _quotient_at_k("psndcg", topk, y, k, inverse_propensities)


@with_numpys_defaults
def _quotient_at_k(name, topk, y, k, inverse_propensities):
    k = check_int("k", k, minimum=1)
    y, names = check_true_indicator("y", y)
    gains = Gains(check_inverse_propensities("inverse_propensities", inverse_propensities, y, names))
    topk = check_topk("topk", topk, y, names, min_columns=k)[:, :k]
    return quotient(gains.sums(topk, y, [k])[f"{name}@{k}"])


class Gains:
    """What hits count: the numbers of an array with one for each column of an indicator."""

    def __init__(self, inverse_propensities):
        self.by_column = inverse_propensities
        order = np.argsort(-inverse_propensities)
        self.by_place = inverse_propensities[order]
        self.places = np.empty(len(order), np.int64)  # of the columns, the rarest first
        self.places[order] = np.arange(len(order))

    def sums(self, topk, y, ks):
        """For each metric at each of `ks`, its sum over the rows of `topk` and `y`, and that of the best rankings."""
        relevant, n_labels = relevance(topk, y)
        predicted, best = np.zeros(topk.shape), self._best(y, max(ks))
        predicted[relevant] = self.by_column[topk[relevant]]
        out = {}
        for k in ks:
            both, norm = (predicted[:, :k], best[:, :k]), best_dcg(n_labels, k)
            out[f"psp@{k}"] = np.array([gains.sum() for gains in both])
            out[f"psndcg@{k}"] = np.array([(discounted(gains) / norm).sum() for gains in both])
        return out

    def _best(self, y, k):
        """The gains of the rarest `k` labels of each row, in falling order; 0 where a row has fewer labels."""
        ordered = sparse.csr_array((np.ones(y.nnz, bool), self.places[y.indices], y.indptr), shape=y.shape)
        ordered.sort_indices()
        n_labels = np.diff(y.indptr)
        k = min(k, int(n_labels.max(initial=0)))  # which a depth may be far beyond
        ranks = np.arange(y.nnz) - np.repeat(y.indptr[:-1], n_labels)
        first = ranks < k
        best = np.zeros((y.shape[0], k))
        best[np.repeat(np.arange(y.shape[0]), n_labels)[first], ranks[first]] = self.by_place[ordered.indices[first]]
        return best


def quotient(sums):
    """A sum over the best one, which is 0 where no row has a label."""
    return min(1.0, float(sums[0] / sums[1])) if sums[1] else 0.0  # rounding may leave it above 1
