"""The k most probable classes of each row, with the log-sum-exp of all: one pass over the tiles of logits."""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.math cimport INFINITY
cimport shared.numpy_c as cnp

from leaves.panels cimport exp_panels
from leaves.structs cimport Excluded, Panels
from leaves.topk cimport topk_merge, topk_panels
from shared.fused cimport real
from shared.table cimport import_leaves
from tiles.blocks cimport ids_or_null
from tiles.excluded cimport read_excluded
from tiles.logits cimport Scratch, Terms, logits_tile, plan_scratch, read_terms, tile_panels

cnp.import_array()
import_leaves()


cdef struct Eligible:
    # the C view of an Eligible of fastsoftmax.passes.eligible
    const int64_t *listed           # ascending, or NULL: all classes
    const Py_ssize_t *tile_ptr      # (n_tiles + 1,) where those of each tile begin
    Excluded excluded


cdef void scan_part(
    const Terms *t, const Scratch *s, const Eligible *e, Py_ssize_t first, Py_ssize_t end, Py_ssize_t k, real *values,
    int64_t *ids, real *max, double *sum, Py_ssize_t n_lanes, real *mine
) noexcept nogil:
    """Tiles first to end, offered to the heaps (n_rows, k) where they are eligible, and the running log-sum-exps of all."""
    cdef Panels z = tile_panels(t, s.tile, mine)
    cdef Py_ssize_t i, tile, start, n_cols
    for i in range(n_lanes):
        max[i], sum[i] = -INFINITY, 0
    for tile in range(first, end):
        start = tile * s.tile
        n_cols = min(s.tile, t.n_classes - start)
        logits_tile(t, s, start, n_cols, &z, mine)
        if e.listed == NULL:
            topk_panels(&z, n_cols, t.n_rows, start, <const int64_t *>NULL, &e.excluded, k, values, ids)
        elif e.tile_ptr[tile] < e.tile_ptr[tile + 1]:
            topk_panels(&z, e.tile_ptr[tile + 1] - e.tile_ptr[tile], t.n_rows, start, e.listed + e.tile_ptr[tile],
                        &e.excluded, k, values, ids)
        exp_panels(&z, n_cols, <const real *>NULL, max, <real *>NULL, sum)


def scan(
    terms, work,
    real[:, :, ::1] values,         # (n_threads, n_rows, k), IN, OUT: heaps; empty places hold -inf
    int64_t[:, :, ::1] class_ids,   # the same; empty places hold the largest integer
    eligible, cnp.ndarray tile_ptr,  # an Eligible for these rows, and its tile_ptr
    Py_ssize_t begin, Py_ssize_t end,
):
    """Scan parts begin to end of the tiles. This also fills work.max and work.sum, from which the log-sum-exp follows.

    A thread has one heap a row for all parts that it takes, in ascending order: which parts those are does not change the
    k best.
    """
    cdef Terms t = read_terms(terms, work)
    cdef real[:, ::1] max = work.max, memory = work.scratch
    cdef double[:, ::1] sum = work.sum
    cdef Py_ssize_t q, n_parts = max.shape[0], k = values.shape[2], n_tiles = work.n_tiles
    cdef int n_heaps = <int>values.shape[0]
    cdef Scratch s = plan_scratch(&t, work.tile, sizeof(real))
    cdef Eligible e
    e.listed = ids_or_null(eligible.class_ids)
    e.tile_ptr = NULL if tile_ptr is None else <const Py_ssize_t *>cnp.PyArray_DATA(tile_ptr)
    e.excluded = read_excluded(eligible)
    if t.n_rows == 0:
        return
    for q in prange(begin, end, schedule='static', chunksize=1, num_threads=n_heaps, nogil=True):
        scan_part(&t, &s, &e, q * n_tiles // n_parts, (q + 1) * n_tiles // n_parts, k, &values[threadid(), 0, 0],
                  &class_ids[threadid(), 0, 0], &max[q, 0], &sum[q, 0], max.shape[1], &memory[threadid(), 0])


def merge(real[:, :, ::1] values, int64_t[:, :, ::1] class_ids):
    """values[0] and class_ids[0] <- the best of all heaps, best first."""
    cdef Py_ssize_t i, n_heaps = values.shape[0], n_rows = values.shape[1], k = values.shape[2]
    for i in prange(n_rows, num_threads=n_heaps, nogil=True):
        topk_merge(&values[0, i, 0], &class_ids[0, i, 0], n_heaps, n_rows * k, k)
