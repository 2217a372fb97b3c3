# The sparse term x . W of the logits, panel by panel of classes: see csr_impl.h.
from libc.stdint cimport int32_t

from _tileops cimport PANEL_BYTES, Block, Rule, csr_rows, csr_step, pack_panel
from _types cimport real


cdef struct SparseTerm:
    Py_ssize_t n_features           # of the batch, by their numbers; 0: no sparse term
    const Py_ssize_t *indptr        # entries by row
    const int32_t *indices
    const void *data
    const Py_ssize_t *col_indptr    # the same by feature
    const int32_t *rows
    const void *col_data
    Block W                         # (n_features, n_classes): feature-major, as the loops run


cdef inline Py_ssize_t packed_size(const SparseTerm *x, Py_ssize_t itemsize) noexcept nogil:
    """Reals of scratch that sparse_logits needs."""
    return x.n_features * (PANEL_BYTES // itemsize)


cdef inline void sparse_logits(
    const SparseTerm *x, Py_ssize_t n_rows, Py_ssize_t start, Py_ssize_t n_cols, real *z, Py_ssize_t z_stride, real *packed
) noexcept nogil:
    """z (n_rows, n_cols) += x . W[start : start + n_cols]"""
    cdef Py_ssize_t j = 0, width, panel = PANEL_BYTES // sizeof(real)
    while x.n_features and j < n_cols:
        width = min(panel, n_cols - j)
        pack_panel(&x.W, start + j, x.n_features, width, packed)
        csr_rows(x.indptr, x.indices, <const real *>x.data, n_rows, <const real *>packed, width, z + j, z_stride)
        j += width


cdef inline void sparse_step(
    const SparseTerm *x, const Rule *rule, const Block *W, real *state, Py_ssize_t start, Py_ssize_t n_cols,
    const real *dz, Py_ssize_t stride
) noexcept nogil:
    """The rule's step of W[start : start + n_cols] with the gradient dz^T x; stride is a multiple of the panel."""
    csr_step(rule, W, state, start, x.col_indptr, x.rows, <const real *>x.col_data, x.n_features, dz, stride, n_cols)
