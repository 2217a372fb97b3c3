"""Sampled losses of linear logits: the true classes of each row against a random sample of the others."""

import numpy as np

from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import KINDS, Candidates
from fastsoftmax.passes.dense_input import LinearInput
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.runtime import threads, workspaces
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import (
    as_known,
    check_bool,
    check_class_ids,
    check_given,
    check_log_expected_counts,
    check_n_threads,
    check_option,
    check_target,
    check_true_classes,
    is_one_a_row,
)

__all__ = ["sampled_cross_entropy"]


@with_numpys_defaults
def sampled_cross_entropy(
    X,
    W,
    target,
    bias=None,
    *,
    class_ids,
    log_expected_counts=None,
    target_log_expected_counts=None,
    loss="sampled_softmax",
    remove_accidental_hits=None,
    return_grad=False,
    n_threads=None,
):
    """The mean loss of linear logits ``X W^T + bias`` by candidate sampling, in which all rows share the negatives.

    Parameters
    ----------
    X : (n_samples, n_features) array or scipy.sparse matrix
    W : (n_classes, n_features) array, float32 or float64
        Only the rows of drawn and true classes are read. Everything is computed in its dtype.
    target : (n_samples,) or (n_samples, num_true) integer array, or (n_samples, n_classes) scipy.sparse matrix
        The true classes, as codes in [0, n_classes). Each of `num_true` classes has the mass 1 / num_true, and one that
        occurs twice has twice that mass. A sparse matrix holds masses that are not negative; each row is divided by its sum.
    bias : (n_classes,) array, optional
    class_ids : (n,) integer array
        The drawn classes; a class drawn twice counts twice. May be empty.
    log_expected_counts : (n,) array
        Natural logarithm of how often each of them was expected in the draw, as a sampler's `draw` returns it; it is equal
        for equal classes. None for "negative_sampling", which does not use it.
    target_log_expected_counts : array like `target`, optional
        The same for the true classes: one number for each code, or for each stored element of the sparse `target` in the
        order of its canonical CSR format. "nce" and "sampled_logistic" need it. "sampled_softmax" does not subtract it by
        default, since a true class takes part with certainty; TensorFlow's sampled_softmax_loss does.
    loss : {"sampled_softmax", "nce", "sampled_logistic", "negative_sampling"}
    remove_accidental_hits : bool, optional
        Leave a row's true classes out of its negatives. None: True for all but "nce".
    return_grad : bool
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.

    Returns
    -------
    loss : float
    (dX, rows, dW_rows, dbias_rows) : tuple, with `return_grad`
        `rows` (m,) are the distinct drawn and true classes, ascending; `dW_rows` (m, n_features) and `dbias_rows` (m,) are
        their gradients; those of all other classes are zero. `dX` is None for CSR rows, `dbias_rows` is None without bias.

    Notes
    -----
    Let z be the logits, y the true class, S the draws (with each class as often as it was drawn), E_k the expected count of
    class k in the draw, and softplus(t) = log(1 + e^t). The loss of a row is

    - "sampled_softmax": log(e^{z_y} + sum_{k in S} e^{z_k} / E_k) - z_y, without the hits k = y. z approximates log P(k | x)
      up to a constant of the row: the sum estimates the softmax's denominator without bias, but its logarithm has the bias
      -v / (2 n), v being the relative variance of the estimate from one draw: it falls as 1 / n [1]_ [2]_. If every class
      is drawn once with E_k = 1, it is the full softmax loss.
    - "nce": softplus(-(z_y - log E_y)) + sum_{k in S} softplus(z_k - log E_k), with the hits. z approximates log P(k | x),
      normalised by itself, however few classes are drawn [3]_.
    - "sampled_logistic": the same without the hits. z approximates the log odds log(P(k | x) / (1 - P(k | x))). If every
      class is drawn once with E_k = 1, it is the sum of one-vs-rest logistic losses [4]_.
    - "negative_sampling": softplus(-z_y) + sum_{k in S} softplus(z_k), without the hits. z approximates the log odds less
      log E_k (with the hits, log(P(k | x) / E_k)): association with x rather than probability [5]_.

    With several true classes t of masses m_t, "sampled_softmax" has all of them in its denominator, each once, and is
    sum_t m_t (log-sum-exp - z_t); the first term of the logistic losses is sum_t m_t softplus(-(z_t - log E_t)); a hit is a
    draw of any of them. So a logistic loss with hits is the mean of the losses of the single classes. TensorFlow's losses
    differ for `num_true` above 1: a class that occurs twice is in their softmax's denominator twice, and their nce_loss adds
    (1 - 1 / num_true) softplus(z_t - log E_t), as though the true classes had been drawn, too.

    The values do not depend on the number of threads.

    References
    ----------
    .. [1] Bengio and Senecal 2008, Adaptive importance sampling to accelerate training of a neural probabilistic language
       model, doi:10.1109/TNN.2007.912312
    .. [2] Jean et al. 2015, On using very large target vocabulary for neural machine translation, arXiv:1412.2007
    .. [3] Gutmann and Hyvarinen 2012, Noise-contrastive estimation of unnormalized statistical models, JMLR 13
    .. [4] TensorFlow, Candidate sampling algorithms reference; the documentation of tf.nn.nce_loss
    .. [5] Mikolov et al. 2013, Distributed representations of words and phrases and their compositionality, arXiv:1310.4546
    """
    check_option("loss", loss, tuple(KINDS))
    kind = KINDS[loss]
    if remove_accidental_hits is not None:
        check_bool("remove_accidental_hits", remove_accidental_hits)
    n_threads = threads.resolve(check_n_threads(n_threads))
    inputs = LinearInput(X, W, bias, n_threads)
    target = as_known("target", target)
    class_ids = check_class_ids("class_ids", class_ids, inputs.n_classes)
    if kind.is_corrected:
        log_expected_counts = check_given("log_expected_counts", log_expected_counts, loss)
        log_expected_counts = check_log_expected_counts(
            "log_expected_counts", log_expected_counts, class_ids, "class_ids"
        )
    targets, target_shift = _read_target(target, target_log_expected_counts, inputs, loss)
    candidates = Candidates(targets.class_ids, class_ids, log_expected_counts, remove_accidental_hits, loss)
    return _mean(inputs, targets, target_shift, candidates, return_grad)


def _read_target(target, log_expected_counts, inputs, loss):
    """The RowTargets, and what is added to their logits."""
    shape, n_classes, several = (inputs.n_rows,), inputs.n_classes, not is_one_a_row(target)
    if several:
        masses, shape, places = check_true_classes(target, inputs.n_rows, n_classes)
        targets = RowTargets(masses.indptr.astype(np.intp), masses.indices, masses.data.astype(np.float64))
    else:
        targets = RowTargets.of(check_target(target, inputs.n_rows, n_classes), inputs.n_rows)
    kind = KINDS[loss]
    if not kind.is_corrected or (log_expected_counts is None and not kind.is_logistic):
        return targets, np.zeros(len(targets))
    check_given("target_log_expected_counts", log_expected_counts, loss)
    counts = check_log_expected_counts("target_log_expected_counts", log_expected_counts, shape, "target")
    return targets, -counts.reshape(-1)[places] if several else -counts


def _mean(inputs, targets, target_shift, candidates, return_grad):
    """The mean of the losses, and its gradients, computed chunk by chunk of the rows."""
    n, m, dtype = inputs.n_rows, len(candidates.class_ids), inputs.W.dtype
    dX = None if inputs.is_sparse or not return_grad else np.empty_like(inputs.X)
    dW = np.zeros((m, inputs.W.shape[1]), dtype) if return_grad else None
    dbias = np.zeros(m, dtype) if return_grad and inputs.bias is not None else None
    memory = workspaces.WORKING_MEMORY if return_grad else None
    total, columns = 0.0, targets.replace(candidates.target)
    with workspaces.workspace() as workspace:
        for rows in inputs.chunks(m, memory):
            own = slice(targets.indptr[rows.start], targets.indptr[rows.stop])
            forward = tiles.Forward(
                inputs.terms(rows, candidates.class_ids), columns[rows], offset=candidates.offset, weight=candidates.weight,
                keeps_hits=candidates.keeps_hits, target_shift=target_shift[own], memory=memory or 0,
                n_threads=inputs.n_threads, workspace=workspace,
            )  # fmt: skip
            total += forward.nll.sum()
            if return_grad:
                scale = np.full(rows.stop - rows.start, 1.0 / n)
                destination = inputs.destination(dW, dbias, by_position=True)
                forward.backward(scale, destination, dhidden=None if dX is None else dX[rows])
    loss = total / n if n else np.nan
    return (loss, (dX, candidates.class_ids, dW, dbias)) if return_grad else loss
