"""One row by itself: the best numbers, and the best items of a mixture of a softmax and of what others give to items.

What answers one row at a time reads the output weights once, and goes through arrays of one number a class a few times. A
thread takes whole blocks. Which classes are a block, and every order of summation, depends on their number alone, so that
results have the same bits for any number of threads.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int64_t
from libc.string cimport memset

from leaves.compact cimport few_logits
from leaves.pairs cimport exp_touched
from leaves.structs cimport COMPACT_NONE, Compact, Excluded
from leaves.topk cimport topk_merge, topk_row
from shared.fused cimport index, real
from shared.table cimport import_leaves

import_leaves()

cdef enum:
    BLOCK = 1024        # classes, or items, that a thread takes at a time
    AT_A_TIME = 1024    # blocks between two looks for signals


cdef struct Softmax:
    # what the logits of the row are made of
    Py_ssize_t n_classes, n_hidden
    Compact V


def n_blocks(Py_ssize_t n_classes):
    """The number of blocks of so many classes."""
    return (n_classes + BLOCK - 1) // BLOCK


cdef Softmax read_softmax(const real[:, ::1] V) noexcept nogil:
    cdef Softmax s
    s.n_classes, s.n_hidden = V.shape[0], V.shape[1]
    s.V.kind, s.V.data, s.V.scale, s.V.row_stride = COMPACT_NONE, <const void *>&V[0, 0], NULL, V.shape[1]
    return s


cdef void block_exp(
    const Softmax *s, Py_ssize_t b, const real *hidden, const real *bias, real *z, double *max_out, double *sum_out
) noexcept nogil:
    """z <- exp(logit - the largest of the block) of the classes of block b, with that maximum and the sum."""
    cdef Py_ssize_t start = b * BLOCK, n = min(<Py_ssize_t>BLOCK, s.n_classes - start)
    few_logits(&s.V, start, n, s.n_hidden, hidden, 1, bias + start, z + start, n)
    sum_out[b] = exp_touched(z + start, n, max_out + b)


cdef double take_factors(const double *max, double *sum, Py_ssize_t n, double share) noexcept nogil:
    """The log-sum-exp of n blocks; sum[b] <- the factor that turns exp(logit - max[b]) into `share` times a probability."""
    cdef Py_ssize_t b
    cdef double top = -INFINITY, total = 0
    for b in range(n):
        if sum[b] != 0 and max[b] > top:    # a block of nothing but -inf has the maximum 0
            top = max[b]
    if top == -INFINITY:
        top = 0
    for b in range(n):
        total += sum[b] * exp(max[b] - top) if sum[b] != 0 else 0.0
    for b in range(n):
        sum[b] = share * exp(max[b] - top) / total if sum[b] != 0 else 0.0
    return log(total) + top


cdef Py_ssize_t first_from(const int64_t *ascending, Py_ssize_t n, int64_t least) noexcept nogil:
    """The place of the first number from `least` on."""
    cdef Py_ssize_t low = 0, high = n, middle
    while low < high:
        middle = low + (high - low) // 2
        if ascending[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


cdef void mix_block(
    Py_ssize_t b, Py_ssize_t n_items, const int64_t *item_of_class, Py_ssize_t n_classes, const real *z,
    const double *factors, double *given, const Excluded *excluded, Py_ssize_t k, double *values, int64_t *items
) noexcept nogil:
    """Add the softmax to what the items of block b are given, offer the sums to a heap, and leave zeros."""
    cdef Py_ssize_t start = b * BLOCK, n = min(<Py_ssize_t>BLOCK, n_items - start)
    cdef Py_ssize_t c = first_from(item_of_class, n_classes, start)
    while c < n_classes and item_of_class[c] < start + n:
        given[item_of_class[c]] += factors[c // BLOCK] * z[c]
        c += 1
    topk_row(given + start, n, start, <const int64_t *>NULL, excluded, 0, k, values, items)
    memset(given + start, 0, n * sizeof(double))


def add(
    const index[::1] items, const real[::1] values,     # (n,), (n,); an item may stand there several times
    double weight,
    double[::1] given_out,      # (n_items,), added to
):
    """given_out[items] += weight * values"""
    cdef Py_ssize_t i
    for i in range(items.shape[0]):
        given_out[items[i]] += weight * values[i]


def best_of_mixture(
    const real[::1] hidden, const real[:, ::1] V, const real[::1] bias,     # (n_hidden,), (n_classes, n_hidden), (n_classes,)
    const int64_t[::1] item_of_class,   # (n_classes,) ascending
    double share,                       # of the softmax
    double[::1] given,                  # (n_items,) what others give. OUT: zeros
    const int64_t[::1] excluded,        # items that may not be among the best, ascending
    real[::1] z, double[:, ::1] sums,   # scratch, (n_classes,) and (2, n_blocks(n_classes))
    double[:, ::1] values,              # (n_threads, k) heaps; empty places hold -inf. OUT: in the first, the best, best first
    int64_t[:, ::1] items,              # the same; empty places hold the largest integer
):
    """The best items by given + share * softmax(V hidden + bias), of equal ones the lower; returns the log-sum-exp.

    An item that is no class has what it is given.
    """
    cdef Softmax s = read_softmax(V)
    cdef Py_ssize_t b, begin = 0, end, k = values.shape[1], n_items = given.shape[0]
    cdef Py_ssize_t n = (s.n_classes + BLOCK - 1) // BLOCK, n_of_items = (n_items + BLOCK - 1) // BLOCK
    cdef Py_ssize_t[2] indptr
    cdef int n_threads = <int>values.shape[0]
    cdef double lse
    cdef Excluded without
    indptr[0], indptr[1] = 0, excluded.shape[0]
    without.indptr, without.class_ids = NULL, NULL
    if excluded.shape[0]:
        without.indptr, without.class_ids = &indptr[0], &excluded[0]
    while begin < n:
        PyErr_CheckSignals()
        end = min(n, begin + AT_A_TIME)
        for b in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
            block_exp(&s, b, &hidden[0], &bias[0], &z[0], &sums[0, 0], &sums[1, 0])
        begin = end
    lse = take_factors(&sums[0, 0], &sums[1, 0], n, share)
    for b in prange(n_of_items, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
        mix_block(b, n_items, &item_of_class[0], s.n_classes, &z[0], &sums[1, 0], &given[0], &without, k,
                  &values[threadid(), 0], &items[threadid(), 0])
    topk_merge(&values[0, 0], &items[0, 0], n_threads, k, k)
    return lse


def best(
    const double[::1] numbers,
    double[::1] values, int64_t[::1] places,    # (k,) an empty heap: -inf, and the largest integer. OUT: the best
):
    """The largest numbers, the largest first, and where they are; of equal ones the first."""
    cdef Excluded without
    without.indptr, without.class_ids = NULL, NULL
    if numbers.shape[0] == 0:
        return
    topk_row(&numbers[0], numbers.shape[0], 0, <const int64_t *>NULL, &without, 0, values.shape[0], &values[0], &places[0])
    topk_merge(&values[0], &places[0], 1, values.shape[0], values.shape[0])
