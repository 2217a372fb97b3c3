# Sparse additions to the logits of a batch, grouped by tile: what the tiles of _logits.pxd take and give back.
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset
cimport numpy as cnp

from _tileops cimport Panels
from _types cimport real


cdef struct Additions:
    const Py_ssize_t *tile_ptr      # (n_tiles + 1,) where the entries of each tile begin; NULL: there are none
    const int32_t *rows
    const int32_t *columns          # within the tile
    const void *values
    const Py_ssize_t *sources       # number of each entry in the caller's arrays


cdef inline Additions read_additions(grouped) except *:
    """The C view of a fastsoftmax._additions.Grouped, whose arrays must outlive it, or of None."""
    cdef Additions a
    memset(&a, 0, sizeof(Additions))
    if grouped is not None:
        a.tile_ptr = <const Py_ssize_t *>cnp.PyArray_DATA(grouped.tile_ptr)
        a.rows = <const int32_t *>cnp.PyArray_DATA(grouped.rows)
        a.columns = <const int32_t *>cnp.PyArray_DATA(grouped.columns)
        a.values = cnp.PyArray_DATA(grouped.values)
        a.sources = <const Py_ssize_t *>cnp.PyArray_DATA(grouped.sources)
    return a


cdef inline int width_bits(const Panels *z) noexcept nogil:
    """log2 of the panels' width: a division for each entry would cost more than the addition."""
    cdef int bits = 0
    while (<Py_ssize_t>1 << bits) < z.width:
        bits += 1
    return bits


cdef inline Py_ssize_t place_of(const Additions *a, const Panels *z, int bits, Py_ssize_t e) noexcept nogil:
    """at_lane of entry e"""
    return (a.rows[e] >> bits) * z.stride + (<Py_ssize_t>a.columns[e] << bits) + (a.rows[e] & (z.width - 1))


cdef inline void add_to_tile(const Additions *a, Py_ssize_t k, const Panels *z, const real *unused) noexcept nogil:
    """z of tile k += the additions. `unused` tells the type."""
    cdef Py_ssize_t e
    cdef int bits = width_bits(z)
    cdef const real *values = <const real *>a.values
    cdef real *logits = <real *>z.data
    if a.tile_ptr == NULL:
        return
    for e in range(a.tile_ptr[k], a.tile_ptr[k + 1]):
        logits[place_of(a, z, bits, e)] += values[e]


cdef inline void addition_gradients(
    const Additions *a, Py_ssize_t k, Py_ssize_t start,
    const Panels *z,                # of tile k, whose first class is `start`: the gradient of the logits where scale is NULL
    const real *scale,              # by row: else scale z is, 0 where scale is
    const int64_t *target, const double *target_dlogit,     # by row: but for the target's
    real *out,                      # OUT: in the caller's order; 0 where masked
) noexcept nogil:
    """To be called while the tile is in cache: memory would be slow in this order."""
    cdef Py_ssize_t e, i
    cdef int bits = width_bits(z)
    cdef const real *values = <const real *>a.values
    cdef real gradient
    for e in range(a.tile_ptr[k], a.tile_ptr[k + 1]):
        gradient = (<const real *>z.data)[place_of(a, z, bits, e)]
        if scale != NULL:
            i = a.rows[e]
            if start + a.columns[e] == target[i]:
                gradient = <real>target_dlogit[i]
            else:
                gradient = 0 if scale[i] == 0 else scale[i] * gradient  # z of a row that does not count may hold NaN
        out[a.sources[e]] = 0 if values[e] == -INFINITY else gradient
