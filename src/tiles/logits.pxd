# The logits of a batch, one tile of classes at a time: all linear kernels (loss, gradient, step, top-k) share them.
#
#     z[i, k] = bias[k] + hidden[i] . V[k] + x[i] . W[k] + s[i, k]
#
# A tile holds the logits of all rows of the batch for some classes, in panels of rows (panels.h). hidden is dense, and
# packed into panels once for all tiles; x is CSR rows, whose product runs over the packed block W[tile, features of the
# batch]; s is sparse itself, some classes of each row. Any term may be absent, and the classes may be a chosen list
# (candidate sampling) instead of all.
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

from compact.compact cimport read_compact
from csr.strips cimport CsrTerm, add_csr_term, by_row_stride, packed_size
from leaves.blocks cimport gather_block
from leaves.compact cimport compact_logits, compact_scratch
from leaves.gemm cimport multiply
from leaves.structs cimport COMPACT_NONE, Block, Compact, Factor, Panels
from shared.fused cimport real
from tiles.additions cimport Additions, add_to_tile, read_additions
from tiles.blocks cimport cols_from, ids_or_null, matrix_block, rows_from, vector_block
from tiles.panels cimport array_panels, panel_width


cdef struct Terms:
    Py_ssize_t n_rows
    Py_ssize_t n_classes            # candidates: all classes, or the length of class_ids
    const int64_t *class_ids        # NULL: class k is number k
    Block bias                      # one row; data NULL: none
    Py_ssize_t n_hidden             # 0: there is no dense term
    Panels hidden                   # (n_panels, n_hidden, width)
    Block V                         # (n_classes, n_hidden)
    Compact compact                 # the same where it is kept in few bits: of all classes, for predictions alone
    CsrTerm x                    # n_features 0: there are no CSR rows
    Additions additions             # s


cdef inline Terms read_terms(terms, work) except *:
    """The C view of a Terms of fastsoftmax.passes.tiles and of the pass over it, whose arrays must outlive it.

    Where the pass is None, the view is good for sizes only.
    """
    cdef Terms t
    cdef const int64_t *feature_ids
    V, W = terms.V, terms.W
    memset(&t, 0, sizeof(Terms))
    t.n_rows = terms.n_rows
    t.class_ids = ids_or_null(terms.class_ids)
    t.n_classes = terms.n_candidates
    t.bias = vector_block(terms.bias, t.class_ids)
    if V is not None:
        t.n_hidden = V.shape[1]
    if t.n_hidden:
        t.compact = read_compact(V)
        if t.compact.kind == COMPACT_NONE:
            t.V = matrix_block(V, t.class_ids, NULL)
        if work is not None:
            t.hidden = array_panels(work.hidden_panels)
    if W is not None:
        batch = terms.batch
        t.x.n_features = (<cnp.ndarray>batch.feature_ids).shape[0]
        t.x.indptr = <const Py_ssize_t *>cnp.PyArray_DATA(batch.indptr)
        t.x.indices = <const int32_t *>cnp.PyArray_DATA(batch.indices)
        t.x.data = cnp.PyArray_DATA(batch.data)
        t.x.col_indptr = <const Py_ssize_t *>cnp.PyArray_DATA(batch.col_indptr)
        t.x.rows = <const int32_t *>cnp.PyArray_DATA(batch.rows)
        t.x.col_data = cnp.PyArray_DATA(batch.col_data)
        feature_ids = <const int64_t *>cnp.PyArray_DATA(batch.feature_ids)
        t.x.compact = read_compact(W)
        if t.x.compact.kind == COMPACT_NONE:
            t.x.W = matrix_block(W.T, feature_ids, t.class_ids)
        else:
            t.x.W.row_ids = feature_ids
    t.additions = read_additions(None if work is None else work.additions)
    return t


cdef struct Scratch:
    # a thread's memory in reals: where each of its parts begins
    Py_ssize_t tile             # classes of a tile
    Py_ssize_t bias             # after the tile of logits, which comes first
    Py_ssize_t weights          # V of a tile, or a packed strip of W
    Py_ssize_t by_row           # the gradient of the logits row by row, for W
    Py_ssize_t grad             # gradient of a tile of V or of the bias
    Py_ssize_t lanes            # some vectors of one number a row
    Py_ssize_t size


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    return (n + step - 1) // step * step


cdef inline Scratch plan_scratch(const Terms *t, Py_ssize_t tile, Py_ssize_t itemsize) noexcept nogil:
    cdef Scratch s
    cdef Py_ssize_t full = panel_width(t.n_rows, itemsize), n_lanes = round_up(t.n_rows, full), weights
    s.tile = tile
    s.bias = n_lanes * tile
    s.weights = round_up(s.bias + tile, 16)
    weights = compact_scratch(t.n_hidden, itemsize) if t.compact.kind != COMPACT_NONE else tile * t.n_hidden
    s.by_row = round_up(s.weights + max(weights, packed_size(&t.x, itemsize)), 16)
    s.grad = round_up(s.by_row + (t.n_rows * by_row_stride(tile, itemsize) if t.x.n_features else 0), 16)
    s.lanes = round_up(s.grad + tile * max(round_up(t.n_hidden, full), <Py_ssize_t>1), 16)
    s.size = round_up(s.lanes + 5 * n_lanes, 32)
    return s


cdef inline Factor tile_weights(const Terms *t, Py_ssize_t start, Py_ssize_t n_cols, real *scratch) noexcept nogil:
    """V of a tile as `multiply` reads it, rows for classes: in place where one of its strides is 1, else gathered."""
    cdef Block V = rows_from(t.V, start, sizeof(real))
    cdef Factor a
    a.data, a.row_stride, a.k_stride = V.data, V.row_stride, V.col_stride
    if t.class_ids != NULL or (V.row_stride != 1 and V.col_stride != 1):
        gather_block(&V, n_cols, t.n_hidden, scratch)
        a.data, a.row_stride, a.k_stride = scratch, t.n_hidden, 1
    a.k_block, a.block_stride = t.n_hidden, 0
    return a


cdef inline Panels tile_panels(const Terms *t, Py_ssize_t tile, real *z) noexcept nogil:
    """The memory z as the logits of a tile."""
    cdef Panels panels
    panels.data = z
    panels.width = panel_width(t.n_rows, sizeof(real))
    panels.stride = tile * panels.width
    panels.n_panels = (t.n_rows + panels.width - 1) // panels.width
    return panels


cdef inline void logits_tile(
    const Terms *t, const Scratch *s, Py_ssize_t start, Py_ssize_t n_cols,
    const Panels *z,    # OUT
    real *mine,         # the thread's scratch
) noexcept nogil:
    cdef Block bias = cols_from(t.bias, start, sizeof(real))
    cdef Factor V
    cdef const real *bias_data = <const real *>NULL if t.bias.data == NULL else <const real *>bias.data
    if bias_data != NULL and bias.col_ids != NULL:
        gather_block(&bias, 1, n_cols, mine + s.bias)
        bias_data = mine + s.bias
    if t.compact.kind != COMPACT_NONE:
        compact_logits(&t.compact, start, n_cols, t.n_hidden, &t.hidden, t.n_rows, bias_data, z, mine + s.weights)
    else:
        V.data, V.row_stride, V.k_stride, V.k_block, V.block_stride = z.data, 0, 0, 1, 0
        if t.n_hidden:
            V = tile_weights(t, start, n_cols, mine + s.weights)
        multiply(&V, n_cols, t.n_hidden, &t.hidden if t.n_hidden else z, bias_data, z, z.width, False)
    add_csr_term(&t.x, t.n_rows, start, n_cols, z, mine + s.weights)
    add_to_tile(&t.additions, start // s.tile, z, <const real *>mine)
