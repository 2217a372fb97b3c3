# Classes that may not be among the best of a row.
from libc.stdint cimport int64_t
cimport shared.numpy_c as cnp

from leaves.structs cimport Excluded
from tiles.blocks cimport ids_or_null


cdef inline Excluded read_excluded(eligible) noexcept:
    """The C view of what an Eligible of fastsoftmax.passes.eligible, whose arrays must outlive it, excludes row by row."""
    cdef Excluded excluded
    excluded.indptr, excluded.class_ids = NULL, NULL
    if eligible.indptr is not None:
        excluded.indptr = <const Py_ssize_t *>cnp.PyArray_DATA(eligible.indptr)
        excluded.class_ids = ids_or_null(eligible.excluded)
    return excluded
