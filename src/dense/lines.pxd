# Lines: what one softmax is over, along the middle axis of C-contiguous arrays (n_outer, n, n_inner).
#
# A *line* is n elements, n_inner apart; line i*n_inner + j is x[i, :, j]. Lines are worked on in *units*: up to MAX_LINES
# adjacent rows (n_inner == 1) or columns. The elements of a unit come in *parts* of fixed length, whose log-sum-exps are
# merged in order. Threads take units, or single parts where there are few units: who takes what does not change a bit of
# the result.
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
cimport shared.numpy_c as cnp

from leaves.logsumexp cimport lse_columns, lse_rows
from leaves.structs cimport LseState
from shared.fused cimport real


cdef extern from "shared/table.h":
    const LseState EMPTY_LSE
    void lse_merge(LseState *state, const LseState *other) noexcept nogil
    double lse_log_mass(const LseState *state) noexcept nogil
    # log(ties + rest) of states without weights, not empty
    void lse_log_masses "leaves->lse_log_masses"(const LseState *states, Py_ssize_t n, double *log_masses_out) noexcept nogil


cdef enum:
    MAX_LINES = 256         # of a unit: their states are on the stack
    ROW_PART = 1 << 15      # elements of a part, and of a unit of short rows
    COLUMN_PART = 1 << 16
    SERIAL_SIZE = 1 << 17   # elements up to which starting threads costs more than it saves
    SMALL_SIZE = 1 << 13    # elements up to which the steps of a call in Python cost more than the work
    BLOCK_SIZE = 1 << 28    # elements between two looks at signals: a tenth of a second or so


cdef struct Layout:
    Py_ssize_t n_outer, n, n_inner
    Py_ssize_t width            # lines of a unit
    Py_ssize_t units_per_outer  # with columns
    Py_ssize_t n_units
    Py_ssize_t part             # elements of a line in a part
    Py_ssize_t n_parts


cdef struct Unit:
    Py_ssize_t first_line
    Py_ssize_t n_lines
    Py_ssize_t offset           # of the first line's first element


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline Layout layout_of(Py_ssize_t n_outer, Py_ssize_t n, Py_ssize_t n_inner) noexcept nogil:
    cdef Layout lay
    lay.n_outer, lay.n, lay.n_inner = n_outer, n, n_inner
    if n_inner == 1:
        lay.width = max(1, min(ROW_PART // max(n, 1), <Py_ssize_t>MAX_LINES))
        lay.units_per_outer = 0
        lay.n_units = ceil_div(n_outer, lay.width)
        lay.part = ROW_PART
    else:
        lay.width = min(n_inner, <Py_ssize_t>MAX_LINES)
        lay.units_per_outer = ceil_div(n_inner, lay.width)
        lay.n_units = n_outer * lay.units_per_outer
        lay.part = COLUMN_PART // lay.width
    lay.n_parts = ceil_div(n, lay.part)
    return lay


cdef inline bint is_small(object x, object axis, object n_threads, Layout *lay_out):
    """Whether these arguments are at sight what nearly every call on a small array has. Of all others, Python code takes
    care: it checks, converts and reports them."""
    cdef cnp.ndarray a
    cdef Py_ssize_t n_outer = 1, n_inner = 1, n, i, k
    if n_threads is not None or not cnp.PyArray_CheckExact(x):
        return False
    a = x
    if cnp.PyArray_TYPE(a) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64) or not cnp.PyArray_ISCARRAY_RO(a):
        return False
    if a.ndim == 0 or not 0 < cnp.PyArray_SIZE(a) <= SMALL_SIZE:
        return False
    if axis is None:
        n = cnp.PyArray_SIZE(a)
    elif type(axis) is int and -a.ndim <= axis < a.ndim:
        k = axis
        k += a.ndim if k < 0 else 0
        n = a.shape[k]
        for i in range(k):
            n_outer *= a.shape[i]
        for i in range(k + 1, a.ndim):
            n_inner *= a.shape[i]
    else:
        return False
    lay_out[0] = layout_of(n_outer, n, n_inner)
    return True


cdef inline Unit unit_of(const Layout *lay, Py_ssize_t index) noexcept nogil:
    cdef Unit unit
    cdef Py_ssize_t outer, column
    if lay.n_inner == 1:
        unit.first_line = index * lay.width
        unit.n_lines = min(lay.width, lay.n_outer - unit.first_line)
        unit.offset = unit.first_line * lay.n
    else:
        outer = index // lay.units_per_outer
        column = index % lay.units_per_outer * lay.width
        unit.first_line = outer * lay.n_inner + column
        unit.n_lines = min(lay.width, lay.n_inner - column)
        unit.offset = outer * lay.n * lay.n_inner + column
    return unit


cdef inline Py_ssize_t fold_of(const Layout *lay, Py_ssize_t len) noexcept nogil:
    """How many rows of few columns to take as one wider row, to fill the vectors."""
    return max(1, min(MAX_LINES // lay.n_inner, len))


cdef inline void part_states(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, const Unit *unit,
                             Py_ssize_t part, LseState *states_out) noexcept nogil:
    cdef Py_ssize_t start = part * lay.part, len = min(lay.part, lay.n - start), fold, n_folded, i
    cdef LseState folded[MAX_LINES]
    cdef LseState *columns = states_out
    x += unit.offset + start * lay.n_inner
    if lay.n_inner == 1:
        for i in range(unit.n_lines):
            states_out[i] = EMPTY_LSE
        if b != NULL:
            b += unit.first_line * b_stride + start
        lse_rows(x, b, b_stride, unit.n_lines, len, states_out)
        return
    fold = fold_of(lay, len)
    n_folded = len // fold
    if fold > 1:
        columns = folded
    for i in range(fold * unit.n_lines):
        columns[i] = EMPTY_LSE
    lse_columns(x, n_folded, fold * lay.n_inner, fold * unit.n_lines, columns)
    if fold > 1:
        lse_columns(x + n_folded * fold * lay.n_inner, 1, 0, len % fold * unit.n_lines, columns)
        for i in range(unit.n_lines):
            states_out[i] = columns[i]
        for i in range(1, fold):
            merge_lines(states_out, &columns[i * unit.n_lines], unit.n_lines)


cdef inline void merge_lines(LseState *states, const LseState *others, Py_ssize_t n_lines) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_lines):
        lse_merge(&states[i], &others[i])


cdef inline void unit_states(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, const Unit *unit,
                             LseState *states_out) noexcept nogil:
    cdef LseState states[MAX_LINES]
    cdef Py_ssize_t part
    part_states(x, b, b_stride, lay, unit, 0, states_out)
    for part in range(1, lay.n_parts):
        part_states(x, b, b_stride, lay, unit, part, states)
        merge_lines(states_out, states, unit.n_lines)


cdef inline void part_states_task(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, Py_ssize_t task,
                                  LseState *states_out) noexcept nogil:
    """One part of one unit; states_out is (n_parts, n_lines)."""
    cdef Unit unit = unit_of(lay, task // lay.n_parts)
    cdef Py_ssize_t part = task % lay.n_parts
    part_states(x, b, b_stride, lay, &unit, part, states_out + part * lay.n_outer * lay.n_inner + unit.first_line)


cdef inline Py_ssize_t size_of(const Layout *lay) noexcept nogil:
    return lay.n_outer * lay.n * lay.n_inner


cdef inline Py_ssize_t block_of(const Layout *lay, Py_ssize_t n_tasks, int n_threads) noexcept nogil:
    """How many of the tasks that lines are divided into to work on before Python looks at signals again."""
    return max(n_threads, <Py_ssize_t>(n_tasks * min(1.0, <double>BLOCK_SIZE / size_of(lay))))


cdef inline int states_by_parts(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, int n_threads,
                                LseState *states_out) except -1:
    """The states of all lines, in [0] of states_out (n_parts, n_lines)."""
    cdef Py_ssize_t n_lines = lay.n_outer * lay.n_inner, n_tasks = lay.n_units * lay.n_parts, task, part
    cdef Py_ssize_t begin, end, step = block_of(lay, n_tasks, n_threads)
    for begin in range(0, n_tasks, step):
        end = min(begin + step, n_tasks)
        for task in prange(begin, end, num_threads=n_threads, schedule="static", nogil=True):
            part_states_task(x, b, b_stride, lay, task, states_out)
        PyErr_CheckSignals()
    for part in range(1, lay.n_parts):
        merge_lines(states_out, states_out + part * n_lines, n_lines)
    return 0


cdef inline bint shares_parts(const Layout *lay, int n_threads) noexcept nogil:
    """Whether there are too few units for the threads, where it pays, since the states go through memory; or each would
    keep signals waiting."""
    if lay.n_parts == 1:
        return False
    return (n_threads > 1 and lay.n_units < 4 * n_threads) or size_of(lay) // lay.n_units >= BLOCK_SIZE
