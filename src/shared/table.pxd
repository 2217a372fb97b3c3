# The tables of leaf loops. The leaf loops themselves are cimported from leaves.pxd, which generate.py writes.
#
# A module that cimports any must call `import_leaves()` once, at its top level: `leaves` is a static pointer of each module,
# and all of them point at the one table that dispatch.pyx selected.
from cpython.pycapsule cimport PyCapsule_GetPointer


cdef extern from "shared/table.h":
    ctypedef struct LeafTable:
        const char *name

    const LeafTable *const *leaf_tables
    int leaf_table_supported(const LeafTable *table) noexcept nogil
    LeafTable *leaves


cdef inline int import_leaves() except -1:
    global leaves
    from fastsoftmax.kernels import dispatch

    leaves = <LeafTable *>PyCapsule_GetPointer(dispatch.table, b"fastsoftmax.leaves")
    return 0
