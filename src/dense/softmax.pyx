"""softmax, log_softmax and cross_entropy along the middle axis of C-contiguous arrays.

Short lines of softmax are one leaf call. For others, and for the loss, a first pass takes the log-sum-exp of each line,
and a second turns x into exp(x - shift) * coef or (x - shift) - coef.
"""
import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport NAN, expm1, isfinite
from libc.stdint cimport int64_t, uintptr_t
cimport shared.numpy_c as cnp

from dense.cached cimport SOFTMAX_COLUMN, all_lines, cached_columns_task, cached_rows_task
from dense.lines cimport (
    MAX_LINES, ROW_PART, SERIAL_SIZE, Layout, Unit, block_of, ceil_div, fold_of, is_small, layout_of,
    lse_log_masses, shares_parts, states_by_parts, unit_of, unit_states,
)
from leaves.cross_entropy cimport soft_target_loss, subtract_scaled
from leaves.normalize cimport normalize_columns, normalize_rows
from leaves.structs cimport LseState
from shared.fused cimport real
from shared.table cimport import_leaves

cnp.import_array()
import_leaves()

cdef enum:
    CACHED_BYTES = 1 << 19  # of a row: its softmax is written, then scaled while it is in the second-level cache
    LARGE_BYTES = 1 << 24   # of an output, which is written past the caches


cdef enum Kind:
    SOFTMAX
    LOG_SOFTMAX
    CROSS_ENTROPY


cdef struct Line:
    double shift, coef
    int64_t target      # cross_entropy: the class, or negative if the line is ignored
    double target_mass  # its weight
    double target_loss  # -log softmax there


cdef struct Targets:
    const int64_t *classes      # (n_lines,) or NULL
    const double *class_weight  # (n,) or NULL
    double class_mass           # of the target class: 1 - label_smoothing
    const double *soft_mass     # (n_lines or 1,): sums of the rows of soft targets
    Py_ssize_t soft_step        # from line to line in soft_mass: 1 or 0
    double grad_scale
    double *losses_out          # (n_lines,)


cdef Line softmax_line(Kind kind, const LseState *state, double log_mass) noexcept nogil:
    """Where the maximum is infinite or an element NaN, coef is such that the result is scipy's."""
    cdef Line line
    line.shift = state.max if isfinite(state.max) else 0
    line.target, line.target_mass, line.target_loss = 0, 0, 0
    if kind == LOG_SOFTMAX:
        line.coef = log_mass if isfinite(state.max) else state.max + state.rest
    else:
        line.coef = 1 / (state.ties + state.rest) if isfinite(state.max) else NAN
    return line


cdef Line cross_entropy_line(const real *x, Py_ssize_t step, const real *soft, Py_ssize_t n, const LseState *state,
                             double log_mass, const Targets *targets, Py_ssize_t index) noexcept nogil:
    """`x` is the line's first element and `step` what lies between two; `soft` its soft targets or NULL."""
    cdef Line line = softmax_line(SOFTMAX, state, log_mass)
    cdef double loss = 0, mass = 0
    if not isfinite(state.max):
        log_mass = NAN
    if targets.classes != NULL:
        line.target = targets.classes[index]
        if line.target < 0:
            targets.losses_out[index] = 0
            return line
        line.target_mass = targets.class_mass
        if targets.class_weight != NULL:
            line.target_mass *= targets.class_weight[line.target]
        line.target_loss = log_mass + (state.max - x[line.target * step])
        mass = line.target_mass
        loss = mass * line.target_loss if mass != 0 else 0
    if soft != NULL:
        mass += targets.soft_mass[index * targets.soft_step]
        loss += targets.soft_mass[index * targets.soft_step] * log_mass
        loss += soft_target_loss(x, soft, n, <real>state.max)
    targets.losses_out[index] = loss
    line.coef *= mass * targets.grad_scale
    return line


cdef void unit_lines(const real *x, const real *soft, Py_ssize_t soft_stride, const Layout *lay, const Unit *unit,
                     Kind kind, const Targets *targets, const LseState *states, Line *lines_out) noexcept nogil:
    cdef Py_ssize_t i, index
    cdef Py_ssize_t to_next_line = lay.n if lay.n_inner == 1 else 1
    cdef const real *soft_row = NULL
    cdef double log_masses[MAX_LINES]
    if kind != SOFTMAX:
        lse_log_masses(states, unit.n_lines, log_masses)
    for i in range(unit.n_lines):
        if kind != CROSS_ENTROPY:
            lines_out[i] = softmax_line(kind, &states[i], log_masses[i])
            continue
        index = unit.first_line + i
        if soft != NULL:
            soft_row = soft + index * soft_stride
        lines_out[i] = cross_entropy_line(x + unit.offset + i * to_next_line, lay.n_inner, soft_row, lay.n, &states[i],
                                          log_masses[i], targets, index)


cdef inline bint is_large(const Layout *lay, Py_ssize_t itemsize) noexcept nogil:
    return lay.n_outer * lay.n * lay.n_inner >= LARGE_BYTES // itemsize


cdef void write_part(const real *x, const Layout *lay, const Unit *unit, Py_ssize_t part, Kind kind, const Line *lines,
                     real *y_out) noexcept nogil:
    cdef bint log = kind == LOG_SOFTMAX
    cdef bint past = kind != CROSS_ENTROPY and x != y_out and is_large(lay, sizeof(real))
    cdef Py_ssize_t start = part * lay.part, len = min(lay.part, lay.n - start), fold, n_folded, i
    cdef Py_ssize_t offset = unit.offset + start * lay.n_inner
    cdef real shift[MAX_LINES]
    cdef real coef[MAX_LINES]
    fold = 1 if lay.n_inner == 1 else fold_of(lay, len)
    for i in range(unit.n_lines):
        shift[i] = <real>lines[i].shift
        coef[i] = <real>lines[i].coef
    for i in range(unit.n_lines, fold * unit.n_lines):
        shift[i] = shift[i - unit.n_lines]
        coef[i] = coef[i - unit.n_lines]
    x += offset
    y_out += offset
    if lay.n_inner == 1:
        normalize_rows(x, unit.n_lines, len, shift, coef, log, past, y_out)
        return
    n_folded = len // fold
    normalize_columns(x, n_folded, fold * lay.n_inner, fold * unit.n_lines, shift, coef, log, y_out)
    offset = n_folded * fold * lay.n_inner
    normalize_columns(x + offset, 1, 0, len % fold * unit.n_lines, shift, coef, log, y_out + offset)


cdef void subtract_targets(const real *soft, Py_ssize_t soft_stride, const Layout *lay, const Unit *unit,
                           Py_ssize_t part, const Targets *targets, const Line *lines, real *y_out) noexcept nogil:
    """Makes the gradient of what write_part wrote."""
    cdef Py_ssize_t start = part * lay.part, len = min(lay.part, lay.n - start), i, k
    cdef Py_ssize_t to_next_line = lay.n if lay.n_inner == 1 else 1
    cdef double scale = targets.grad_scale
    cdef real *row
    for i in range(unit.n_lines):
        row = y_out + unit.offset + i * to_next_line + start * lay.n_inner
        k = lines[i].target - start
        if lines[i].target < 0:
            for k in range(len):
                row[k * lay.n_inner] = 0
            continue
        if soft != NULL:
            subtract_scaled(soft + (unit.first_line + i) * soft_stride + start, len, <real>scale, row)
            if 0 <= k < len:
                row[k * lay.n_inner] -= <real>(scale * lines[i].target_mass)
        elif 0 <= k < len:  # softmax - 1, without cancellation
            row[k * lay.n_inner] = <real>(scale * lines[i].target_mass * expm1(-lines[i].target_loss))


cdef void finish_part(const real *x, const real *soft, Py_ssize_t soft_stride, const Layout *lay, const Unit *unit,
                      Py_ssize_t part, Kind kind, const Targets *targets, const Line *lines,
                      real *y_out) noexcept nogil:
    write_part(x, lay, unit, part, kind, lines, y_out)
    if kind == CROSS_ENTROPY:
        subtract_targets(soft, soft_stride, lay, unit, part, targets, lines, y_out)


cdef void unit_task(const real *x, const real *soft, Py_ssize_t soft_stride, const Layout *lay, Py_ssize_t task,
                    Kind kind, const Targets *targets, real *y_out) noexcept nogil:
    cdef Unit unit = unit_of(lay, task)
    cdef LseState states[MAX_LINES]
    cdef Line lines[MAX_LINES]
    cdef Py_ssize_t part
    unit_states(x, <const real *>NULL, 0, lay, &unit, states)
    unit_lines(x, soft, soft_stride, lay, &unit, kind, targets, states, lines)
    if y_out != NULL:
        for part in range(lay.n_parts):  # backwards: what was read last is still in a cache
            finish_part(x, soft, soft_stride, lay, &unit, lay.n_parts - 1 - part, kind, targets, lines, y_out)


cdef void lines_task(const real *x, const real *soft, Py_ssize_t soft_stride, const Layout *lay, Py_ssize_t task,
                     Kind kind, const Targets *targets, const LseState *states, Line *lines_out) noexcept nogil:
    cdef Unit unit = unit_of(lay, task)
    unit_lines(x, soft, soft_stride, lay, &unit, kind, targets, states + unit.first_line, lines_out + unit.first_line)


cdef void finish_task(const real *x, const real *soft, Py_ssize_t soft_stride, const Layout *lay, Py_ssize_t task,
                      Kind kind, const Targets *targets, const Line *lines, real *y_out) noexcept nogil:
    cdef Unit unit = unit_of(lay, task // lay.n_parts)
    finish_part(x, soft, soft_stride, lay, &unit, task % lay.n_parts, kind, targets, lines + unit.first_line, y_out)


cdef int run(const real *x, const real *soft, Py_ssize_t soft_stride, Layout lay, Kind kind, const Targets *targets,
             real *y_out, int n_threads) except -1:
    """Both passes over all of x; y_out may be x, or NULL when only the losses are wanted."""
    cdef Py_ssize_t task, begin, end, step = block_of(&lay, lay.n_units, n_threads), n_tasks = lay.n_units * lay.n_parts
    cdef double[:, :, ::1] memory
    cdef LseState *states
    cdef const unsigned char[::1] line_memory
    cdef Line *lines
    if lay.n_outer * lay.n * lay.n_inner <= SERIAL_SIZE:
        n_threads = 1
    if not shares_parts(&lay, n_threads):
        for begin in range(0, lay.n_units, step):
            end = min(begin + step, lay.n_units)
            for task in prange(begin, end, num_threads=n_threads, schedule="static", nogil=True):
                unit_task(x, soft, soft_stride, &lay, task, kind, targets, y_out)
            PyErr_CheckSignals()
        return 0
    memory = np.empty((lay.n_parts, lay.n_outer * lay.n_inner, 3))
    states = <LseState *>&memory[0, 0, 0]
    states_by_parts(x, <const real *>NULL, 0, &lay, n_threads, states)
    line_memory = np.empty(lay.n_outer * lay.n_inner * sizeof(Line), np.uint8)
    lines = <Line *>&line_memory[0]
    for task in prange(lay.n_units, num_threads=n_threads, schedule="static", nogil=True):
        lines_task(x, soft, soft_stride, &lay, task, kind, targets, states, lines)
    if y_out == NULL:
        return 0
    step = block_of(&lay, n_tasks, n_threads)
    for begin in range(0, n_tasks, step):
        end = min(begin + step, n_tasks)
        for task in prange(begin, end, num_threads=n_threads, schedule="static", nogil=True):
            finish_task(x, soft, soft_stride, &lay, n_tasks - 1 - task, kind, targets, lines, y_out)
        PyErr_CheckSignals()
    return 0


cdef double sum_by_blocks(const double *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t start, i
    cdef double total = 0, part
    for start in range(0, n, 256):
        part = 0
        for i in range(start, min(start + 256, n)):
            part += x[i]
        total += part
    return total


def count_classes(const int64_t[::1] classes, int64_t n_classes):
    """How many class codes are from 0 to n_classes - 1."""
    cdef Py_ssize_t i, n = 0
    for i in range(classes.shape[0]):
        n += 0 <= classes[i] < n_classes
    return n


def softmax(
    const real[:, :, ::1] x,    # IN (n_outer, n, n_inner), not empty
    real[:, :, ::1] y_out,      # OUT the same; may be x
    bint log,
    int n_threads,
):
    cdef Layout lay = layout_of(x.shape[0], x.shape[1], x.shape[2])
    cdef const real *x_ptr = &x[0, 0, 0]
    cdef real *y_ptr = &y_out[0, 0, 0]
    cdef Py_ssize_t task, width, begin, end, step, n_tasks, buffer_size = 0
    cdef real[:, ::1] buffer
    cdef real *buffer_ptr = NULL
    cdef bint past = x_ptr != y_ptr and is_large(&lay, sizeof(real))
    if lay.n_outer * lay.n * lay.n_inner <= SERIAL_SIZE:
        n_threads = 1
    if lay.n_inner == 1 and lay.n <= CACHED_BYTES // <Py_ssize_t>sizeof(real):
        if past:
            buffer_size = max(lay.n, ROW_PART)
            buffer = np.empty((n_threads, buffer_size), np.asarray(x).dtype)
            buffer_ptr = &buffer[0, 0]
        step = block_of(&lay, lay.n_units, n_threads)
        for begin in range(0, lay.n_units, step):
            end = min(begin + step, lay.n_units)
            for task in prange(begin, end, num_threads=n_threads, schedule="static", nogil=True):
                cached_rows_task(x_ptr, &lay, task, log, buffer_ptr, buffer_size, y_ptr)
            PyErr_CheckSignals()
    elif lay.n_inner > 1 and lay.n <= SOFTMAX_COLUMN:
        width = ROW_PART // lay.n
        n_tasks = lay.n_outer * ceil_div(lay.n_inner, width)
        step = block_of(&lay, n_tasks, n_threads)
        for begin in range(0, n_tasks, step):
            end = min(begin + step, n_tasks)
            for task in prange(begin, end, num_threads=n_threads, schedule="static", nogil=True):
                cached_columns_task(x_ptr, &lay, width, task, log, past, y_ptr)
            PyErr_CheckSignals()
    else:
        run(x_ptr, <const real *>NULL, 0, lay, LOG_SOFTMAX if log else SOFTMAX, NULL, y_ptr, n_threads)


def small_softmax(x, axis, out, n_threads, bint log):
    """The softmax of a small array in one step; None for what `is_small` does not know, or another kind of `out`."""
    cdef Layout lay = layout_of(0, 0, 1)
    cdef cnp.ndarray a, y
    cdef Py_ssize_t distance
    if not is_small(x, axis, n_threads, &lay) or (lay.n_inner > 1 and lay.n > SOFTMAX_COLUMN):
        return None
    a = x
    if out is None:
        y = cnp.PyArray_EMPTY(a.ndim, a.shape, cnp.PyArray_TYPE(a), 0)
    else:
        if not (cnp.PyArray_CheckExact(out) and cnp.PyArray_ISCARRAY(out) and cnp.PyArray_SAMESHAPE(a, out)
                and cnp.PyArray_TYPE(out) == cnp.PyArray_TYPE(a)):
            return None
        y = out
        distance = <uintptr_t>cnp.PyArray_DATA(y) - <uintptr_t>cnp.PyArray_DATA(a)
        if 0 < abs(distance) < cnp.PyArray_NBYTES(a):
            return None
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32:
        all_lines(<const float *>cnp.PyArray_DATA(a), &lay, log, <float *>cnp.PyArray_DATA(y))
    else:
        all_lines(<const double *>cnp.PyArray_DATA(a), &lay, log, <double *>cnp.PyArray_DATA(y))
    return y


cdef void all_losses(const real *x, const Layout *lay, const Targets *targets, real *dx_out) noexcept:
    cdef Py_ssize_t task
    for task in range(lay.n_units):
        unit_task(x, <const real *>NULL, 0, lay, task, CROSS_ENTROPY, targets, dx_out)


def small_cross_entropy(x, target, bint mean, bint return_grad, n_threads):
    """The loss, and the gradient or None, of small (N, C) logits and N class codes in one step; None for other arguments."""
    cdef Layout lay = layout_of(0, 0, 1)
    cdef cnp.ndarray a, classes, losses, dx = None
    cdef Targets targets
    cdef Py_ssize_t i
    if not is_small(x, 1, n_threads, &lay) or (<cnp.ndarray>x).ndim != 2 or not cnp.PyArray_CheckExact(target):
        return None
    a, classes = x, target
    if not (classes.ndim == 1 and classes.shape[0] == lay.n_outer and cnp.PyArray_TYPE(classes) == cnp.NPY_INT64
            and cnp.PyArray_ISCARRAY_RO(classes)):
        return None
    targets.classes = <const int64_t *>cnp.PyArray_DATA(classes)
    for i in range(lay.n_outer):
        if not 0 <= targets.classes[i] < lay.n:
            return None
    losses = cnp.PyArray_EMPTY(1, classes.shape, cnp.NPY_FLOAT64, 0)
    targets.class_weight, targets.class_mass, targets.soft_mass, targets.soft_step = NULL, 1, NULL, 0
    targets.grad_scale = 1.0 / lay.n_outer if mean else 1.0
    targets.losses_out = <double *>cnp.PyArray_DATA(losses)
    if return_grad:
        dx = cnp.PyArray_EMPTY(2, a.shape, cnp.PyArray_TYPE(a), 0)
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32:
        all_losses(<const float *>cnp.PyArray_DATA(a), &lay, &targets,
                   <float *>cnp.PyArray_DATA(dx) if return_grad else <float *>NULL)
    else:
        all_losses(<const double *>cnp.PyArray_DATA(a), &lay, &targets,
                   <double *>cnp.PyArray_DATA(dx) if return_grad else <double *>NULL)
    return sum_by_blocks(targets.losses_out, lay.n_outer) * targets.grad_scale, dx


def cross_entropy(
    const real[:, :, ::1] x,           # IN (n_outer, n, n_inner), not empty
    const int64_t[::1] classes,        # IN (n_outer * n_inner,) or None; negative: ignored
    const double[::1] class_weight,    # IN (n,) or None
    double class_mass,                 # IN of the target class: 1 - label_smoothing
    const real[:, ::1] soft,           # IN None, or target masses to add, (n_outer or 1, n) with n_inner == 1
    const double[::1] soft_mass,       # IN their sums by row
    double grad_scale,
    double[::1] losses_out,            # OUT (n_outer * n_inner,)
    real[:, :, ::1] dx_out,            # OUT gradient of grad_scale * losses.sum(), or None
    int n_threads,
):
    """Returns the sum of the losses."""
    cdef Targets targets
    cdef const real *soft_ptr = NULL
    cdef Py_ssize_t soft_stride = 0
    targets.classes = NULL
    targets.class_weight = NULL
    if classes is not None:
        targets.classes = &classes[0]
    if class_weight is not None:
        targets.class_weight = &class_weight[0]
    targets.class_mass = class_mass
    targets.grad_scale = grad_scale
    targets.losses_out = &losses_out[0]
    targets.soft_mass = NULL
    targets.soft_step = 0
    if soft is not None:
        soft_ptr = &soft[0, 0]
        soft_stride = x.shape[1] if soft.shape[0] > 1 else 0
        targets.soft_mass = &soft_mass[0]
        targets.soft_step = 1 if soft.shape[0] > 1 else 0
    run(&x[0, 0, 0], soft_ptr, soft_stride, layout_of(x.shape[0], x.shape[1], x.shape[2]), CROSS_ENTROPY, &targets,
        <real *>NULL if dx_out is None else &dx_out[0, 0, 0], n_threads)
    return sum_by_blocks(&losses_out[0], losses_out.shape[0])
