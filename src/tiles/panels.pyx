"""What goes into panels and comes out of them around the passes of tiles.pyx: see panels.h."""
from cython.parallel cimport prange
from libc.math cimport INFINITY, log
from libc.string cimport memset

from leaves.blocks cimport sum_parts
from leaves.logsumexp cimport exp_array
from leaves.panels cimport pack_panels, unpack_panels
from leaves.structs cimport STRIP_BYTES as _STRIP_BYTES, Panels
from shared.fused cimport real
from shared.table cimport import_leaves
from tiles.panels cimport panel_width as width_of_panels

import_leaves()

STRIP_BYTES = _STRIP_BYTES  # of adjacent classes that the kernels of CSR rows take at a time

cdef enum:
    MERGED = 32         # rows of a batch that a thread merges at a time
    COLUMNS = 64        # columns of a panel that a thread packs or adds up at a time


def panel_width(Py_ssize_t n_rows, Py_ssize_t itemsize):
    """Rows of a panel, of batches of `n_rows`."""
    return width_of_panels(n_rows, itemsize)


def pack(const real[:, :] a, real[:, :, ::1] panels, int n_threads):
    """panels (n_panels, a.shape[1], width) <- a: panels[p, k, l] = a[p * width + l, k], zero beyond a's last row."""
    cdef Py_ssize_t i, p, k, n_rows = a.shape[0], n_k = a.shape[1], width = panels.shape[2]
    cdef Py_ssize_t n_blocks = (n_k + COLUMNS - 1) // COLUMNS
    for i in prange(panels.shape[0] * n_blocks, num_threads=n_threads, nogil=True):
        p = i // n_blocks
        k = i % n_blocks * COLUMNS
        pack_one(&a[p * width, k], a.strides[0] // <Py_ssize_t>sizeof(real), a.strides[1] // <Py_ssize_t>sizeof(real),
                 n_rows - p * width, min(n_k - k, <Py_ssize_t>COLUMNS), &panels[p, k, 0], width)


cdef void pack_one(const real *a, Py_ssize_t row_stride, Py_ssize_t k_stride, Py_ssize_t n_rows, Py_ssize_t n_k,
                   real *panel, Py_ssize_t width) noexcept nogil:
    cdef Panels one
    one.data, one.width, one.stride, one.n_panels = panel, width, n_k * width, 1
    pack_panels(a, row_stride, k_stride, n_rows, n_k, &one)


def clear(real[:, ::1] parts, int n_threads):
    """parts <- 0: as many megabytes as a step's partial sums take are more than one thread should clear."""
    cdef Py_ssize_t q
    for q in prange(parts.shape[0] if parts.shape[1] else 0, num_threads=n_threads, nogil=True):
        memset(&parts[q, 0], 0, parts.shape[1] * sizeof(real))


def merge_parts(const real[:, ::1] max, const double[:, ::1] sum, double[::1] lse_out, int n_threads):
    """lse_out (n_lanes,) <- log-sum-exp, from the (n_parts, n_lanes) maxima and sums of exp(z - max)."""
    cdef Py_ssize_t i, n_lanes = max.shape[1]
    for i in prange(0, n_lanes, MERGED, num_threads=n_threads, nogil=True):
        merge_lanes(&max[0, i], &sum[0, i], max.shape[0], n_lanes, min(n_lanes - i, <Py_ssize_t>MERGED), &lse_out[i])


cdef void merge_lanes(
    const real *max, const double *sum, Py_ssize_t n_parts, Py_ssize_t stride, Py_ssize_t n, double *lse_out
) noexcept nogil:
    cdef double top[MERGED]
    cdef double mass[MERGED]
    cdef double total[MERGED]
    cdef Py_ssize_t i, q
    for i in range(n):
        top[i], total[i] = -INFINITY, 0
    for q in range(n_parts):
        for i in range(n):
            if max[q * stride + i] > top[i]:
                top[i] = max[q * stride + i]
    for i in range(n):
        if top[i] == -INFINITY:
            top[i] = 0
    for q in range(n_parts):
        for i in range(n):
            mass[i] = max[q * stride + i] - top[i]
        exp_array(<const double *>mass, n, <double *>mass)
        for i in range(n):
            total[i] = total[i] + sum[q * stride + i] * mass[i]
    for i in range(n):
        lse_out[i] = log(total[i]) + top[i]


cdef void add_block(
    real *parts, Py_ssize_t n_parts, Py_ssize_t part_stride, Py_ssize_t panel, Py_ssize_t column, Py_ssize_t d,
    Py_ssize_t width, Py_ssize_t n_rows, const real *rounded, real *sum_out
) noexcept nogil:
    """The sums of some columns, from `column` on, of a panel."""
    cdef Panels one
    cdef Py_ssize_t q, i, e, first = panel * width, n = min(width, n_rows - first), n_k = min(d - column, <Py_ssize_t>COLUMNS)
    one.data, one.width, one.stride, one.n_panels = parts + first * d + column * width, width, n_k * width, 1
    sum_parts(<real *>one.data, n_parts, part_stride, n_k * width)
    unpack_panels(&one, n, n_k, sum_out + first * d + column, d)
    for q in range(n_parts if rounded != NULL else 0):
        for i in range(first, first + n):
            for e in range(i * d + column, i * d + column + n_k):
                sum_out[e] = sum_out[e] + rounded[q * n_rows * d + e]


def add_parts(real[:, :, :, ::1] parts, real[:, :, ::1] rounded, real[:, ::1] sum_out, int n_threads):
    """sum_out (n_rows, n_hidden) <- the sum of the parts, and of those (n_parts, n_rows, n_hidden) of rounded tiles unless
    None, in their order; parts[0] is overwritten."""
    cdef Py_ssize_t i, n_panels = parts.shape[1], d = parts.shape[2], width = parts.shape[3]
    cdef Py_ssize_t n_rows = sum_out.shape[0], n_blocks = (d + COLUMNS - 1) // COLUMNS
    cdef const real *rounded_data = NULL if rounded is None or not d else &rounded[0, 0, 0]
    for i in prange(n_panels * n_blocks, num_threads=n_threads, nogil=True):
        add_block(&parts[0, 0, 0, 0], parts.shape[0], n_panels * d * width, i // n_blocks, i % n_blocks * COLUMNS, d, width,
                  n_rows, rounded_data, &sum_out[0, 0])
