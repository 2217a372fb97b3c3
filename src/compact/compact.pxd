# Weights kept in few bits: see compact.h.
cimport shared.numpy_c as cnp

from leaves.structs cimport COMPACT_BFLOAT16, COMPACT_FLOAT16, COMPACT_INT8, COMPACT_NONE, Compact


cdef inline Compact read_compact(a) except *:
    """The C view of a CompactMatrix or CompactPairs of fastsoftmax.model.compact, whose arrays must outlive it.

    Of any other matrix there is none: its kind is COMPACT_NONE.
    """
    cdef Compact c
    cdef cnp.ndarray data, scale
    c.data, c.scale, c.row_stride, c.kind = NULL, NULL, 0, COMPACT_NONE
    if a is None or isinstance(a, cnp.ndarray):
        return c
    data, scale = a.data, a.scale
    c.data = cnp.PyArray_DATA(data)
    c.scale = NULL if scale is None else cnp.PyArray_DATA(scale)
    c.row_stride = data.shape[1] if data.ndim == 2 else 0
    c.kind = {"float16": COMPACT_FLOAT16, "bfloat16": COMPACT_BFLOAT16, "int8": COMPACT_INT8}[a.storage]
    return c
