"""The bias of a model of pairs: the mass of all classes, what the touched ones leave of it, and its gradient."""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

import numpy as np

from leaves.pairs_bias cimport exp_wide, untouch_bias, write_base as write_base_of
from leaves.structs cimport Block, Rule
from leaves.update cimport update_block
from rules.rule cimport read_rule
from shared.fused cimport real
from shared.table cimport import_leaves

cnp.import_array()
import_leaves()

cdef enum:
    BLOCK = 4096            # classes that a thread takes at a time
    ROWS = 4

SCRATCH = 2 * BLOCK         # numbers that `finish` needs for each thread


def write_base(const real[::1] bias, double shift, real[:, ::1] base_out, int n_threads):
    """base_out[k] <- bias[k], exp(bias[k] - shift): side by side, since `touch` needs both of classes anywhere in memory.

    Returns the sum of the latter as they are rounded, so that nothing is left of it without those of all classes. shift
    must be at least the largest bias.
    """
    cdef Py_ssize_t q, n = bias.shape[0], n_blocks = (n + BLOCK - 1) // BLOCK
    parts = np.empty(n_blocks)
    cdef double[::1] out = parts
    for q in prange(n_blocks, schedule='static', num_threads=n_threads, nogil=True):
        out[q] = write_base_of(&bias[q * BLOCK], min(<Py_ssize_t>BLOCK, n - q * BLOCK), shift, &base_out[q * BLOCK, 0])
    return float(parts.sum())


def remainder(
    const Py_ssize_t[::1] rows, const Py_ssize_t[::1] row_ptr, const Py_ssize_t[::1] n_touched,
    const int32_t[::1] touched, const real[::1] bias,
    const int32_t[::1] ranked,      # classes such that none of the others has a larger bias
    const int32_t[::1] rank_of,     # (n_classes,) where a class is in `ranked`; len(ranked) for all others
    double beyond, double beyond_shift,     # sum of exp(bias - beyond_shift) of the others; beyond_shift >= their biases
    unsigned char[:, ::1] marks,    # (n_threads, len(ranked))
    double[::1] out,                # (n_rows,) log of the mass of the classes that a row has not touched, for `rows`
    int n_threads,
):
    """What the touched classes leave of the mass of all, where the difference of the two would lose too many digits.

    The untouched ones of `ranked` are added up one by one. For the others there is no way but the difference; where `ranked`
    is twice as long as a row's touched classes, these are not more than the untouched ones in it, and have no larger biases:
    so the difference, however wrong relative to itself, is right to the last digits of the whole.
    """
    cdef Py_ssize_t q, i
    for q in prange(rows.shape[0], schedule='dynamic', chunksize=ROWS, num_threads=n_threads, nogil=True):
        i = rows[q]
        out[i] = remainder_of(&touched[row_ptr[i]], n_touched[i], &bias[0], &ranked[0], ranked.shape[0], &rank_of[0],
                              beyond, beyond_shift, &marks[threadid(), 0])


cdef double remainder_of(
    const int32_t *touched, Py_ssize_t n, const real *bias, const int32_t *ranked, Py_ssize_t n_ranked,
    const int32_t *rank_of, double beyond, double beyond_shift, unsigned char *mark
) noexcept nogil:
    cdef Py_ssize_t j, rank
    cdef double shift = -INFINITY, sum = 0
    memset(mark, 0, n_ranked)
    for j in range(n):
        rank = rank_of[touched[j]]
        if rank < n_ranked:
            mark[rank] = 1
        else:
            beyond -= exp(bias[touched[j]] - beyond_shift)
    for rank in range(n_ranked):
        if not mark[rank] and bias[ranked[rank]] > shift:
            shift = bias[ranked[rank]]
    if shift == -INFINITY:      # all of them are touched, or without mass, and so are those with smaller biases
        return -INFINITY
    for rank in range(n_ranked):
        if not mark[rank]:
            sum += exp(bias[ranked[rank]] - shift)
    if beyond > 0:
        sum += beyond * exp(beyond_shift - shift)
    return shift + log(sum)


def untouch(
    const Py_ssize_t[::1] row_ptr, const Py_ssize_t[::1] n_touched, const int32_t[::1] touched, const real[::1] bias,
    const real[::1] dlogits, const double[::1] scale, const double[::1] lse,
    const double[::1] prior_scale, const real[::1] prior,   # or None
    double[::1] out,                # laid out as dlogits
    int n_threads,
):
    """The gradient of the touched classes' logits, less the share that `finish` gives every class."""
    cdef Py_ssize_t i
    cdef const real *priors = NULL if prior is None else &prior[0]
    for i in prange(n_touched.shape[0], schedule='dynamic', chunksize=ROWS, num_threads=n_threads, nogil=True):
        untouch_bias(&touched[row_ptr[i]], n_touched[i], &bias[0], &dlogits[row_ptr[i]], scale[i], lse[i],
                     prior_scale[i] if priors != NULL else 0.0, priors, &out[row_ptr[i]])


def scatter(
    const Py_ssize_t[::1] row_ptr, const Py_ssize_t[::1] n_touched, const int32_t[::1] touched, const double[::1] values,
    double[::1] sums_out,           # (n_classes,)
    int n_threads,
):
    """sums_out[touched] += values. A thread has a range of classes and adds up its rows in their order."""
    cdef Py_ssize_t q, n_classes = sums_out.shape[0]
    if n_touched.shape[0] == 0:
        return
    for q in prange(n_threads, schedule='static', chunksize=1, num_threads=n_threads, nogil=True):
        scatter_range(&row_ptr[0], &n_touched[0], n_touched.shape[0], &touched[0], &values[0], q * n_classes // n_threads,
                      (q + 1) * n_classes // n_threads, &sums_out[0])


cdef void scatter_range(
    const Py_ssize_t *row_ptr, const Py_ssize_t *n_touched, Py_ssize_t n_rows, const int32_t *touched,
    const double *values, Py_ssize_t begin, Py_ssize_t end, double *sums
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double nowhere = 0     # for other threads' classes: a branch would be mispredicted half of the time
    cdef double *to
    for i in range(n_rows):
        for j in range(row_ptr[i], row_ptr[i] + n_touched[i]):
            to = sums + touched[j] if begin <= touched[j] < end else &nowhere
            to[0] += values[j]


def finish(
    const real[::1] bias,
    const double[::1] sums,         # (n_classes,) of the touched classes, by `scatter`
    const double[::1] lse,          # (n_rows,) ascending
    const double[::1] log_share,    # (n_rows + 1,) log of the sum of scale exp(-lse) of row i and those behind it
    double prior_scale, const real[::1] prior,      # or None
    real[::1] bias_out,             # added to (rule None), or stepped; may be `bias`
    real[::1] state,                # or None
    rule,
    double[:, ::1] scratch,         # (n_threads, SCRATCH)
    int n_threads,
):
    """The gradient of the bias: the sums of its touched logits, and for every class its share of the rows' probability.

    A row with lse < bias - 1 has no share for the class to take: it has touched it, or lse would not be below bias. So no
    exponential overflows, and none is much larger than the gradient.
    """
    cdef Py_ssize_t q, n = bias.shape[0], n_blocks = (n + BLOCK - 1) // BLOCK
    cdef Rule r = read_rule(rule, False)
    cdef const real *priors = NULL if prior is None else &prior[0]
    cdef real *state_data = NULL if state is None else &state[0]
    cdef const double *lse_data = &lse[0] if lse.shape[0] else NULL
    r.alpha = 0                     # the bias is not regularised
    for q in prange(n_blocks, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
        finish_block(&r, &bias[0], &sums[0], lse_data, lse.shape[0], &log_share[0], prior_scale, priors, &bias_out[0],
                     state_data, q * BLOCK, min(<Py_ssize_t>BLOCK, n - q * BLOCK), &scratch[threadid(), 0])


cdef Py_ssize_t first_row(const double *lse, Py_ssize_t n_rows, double least) noexcept nogil:
    """The first row whose lse is >= least."""
    cdef Py_ssize_t low = 0, high = n_rows, mid
    while low < high:
        mid = (low + high) // 2
        if lse[mid] >= least:
            high = mid
        else:
            low = mid + 1
    return low


cdef void finish_block(
    const Rule *rule, const real *bias, const double *sums, const double *lse, Py_ssize_t n_rows, const double *log_share,
    double prior_scale, const real *prior, real *bias_out, real *state, Py_ssize_t start, Py_ssize_t n, double *memory
) noexcept nogil:
    cdef Py_ssize_t k, row
    cdef double *share = memory
    cdef real *grad = <real *>(memory + BLOCK)
    cdef double least = INFINITY, most = -INFINITY
    cdef Block block
    for k in range(start, start + n):
        least, most = min(least, <double>bias[k]), max(most, <double>bias[k])
    row = first_row(lse, n_rows, most - 1.0)
    if row == first_row(lse, n_rows, least - 1.0):
        exp_wide(bias + start, n, -log_share[row], share)
    else:
        for k in range(n):
            row = first_row(lse, n_rows, <double>bias[start + k] - 1.0)
            share[k] = exp(bias[start + k] + log_share[row])
    for k in range(n):
        grad[k] = <real>(sums[start + k] + share[k] - (prior_scale * prior[start + k] if prior != NULL else 0.0))
    block.data, block.row_ids, block.col_ids, block.row_stride, block.col_stride = bias_out + start, NULL, NULL, 0, 1
    update_block(rule, &block, 1, n, grad, n, state + start if state != NULL else NULL)
