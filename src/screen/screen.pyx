"""The classes that may be among the best k of each row, by their weights in 8 bits; see screen.h."""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

from leaves.compact cimport few_logits
from leaves.screen cimport screen as screen_groups
from leaves.structs cimport COMPACT_NONE, Compact, Excluded, Screened, ScreenedBest, ScreenedRows
from leaves.topk cimport topk_merge, topk_row
from shared.fused cimport real
from shared.table cimport import_leaves
from tiles.excluded cimport read_excluded

cnp.import_array()
import_leaves()

GROUP = 16              # classes
BLOCK_GROUPS = 64       # of a call: after so many, float32 sums are added up in float64
cdef enum:
    BLOCK = 64
    AT_A_TIME = 8       # parts, or one a thread, between two looks for signals


def scan(
    const uint8_t[::1] codes, const float[::1] scale, const float[::1] bias, Py_ssize_t n_classes, Py_ssize_t n_quads,
    const int8_t[:, ::1] row_codes, const int32_t[::1] offset, const float[::1] factor, const float[::1] margin,
    const float[::1] slack, const float[::1] shift,         # (n_rows,) of the rows
    real[:, :, ::1] heap, int64_t[:, :, ::1] heap_ids,      # (n_threads, n_rows, k) IN, OUT: lower bounds
    float[:, ::1] bar,                                      # (n_threads, n_rows) IN, OUT
    Py_ssize_t[:, ::1] n_listed, int32_t[:, :, ::1] listed, float[:, :, ::1] upper,     # IN, OUT: (n_threads, n_rows, room)
    double[:, ::1] sums_out,                                # (n_parts, n_rows) zeros, or None
    float[:, ::1] scratch,                                  # (n_threads, 17 n_rows)
    Py_ssize_t n_parts, Py_ssize_t step,                    # every `step`th block is read
):
    """Screen the classes in n_parts parts, whose sums do not depend on the number of threads."""
    cdef Screened s
    cdef ScreenedRows rows
    cdef Py_ssize_t q, begin = 0, end, n_blocks = (n_classes + 16 * BLOCK * step - 1) // (16 * BLOCK * step)
    cdef int n_threads = <int>scratch.shape[0]
    if not row_codes.shape[0] or not n_classes:
        return
    s.codes, s.scale, s.bias, s.n_classes, s.n_quads = &codes[0], &scale[0], &bias[0], n_classes, n_quads
    rows.codes, rows.offset, rows.factor, rows.margin = &row_codes[0, 0], &offset[0], &factor[0], &margin[0]
    rows.slack, rows.shift, rows.n_rows = &slack[0], &shift[0], row_codes.shape[0]
    while begin < n_parts:
        PyErr_CheckSignals()
        end = min(n_parts, begin + max(<Py_ssize_t>AT_A_TIME, <Py_ssize_t>n_threads))
        for q in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
            scan_part(&s, &rows, q * n_blocks // n_parts, (q + 1) * n_blocks // n_parts, step, heap.shape[2],
                      listed.shape[2], &heap[threadid(), 0, 0], &heap_ids[threadid(), 0, 0], &bar[threadid(), 0],
                      &n_listed[threadid(), 0], &listed[threadid(), 0, 0], &upper[threadid(), 0, 0],
                      &sums_out[q, 0] if sums_out is not None else NULL, &scratch[threadid(), 0])
        begin = end


cdef void scan_part(
    const Screened *s, const ScreenedRows *rows, Py_ssize_t first, Py_ssize_t end, Py_ssize_t step, Py_ssize_t k,
    Py_ssize_t room, real *heap, int64_t *heap_ids, float *bar, Py_ssize_t *n_listed, int32_t *listed, float *upper,
    double *sums, float *scratch
) noexcept nogil:
    cdef ScreenedBest best
    cdef Py_ssize_t b, n_groups = (s.n_classes + 15) // 16
    best.bar, best.n_listed, best.listed, best.upper, best.room, best.k = bar, n_listed, listed, upper, room, k
    best.loose_bar = scratch + 16 * rows.n_rows
    for b in range(first, end):
        screen_groups(s, b * step * BLOCK, min(<Py_ssize_t>BLOCK, n_groups - b * step * BLOCK), rows, &best, heap, heap_ids,
                      sums, scratch)


def merge(real[:, :, ::1] heap, int64_t[:, :, ::1] heap_ids):
    """heap[0] and heap_ids[0] <- the best of all heaps, best first."""
    cdef Py_ssize_t i, n_rows = heap.shape[1], k = heap.shape[2]
    for i in range(n_rows):
        topk_merge(&heap[0, i, 0], &heap_ids[0, i, 0], heap.shape[0], n_rows * k, k)


def collect(
    const float[::1] bar, const Py_ssize_t[:, ::1] n_listed, const int32_t[:, :, ::1] listed, const float[:, :, ::1] upper,
    int64_t[::1] out,           # OUT: the classes of each row that reach its bar, one row after another
    Py_ssize_t[::1] indptr_out  # (n_rows + 1,)
):
    """Collect the listed classes of all threads, without any of rows of which too many were listed."""
    cdef Py_ssize_t i, j, t, n = 0
    indptr_out[0] = 0
    for i in range(bar.shape[0]):
        for t in range(n_listed.shape[0]):
            for j in range(n_listed[t, i]):
                if upper[t, i, j] >= bar[i]:
                    out[n] = listed[t, i, j]
                    n += 1
        indptr_out[i + 1] = n


def rescore(
    const real[::1] bias, const real[:, ::1] hidden, V,     # as of kernels.few_rows.topk
    eligible, const int64_t[::1] class_ids, const Py_ssize_t[::1] indptr,   # of each row, ascending
    Py_ssize_t block,                                       # classes of a block, as of kernels.few_rows
    real[:, ::1] values, int64_t[:, ::1] ids,               # (n_rows, k) empty heaps. OUT: the k best logits, best first
):
    """The best of the listed classes by their logits, whose bits are those of kernels.few_rows."""
    cdef Excluded excluded = read_excluded(eligible)
    cdef cnp.ndarray weights = V
    cdef Compact a
    cdef Py_ssize_t i, j, end, group, start, n, n_classes = bias.shape[0], k = values.shape[1]
    cdef real z[8]
    memset(&a, 0, sizeof(Compact))
    a.kind, a.data = COMPACT_NONE, cnp.PyArray_DATA(weights)
    a.row_stride = cnp.PyArray_STRIDE(weights, 0) // weights.itemsize
    with nogil:
        for i in range(hidden.shape[0]):
            j = indptr[i]
            while j < indptr[i + 1]:
                start = class_ids[j] // block * block
                group = start + (class_ids[j] - start) // 8 * 8     # as compact_dots takes them together
                n = min(8, min(start + block, n_classes) - group)
                end = j
                while end < indptr[i + 1] and class_ids[end] < group + n:
                    end += 1
                few_logits(&a, group, n, hidden.shape[1], &hidden[i, 0], 1, &bias[group], z, 8)
                topk_row(z, end - j, group, &class_ids[j], &excluded, i, k, &values[i, 0], &ids[i, 0])
                j = end
            topk_merge(&values[i, 0], &ids[i, 0], 1, k, k)
