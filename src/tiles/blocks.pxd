# Blocks of parameters: views of arrays as the leaf loops take them.
from libc.stdint cimport int64_t
cimport shared.numpy_c as cnp

from leaves.structs cimport Block


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
