# The term x . W of the logits for CSR rows x, strip by strip of classes: see strips.h.
from libc.stdint cimport int32_t

from leaves.compact cimport compact_strip
from leaves.panels cimport unpack_panels
from leaves.strips cimport csr_logits, csr_step, pack_strip
from leaves.structs cimport COMPACT_NONE, STRIP_BYTES, Block, Compact, Panels, Rule
from shared.fused cimport real


cdef struct CsrTerm:
    Py_ssize_t n_features           # of the batch, by their numbers; 0: there is no such term
    const Py_ssize_t *indptr        # entries by row
    const int32_t *indices
    const void *data
    const Py_ssize_t *col_indptr    # the same by feature
    const int32_t *rows
    const void *col_data
    Block W                         # (n_features, n_classes): feature-major, as the loops run
    Compact compact                 # the same where it is kept in few bits; W has but the ids of its rows then


cdef inline Py_ssize_t packed_size(const CsrTerm *x, Py_ssize_t itemsize) noexcept nogil:
    """Reals of scratch that add_csr_term needs."""
    return x.n_features * (STRIP_BYTES // itemsize)


cdef inline Py_ssize_t by_row_stride(Py_ssize_t n_cols, Py_ssize_t itemsize) noexcept nogil:
    """Classes, in whole strips: step_csr_term needs scratch for this many of each row."""
    cdef Py_ssize_t strip = STRIP_BYTES // itemsize
    return (n_cols + strip - 1) // strip * strip


cdef inline void add_csr_term(
    const CsrTerm *x, Py_ssize_t n_rows, Py_ssize_t start, Py_ssize_t n_cols, const Panels *z, real *packed
) noexcept nogil:
    """z += x . W[start : start + n_cols]"""
    cdef Py_ssize_t j = 0, width, strip = STRIP_BYTES // sizeof(real)
    cdef Panels classes = z[0]
    while x.n_features and j < n_cols:
        width = min(strip, n_cols - j)
        classes.data = <real *>z.data + j * z.width
        if x.compact.kind == COMPACT_NONE:
            pack_strip(&x.W, start + j, x.n_features, width, packed)
        else:
            compact_strip(&x.compact, x.W.row_ids, start + j, x.n_features, width, packed)
        csr_logits(x.indptr, x.indices, <const real *>x.data, n_rows, <const real *>packed, width, &classes)
        j += width


cdef inline void step_csr_term(
    const CsrTerm *x, const Rule *rule, const Block *W, real *state, Py_ssize_t n_rows, Py_ssize_t start,
    Py_ssize_t n_cols, const Panels *dz, real *by_row
) noexcept nogil:
    """The rule's step of W[start : start + n_cols] with the gradient dz^T x."""
    cdef Py_ssize_t stride = by_row_stride(n_cols, sizeof(real))
    unpack_panels(dz, n_rows, n_cols, by_row, stride)
    csr_step(rule, W, state, start, x.col_indptr, x.rows, <const real *>x.col_data, x.n_features, <const real *>by_row,
             stride, n_cols)
