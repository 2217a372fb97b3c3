"""The k best classes of a few rows, with the log-sum-exps of all: for answers to single rows.

The passes over tiles hold logits in panels, a row a lane: of a few rows most lanes would be empty. Here a row's logits for a
block of classes lie side by side, and every weight is read once, by dot products. A thread takes whole blocks, in any
order; which classes are a block, and every order of summation, depends on their number alone.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset
cimport shared.numpy_c as cnp

from compact.compact cimport read_compact
from leaves.compact cimport compact_spmm, few_logits
from leaves.pairs cimport exp_touched
from leaves.spmm cimport spmm
from leaves.structs cimport COMPACT_INT8, COMPACT_NONE, Compact, Excluded
from leaves.topk cimport topk_merge, topk_row
from shared.fused cimport real
from shared.table cimport import_leaves
from tiles.blocks cimport ids_or_null
from tiles.excluded cimport read_excluded

cnp.import_array()
import_leaves()

cdef enum:
    LEAST = 1024            # classes of a block, at least
    MOST_BLOCKS = 256       # and so many blocks, at most
    AT_A_TIME = 64          # blocks, or one a thread, between two looks for signals


cdef struct Source:
    # what the logits of the rows are the sum of; see `topk`
    Py_ssize_t n_rows, n_hidden
    const void *hidden
    Compact V, W
    const Py_ssize_t *indptr
    const int32_t *indices
    const void *data
    const Py_ssize_t *touched_ptr
    const Py_ssize_t *n_touched
    const int32_t *touched
    const void *touched_logits


def block_classes(Py_ssize_t n_classes):
    """The number of classes in a block."""
    return max(<Py_ssize_t>LEAST, (n_classes + MOST_BLOCKS - 1) // MOST_BLOCKS)


cdef Compact read_matrix(a, bint by_feature) except *:
    """A CompactMatrix, or an array of reals as one, whose rows are contiguous: of classes, or of features for W^T."""
    cdef Compact c = read_compact(a)
    cdef cnp.ndarray rows
    if c.kind == COMPACT_NONE and a is not None:
        rows = a.T if by_feature else a
        c.data, c.row_stride = cnp.PyArray_DATA(rows), cnp.PyArray_STRIDE(rows, 0) // rows.itemsize
    return c


cdef void block_logits(
    const Source *s, const real *bias, Py_ssize_t start, Py_ssize_t n, Py_ssize_t stride, real *z
) noexcept nogil:
    """z[i * stride + c] <- the logit of class start + c for row i, for n classes."""
    cdef Py_ssize_t i, j, c
    cdef Compact W = s.W
    if s.W.data != NULL:
        W.data = <const char *>s.W.data + start * (
            sizeof(real) if W.kind == COMPACT_NONE else 1 if W.kind == COMPACT_INT8 else 2)
        if W.kind == COMPACT_NONE:
            spmm(s.indptr, s.indices, <const real *>s.data, s.n_rows, <const real *>W.data, W.row_stride,
                 <const int64_t *>NULL, n, z, stride, False)
        else:
            compact_spmm(s.indptr, s.indices, <const real *>s.data, s.n_rows, &W, <const int64_t *>NULL, n, z, stride)
        for i in range(s.n_rows):
            for c in range(n):
                z[i * stride + c] += bias[start + c]
    elif s.n_hidden:
        few_logits(&s.V, start, n, s.n_hidden, <const real *>s.hidden, s.n_rows, bias + start, z, stride)
    else:
        for i in range(s.n_rows):
            memcpy(z + i * stride, bias + start, n * sizeof(real))
    if s.touched != NULL:
        for i in range(s.n_rows):
            for j in range(s.touched_ptr[i], s.touched_ptr[i] + s.n_touched[i]):
                c = s.touched[j] - start
                if 0 <= c < n:
                    z[i * stride + c] += (<const real *>s.touched_logits)[j]


cdef void scan_block(
    const Source *s, const real *bias, Py_ssize_t start, Py_ssize_t n, Py_ssize_t stride, const int64_t *listed,
    Py_ssize_t n_listed, const Excluded *excluded, Py_ssize_t k, real *values, int64_t *ids, double *max_out,
    double *sum_out, real *z
) noexcept nogil:
    cdef Py_ssize_t i
    block_logits(s, bias, start, n, stride, z)
    for i in range(s.n_rows):
        if listed == NULL or n_listed:
            topk_row(z + i * stride, n_listed if listed != NULL else n, start, listed, excluded, i, k, values + i * k,
                     ids + i * k)
        sum_out[i] = exp_touched(z + i * stride, n, &max_out[i])


def topk(
    const real[::1] bias,
    const real[:, ::1] hidden, V,       # (n_rows, n_hidden), and (n_classes, n_hidden) of contiguous rows; or None
    const Py_ssize_t[::1] indptr, const int32_t[::1] indices, const real[::1] data,     # CSR rows, for W; or None
    W,                                  # (n_classes, n_features) of contiguous columns, or None
    additions,                          # (begin, n, class_ids, logits) by row to add, as of pairs_scan.touch; or None
    eligible, cnp.ndarray block_ptr,    # an Eligible for these rows, and its tile_ptr for blocks
    real[:, :, ::1] values,             # (n_threads, n_rows, k) heaps. OUT: in the first the k best logits, best first
    int64_t[:, :, ::1] class_ids,       # the same
    double[::1] lse_out,                # (n_rows,)
    double[:, :, ::1] sums,             # (2, n_blocks, n_rows) scratch
    real[:, ::1] scratch,               # (n_threads, n_rows * block_classes)
):
    """The k best classes of each row: z[i, k] = bias[k] + hidden[i] . V[k] + x[i] . W[k] + what is added."""
    cdef Py_ssize_t b, begin = 0, end, i, n_classes = bias.shape[0], n_rows = lse_out.shape[0], k = values.shape[2]
    cdef Py_ssize_t size = block_classes(n_classes), n_blocks = sums.shape[1], stride = size
    cdef int n_threads = <int>scratch.shape[0]
    cdef Excluded excluded = read_excluded(eligible)
    cdef const int64_t *listed = ids_or_null(eligible.class_ids)
    cdef const Py_ssize_t *listed_ptr = NULL if block_ptr is None else <const Py_ssize_t *>cnp.PyArray_DATA(block_ptr)
    cdef Source s
    memset(&s, 0, sizeof(Source))
    s.n_rows = n_rows
    if hidden is not None and hidden.shape[1]:
        s.n_hidden, s.hidden, s.V = hidden.shape[1], &hidden[0, 0], read_matrix(V, False)
    if W is not None:
        s.W, s.indptr = read_matrix(W, True), &indptr[0]
        if indices.shape[0]:
            s.indices, s.data = &indices[0], &data[0]
    if additions is not None:
        s.touched_ptr = <const Py_ssize_t *>cnp.PyArray_DATA(additions[0])
        s.n_touched = <const Py_ssize_t *>cnp.PyArray_DATA(additions[1])
        s.touched, s.touched_logits = <const int32_t *>cnp.PyArray_DATA(additions[2]), cnp.PyArray_DATA(additions[3])
    while begin < n_blocks:
        PyErr_CheckSignals()
        end = min(n_blocks, begin + max(<Py_ssize_t>AT_A_TIME, <Py_ssize_t>n_threads))
        for b in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
            scan_block(
                &s, &bias[0], b * size, min(size, n_classes - b * size), stride,
                listed + listed_ptr[b] if listed != NULL else NULL,
                listed_ptr[b + 1] - listed_ptr[b] if listed != NULL else 0, &excluded, k, &values[threadid(), 0, 0],
                &class_ids[threadid(), 0, 0], &sums[0, b, 0], &sums[1, b, 0], &scratch[threadid(), 0])
        begin = end
    for i in range(n_rows):
        topk_merge(&values[0, i, 0], &class_ids[0, i, 0], n_threads, n_rows * k, k)
        lse_out[i] = merged(&sums[0, 0, i], &sums[1, 0, i], n_blocks, n_rows)


cdef double merged(const double *max, const double *sum, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    """The log-sum-exp of n blocks: of their maxima and sums of exp(z - max)."""
    cdef Py_ssize_t b
    cdef double top = -INFINITY, total = 0
    for b in range(n):
        if sum[b * stride] != 0 and max[b * stride] > top:     # a block of nothing but -inf has the maximum 0
            top = max[b * stride]
    if top == -INFINITY:
        top = 0
    for b in range(n):
        total += sum[b * stride] * exp(max[b * stride] - top) if sum[b * stride] != 0 else 0.0
    return log(total) + top
