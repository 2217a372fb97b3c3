"""Answers to histories by a fitted NextItemModel, which `predictor()` of the model makes."""

import numpy as np

from fastsoftmax.estimators.next_item_one import MOST_BEST, OneByOne
from fastsoftmax.passes.eligible import labels_of
from fastsoftmax.runtime import threads
from fastsoftmax.sequences.items import ItemIndex, encoded
from fastsoftmax.validation import check_bool, check_int, check_one_each, check_result

__all__ = ["Predictor"]

SMALL = 1 << 20  # elements of a result, for which nobody asks how much memory there is: that takes as long as a row
FEW = 8  # histories that are answered one by one; more go through products of matrices together
MOST_COLUMNS = np.iinfo(np.int32).max


class Predictor:
    """Answers histories as the model did when this was made, single ones in the time of one pass over the output weights.

    What it keeps, beside the arrays that it shares with the model: a dict of the items, if they are integers or strings, about
    100 bytes each; a number for each item; and for each thread that asks at once, two numbers for each item and one for
    each sequence. A NextItemModel answers by a predictor of its own, which makes these when it is first asked for few
    histories, and which does not go into pickles.

    Any number of Python threads may use one predictor at once. It outlives a new `fit`, and `partial_fit`.

    Attributes
    ----------
    items_ : (n_items,) array of the items
    """

    def __init__(self, items, mixture, n_threads):
        self.items_, self.mixture, self.n_threads = items, mixture, n_threads
        self._one = self._index = None

    def predict_topk(self, histories, k=20, *, exclude_seen=False, exclude=None):
        """The `k` most probable next items of each history: see the model's own `predict_topk`."""
        k, exclude_seen = check_int("k", k, minimum=1), check_bool("exclude_seen", exclude_seen)
        if type(histories) is list and 0 < len(histories) <= FEW and k <= min(MOST_BEST, len(self.items_)):
            found = self._few(histories, k, exclude_seen, exclude)
            if found is not None:
                return found
        rows = encoded(histories, self.items_, "histories").wholes()
        if rows.n_rows * k > SMALL:
            check_result((rows.n_rows, k), 16, "k may be smaller")
        excluded = self._excluded(rows, exclude_seen, exclude)
        codes, log_proba = self.mixture.topk(rows, k, excluded)
        pads = bool((codes < 0).any())
        return labels_of(codes, self.items_, pads=pads), log_proba

    def predict(self, histories):
        """The most probable next item of each history, (n,)."""
        return self.predict_topk(histories, 1)[0][:, 0]

    def prepare(self):
        """Make now what it keeps; return self."""
        if self._index is None and self.mixture.network.features.n_features_ <= MOST_COLUMNS:
            self._one, self._index = OneByOne(self.mixture), ItemIndex(self.items_)
        return self

    def use_threads(self, n_threads):
        """Use so many threads from now on, which changes no result; a checked number."""
        self.n_threads = n_threads
        self.mixture.use_threads(n_threads)

    def _few(self, histories, k, exclude_seen, exclude):
        """What `predict_topk` returns, one history after the other; None where that takes the other way."""
        self.prepare()
        one, index = self._one, self._index
        if index is None or (exclude is not None and type(exclude) is not list):
            return None
        lists = index.codes(histories, "histories")
        excluded = [set(items) if exclude_seen else set() for items in lists]
        if exclude is not None:
            check_one_each("exclude", len(exclude), len(lists))
            for barred, items in zip(excluded, index.codes(exclude, "exclude"), strict=True):
                barred.update(items)
        codes, log_proba = np.empty((len(lists), k), np.int64), np.empty((len(lists), k))
        n_threads = threads.resolve(self.n_threads)
        for row, (items, barred) in enumerate(zip(lists, excluded, strict=True)):
            found = one.topk(items, k, barred, n_threads)
            if found is None:
                return None
            codes[row], log_proba[row] = found
        return self.items_[codes], log_proba

    def _excluded(self, rows, exclude_seen, exclude):
        """The items that each row may not get, (indptr, codes), or None."""
        n_items, lists = len(self.items_), []
        if exclude is not None:
            barred = encoded(exclude, self.items_, "exclude").wholes()
            check_one_each("exclude", barred.n_rows, rows.n_rows)
            lists.append(barred)
        if exclude_seen:
            lists.append(rows)
        if not lists:
            return None
        keys = [np.repeat(np.arange(a.n_rows), a.lengths) * n_items + a.ids[: a.lengths.sum()] for a in lists]
        row, item = np.divmod(np.unique(np.concatenate(keys)), n_items)
        return np.append(0, np.cumsum(np.bincount(row, minlength=rows.n_rows))), item

    def __getstate__(self):
        return self.__dict__ | {"_one": None, "_index": None}  # which are made anew
