"""The k most probable classes of each row, with the log-sum-exp of all: one pass over the tiles of logits."""
from cython.parallel cimport prange, threadid
from libc.stdint cimport INT64_MAX, int64_t
from libc.math cimport INFINITY
cimport numpy as cnp

from _logits cimport Terms, logits_tile, read_terms
from _rowops cimport import_rowops
from _tileops cimport exp_rows, topk_merge, topk_rows
from _types cimport real

cnp.import_array()
import_rowops()


cdef void scan_tile(
    const Terms *t, Py_ssize_t tile, Py_ssize_t number, Py_ssize_t k, real *values, int64_t *ids, double *max_out,
    double *sum_out, real *z
) noexcept nogil:
    cdef Py_ssize_t start = number * tile, n_cols = min(tile, t.n_classes - start)
    logits_tile(t, start, n_cols, z, tile, z + t.n_rows * tile)
    topk_rows(<const real *>z, t.n_rows, n_cols, tile, start, k, values, ids)
    exp_rows(z, t.n_rows, n_cols, tile, <const real *>NULL, max_out, sum_out)


cdef void scan(
    const Terms *t, Py_ssize_t tile, Py_ssize_t n_tiles, Py_ssize_t n_parts, Py_ssize_t k, real *values, int64_t *ids,
    double *max_out, double *sum_out, real *scratch, Py_ssize_t scratch_stride, int n_threads
) noexcept nogil:
    cdef Py_ssize_t q, m, i, size = t.n_rows * k
    for q in prange(n_parts, schedule='dynamic', chunksize=1, num_threads=n_threads):
        for i in range(size):
            values[q * size + i] = -INFINITY
            ids[q * size + i] = INT64_MAX
        for m in range(q * n_tiles // n_parts, (q + 1) * n_tiles // n_parts):
            scan_tile(t, tile, m, k, values + q * size, ids + q * size, max_out + m * t.n_rows, sum_out + m * t.n_rows,
                      scratch + threadid() * scratch_stride)
    for i in prange(t.n_rows, num_threads=n_threads):
        topk_merge(values + i * k, ids + i * k, n_parts, size, k)


def topk(
    terms, work,
    real[:, :, ::1] values,         # (n_parts, n_rows, k). OUT: values[0], best first
    int64_t[:, :, ::1] class_ids,   # the same
):
    """Also fills work.max and work.sum, from which the log-sum-exp follows."""
    cdef Terms t = read_terms(terms)
    cdef cnp.ndarray scratch = work.scratch
    cdef Py_ssize_t tile = work.tile, n_tiles = work.n_tiles
    cdef int n_threads = work.n_threads
    cdef double *max_out = <double *>cnp.PyArray_DATA(work.max)
    cdef double *sum_out = <double *>cnp.PyArray_DATA(work.sum)
    if t.n_rows == 0:
        return
    with nogil:
        scan(&t, tile, n_tiles, values.shape[0], values.shape[2], &values[0, 0, 0], &class_ids[0, 0, 0], max_out, sum_out,
             <real *>cnp.PyArray_DATA(scratch), scratch.shape[1], n_threads)
