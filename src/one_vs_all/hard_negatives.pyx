"""One-vs-all problems of the squared hinge over rows of their own: the positives of a class, and its hard negatives.

A thread solves a class, whatever the others do, so results are the same for any number of threads.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
cimport shared.numpy_c as cnp

import numpy as np

from leaves.hard_negatives cimport solve_hard_negatives
from leaves.structs cimport HARD_FEATURE_ARRAYS, HARD_ROW_ARRAYS, HardClass, HardRows, HardScratch
from shared.fused cimport index, real
from shared.table cimport import_leaves

cnp.import_array()
import_leaves()

MULTIPLE = 16           # elements of the widest vector: those of arrays by feature are a multiple of it
ROW_ARRAYS, FEATURE_ARRAYS = HARD_ROW_ARRAYS, HARD_FEATURE_ARRAYS


def rows_by_class(
    const index[::1] class_ids, const int64_t[::1] class_ptr, const int64_t[::1] indptr, Py_ssize_t n_classes
):
    """The rows of each class by a counting sort, which takes no memory but for its result.

    Parameters
    ----------
    class_ids : the classes of row i are class_ids[class_ptr[i]:class_ptr[i + 1]], each once; -1: none
    indptr : (n_rows + 1,) of the CSR rows

    Returns
    -------
    starts : (n_classes + 1,) where the rows of each class begin
    rows : int32, ascending within a class
    entries : (n_classes,) the number of entries of the rows of each class
    """
    cdef Py_ssize_t i, j, n_rows = indptr.shape[0] - 1
    cdef index k
    # ends[k + 1] counts the rows of class k, then is where the next one of them goes, which in the end is where they end
    ends, sums = np.zeros(n_classes + 2, np.int64), np.zeros(n_classes, np.int64)
    cdef int64_t[::1] next = ends[1:], counts = ends[2:], entries = sums
    with nogil:
        for i in range(n_rows):
            for j in range(class_ptr[i], class_ptr[i + 1]):
                k = class_ids[j]
                if k >= 0:
                    counts[k] += 1
                    entries[k] += indptr[i + 1] - indptr[i]
    np.cumsum(ends, out=ends)
    found = np.empty(ends[n_classes + 1], np.int32)
    cdef int32_t[::1] rows = found
    with nogil:
        for i in range(n_rows):
            for j in range(class_ptr[i], class_ptr[i + 1]):
                k = class_ids[j]
                if k >= 0:
                    rows[next[k]] = <int32_t>i
                    next[k] += 1
    return ends[:n_classes + 1], found, sums


def solve(
    const int64_t[::1] indptr, const int32_t[::1] indices, const real[::1] data,    # of the CSR rows
    const real[::1] weight,         # (n_rows,) of their losses
    const real[::1] scale,          # (n_features,) factors of the weights that are found
    positives, negatives,           # of all classes: what `rows_by_class` returns
    const double[::1] positive_weight,      # (n_classes,) factors of the weights of positives
    double tol, double min_weight,
    const int64_t[::1] classes,     # those to solve, in the order in which they are begun
    scratch,                        # arrays with a row for each thread, see HardScratch; places are -1
    const int64_t[::1] out_ptr,     # where there is room for the weights of each of `classes`
    int32_t[::1] features_out, real[::1] weights_out,
    int64_t[::1] counts_out,        # how many weights they have; -1: gradients overflow
    int n_threads,
):
    """Solve some classes."""
    cdef HardRows rows
    cdef HardSides sides
    cdef Py_ssize_t c, n = classes.shape[0]
    cdef const HardScratch *memory
    if n == 0 or data.shape[0] == 0:
        counts_out[:] = 0
        return
    rows.indptr, rows.indices, rows.data, rows.weight = &indptr[0], &indices[0], &data[0], &weight[0]
    sides.positives_ptr = <const int64_t *>cnp.PyArray_DATA(positives[0])
    sides.negatives_ptr = <const int64_t *>cnp.PyArray_DATA(negatives[0])
    sides.positives = <const int32_t *>cnp.PyArray_DATA(positives[1])
    sides.negatives = <const int32_t *>cnp.PyArray_DATA(negatives[1])
    sides.positive_weight = &positive_weight[0]
    cdef int32_t *features = &features_out[0] if features_out.shape[0] else NULL
    cdef real *weights = &weights_out[0] if weights_out.shape[0] else NULL
    structs = memory_of_threads(scratch, n_threads)
    memory = <const HardScratch *>cnp.PyArray_DATA(structs)
    for c in prange(n, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
        counts_out[c] = solve_class(&rows, &sides, classes[c], memory + threadid(), &scale[0], tol, min_weight,
                                    features + out_ptr[c], weights + out_ptr[c])


cdef struct HardSides:
    const int64_t *positives_ptr
    const int64_t *negatives_ptr
    const int32_t *positives
    const int32_t *negatives
    const double *positive_weight


cdef memory_of_threads(scratch, int n_threads):
    """A HardScratch for each thread, as bytes."""
    cdef HardScratch s
    cdef Py_ssize_t t
    memory = np.empty((n_threads, sizeof(HardScratch)), np.uint8)
    for t in range(n_threads):
        s.places, s.feature_ids = <int32_t *>row(scratch.places, t), <int32_t *>row(scratch.feature_ids, t)
        s.starts, s.active = <int64_t *>row(scratch.starts, t), <int32_t *>row(scratch.active, t)
        s.entry_features, s.entries = <int32_t *>row(scratch.entry_features, t), row(scratch.entries, t)
        s.rows, s.features = row(scratch.rows, t), row(scratch.features, t)
        s.row_stride, s.feature_stride = scratch.rows.shape[2], scratch.features.shape[2]
        (<HardScratch *>cnp.PyArray_DATA(memory))[t] = s
    return memory


cdef void *row(array, Py_ssize_t t):
    return cnp.PyArray_DATA(array[t])


cdef Py_ssize_t solve_class(
    const HardRows *rows, const HardSides *sides, Py_ssize_t k, const HardScratch *scratch, const real *scale, double tol,
    double min_weight, int32_t *features_out, real *weights_out
) noexcept nogil:
    cdef HardClass problem
    problem.positives = sides.positives + sides.positives_ptr[k]
    problem.negatives = sides.negatives + sides.negatives_ptr[k]
    problem.n_positives = sides.positives_ptr[k + 1] - sides.positives_ptr[k]
    problem.n_negatives = sides.negatives_ptr[k + 1] - sides.negatives_ptr[k]
    problem.positive_weight = sides.positive_weight[k]
    return solve_hard_negatives(rows, &problem, scratch, scale, tol, min_weight, features_out, weights_out)
