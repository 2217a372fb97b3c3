# What the kernels use of NumPy's C interface. numpy.pxd declares all of it: each module would have some two thousand lines
# of C that it never calls, which Cython takes time to write, and its import would look up twenty types.
cdef extern from "numpy/arrayobject.h":
    ctypedef Py_ssize_t npy_intp
    enum: NPY_INT64, NPY_FLOAT32, NPY_FLOAT64

    ctypedef class numpy.ndarray [object PyArrayObject, check_size ignore]:
        @property
        cdef inline int ndim(self) noexcept nogil:
            return PyArray_NDIM(self)

        @property
        cdef inline npy_intp *shape(self) noexcept nogil:
            return PyArray_DIMS(self)

    int _import_array() except -1
    int PyArray_NDIM(ndarray a) nogil
    npy_intp *PyArray_DIMS(ndarray a) nogil
    void *PyArray_DATA(ndarray a) nogil
    npy_intp PyArray_STRIDE(ndarray a, int axis) nogil
    npy_intp PyArray_ITEMSIZE(ndarray a) nogil
    npy_intp PyArray_SIZE(ndarray a) nogil
    npy_intp PyArray_NBYTES(ndarray a) nogil
    int PyArray_TYPE(ndarray a) nogil
    bint PyArray_ISCARRAY(ndarray a) nogil
    bint PyArray_ISCARRAY_RO(ndarray a) nogil
    bint PyArray_SAMESHAPE(ndarray a, ndarray b) nogil
    bint PyArray_CheckExact(object a)
    object PyArray_EMPTY(int ndim, npy_intp *shape, int type, int fortran)


cdef inline int import_array() except -1:
    """A module that calls any function of NumPy's table must call this once, at its top level."""
    return _import_array()
