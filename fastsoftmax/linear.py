"""Log-sum-exp, cross-entropy with gradients, and top-k of linear logits ``X W^T + bias``, without an N x K array.

W is dense or sparse. With a sparse W a row costs as much as its features have pairs, however many classes there are.
"""

import numpy as np
from scipy import sparse

from fastsoftmax.passes import tiles
from fastsoftmax.passes.dense_input import LinearInput
from fastsoftmax.passes.eligible import Eligible
from fastsoftmax.passes.pairs_input import PreparedWeights, SparseLinearInput
from fastsoftmax.runtime import threads, workspaces
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import (
    as_known,
    check_class_weight,
    check_eligible,
    check_grad_loss,
    check_gradient_threshold,
    check_gradients_out,
    check_int,
    check_k,
    check_n_threads,
    check_option,
    check_real,
    check_return_grad,
    check_rng,
    check_sparse_grad,
    check_target,
    ratios_at,
)

__all__ = ["PreparedWeights", "linear_cross_entropy", "linear_logsumexp", "linear_topk"]


def _as_given(X, W):
    """X and W, which may be of other libraries, as arrays or sparse matrices, or W as PreparedWeights."""
    return as_known("X", X), W if isinstance(W, PreparedWeights) else as_known("W", W)


def _has_pairs(W):
    return sparse.issparse(W) or isinstance(W, PreparedWeights)


def _check_input(X, W, bias, n_threads):
    kind = SparseLinearInput if _has_pairs(W) else LinearInput
    return kind(X, W, bias, threads.resolve(check_n_threads(n_threads)))


def _check_out(out, inputs, target, weight, wanted):
    """`out` as the tuple of arrays, or None for each, that the `wanted` gradients of these inputs are written into."""
    parts = {"bias": inputs.bias, "target": target, "weight": weight}
    for name, a in (("X", inputs.X), ("W", inputs.W)):
        parts |= {name: a.data, f"the indices of {name}": a.indices} if sparse.issparse(a) else {name: a}
    forms = zip(inputs.gradient_forms().items(), wanted, strict=True)
    return check_gradients_out(out, {name: form if is_wanted else None for (name, form), is_wanted in forms}, parts)


@with_numpys_defaults
def linear_logsumexp(X, W, bias=None, *, n_threads=None):
    """Log-sum-exp over classes of ``X W^T + bias``, tile by tile.

    Parameters
    ----------
    X : (n_samples, n_features) array or scipy.sparse matrix
    W : (n_classes, n_features) array or scipy.sparse matrix, float32 or float64; or PreparedWeights
        Everything is computed in its dtype. An array may have any memory order; for CSR rows `X` Fortran order is the fast
        one. The fast sparse format is CSC with int32 indices; see `linear_cross_entropy`.
    bias : (n_classes,) array, optional
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.

    Returns
    -------
    lse : (n_samples,) array of W's dtype

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or X holds NaN or infinity.
    """
    inputs = _check_input(*_as_given(X, W), bias, n_threads)
    lse = np.empty(inputs.n_rows, inputs.W.dtype)
    with workspaces.workspace() as workspace:
        for rows in inputs.chunks(inputs.n_classes):
            lse[rows] = inputs.log_sum_exps(rows, workspace)
    return lse


@with_numpys_defaults
def linear_cross_entropy(
    X,
    W,
    target,
    bias=None,
    *,
    weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
    return_grad=False,
    grad_loss=None,
    sparse_grad=False,
    out=None,
    gradient_threshold=0.0,
    random_state=None,
    n_threads=None,
    working_memory=workspaces.WORKING_MEMORY,
):
    """Cross-entropy of ``softmax(X W^T + bias)`` against class codes, and its gradients, without the logits in memory.

    With `return_grad` this takes three matrix products if `working_memory` holds the probabilities of a chunk of rows, and
    up to one more for those of the probabilities that have to be computed twice.

    Parameters
    ----------
    X : (n_samples, n_features) array or scipy.sparse matrix
    W : (n_classes, n_features) array or scipy.sparse matrix, float32 or float64; or PreparedWeights
        Everything is computed in its dtype. An array may have any memory order; for CSR rows `X` Fortran order is the fast
        one. The fast sparse format is CSC with int32 indices; others are converted at each call. See Notes.
    target : (n_samples,) integer array
        Class codes in [0, n_classes), or `ignore_index`.
    bias : (n_classes,) array, optional
    weight : (n_classes,) array, optional
        The weight of each class, which is not negative.
    ignore_index : int
        Rows with this target count in neither the loss nor the gradients.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the targets' weights, as torch does; it is NaN if no row counts.
    label_smoothing : float in [0, 1]
        The share of the target's mass that is spread evenly over all classes.
    return_grad : bool, or tuple of "X", "W" and "bias"
        Also return the gradients; with reduction "none" they are those of the sum. For dense X and W it may name those that
        are wanted: no time is spent on the others, which are None.
    grad_loss : (n_samples,) array, optional
        With reduction "none" and `return_grad`: the gradients are those of ``sum(grad_loss * loss)``. It
        needs an array W.
    sparse_grad : bool
        For CSR rows `X` and an array W: return the gradient of only those columns of W, features, that X has entries in. It
        takes time and memory for these alone, however many features there are.
    out : tuple (dX, dW, dbias) of arrays, optional
        Where to write the gradients, with None for those that do not exist or are to be new arrays. What is in them is
        overwritten. They are of W's dtype and of the gradients' shapes, contiguous, dW in W's memory order, and share no
        memory with the inputs. The first touch of new memory may take longer than all the rest: a training loop that passes
        the same arrays each time saves it. It cannot go together with `sparse_grad`.
    gradient_threshold : float in [0, 1)
        Above 0, probabilities below it are rounded in the gradients, at random and without bias, to 0 or to it, so that
        the products of the gradients can skip zeros; see Notes. 1e-3 suits trained models. The loss is always exact. It
        has an effect for dense X and W only, and excludes `label_smoothing`, which leaves no zeros.
    random_state : int, numpy random generator or None
        The source of randomness of that rounding.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.
    working_memory : int
        Bytes for the probabilities that are kept between the two passes and for other scratch, beside inputs and outputs.
        If it is very small, a few MiB more may be taken, and with `gradient_threshold` an eighth more. Up to 256 MiB stay
        allocated for the next call.

    Returns
    -------
    loss : float, or (n_samples,) float64 array for "none"
    (dX, dW, dbias) : tuple, with `return_grad`
        Arrays of W's dtype; `dW` has W's memory order, `dX` is None for CSR rows, `dbias` is None without bias. For a sparse
        W, `dX` is None, and `dW` is the gradient at the stored elements of W alone: an array like ``W.tocsc().data``
        (``W.data`` if W is CSC), after ``sum_duplicates`` if indices are unsorted or double.
    (dX, columns, dW_columns, dbias) : tuple in its place, with `sparse_grad`
        `columns` (m,) are the distinct columns of X that have entries, ascending, and `dW_columns` (n_classes, m) is
        ``dW[:, columns]``, in W's memory order; dW is 0 elsewhere. A step is ``W[:, columns] -= rate * dW_columns``; for W in
        Fortran order ``W.T[columns] -= rate * dW_columns.T`` is the same. `dX` is None.

    Notes
    -----
    loss_i = (1 - s) w_t (lse_i - z_it) + s/K sum_k w_k (lse_i - z_ik), with target t, weights w and label smoothing s: this
    is the definition of torch.nn.functional.cross_entropy. The values do not depend on the number of threads.

    With `gradient_threshold` t, a probability p < t of a class other than the target becomes t with probability p / t, else
    0. So each element of the gradient of the logits, p times the row's weight, has an error of less than t times that
    weight. The errors are independent, with expectation 0 (but for 2^-31 t) and variance below t p; elements with p >= t
    and the targets' are exact. All three gradients come from the same rounded elements, of which at most
    1 / t + sum_k [p_k >= t] <= 2 / t a row are expected. Tiles of classes in which more than an eighth of the elements would
    be left are not rounded, but computed in full.

    With a sparse W, z_ik = b_k for every class k that forms a pair, a stored element of W, with no feature of row i. These
    classes enter the log-sum-exp together, as the sum of exp(b) over all classes minus that over the others: a row costs as
    much as its features have pairs, however many classes there are. This is exact, and where the difference would lose
    digits, the sum is computed in another way. A target without a pair is nothing special: its logit is b_t. Dense X is
    taken as CSR rows.
    """
    X, W = _as_given(X, W)
    check_option("reduction", reduction, ("mean", "sum", "none"))
    smooth = check_real("label_smoothing", label_smoothing, minimum=0, maximum=1)
    working_memory = check_int("working_memory", working_memory, minimum=0)
    threshold = check_gradient_threshold(gradient_threshold, smooth)
    rng = check_rng("random_state", random_state)
    sparse_grad = check_sparse_grad(sparse_grad, X, _has_pairs(W), return_grad, out)
    return_grad, wanted = check_return_grad(return_grad, is_dense=not (sparse.issparse(X) or _has_pairs(W)))
    inputs = _check_input(X, W, bias, n_threads)
    grad_loss = check_grad_loss(grad_loss, inputs.n_rows, reduction, return_grad, _has_pairs(W))
    weight = check_class_weight(weight, inputs.n_classes)
    target = check_target(target, inputs.n_rows, inputs.n_classes, ignore_index=check_int("ignore_index", ignore_index))
    counted = target >= 0
    if weight is not None and reduction == "mean":  # only ratios matter
        weight = ratios_at(weight, target[counted])
    row_weight = counted.astype(np.float64) if weight is None else np.where(counted, weight[target], 0.0)
    total = row_weight.sum() if reduction == "mean" else 1.0
    scale = 1.0 / total if total else np.nan
    gradients = None
    if return_grad:
        row_keys = tiles.draw_row_keys(rng, inputs.n_rows) if threshold else None
        out = _check_out(out, inputs, target, weight, wanted)
        sums = inputs.gradients(out, by_columns=sparse_grad, wanted=wanted)
        scales = np.full(inputs.n_rows, scale) if grad_loss is None else np.where(counted, grad_loss, 0.0)
        gradients = _Gradients(inputs, sums, weight, smooth, scales, threshold, row_keys)

    loss = np.empty(inputs.n_rows)
    smoothing = _Smoothing(inputs, weight, smooth) if smooth else None
    with workspaces.workspace() as workspace:
        memory = working_memory if return_grad else None
        for rows in inputs.chunks(inputs.n_classes, memory):
            forward = inputs.forward(rows, target[rows], memory=memory, workspace=workspace)
            loss[rows] = (1 - smooth) * row_weight[rows] * np.where(counted[rows], forward.nll, 0.0)
            if smooth:
                loss[rows] += np.where(counted[rows], smoothing.loss(rows, forward.lse), 0.0)
            if return_grad:
                gradients.add(rows, forward, counted[rows], row_weight[rows])
    if reduction != "none":
        with np.errstate(invalid="ignore"):
            loss = float(loss.sum() * scale)
    return (loss, gradients.result()) if return_grad else loss


class _Smoothing:
    """What label smoothing adds to the loss, s/K sum_k w_k (lse_i - z_ik), computed from W's weighted sum over classes.

    The sums over classes are large next to their difference, so they are in float64.
    """

    def __init__(self, inputs, weight, smooth):
        self.inputs = inputs
        weight = np.ones(inputs.n_classes) if weight is None else weight
        self.share = smooth / inputs.n_classes
        self.total = weight.sum()
        W = inputs.W
        self.w = weight @ W if sparse.issparse(W) else np.einsum("k,kj->j", weight, W)  # einsum widens no whole W
        self.b = 0.0 if inputs.bias is None else weight @ inputs.bias

    def loss(self, rows, lse):
        with np.errstate(over="ignore", invalid="ignore"):  # rows that do not count may overflow
            return self.share * (self.total * lse - (self.inputs.X[rows] @ self.w + self.b))


class _Gradients:
    """The gradients of sum_i scales[i] loss_i, summed over chunks of rows."""

    def __init__(self, inputs, sums, weight, smooth, scales, threshold, row_keys):
        self.inputs, self.sums, self.smooth, self.scales = inputs, sums, smooth, scales
        self.threshold, self.row_keys = threshold, row_keys
        n_classes, dtype = inputs.n_classes, inputs.W.dtype
        self.prior = np.ones(n_classes, dtype) if weight is None else weight.astype(dtype)
        self.prior_sum = float(n_classes) if weight is None else weight.sum()

    def add(self, rows, forward, counted, row_weight):
        scales = self.scales[rows]
        with np.errstate(invalid="ignore"):  # the mean over a mass of zero is NaN
            scale = (1 - self.smooth) * row_weight * scales if counted.any() else np.zeros_like(row_weight)
        smoothing = None
        if self.smooth:
            prior_scale = np.where(counted, self.smooth / self.inputs.n_classes * scales, 0.0)
            smoothing = (scale + prior_scale * self.prior_sum, prior_scale, self.prior)
        rounding = tiles.Rounding(self.threshold, self.row_keys[rows]) if self.threshold else None
        self.sums.backward(rows, forward, scale, smoothing, rounding)

    def result(self):
        return self.sums.result()


@with_numpys_defaults
def linear_topk(X, W, k, bias=None, *, class_ids=None, exclude=None, threshold=None, n_threads=None):
    """The `k` most probable classes of each row under ``softmax(X W^T + bias)``.

    Parameters
    ----------
    X : (n_samples, n_features) array or scipy.sparse matrix
    W : (n_classes, n_features) array or scipy.sparse matrix, float32 or float64; or PreparedWeights
    k : int
        From 1 to n_classes; with `class_ids`, `exclude` or `threshold` it may be larger.
    bias : (n_classes,) array, optional
    class_ids : 1-D array of int, optional
        The classes to choose among; repeats count once.
    exclude : (n_samples, n_classes) scipy.sparse matrix, or sequence of n_samples arrays of int, optional
        The classes that row i may not get: those with a stored element in row i, whatever its value, or those in array i,
        in any order. There -1 stands for no class, so that earlier results can be passed as they are.
    threshold : float in (0, 1), optional
        The least probability of a class that is returned.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.

    Returns
    -------
    class_ids : (n_samples, k) int64 array
        Best first; of equal logits the smaller id comes first. The last places of a row for which fewer classes are left
        hold -1.
    log_proba : (n_samples, k) array of W's dtype
        Natural logarithms of the probabilities among all classes, whichever are left; -inf where there is no class.

    Notes
    -----
    The log-sum-exps are over all classes, so a subset costs no less than all of them. If only ranks are needed,
    ``linear_topk(X, W[subset], k)`` is faster; its probabilities are those among the subset.
    """
    inputs = _check_input(*_as_given(X, W), bias, n_threads)
    eligible = Eligible(*check_eligible("class_ids", class_ids, exclude, threshold, inputs.n_rows, inputs.n_classes))
    k = check_k(k, inputs.n_classes, inputs.n_rows, pads=not eligible.is_all)
    class_ids_out = np.empty((inputs.n_rows, k), np.int64)
    log_proba = np.empty((inputs.n_rows, k), inputs.W.dtype)
    with workspaces.workspace() as workspace:
        for rows in inputs.chunks(inputs.n_classes):
            of_rows = eligible.of_rows(rows.start, rows.stop)
            class_ids_out[rows], log_proba[rows] = inputs.topk(rows, k, of_rows, workspace)
    return class_ids_out, log_proba
