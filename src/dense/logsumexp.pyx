"""log |sum b exp(x)| along the middle axis of C-contiguous arrays."""
import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, isnan
cimport shared.numpy_c as cnp

from dense.lines cimport (
    MAX_LINES, SERIAL_SIZE, Layout, Unit, block_of, is_small, layout_of, lse_log_mass, lse_log_masses, shares_parts,
    states_by_parts, unit_of, unit_states,
)
from leaves.structs cimport LseState
from shared.fused cimport real
from shared.table cimport import_leaves

cnp.import_array()
import_leaves()


cdef void lse_finish(const LseState *states, Py_ssize_t n_lines, bint weighted, real *values_out,
                     real *signs_out) noexcept nogil:
    """log |sum b exp(x)| and the sum's sign; without `signs_out`, a negative sum is NaN."""
    cdef Py_ssize_t i
    cdef double log_masses[MAX_LINES]
    cdef double value, mass
    if weighted:
        for i in range(n_lines):
            log_masses[i] = lse_log_mass(&states[i])
    else:
        lse_log_masses(states, n_lines, log_masses)
    for i in range(n_lines):
        value = states[i].max + log_masses[i]
        mass = states[i].ties + states[i].rest
        if signs_out == NULL:
            values_out[i] = <real>(NAN if mass < 0 and value > -INFINITY else value)
        else:
            values_out[i] = <real>value
            signs_out[i] = <real>(value if isnan(value) else 0 if value == -INFINITY else -1 if mass < 0 else 1)


cdef void lse_task(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, Py_ssize_t task,
                   const LseState *done, real *values_out, real *signs_out) noexcept nogil:
    """One unit; `done`, unless NULL, are the states of all lines."""
    cdef Unit unit = unit_of(lay, task)
    cdef LseState states[MAX_LINES]
    if done == NULL:
        unit_states(x, b, b_stride, lay, &unit, states)
        done = states
    else:
        done += unit.first_line
    lse_finish(done, unit.n_lines, b != NULL, values_out + unit.first_line,
               signs_out + unit.first_line if signs_out != NULL else signs_out)


def logsumexp(
    const real[:, :, ::1] x,    # IN (n_outer, n, n_inner), not empty
    const real[:, ::1] b,       # IN None, or (n_outer or 1, n) with n_inner == 1
    real[::1] values_out,       # OUT (n_outer * n_inner,)
    real[::1] signs_out,        # OUT the same, or None
    int n_threads,
):
    cdef Layout lay = layout_of(x.shape[0], x.shape[1], x.shape[2])
    cdef const real *x_ptr = &x[0, 0, 0]
    cdef const real *b_ptr = NULL
    cdef real *values_ptr = &values_out[0]
    cdef real *signs_ptr = NULL
    cdef Py_ssize_t b_stride = 0, task, begin, end, step
    cdef double[:, :, ::1] memory
    cdef LseState *states = NULL
    if b is not None:
        b_ptr = &b[0, 0]
        b_stride = lay.n if b.shape[0] > 1 else 0
    if signs_out is not None:
        signs_ptr = &signs_out[0]
    if x.size <= SERIAL_SIZE:
        n_threads = 1
    if shares_parts(&lay, n_threads):
        memory = np.empty((lay.n_parts, lay.n_outer * lay.n_inner, 3))
        states = <LseState *>&memory[0, 0, 0]
        states_by_parts(x_ptr, b_ptr, b_stride, &lay, n_threads, states)
    step = block_of(&lay, lay.n_units, n_threads)
    for begin in range(0, lay.n_units, step):
        end = min(begin + step, lay.n_units)
        for task in prange(begin, end, num_threads=n_threads, schedule="static", nogil=True):
            lse_task(x_ptr, b_ptr, b_stride, &lay, task, states, values_ptr, signs_ptr)
        PyErr_CheckSignals()


cdef void all_tasks(const real *x, const Layout *lay, real *values_out) noexcept:
    cdef Py_ssize_t task
    for task in range(lay.n_units):
        lse_task(x, <const real *>NULL, 0, lay, task, NULL, values_out, <real *>NULL)


def small_logsumexp(x, axis, n_threads):
    """logsumexp(x, axis) of a small array in one step; None for what `is_small` does not know."""
    cdef Layout lay = layout_of(0, 0, 1)
    cdef cnp.ndarray a, values
    cdef cnp.npy_intp shape[32]
    cdef int i, k, ndim = 0
    if not is_small(x, axis, n_threads, &lay) or (<cnp.ndarray>x).ndim > 32:
        return None
    a = x
    if axis is not None:
        k = axis
        k += a.ndim if k < 0 else 0
        for i in range(a.ndim):
            if i != k:
                shape[ndim] = a.shape[i]
                ndim += 1
    values = cnp.PyArray_EMPTY(ndim, shape, cnp.PyArray_TYPE(a), 0)
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32:
        all_tasks(<const float *>cnp.PyArray_DATA(a), &lay, <float *>cnp.PyArray_DATA(values))
    else:
        all_tasks(<const double *>cnp.PyArray_DATA(a), &lay, <double *>cnp.PyArray_DATA(values))
    return values if ndim else values[()]
