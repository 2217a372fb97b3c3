"""Sampled losses on linear logits: the true class of each row against a random sample of the others."""

import numpy as np

from fastsoftmax import _head, _threads
from fastsoftmax import _validation as v
from fastsoftmax.linear import LinearInput

__all__ = ["sampled_cross_entropy"]


class Candidates:
    """The classes that take part in a sampled loss, each once where it may be: columns of the logits.

    A column's `offset` is added to its logit for every row but those whose target the column is. A class drawn c times
    counts as its logit plus log c. A target that was not drawn has the offset -inf: no row sees it but its own.

    Parameters
    ----------
    target : (n_rows,) int64
    class_ids : (n,) int64
        The drawn classes, shared by all rows.
    log_expected_counts : (n,) float
    remove_accidental_hits : bool
        Whether a row's own target is left out of its negatives. If not, the targets get columns of their own.

    Attributes
    ----------
    class_ids : (n_candidates,) int64
    offset : (n_candidates,) float64
    target : (n_rows,) int64, the column of each row's target
    """

    def __init__(self, target, class_ids, log_expected_counts, remove_accidental_hits=True):
        n_drawn = len(class_ids)
        if remove_accidental_hits:
            self.class_ids, column = np.unique(np.concatenate([class_ids, target]), return_inverse=True)
            drawn, self.target = column[:n_drawn], column[n_drawn:]
        else:
            drawn_ids, drawn = np.unique(class_ids, return_inverse=True)
            target_ids, self.target = np.unique(target, return_inverse=True)
            self.class_ids = np.concatenate([drawn_ids, target_ids])
            self.target = self.target + len(drawn_ids)
        counts = np.bincount(drawn, minlength=len(self.class_ids))
        self.offset = np.full(len(self.class_ids), -np.inf)
        self.offset[drawn] = -np.asarray(log_expected_counts)
        repeated = counts > 1
        self.offset[repeated] += np.log(counts[repeated])


def sampled_cross_entropy(
    X,
    W,
    target,
    bias=None,
    *,
    class_ids,
    log_expected_counts,
    target_log_expected_counts=None,
    loss="sampled_softmax",
    remove_accidental_hits=True,
    return_grad=False,
    n_threads=None,
):
    """Mean sampled softmax loss of linear logits ``X W^T + bias``, negatives shared by all rows.

    Parameters
    ----------
    X : (n_samples, n_features) array or scipy.sparse matrix
    W : (n_classes, n_features) array, float32 or float64
        Only rows of the drawn and true classes are read. All is computed in its dtype.
    target : (n_samples,) integer array
        Class codes in [0, n_classes).
    bias : (n_classes,) array, optional
    class_ids : (n,) integer array
        The drawn classes; a class drawn twice counts twice. May be empty.
    log_expected_counts : (n,) array
        Natural logarithm of how often each of them was to be expected in the draw, as a sampler's `draw` returns it;
        equal for equal classes.
    target_log_expected_counts : (n_samples,) array, optional
        Subtracted from the logits of the targets. By default nothing is: a target takes part with certainty. TensorFlow's
        sampled_softmax_loss subtracts the log of its expected count in the draw.
    loss : {"sampled_softmax"}
    remove_accidental_hits : bool
        Leave a row's own target out of its negatives.
    return_grad : bool
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.

    Returns
    -------
    loss : float
    (dX, rows, dW_rows, dbias_rows) : tuple, with `return_grad`
        `rows` (m,) are the distinct drawn and true classes, ascending; `dW_rows` (m, n_features) and `dbias_rows` (m,)
        their gradients, all other classes' being zero. `dX` is None for sparse X, `dbias_rows` None without bias.

    Notes
    -----
    With negatives S, loss_i = log(e^{z_iy} + sum_{k in S, k != y} e^{z_ik - log E[count of k]}) - z_iy (Bengio and Senecal
    2008, doi:10.1109/TNN.2007.912312; Jean et al. 2015, arXiv:1412.2007). If every class is drawn once with expected count
    one, it is the full softmax loss.
    """
    v.check_option("loss", loss, ("sampled_softmax",))
    n_threads = v.check_n_threads(n_threads)
    inputs = LinearInput(X, W, bias)
    target = v.check_target(target, inputs.n_rows, inputs.n_classes)
    class_ids = v.check_class_ids("class_ids", class_ids, inputs.n_classes)
    log_expected = v.check_log_expected_counts("log_expected_counts", log_expected_counts, class_ids, "class_ids")
    candidates = Candidates(target, class_ids, log_expected, remove_accidental_hits)
    target_shift = np.zeros(inputs.n_rows)
    if target_log_expected_counts is not None:
        target_shift = v.check_log_expected_counts(
            "target_log_expected_counts", target_log_expected_counts, target, "target"
        )

    n, m, dtype = inputs.n_rows, len(candidates.class_ids), inputs.W.dtype
    dX = None if inputs.is_sparse else np.empty_like(inputs.X)
    dW = np.zeros((m, inputs.W.shape[1]), dtype) if return_grad else None
    dbias = np.zeros(m, dtype) if return_grad and inputs.bias is not None else None
    total = 0.0
    n_threads = _threads.resolve(n_threads)
    with _head.workspace() as workspace:
        for rows in inputs.chunks(m, _head.WORKING_MEMORY if return_grad else None):
            forward = _head.Forward(
                inputs.terms(rows, candidates.class_ids),
                candidates.target[rows],
                offset=candidates.offset,
                target_shift=-target_shift[rows],
                memory=_head.WORKING_MEMORY if return_grad else 0,
                n_threads=n_threads,
                workspace=workspace,
            )
            total += forward.nll.sum()
            if return_grad:
                scale = np.full(rows.stop - rows.start, 1.0 / n)
                destination = inputs.destination(dW, dbias, by_position=True)
                forward.backward(scale, destination, dhidden=None if dX is None else dX[rows])
    loss = total / n if n else np.nan
    if not return_grad:
        return loss
    return loss, (dX, *_distinct_rows(candidates.class_ids, dW, dbias))


def _distinct_rows(class_ids, dW, dbias):
    """The gradients of columns of the same class, added up."""
    rows, where = np.unique(class_ids, return_inverse=True)
    if len(rows) == len(class_ids):
        return rows, dW, dbias
    dW_rows = np.zeros((len(rows), dW.shape[1]), dW.dtype)
    np.add.at(dW_rows, where, dW)
    if dbias is not None:
        dbias = np.bincount(where, weights=dbias, minlength=len(rows)).astype(dW.dtype)
    return rows, dW_rows, dbias
