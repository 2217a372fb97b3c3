"""Loss, gradient and optimiser step of a linear softmax, tile by tile: the (n_rows, n_classes) logits never exist whole.

Two passes over the tiles. `forward` turns each tile into exp(z - m), where m is the largest logit of each row so far, and
sums it up: a running log-sum-exp. The target's own logit is kept apart (it is masked in its tile, so that a candidate that
happens to be the target is never counted twice, and so that 1 - p_target keeps its digits). `backward` turns each tile into
the gradient of its logits, and that at once into the gradients of the parameters, which the rule adds up or applies. Tiles
of exp(z - m) are kept between the passes as far as the given memory goes; those beyond it are computed again.

A thread takes a whole part of the tiles, so there are no races; which tiles are a part, and every order of summation,
depends on the shapes alone, so results are the same for any number of threads.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, log
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset
cimport numpy as cnp

from _logits cimport (
    Block, Factor, Panels, Scratch, Terms, array_panels, at_lane, cols_from, ids_or_null, logits_tile, matrix_block,
    plan_scratch, read_rule, read_terms, rows_from, tile_panels, tile_weights, vector_block,
)
from _rounding cimport (
    Lists, Rounding, add_to_hidden, group_by_class, lists_at, lists_bytes as lists_bytes_of, round_tile, sum_classes,
)
from _rowops cimport exp_array, import_rowops
from _sparse_terms cimport sparse_step
from _tileops cimport (
    RULE_ADD, Rule, exp_panels, multiply, pack_panels, panel_width as width_of_panels, scale_panels, spmm, sum_panels,
    sum_parts, unpack_panels, update_block,
)
from _types cimport real

cnp.import_array()
import_rowops()

cdef enum:
    MERGED = 64         # rows of a batch that a thread merges at a time


cdef struct Pass:
    # what both passes share
    Scratch scratch
    Py_ssize_t tile                 # classes a tile
    Py_ssize_t n_tiles
    Py_ssize_t n_lanes              # rows, and those that fill up the last panel
    Py_ssize_t n_kept               # the first tiles are kept
    void *kept                      # (n_kept, n_lanes * tile)
    void *shift                     # (n_kept, n_lanes): what was subtracted in them
    void *memory                    # one row of memory_stride reals a thread
    Py_ssize_t memory_stride
    const void *offset              # (n_classes,) added to the logits of all but the target, or NULL
    const int64_t *target           # (n_rows,) candidate number of the target, -1: none; or NULL
    void *max                       # (n_parts, n_lanes)
    double *sum
    double *target_logit            # (n_rows,)
    int n_threads


cdef struct Gradients:
    const double *scale             # (n_rows,) dloss / dlogit = scale p - prior_scale prior, but for the target's
    const double *lse               # (n_rows,)
    const double *target_dlogit     # (n_rows,) the whole gradient of the target's logit
    const double *prior_scale
    const void *prior               # (n_classes,) or NULL
    const int64_t *class_ids        # of bias, V and W, or NULL
    Block bias
    Block V
    Block W
    void *bias_state
    void *V_state
    void *W_state
    Rule bias_rule                  # not regularised
    Rule V_rule                     # one state a row
    Rule W_rule
    Panels hidden_columns           # (n_panels of features, n_rows, width): hidden, the other way round
    void *parts                     # (n_parts, n_panels, n_hidden, width) partial gradients of hidden, or NULL
    Py_ssize_t n_parts
    Rounding rounding


cdef inline Py_ssize_t tile_cols(const Terms *t, const Pass *p, Py_ssize_t k) noexcept nogil:
    return min(p.tile, t.n_classes - k * p.tile)


cdef inline Panels panels_of(const Terms *t, const Pass *p, Py_ssize_t k, real *mine) noexcept nogil:
    """Where tile k is: kept, or in the thread's scratch."""
    return tile_panels(t, p.tile, <real *>p.kept + k * p.n_lanes * p.tile if k < p.n_kept else mine)


cdef void exp_tile(
    const Terms *t, const Pass *p, Py_ssize_t k, const Panels *z, real *shift, real *max, double *sum, real *mine
) noexcept nogil:
    """z <- exp(logits - shift) of tile k, with running maxima and sums; the targets' logits noted and masked."""
    cdef Py_ssize_t i, at, start = k * p.tile, n_cols = tile_cols(t, p, k)
    cdef const real *offset = <const real *>NULL if p.offset == NULL else <const real *>p.offset + start
    cdef real *logits = <real *>z.data
    logits_tile(t, &p.scratch, start, n_cols, z, mine)
    if p.target != NULL:
        for i in range(t.n_rows):
            at = p.target[i] - start
            if 0 <= at < n_cols:
                at = at_lane(z, at, i)
                p.target_logit[i] = logits[at]
                logits[at] = -INFINITY
    exp_panels(z, n_cols, offset, max, shift, sum)


cdef void forward_part(const Terms *t, const Pass *p, Py_ssize_t part, Py_ssize_t n_parts, real *mine) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef real *max = <real *>p.max + part * p.n_lanes
    cdef real *shift
    cdef double *sum = p.sum + part * p.n_lanes
    cdef Panels z
    for i in range(p.n_lanes):
        max[i], sum[i] = -INFINITY, 0
    for k in range(part * p.n_tiles // n_parts, (part + 1) * p.n_tiles // n_parts):
        z = panels_of(t, p, k, mine)
        shift = <real *>p.shift + k * p.n_lanes if k < p.n_kept else NULL
        exp_tile(t, p, k, &z, shift, max, sum, mine)


cdef void forward_parts(
    const Terms *t, const Pass *p, Py_ssize_t n_parts, Py_ssize_t begin, Py_ssize_t end, real *memory
) noexcept nogil:
    cdef Py_ssize_t q
    for q in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=p.n_threads):
        forward_part(t, p, q, n_parts, memory + threadid() * p.memory_stride)


cdef inline void *state_from(void *state, const int64_t *ids, Py_ssize_t start, Py_ssize_t itemsize) noexcept nogil:
    """The optimiser's state from element `start` on; where the block goes by ids, so does its state."""
    return state if state == NULL or ids != NULL else <char *>state + start * itemsize


cdef void gradient_scale(const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *mine) noexcept nogil:
    """Fills the thread's lanes: scale of z = exp(logits - shift) of tile k in the gradient of the logits, prior_scale, and
    exp(shift - lse). Tiles that were not kept are computed again."""
    cdef Py_ssize_t i
    cdef real *scale = mine + p.scratch.lanes
    cdef real *prior_scale = scale + p.n_lanes
    cdef real *max = prior_scale + p.n_lanes
    cdef real *shift = max + p.n_lanes
    cdef double *sum = <double *>(shift + p.n_lanes)
    if k >= p.n_kept:
        for i in range(p.n_lanes):
            max[i], sum[i] = -INFINITY, 0
        exp_tile(t, p, k, z, shift, max, sum, mine)
    else:
        shift = <real *>p.shift + k * p.n_lanes
    memset(scale, 0, 2 * p.n_lanes * sizeof(real))
    for i in range(t.n_rows):
        max[i] = <real>(shift[i] - g.lse[i])
    exp_array(<const real *>max, t.n_rows, max)
    for i in range(t.n_rows):
        scale[i] = 0 if g.scale[i] == 0 else <real>g.scale[i] * max[i]
        if g.prior != NULL:
            prior_scale[i] = <real>g.prior_scale[i]


cdef void logit_gradient(const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *mine) noexcept nogil:
    """z of tile k, exp(logits - shift), becomes the gradient of the logits."""
    cdef Py_ssize_t i, at, start = k * p.tile, n_cols = tile_cols(t, p, k)
    cdef real *scale = mine + p.scratch.lanes
    cdef const real *prior = <const real *>NULL if g.prior == NULL else <const real *>g.prior + start
    scale_panels(z, n_cols, scale, scale + p.n_lanes, prior)
    for i in range(t.n_rows):
        at = p.target[i] - start
        if 0 <= at < n_cols:
            (<real *>z.data)[at_lane(z, at, i)] = <real>g.target_dlogit[i]


cdef bint backward_rounded(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *part, char *memory, real *mine
) noexcept nogil:
    """The gradients of tile k by its few entries; or False, and nothing has changed, where they are not few."""
    cdef Py_ssize_t n, start = k * p.tile, n_cols = tile_cols(t, p, k), n_hidden = t.n_hidden
    cdef real *scale = mine + p.scratch.lanes
    cdef real *grad = mine + p.scratch.grad
    cdef Lists lists = lists_at(memory, t.n_rows, p.tile)
    cdef real *values = <real *>lists.sorted_values
    cdef Block block = rows_from(t.V, start, sizeof(real))
    if not round_tile(&g.rounding, z, t.n_rows, start, n_cols, <const real *>scale, scale + p.n_lanes,
                      scale + 2 * p.n_lanes, g.scale, p.target, g.target_dlogit, &lists):
        return False
    if part != NULL:
        add_to_hidden(&lists, &block, t.n_rows, n_cols, n_hidden, part, mine + p.scratch.weights)
    n = group_by_class(&lists, start, n_cols, g.class_ids, g.V_rule.alpha != 0, values)
    if g.bias.data != NULL:
        block = g.bias
        block.col_ids = lists.ids
        sum_classes(&lists, n, <const real *>values, grad)
        update_block(&g.bias_rule, &block, 1, n, grad, n, <real *>g.bias_state)
    if g.V.data != NULL:
        block = g.V
        block.row_ids = lists.ids
        spmm(lists.indptr, lists.sorted, <const real *>values, n, <const real *>g.rounding.hidden, n_hidden, NULL, n_hidden,
             grad, n_hidden, False)
        update_block(&g.V_rule, &block, n, n_hidden, grad, n_hidden, <real *>g.V_state)
    return True


cdef bint backward_tile(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, bint first, real *part, real *rounded_part, char *lists,
    real *mine
) noexcept nogil:
    """The gradients of tile k. Returns whether `part`, and not `rounded_part`, has its share of that of hidden."""
    cdef Py_ssize_t start = k * p.tile, n_cols = tile_cols(t, p, k)
    cdef real *grad = mine + p.scratch.grad
    cdef Panels z = panels_of(t, p, k, mine)
    cdef Block block
    gradient_scale(t, p, g, k, &z, mine)
    if g.rounding.threshold > 0 and backward_rounded(t, p, g, k, &z, rounded_part, lists, mine):
        return False
    logit_gradient(t, p, g, k, &z, mine)
    if g.bias.data != NULL:
        sum_panels(&z, n_cols, t.n_rows, grad)
        block = cols_from(g.bias, start, sizeof(real))
        update_block(&g.bias_rule, &block, 1, n_cols, grad, n_cols,
                     <real *>state_from(g.bias_state, g.bias.col_ids, start, sizeof(real)))
    if t.n_hidden:
        if part != NULL:
            hidden_gradient(t, start, n_cols, &z, first, part, mine + p.scratch.weights)
        if g.V.data != NULL:
            update_V(t, g, start, n_cols, &z, grad)
    if t.x.n_features and g.W.data != NULL:
        sparse_step(&t.x, &g.W_rule, &g.W, <real *>g.W_state, t.n_rows, start, n_cols, &z, mine + p.scratch.by_row)
    return True


cdef void hidden_gradient(
    const Terms *t, Py_ssize_t start, Py_ssize_t n_cols, const Panels *z, bint first, real *part, real *scratch
) noexcept nogil:
    """part (n_panels, n_hidden, width) (+)= dz V, with the features as rows of the product."""
    cdef Factor V = tile_weights(t, start, n_cols, scratch)
    cdef Panels out = z[0]
    V.row_stride, V.k_stride, V.k_block = V.k_stride, V.row_stride, n_cols
    out.data, out.stride = part, t.n_hidden * z.width
    multiply(&V, t.n_hidden, n_cols, z, <const real *>NULL, &out, z.width, not first)


cdef void update_V(
    const Terms *t, const Gradients *g, Py_ssize_t start, Py_ssize_t n_cols, const Panels *z, real *grad
) noexcept nogil:
    """V of the tile steps along dz^T hidden."""
    cdef Factor dz
    cdef Panels out = g.hidden_columns
    cdef Py_ssize_t stride = out.n_panels * out.width
    cdef Block block = rows_from(g.V, start, sizeof(real))
    dz.data, dz.row_stride, dz.k_stride, dz.k_block, dz.block_stride = z.data, z.width, 1, z.width, z.stride
    out.data, out.stride = grad, out.width
    if g.V_rule.kind == RULE_ADD and block.row_ids == NULL and block.col_stride == 1 and t.n_hidden == stride:
        out.data = block.data
        multiply(&dz, n_cols, t.n_rows, &g.hidden_columns, <const real *>NULL, &out, block.row_stride, True)
        return
    multiply(&dz, n_cols, t.n_rows, &g.hidden_columns, <const real *>NULL, &out, stride, False)
    start *= 1 if g.V_rule.state_per_row else g.V.row_stride
    update_block(&g.V_rule, &block, n_cols, t.n_hidden, grad, stride,
                 <real *>state_from(g.V_state, g.V.row_ids, start, sizeof(real)))


cdef void backward_part(const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t q, char *lists, real *mine) noexcept nogil:
    """Consecutive tiles, which sum their share of the gradient of `hidden` in their order."""
    cdef Py_ssize_t k, n_dense = 0, size = t.n_rows * t.n_hidden
    cdef real *part = <real *>NULL if g.parts == NULL else <real *>g.parts + q * p.n_lanes * t.n_hidden
    cdef real *rounded_part = <real *>NULL if g.rounding.parts == NULL else <real *>g.rounding.parts + q * size
    if rounded_part != NULL:
        memset(rounded_part, 0, size * sizeof(real))
    for k in range(q * p.n_tiles // g.n_parts, (q + 1) * p.n_tiles // g.n_parts):
        n_dense += backward_tile(t, p, g, k, n_dense == 0, part, rounded_part, lists, mine)
    if part != NULL and n_dense == 0:
        memset(part, 0, p.n_lanes * t.n_hidden * sizeof(real))


cdef void backward_parts(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t begin, Py_ssize_t end, real *memory
) noexcept nogil:
    cdef Py_ssize_t q
    for q in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=p.n_threads):
        backward_part(t, p, g, q, g.rounding.memory + threadid() * g.rounding.memory_stride,
                      memory + threadid() * p.memory_stride)


cdef void write_tile(const Terms *t, const Scratch *s, Py_ssize_t k, real *out, real *mine) noexcept nogil:
    cdef Py_ssize_t n_cols = min(s.tile, t.n_classes - k * s.tile)
    cdef Panels z = tile_panels(t, s.tile, mine)
    logits_tile(t, s, k * s.tile, n_cols, &z, mine)
    unpack_panels(&z, t.n_rows, n_cols, out + k * s.tile, t.n_classes, 1)


cdef void write_tiles(
    const Terms *t, const Scratch *s, real *out, real *memory, Py_ssize_t memory_stride, int n_threads
) noexcept nogil:
    cdef Py_ssize_t k
    for k in prange((t.n_classes + s.tile - 1) // s.tile, schedule='dynamic', chunksize=1, num_threads=n_threads):
        write_tile(t, s, k, out, memory + threadid() * memory_stride)


cdef Pass read_pass(const Terms *t, work) except *:
    """The C view of a fastsoftmax._head.Forward, whose arrays must outlive it."""
    cdef Pass p
    cdef cnp.ndarray memory = work.scratch, max = work.max
    p.tile = work.tile
    p.scratch = plan_scratch(t, p.tile, memory.itemsize)
    p.n_tiles = work.n_tiles
    p.n_lanes = max.shape[1]
    p.n_kept = work.n_kept
    p.kept = cnp.PyArray_DATA(work.kept)
    p.shift = cnp.PyArray_DATA(work.shift)
    p.memory = cnp.PyArray_DATA(memory)
    p.memory_stride = memory.shape[1]
    p.offset = NULL if work.offset is None else cnp.PyArray_DATA(work.offset)
    p.target = ids_or_null(work.target)
    p.max = cnp.PyArray_DATA(max)
    p.sum = <double *>cnp.PyArray_DATA(work.sum)
    p.target_logit = <double *>cnp.PyArray_DATA(work.target_logit)
    p.n_threads = work.n_threads
    return p


def panel_width(Py_ssize_t n_rows, Py_ssize_t itemsize):
    """Rows of a panel, of batches of `n_rows`."""
    return width_of_panels(n_rows, itemsize)


def pack(const real[:, :] a, real[:, :, ::1] panels, int n_threads):
    """panels (n_panels, a.shape[1], width) <- a: panels[p, k, l] = a[p * width + l, k], zero beyond a's last row."""
    cdef Py_ssize_t p, n_rows = a.shape[0], n_k = a.shape[1], width = panels.shape[2]
    for p in prange(panels.shape[0] if n_k else 0, num_threads=n_threads, nogil=True):
        pack_one(&a[p * width, 0], a.strides[0] // <Py_ssize_t>sizeof(real), a.strides[1] // <Py_ssize_t>sizeof(real),
                 n_rows - p * width, n_k, &panels[p, 0, 0], width)


cdef void pack_one(const real *a, Py_ssize_t row_stride, Py_ssize_t k_stride, Py_ssize_t n_rows, Py_ssize_t n_k,
                   real *panel, Py_ssize_t width) noexcept nogil:
    cdef Panels one
    one.data, one.width, one.stride, one.n_panels = panel, width, n_k * width, 1
    pack_panels(a, row_stride, k_stride, n_rows, n_k, &one)


def thread_scratch(terms, Py_ssize_t tile):
    """Reals of scratch that each thread needs for tiles of `tile` classes."""
    cdef Terms t = read_terms(terms, None)
    return plan_scratch(&t, tile, terms.dtype.itemsize).size


def logits(terms, work, cnp.ndarray out):
    """out (n_rows, n_classes) <- the logits: for callers who ask for all of them."""
    cdef Terms t = read_terms(terms, work.hidden_panels)
    cdef cnp.ndarray memory = work.scratch
    cdef Scratch s = plan_scratch(&t, work.tile, memory.itemsize)
    cdef int n_threads = work.n_threads
    if out.itemsize == 4:
        with nogil:
            write_tiles[float](&t, &s, <float *>cnp.PyArray_DATA(out), <float *>cnp.PyArray_DATA(memory), memory.shape[1],
                               n_threads)
    else:
        with nogil:
            write_tiles[double](&t, &s, <double *>cnp.PyArray_DATA(out), <double *>cnp.PyArray_DATA(memory),
                                memory.shape[1], n_threads)


def forward(terms, work, Py_ssize_t begin, Py_ssize_t end):
    """Fill work.max, work.sum, work.target_logit and the kept tiles, for parts begin to end."""
    cdef Terms t = read_terms(terms, work.hidden_panels)
    cdef Pass p = read_pass(&t, work)
    cdef Py_ssize_t n_parts = (<cnp.ndarray>work.max).shape[0]
    if (<cnp.ndarray>work.scratch).itemsize == 4:
        with nogil:
            forward_parts[float](&t, &p, n_parts, begin, end, <float *>p.memory)
    else:
        with nogil:
            forward_parts[double](&t, &p, n_parts, begin, end, <double *>p.memory)


def backward(
    terms, work, dlogits, out, cnp.ndarray hidden_columns, cnp.ndarray parts, rounding, Py_ssize_t n_parts, Py_ssize_t begin,
    Py_ssize_t end,
):
    """From the tiles of `forward` to the parameters, for parts begin to end of the n_parts.

    Parameters
    ----------
    terms, work : as given to `forward`
    dlogits : fastsoftmax._head.LogitGradient
    out : fastsoftmax._head.Destination, what the gradients are added to or the parameters that they step
    hidden_columns : (n_panels, n_rows, width) array, the transpose of `terms.hidden` packed into panels, or None
    parts : (n_parts, n_panels, n_hidden, width) array to fill with partial sums of the gradient of `hidden`, or None
    rounding : fastsoftmax._head.Rounding, or None
    """
    cdef Terms t = read_terms(terms, work.hidden_panels)
    cdef Pass p = read_pass(&t, work)
    cdef Gradients g = read_gradients(&t, dlogits, out)
    if rounding is not None:
        g.rounding = read_rounding(terms, rounding)
    if hidden_columns is not None:
        g.hidden_columns = array_panels(hidden_columns)
    g.parts = NULL if parts is None else cnp.PyArray_DATA(parts)
    g.n_parts = n_parts
    if (<cnp.ndarray>work.scratch).itemsize == 4:
        with nogil:
            backward_parts[float](&t, &p, &g, begin, end, <float *>p.memory)
    else:
        with nogil:
            backward_parts[double](&t, &p, &g, begin, end, <double *>p.memory)


def merge_parts(const real[:, ::1] max, const double[:, ::1] sum, double[::1] lse_out, int n_threads):
    """lse_out (n_lanes,) <- log-sum-exp, from the (n_parts, n_lanes) maxima and sums of exp(z - max); -inf where all is -inf."""
    cdef Py_ssize_t i, n_lanes = max.shape[1]
    for i in prange(0, n_lanes, MERGED, num_threads=n_threads, nogil=True):
        merge_lanes(&max[0, i], &sum[0, i], max.shape[0], n_lanes, min(n_lanes - i, <Py_ssize_t>MERGED), &lse_out[i])


cdef void merge_lanes(
    const real *max, const double *sum, Py_ssize_t n_parts, Py_ssize_t stride, Py_ssize_t n, double *lse_out
) noexcept nogil:
    cdef double top[MERGED]
    cdef double mass[MERGED]
    cdef double total[MERGED]
    cdef Py_ssize_t i, q
    for i in range(n):
        top[i], total[i] = -INFINITY, 0
    for q in range(n_parts):
        for i in range(n):
            if max[q * stride + i] > top[i]:
                top[i] = max[q * stride + i]
    for i in range(n):
        if top[i] == -INFINITY:
            top[i] = 0
    for q in range(n_parts):
        for i in range(n):
            mass[i] = max[q * stride + i] - top[i]
        exp_array(<const double *>mass, n, <double *>mass)
        for i in range(n):
            total[i] = total[i] + sum[q * stride + i] * mass[i]
    for i in range(n):
        lse_out[i] = log(total[i]) + top[i]


cdef void add_panel(real *parts, Py_ssize_t n_parts, Py_ssize_t part_stride, Py_ssize_t panel, Py_ssize_t d, Py_ssize_t width,
                    Py_ssize_t n_rows, const real *rounded, real *sum_out) noexcept nogil:
    cdef Panels one
    cdef Py_ssize_t q, e, first = panel * d * width, size = min(width, n_rows - panel * width) * d
    one.data, one.width, one.stride, one.n_panels = parts + first, width, d * width, 1
    sum_parts(<real *>one.data, n_parts, part_stride, d * width)
    unpack_panels(&one, size // d, d, sum_out + first, d, 1)
    for q in range(n_parts if rounded != NULL else 0):
        for e in range(first, first + size):
            sum_out[e] = sum_out[e] + rounded[q * n_rows * d + e]


def add_parts(real[:, :, :, ::1] parts, real[:, :, ::1] rounded, real[:, ::1] sum_out, int n_threads):
    """sum_out (n_rows, n_hidden) <- the sum of the parts, and of those (n_parts, n_rows, n_hidden) of rounded tiles unless
    None, in their order; parts[0] is overwritten."""
    cdef Py_ssize_t p, n_panels = parts.shape[1], d = parts.shape[2], width = parts.shape[3]
    cdef Py_ssize_t n_rows = sum_out.shape[0]
    cdef const real *rounded_data = NULL if rounded is None or not d else &rounded[0, 0, 0]
    for p in prange(n_panels if d else 0, num_threads=n_threads, nogil=True):
        add_panel(&parts[0, 0, 0, 0], parts.shape[0], n_panels * d * width, p, d, width, n_rows, rounded_data, &sum_out[0, 0])


def lists_bytes(Py_ssize_t n_rows, Py_ssize_t tile):
    """Bytes of Rounding.memory that each thread needs."""
    return lists_bytes_of(n_rows, tile)


cdef Rounding read_rounding(terms, rounding) except *:
    cdef Rounding r
    cdef cnp.ndarray memory = rounding.memory
    r.threshold = rounding.threshold
    r.row_keys = <const uint32_t *>cnp.PyArray_DATA(rounding.row_keys)
    r.hidden = cnp.PyArray_DATA(terms.hidden)
    r.memory = <char *>cnp.PyArray_DATA(memory)
    r.memory_stride = memory.shape[1]
    r.parts = NULL if rounding.parts is None else cnp.PyArray_DATA(rounding.parts)
    return r


cdef Gradients read_gradients(const Terms *t, dlogits, out) except *:
    cdef Gradients g
    cdef cnp.ndarray V_state = out.V_state
    cdef const int64_t *class_ids = NULL if out.by_position else t.class_ids
    memset(&g, 0, sizeof(Gradients))
    g.scale = <const double *>cnp.PyArray_DATA(dlogits.scale)
    g.lse = <const double *>cnp.PyArray_DATA(dlogits.lse)
    g.target_dlogit = <const double *>cnp.PyArray_DATA(dlogits.target)
    if dlogits.prior is not None:
        g.prior = cnp.PyArray_DATA(dlogits.prior)
        g.prior_scale = <const double *>cnp.PyArray_DATA(dlogits.prior_scale)
    g.class_ids = class_ids
    g.bias = vector_block(out.bias, class_ids)
    if out.V is not None:
        g.V = matrix_block(out.V, class_ids, NULL)
    if out.W is not None:
        g.W = matrix_block(out.W.T, t.x.W.row_ids, class_ids)
    g.bias_state = NULL if out.bias_state is None else cnp.PyArray_DATA(out.bias_state)
    g.V_state = NULL if V_state is None else cnp.PyArray_DATA(V_state)
    g.W_state = NULL if out.W_state is None else cnp.PyArray_DATA(out.W_state)
    g.bias_rule = read_rule(out.rule, False)
    g.bias_rule.alpha = 0
    g.V_rule = read_rule(out.rule, V_state is not None and V_state.ndim == 1)
    g.W_rule = read_rule(out.rule, False)
    return g
