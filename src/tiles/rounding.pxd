# The gradient of a tile's logits as lists of entries, where rounding left few: products that cost what the entries cost.
#
# round_tile makes the entries (rounding.h); add_to_hidden and, after group_by_class, spmm are the two products.
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

from leaves.blocks cimport gather_block
from leaves.rounding cimport round_panels
from leaves.spmm cimport add_entries
from leaves.structs cimport Block, Panels
from shared.fused cimport real
from tiles.additions cimport Additions, class_at, row_at

cdef enum:
    # with more than one entry in so many, dense products are faster: from 1 in 5 on with 128 features, 1 in 12 with 32
    DENSE_FROM = 8


cdef struct Rounding:
    double threshold                # 0: no rounding
    const uint32_t *row_keys        # (n_lanes,)
    const void *hidden              # (n_rows, n_hidden)
    char *memory                    # lists_bytes a thread
    Py_ssize_t memory_stride
    void *parts                     # (n_parts, n_rows, n_hidden) partial gradients of hidden, or NULL


cdef struct Lists:
    Py_ssize_t n                    # entries of the tile
    int32_t *classes                # within the tile
    int32_t *rows
    void *values
    int32_t *sorted                 # rows by class
    void *sorted_values
    Py_ssize_t *indptr              # of the sorted ones
    int64_t *ids                    # the classes with entries


cdef inline Rounding read_rounding(terms, rounding) except *:
    """The C view of a Rounding of fastsoftmax.passes.tiles, whose arrays must outlive it."""
    cdef Rounding r
    cdef cnp.ndarray memory = rounding.memory
    r.threshold = rounding.threshold
    r.row_keys = <const uint32_t *>cnp.PyArray_DATA(rounding.row_keys)
    r.hidden = cnp.PyArray_DATA(terms.hidden)
    r.memory = <char *>cnp.PyArray_DATA(memory)
    r.memory_stride = memory.shape[1]
    r.parts = NULL if rounding.parts is None else cnp.PyArray_DATA(rounding.parts)
    return r


cdef inline Py_ssize_t most_entries(Py_ssize_t n_rows, Py_ssize_t n_cols) noexcept nogil:
    return n_rows * n_cols // DENSE_FROM


cdef inline Py_ssize_t lists_capacity(Py_ssize_t n_rows, Py_ssize_t tile) noexcept nogil:
    """The most that may be expected beside the targets, and so much more that no draw in practice exceeds it."""
    return most_entries(n_rows, tile) * 3 // 2 + 128


cdef inline Py_ssize_t lists_bytes(Py_ssize_t n_rows, Py_ssize_t n_targets, Py_ssize_t tile) noexcept nogil:
    return 28 * (lists_capacity(n_rows, tile) + n_targets) + 8 * (tile + 2) + 8 * tile + 64


cdef inline Lists lists_at(char *memory, Py_ssize_t n_rows, Py_ssize_t n_targets, Py_ssize_t tile) noexcept nogil:
    cdef Lists lists
    cdef Py_ssize_t capacity = lists_capacity(n_rows, tile) + n_targets
    lists.n = 0
    lists.values = memory
    lists.sorted_values = memory + 8 * capacity
    lists.indptr = <Py_ssize_t *>(memory + 16 * capacity)
    lists.ids = <int64_t *>(lists.indptr + tile + 2)
    lists.classes = <int32_t *>(lists.ids + tile)
    lists.rows = lists.classes + capacity
    lists.sorted = lists.rows + capacity
    return lists


cdef inline bint round_tile(
    const Rounding *r, const Panels *z, Py_ssize_t n_rows, Py_ssize_t start, Py_ssize_t n_cols,
    const real *scale,      # of exp(logits - shift) = z in the gradient, by row
    real *unit,             # scratch by row
    real *ratio,            # IN, changed: softmax / z
    const double *row_scale,
    const Additions *targets, Py_ssize_t k, const double *target_dlogit,   # those of tile k
    Lists *lists,           # OUT
) noexcept nogil:
    """Whether the tile has few entries; then they are listed, the targets' own exact ones last."""
    cdef Py_ssize_t i, e, n
    cdef real *values = <real *>lists.values
    for i in range(n_rows):
        unit[i] = <real>(row_scale[i] * r.threshold)
        ratio[i] = 0 if row_scale[i] == 0 else <real>(ratio[i] * (2147483648.0 / r.threshold))
    memset(ratio + n_rows, 0, (z.n_panels * z.width - n_rows) * sizeof(real))
    n = round_panels(z, n_cols, start, r.row_keys, <const real *>ratio, scale, <const real *>unit,
                     most_entries(n_rows, n_cols), lists_capacity(n_rows, n_cols),
                     lists.classes, lists.rows, values)
    if n < 0:
        return False
    for e in range(targets.tile_ptr[k], targets.tile_ptr[k + 1]):
        i = row_at(z, targets.places[e])
        if row_scale[i] != 0:
            lists.classes[n] = <int32_t>class_at(z, targets.places[e])
            lists.rows[n], values[n] = <int32_t>i, <real>target_dlogit[targets.sources[e]]
            n = n + 1
    lists.n = n
    return True


cdef inline void sort_entries(const Lists *lists, Py_ssize_t n_keys, real *sorted_values) noexcept nogil:
    """lists.sorted <- the rows, in order of their classes; entries of one class stay in their order."""
    cdef const int32_t *keys = lists.classes
    cdef const real *values = <const real *>lists.values
    cdef Py_ssize_t e, k, at
    cdef Py_ssize_t *end = lists.indptr + 1
    memset(lists.indptr, 0, (n_keys + 2) * sizeof(Py_ssize_t))
    for e in range(lists.n):
        end[keys[e] + 1] += 1
    for k in range(n_keys):
        end[k + 1] += end[k]
    for e in range(lists.n):
        at = end[keys[e]]
        end[keys[e]] = at + 1
        lists.sorted[at] = lists.rows[e]
        sorted_values[at] = values[e]


cdef inline void add_to_hidden(
    const Lists *lists, const Block *V, Py_ssize_t n_cols, Py_ssize_t n_hidden, real *part, real *scratch
) noexcept nogil:
    """part (n_rows, n_hidden) += dz V, with V of the tile. The entries are listed panel by panel of rows, whose sums stay in
    the first-level cache meanwhile: to sort them by row takes longer."""
    cdef const real *dense = <const real *>V.data
    cdef Py_ssize_t stride = V.row_stride
    cdef const int64_t *ids = V.row_ids
    if V.col_stride != 1:
        gather_block(V, n_cols, n_hidden, scratch)
        dense, stride, ids = <const real *>scratch, n_hidden, NULL
    add_entries(lists.n, lists.rows, lists.classes, <const real *>lists.values, dense, stride, ids, n_hidden, part, n_hidden)


cdef inline Py_ssize_t group_by_class(
    const Lists *lists, Py_ssize_t start, Py_ssize_t n_cols, const int64_t *class_ids, bint every, real *sorted_values
) noexcept nogil:
    """Sorts by class, and keeps in indptr and ids the classes that have entries, or every one. Returns their number."""
    cdef Py_ssize_t c, begin = 0, end, n = 0
    sort_entries(lists, n_cols, sorted_values)
    for c in range(n_cols):
        end = lists.indptr[c + 1]
        if every or end > begin:
            lists.ids[n] = start + c if class_ids == NULL else class_ids[start + c]
            n = n + 1
            lists.indptr[n] = end
        begin = end
    return n


cdef inline void sum_classes(const Lists *lists, Py_ssize_t n, const real *sorted_values, real *sums_out) noexcept nogil:
    cdef Py_ssize_t c, e
    for c in range(n):
        sums_out[c] = 0
        for e in range(lists.indptr[c], lists.indptr[c + 1]):
            sums_out[c] += sorted_values[e]
