# Entries (row, class, value) grouped by tile: the sparse additions to the logits of a batch, which the tiles of logits.pxd
# take and give back, and the targets.
from libc.math cimport INFINITY
from libc.stdint cimport int32_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

from leaves.structs cimport Panels
from shared.fused cimport real


cdef struct Additions:
    const Py_ssize_t *tile_ptr      # (n_tiles + 1,) where the entries of each tile begin; NULL: there are none
    const int32_t *places           # within the tile's panels
    const void *values
    const int32_t *sources          # number of each entry in the caller's arrays


cdef inline Additions read_additions(grouped) except *:
    """The C view of a Grouped of additions.pyx, whose arrays must outlive it, or of None: no additions."""
    cdef Additions a
    memset(&a, 0, sizeof(Additions))
    if grouped is not None:
        a.tile_ptr = <const Py_ssize_t *>cnp.PyArray_DATA(grouped.tile_ptr)
        a.places = <const int32_t *>cnp.PyArray_DATA(grouped.places)
        a.values = cnp.PyArray_DATA(grouped.values)
        a.sources = <const int32_t *>cnp.PyArray_DATA(grouped.sources)
    return a


cdef inline void add_to_tile(const Additions *a, Py_ssize_t k, const Panels *z, const real *unused) noexcept nogil:
    """z of tile k += the additions. `unused` tells the type."""
    cdef Py_ssize_t e
    cdef const real *values = <const real *>a.values
    cdef real *logits = <real *>z.data
    if a.tile_ptr == NULL:
        return
    for e in range(a.tile_ptr[k], a.tile_ptr[k + 1]):
        logits[a.places[e]] += values[e]


cdef inline void addition_gradients(
    const Additions *a, Py_ssize_t k,
    const Panels *z,                # of tile k: the gradient of the logits
    real *out,                      # OUT: in the caller's order; 0 where masked
) noexcept nogil:
    """This must be called while the tile is in cache: memory would be slow in this order."""
    cdef Py_ssize_t e
    cdef const real *values = <const real *>a.values
    for e in range(a.tile_ptr[k], a.tile_ptr[k + 1]):
        out[a.sources[e]] = 0 if values[e] == -INFINITY else (<const real *>z.data)[a.places[e]]


cdef inline Py_ssize_t row_at(const Panels *z, Py_ssize_t place) noexcept nogil:
    """The row of a place within the panels of a tile."""
    return place // z.stride * z.width + (place & (z.width - 1))    # widths are powers of two


cdef inline Py_ssize_t class_at(const Panels *z, Py_ssize_t place) noexcept nogil:
    """The class of a place, within the tile."""
    return place % z.stride // z.width
