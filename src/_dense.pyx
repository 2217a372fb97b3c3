"""Softmax and its kin along the middle axis of C-contiguous arrays (n_outer, n, n_inner).

A *line* is what one softmax is over: n elements, n_inner apart; line i*n_inner + j is x[i, :, j]. Lines are worked on
in *units*: up to MAX_LINES adjacent rows (n_inner == 1) or columns. The elements of a unit come in *parts* of fixed
length, whose log-sum-exps are merged in order. Threads take units, or single parts where there are few units: who takes
what does not change a bit of the result.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, expm1, isfinite, isnan
from libc.stdint cimport int64_t

from _rowops cimport (
    LseState, import_rowops, lse_columns, lse_log_mass, lse_log_masses, lse_merge, lse_rows, normalize_columns,
    normalize_rows, soft_target_loss, subtract_scaled,
)
from _types cimport real

import_rowops()

cdef enum:
    MAX_LINES = 256         # of a unit: their states are on the stack
    ROW_PART = 1 << 15      # elements of a part, and of a unit of short rows
    COLUMN_PART = 1 << 16
    SERIAL_SIZE = 1 << 15   # elements up to which starting threads costs more than it saves

cdef LseState EMPTY = LseState(-INFINITY, 0, 0)


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


cdef Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef Layout layout_of(Py_ssize_t n_outer, Py_ssize_t n, Py_ssize_t n_inner) noexcept nogil:
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


cdef Unit unit_of(const Layout *lay, Py_ssize_t index) noexcept nogil:
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


cdef Py_ssize_t fold_of(const Layout *lay, Py_ssize_t len) noexcept nogil:
    """How many rows of few columns to take as one wider row, to fill the vectors."""
    return max(1, min(MAX_LINES // lay.n_inner, len))


cdef void part_states(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, const Unit *unit,
                      Py_ssize_t part, LseState *states_out) noexcept nogil:
    cdef Py_ssize_t start = part * lay.part, len = min(lay.part, lay.n - start), fold, n_folded, i
    cdef LseState folded[MAX_LINES]
    cdef LseState *columns = states_out
    x += unit.offset + start * lay.n_inner
    if lay.n_inner == 1:
        for i in range(unit.n_lines):
            states_out[i] = EMPTY
        if b != NULL:
            b += unit.first_line * b_stride + start
        lse_rows(x, b, b_stride, unit.n_lines, len, states_out)
        return
    fold = fold_of(lay, len)
    n_folded = len // fold
    if fold > 1:
        columns = folded
    for i in range(fold * unit.n_lines):
        columns[i] = EMPTY
    lse_columns(x, n_folded, fold * lay.n_inner, fold * unit.n_lines, columns)
    if fold > 1:
        lse_columns(x + n_folded * fold * lay.n_inner, 1, 0, len % fold * unit.n_lines, columns)
        for i in range(unit.n_lines):
            states_out[i] = columns[i]
        for i in range(1, fold):
            merge_lines(states_out, &columns[i * unit.n_lines], unit.n_lines)


cdef void merge_lines(LseState *states, const LseState *others, Py_ssize_t n_lines) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_lines):
        lse_merge(&states[i], &others[i])


cdef void unit_states(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, const Unit *unit,
                      LseState *states_out) noexcept nogil:
    cdef LseState states[MAX_LINES]
    cdef Py_ssize_t part
    part_states(x, b, b_stride, lay, unit, 0, states_out)
    for part in range(1, lay.n_parts):
        part_states(x, b, b_stride, lay, unit, part, states)
        merge_lines(states_out, states, unit.n_lines)


cdef void part_states_task(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay, Py_ssize_t task,
                           LseState *states_out) noexcept nogil:
    """One part of one unit; states_out is (n_parts, n_lines)."""
    cdef Unit unit = unit_of(lay, task // lay.n_parts)
    cdef Py_ssize_t part = task % lay.n_parts
    part_states(x, b, b_stride, lay, &unit, part, states_out + part * lay.n_outer * lay.n_inner + unit.first_line)


cdef double[:, :, ::1] states_by_parts(const real *x, const real *b, Py_ssize_t b_stride, const Layout *lay,
                                       int n_threads):
    """The states of all lines, in [0] of (n_parts, n_lines, 3)."""
    cdef Py_ssize_t n_lines = lay.n_outer * lay.n_inner, task, part
    cdef double[:, :, ::1] memory = np.empty((lay.n_parts, n_lines, 3))
    cdef LseState *states = <LseState *>&memory[0, 0, 0]
    with nogil:
        for task in prange(lay.n_units * lay.n_parts, num_threads=n_threads, schedule="static"):
            part_states_task(x, b, b_stride, lay, task, states)
        for part in range(1, lay.n_parts):
            merge_lines(states, states + part * n_lines, n_lines)
    return memory


cdef bint shares_parts(const Layout *lay, int n_threads) noexcept nogil:
    """Whether there are too few units for the threads; where it pays, since the states go through memory."""
    return lay.n_parts > 1 and n_threads > 1 and lay.n_units < 4 * n_threads


# -- logsumexp --

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
    cdef Py_ssize_t b_stride = 0, task
    cdef double[:, :, ::1] memory
    cdef const LseState *states = NULL
    if b is not None:
        b_ptr = &b[0, 0]
        b_stride = lay.n if b.shape[0] > 1 else 0
    if signs_out is not None:
        signs_ptr = &signs_out[0]
    if x.size <= SERIAL_SIZE:
        n_threads = 1
    if shares_parts(&lay, n_threads):
        memory = states_by_parts(x_ptr, b_ptr, b_stride, &lay, n_threads)
        states = <LseState *>&memory[0, 0, 0]
    for task in prange(lay.n_units, num_threads=n_threads, schedule="static", nogil=True):
        lse_task(x_ptr, b_ptr, b_stride, &lay, task, states, values_ptr, signs_ptr)


# -- softmax, log_softmax, cross_entropy: a second pass turns x into exp(x - shift) * coef or (x - shift) - coef --

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


cdef void write_part(const real *x, const Layout *lay, const Unit *unit, Py_ssize_t part, bint log, const Line *lines,
                     real *y_out) noexcept nogil:
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
        normalize_rows(x, unit.n_lines, len, shift, coef, log, y_out)
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
    write_part(x, lay, unit, part, kind == LOG_SOFTMAX, lines, y_out)
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
        for part in range(lay.n_parts):
            finish_part(x, soft, soft_stride, lay, &unit, part, kind, targets, lines, y_out)


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
    cdef Py_ssize_t task
    cdef double[:, :, ::1] memory
    cdef LseState *states
    cdef const unsigned char[::1] line_memory
    cdef Line *lines
    if lay.n_outer * lay.n * lay.n_inner <= SERIAL_SIZE:
        n_threads = 1
    if not shares_parts(&lay, n_threads):
        for task in prange(lay.n_units, num_threads=n_threads, schedule="static", nogil=True):
            unit_task(x, soft, soft_stride, &lay, task, kind, targets, y_out)
        return 0
    memory = states_by_parts(x, <const real *>NULL, 0, &lay, n_threads)
    states = <LseState *>&memory[0, 0, 0]
    line_memory = np.empty(lay.n_outer * lay.n_inner * sizeof(Line), np.uint8)
    lines = <Line *>&line_memory[0]
    for task in prange(lay.n_units, num_threads=n_threads, schedule="static", nogil=True):
        lines_task(x, soft, soft_stride, &lay, task, kind, targets, states, lines)
    if y_out != NULL:
        for task in prange(lay.n_units * lay.n_parts, num_threads=n_threads, schedule="static", nogil=True):
            finish_task(x, soft, soft_stride, &lay, task, kind, targets, lines, y_out)
    return 0


def softmax(
    const real[:, :, ::1] x,    # IN (n_outer, n, n_inner), not empty
    real[:, :, ::1] y_out,      # OUT the same; may be x
    bint log,
    int n_threads,
):
    run(&x[0, 0, 0], <const real *>NULL, 0, layout_of(x.shape[0], x.shape[1], x.shape[2]),
        LOG_SOFTMAX if log else SOFTMAX, NULL, &y_out[0, 0, 0], n_threads)


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
