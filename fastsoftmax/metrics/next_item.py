"""All metrics of a model of the next item on sequences, block by block."""

import numbers

from fastsoftmax.metrics.catalogue import Listed, bias, mean_true_popularity, row_popularity
from fastsoftmax.metrics.protocols import every_prefix, leave_one_out
from fastsoftmax.metrics.ranking import ROW_METRICS, relevance
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.validation import (
    check_bool,
    check_catalogue,
    check_depths,
    check_has_rows,
    check_int,
    check_option,
    check_popularity,
    check_predicted,
    check_topk,
    check_true_labels,
    check_verbose,
    encode_labels,
)

PROTOCOLS = {"every": every_prefix, "last": lambda sequences: leave_one_out(sequences)[1:]}
REPORTED = ("hit", "mrr", "ndcg")  # of one true item a row, recall is the hit rate, and precision a k-th of it


@with_numpys_defaults
def evaluate_next_items(
    model,
    sequences,
    k=20,
    *,
    protocol="every",
    exclude_seen=False,
    items=None,
    popularity=None,
    batch_size=1024,
    verbose=0,
):
    """The metrics of a model that ranks the next item, on sequences.

    Parameters
    ----------
    model : object
        What has ``predict_topk(histories, k, exclude_seen=...) -> (items, log_proba)``: for n histories, which are lists of
        items, arrays of shape (n, k), best first.
    sequences : iterable of sequences of hashable items, or tuple of arrays (ids, starts)
        Oldest first; see `every_prefix`.
    k : int or sequence of int
        The depths of the metrics. One beyond the number of items is allowed: the rest are misses.
    protocol : {"every", "last"}
        "every" tests each item of a sequence but the first, given all items before it (`every_prefix`): what a session is
        measured by [1]_. "last" tests the last item alone (`leave_one_out`).
    exclude_seen : bool
        True: no item of a history is predicted after it. An item that comes again is then a miss.
    items : 1-D array of labels, optional
        All items that could be predicted, for the coverage; by default ``model.items_``.
    popularity : array or dict, optional
        How popular each item is, such as how often the training data have it: adds "popularity_bias@k"; see
        `popularity_bias_at_k`.
    batch_size : int
        Rows to evaluate at a time.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    dict
        "n"
            Number of rows.
        "n_unknown"
            Rows whose true item is not among all items: a miss.
        "hit@k", "mrr@k", "ndcg@k", "coverage@k"
            For every depth; see `hit_at_k`, `mrr_at_k`, `ndcg_at_k` and `coverage_at_k`.
        "popularity_bias@k"
            The same, where `popularity` is given.

    Raises
    ------
    ValueError, TypeError
        If an argument is none of these, or if no sequence has two items.

    References
    ----------
    .. [1] B. Hidasi, A. Karatzoglou, L. Baltrunas and D. Tikk, "Session-based recommendations with recurrent neural networks",
       ICLR 2016, arXiv:1511.06939.
    """
    ks = check_depths("k", [k] if isinstance(k, numbers.Integral) else k)
    check_option("protocol", protocol, PROTOCOLS)
    exclude_seen = check_bool("exclude_seen", exclude_seen)
    batch_size = check_int("batch_size", batch_size, minimum=1)
    check_verbose(verbose)
    items = check_catalogue("items", model.items_ if items is None else items)
    depth = min(ks[-1], len(getattr(model, "items_", items)))
    popularity = None if popularity is None else check_popularity("popularity", popularity)
    histories, targets = PROTOCOLS[protocol](sequences)
    check_has_rows("sequences", len(histories))
    y, _ = check_true_labels("sequences", targets)

    sums = _Sums(items, ks, popularity)
    with shown_rows(len(y), "evaluating", verbose) as show:
        for start in range(0, len(y), batch_size):
            rows = slice(start, start + batch_size)
            topk, _ = model.predict_topk(list(histories[rows]), depth, exclude_seen=exclude_seen)
            sums.add(check_topk("predict_topk(histories)", topk, y[rows], min_columns=1), y[rows])
            show(len(topk))
    return {"n": len(y), **sums.means(y)}


class _Sums:
    """The metrics of lists that come block by block, at each of `ks`.

    items : all items, ascending; popularity : the items that have one, and the numbers; None: not asked for
    """

    def __init__(self, items, ks, popularity):
        self.items, self.ks, self.popularity = items, ks, popularity
        self.sums = {f"{name}@{k}": 0.0 for k in ks for name in REPORTED}
        self.listed = {k: Listed(len(items)) for k in ks}
        self.popular = {k: [0.0, 0] for k in ks}  # the sum over the rows that have predictions, and how many these are

    def add(self, topk, y):
        relevant, n_labels = relevance(topk, y)
        codes = check_predicted("predict_topk(histories)", topk, self.items)
        for k in self.ks:
            for name in REPORTED:
                self.sums[f"{name}@{k}"] += float(ROW_METRICS[name](relevant[:, :k], n_labels, k).sum())
            self.listed[k].add(codes[:, :k])
            if self.popularity is not None:
                rows = row_popularity(topk[:, :k], *self.popularity)
                self.popular[k][0] += float(rows.sum())
                self.popular[k][1] += len(rows)

    def means(self, y):
        """The metrics over all rows, whose true items are `y`."""
        n_unknown = int((encode_labels(y, self.items, unknown=-1, name="sequences") < 0).sum())
        out = {"n_unknown": n_unknown} | {name: total / len(y) for name, total in self.sums.items()}
        out |= {f"coverage@{k}": listed.share() for k, listed in self.listed.items()}
        if self.popularity is not None:
            true = mean_true_popularity(y, None, *self.popularity)
            for k, (total, n_rows) in self.popular.items():
                out[f"popularity_bias@{k}"] = bias(total / n_rows if n_rows else float("nan"), true)
        return out
