# The logits of a batch, one tile of classes at a time: what all linear kernels (loss, gradient, step, top-k) share.
#
#     z[i, k] = bias[k] + hidden[i] . V[k] + x[i] . W[k]
#
# hidden is dense and its product a GEMM; x is sparse, its product runs over the packed block W[tile, features of the batch].
# Either term may be absent, and the classes may be a chosen list (candidate sampling) instead of all.
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset
cimport numpy as cnp

from _sparse_terms cimport SparseTerm, packed_size, sparse_logits
from _tileops cimport RULE_ADAGRAD, RULE_ADD, RULE_SGD, Block, Rule, fill_rows, gather_block, gemm
from _types cimport real


cdef struct Terms:
    Py_ssize_t n_rows
    Py_ssize_t n_classes            # candidates: all classes, or the length of class_ids
    const int64_t *class_ids        # NULL: class k is number k
    Block bias                      # one row; data NULL: none
    Py_ssize_t n_hidden             # 0: no dense term
    const void *hidden              # (n_rows, n_hidden), C contiguous
    Block V                         # (n_classes, n_hidden)
    SparseTerm x                    # n_features 0: no sparse term


cdef inline Block matrix_block(cnp.ndarray a, const int64_t *row_ids, const int64_t *col_ids) noexcept:
    """Rows and columns of `a` (2-D, any strides), by ids where given."""
    cdef Block block
    block.data = cnp.PyArray_DATA(a)
    block.row_ids = row_ids
    block.col_ids = col_ids
    block.row_stride = cnp.PyArray_STRIDE(a, 0) // cnp.PyArray_ITEMSIZE(a)
    block.col_stride = cnp.PyArray_STRIDE(a, 1) // cnp.PyArray_ITEMSIZE(a)
    return block


cdef inline Block vector_block(cnp.ndarray a, const int64_t *ids) noexcept:
    """The 1-D contiguous `a` as one row; data NULL where `a` is None."""
    cdef Block block
    block.data = NULL if a is None else cnp.PyArray_DATA(a)
    block.row_ids = NULL
    block.col_ids = ids
    block.row_stride = 0
    block.col_stride = 1
    return block


cdef inline const int64_t *ids_or_null(cnp.ndarray ids) noexcept:
    return NULL if ids is None else <const int64_t *>cnp.PyArray_DATA(ids)


cdef inline Rule read_rule(rule, bint state_per_row) except *:
    """The C view of a fastsoftmax.optimizers rule; None: gradients are added to what is there."""
    cdef Rule r
    r.kind = RULE_ADD if rule is None else (RULE_ADAGRAD if rule.has_state else RULE_SGD)
    r.state_per_row = state_per_row
    r.learning_rate = 0 if rule is None else rule.learning_rate
    r.epsilon = 0 if rule is None else rule.epsilon
    r.alpha = 0 if rule is None else rule.alpha
    return r


cdef inline Terms read_terms(terms) except *:
    """The C view of a fastsoftmax._head.Terms, whose arrays must outlive it."""
    cdef Terms t
    cdef cnp.ndarray hidden = terms.hidden, V = terms.V, W = terms.W
    cdef const int64_t *feature_ids
    memset(&t, 0, sizeof(Terms))
    t.n_rows = terms.n_rows
    t.class_ids = ids_or_null(terms.class_ids)
    t.n_classes = terms.n_candidates
    t.bias = vector_block(terms.bias, t.class_ids)
    if V is not None:
        t.n_hidden = hidden.shape[1]
        t.hidden = cnp.PyArray_DATA(hidden)
        t.V = matrix_block(V, t.class_ids, NULL)
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
        t.x.W = matrix_block(W.T, feature_ids, t.class_ids)
    return t


cdef inline Block rows_from(Block block, Py_ssize_t start, Py_ssize_t itemsize) noexcept nogil:
    """`block` without its first `start` rows."""
    if block.row_ids != NULL:
        block.row_ids += start
    else:
        block.data = <char *>block.data + start * block.row_stride * itemsize
    return block


cdef inline Block cols_from(Block block, Py_ssize_t start, Py_ssize_t itemsize) noexcept nogil:
    """`block` without its first `start` columns."""
    if block.col_ids != NULL:
        block.col_ids += start
    else:
        block.data = <char *>block.data + start * block.col_stride * itemsize
    return block


cdef inline Py_ssize_t scratch_size(const Terms *t, Py_ssize_t tile, Py_ssize_t itemsize) noexcept nogil:
    """Reals of scratch that logits_tile needs."""
    return tile + max(tile * t.n_hidden, packed_size(&t.x, itemsize))


cdef inline const real *hidden_weights(
    const Terms *t, Py_ssize_t start, Py_ssize_t n_cols, real *scratch,
    Py_ssize_t *stride_out, bint *transposed_out,  # OUT: stored as (n_hidden, classes)
) noexcept nogil:
    """V of a tile as GEMM can read it: in place where its layout allows, gathered into scratch where not."""
    cdef Block V = rows_from(t.V, start, sizeof(real))
    transposed_out[0] = False
    if t.class_ids == NULL and V.col_stride == 1 and V.row_stride >= t.n_hidden:
        stride_out[0] = V.row_stride
        return <const real *>V.data
    if t.class_ids == NULL and V.row_stride == 1 and V.col_stride >= n_cols:
        transposed_out[0] = True
        stride_out[0] = V.col_stride
        return <const real *>V.data
    gather_block(&V, n_cols, t.n_hidden, scratch)
    stride_out[0] = t.n_hidden
    return scratch


cdef inline void logits_tile(
    const Terms *t, Py_ssize_t start, Py_ssize_t n_cols,
    real *z, Py_ssize_t z_stride,  # OUT: (n_rows, n_cols)
    real *scratch,
) noexcept nogil:
    cdef Block bias = cols_from(t.bias, start, sizeof(real))
    cdef Py_ssize_t stride
    cdef bint transposed
    cdef const real *V
    if t.bias.data != NULL:
        gather_block(&bias, 1, n_cols, scratch)
        fill_rows(<const real *>scratch, t.n_rows, n_cols, z, z_stride)
    else:
        fill_rows(<const real *>NULL, t.n_rows, n_cols, z, z_stride)
    if t.n_hidden:
        V = hidden_weights(t, start, n_cols, scratch, &stride, &transposed)
        gemm(False, not transposed, t.n_rows, n_cols, t.n_hidden, <const real *>t.hidden, t.n_hidden,
             V, stride, <real>1, z, z_stride)
    sparse_logits(&t.x, t.n_rows, start, n_cols, z, z_stride, scratch)
