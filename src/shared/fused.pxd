# The fused types of all kernels. Index arrays come as int32 or int64 (scipy.sparse has both); offsets are Py_ssize_t.
from libc.stdint cimport int32_t, int64_t

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t
