"""Loss, gradient and optimiser step of linear logits, tile by tile: the (n_rows, n_classes) logits never exist whole.

There are two passes over the tiles. `forward` turns each tile into exp(z - m), where m is the largest logit of each row so
far, and sums it up: a running log-sum-exp. The logits of a row's targets are kept apart (they are masked in their tiles, so
that a candidate that happens to be a target is never counted twice, and so that 1 - p_target keeps its digits), and what a
loss makes of them is the caller's. `backward` turns
each tile into the gradient of its logits, and that at once into the gradients of the parameters, which the rule adds up or
applies. Tiles of exp(z - m) are kept between the passes as far as the given memory goes; those beyond it are computed again.

The loss is softmax or, with weights of the classes, a sum of binary ones: then `forward` turns a tile into weight times the
derivative of the loss of a class that a row does not have, which is all that its gradient needs, and sums weight times loss.

A thread takes a whole part of the tiles, so there are no races; which tiles are a part, and every order of summation,
depends on the shapes alone, so results are the same for any number of threads.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdint cimport int64_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

from csr.strips cimport step_csr_term
from leaves.gemm cimport multiply
from leaves.logsumexp cimport exp_array
from leaves.panels cimport binary_panels, exp_panels, scale_panels, sum_panels
from leaves.spmm cimport spmm
from leaves.structs cimport RULE_ADD, Block, Factor, Panels
from leaves.update cimport update_block
from shared.fused cimport real
from shared.table cimport import_leaves
from tiles.additions cimport addition_gradients, class_at
from tiles.blocks cimport cols_from, rows_from
from tiles.logits cimport Terms, logits_tile, plan_scratch, read_terms, tile_panels, tile_weights
from tiles.panels cimport array_panels
from tiles.passes cimport Gradients, Pass, read_gradients, read_pass
from tiles.rounding cimport (
    Lists, add_to_hidden, group_by_class, lists_at, lists_bytes as lists_bytes_of, read_rounding, round_tile,
    sum_classes,
)

cnp.import_array()
import_leaves()


cdef inline Py_ssize_t tile_cols(const Terms *t, const Pass *p, Py_ssize_t k) noexcept nogil:
    return min(p.scratch.tile, t.n_classes - k * p.scratch.tile)


cdef inline Panels panels_of(const Terms *t, const Pass *p, Py_ssize_t k, real *mine) noexcept nogil:
    """Where tile k is: kept, or in the thread's scratch."""
    return tile_panels(t, p.scratch.tile, <real *>p.kept + k * p.n_lanes * p.scratch.tile if k < p.n_kept else mine)


cdef void read_tile(
    const Terms *t, const Pass *p, Py_ssize_t k, const Panels *z, bint again,
    real *max,      # IN, OUT: the largest logits so far
    double *sum,    # IN, OUT: and the sums
    real *mine,
) noexcept nogil:
    """z of tile k <- exp(logits - shift), or weight times the derivative of a binary loss. The targets' logits are noted,
    unless the tile is read `again`, and masked."""
    cdef Py_ssize_t e, at, start = k * p.scratch.tile, n_cols = tile_cols(t, p, k)
    cdef const real *offset = <const real *>NULL if p.offset == NULL else <const real *>p.offset + start
    cdef real *logits = <real *>z.data
    logits_tile(t, &p.scratch, start, n_cols, z, mine)
    for e in range(p.targets.tile_ptr[k], p.targets.tile_ptr[k + 1]):
        at = p.targets.places[e]
        if not again:
            p.target_logit[p.targets.sources[e]] = logits[at]
        logits[at] = -INFINITY
    if p.weight != NULL:
        binary_panels(p.binary, z, n_cols, offset, <const real *>p.weight + start, sum)
        return
    exp_panels(z, n_cols, offset, max, <real *>NULL if again else <real *>p.shift + k * p.n_lanes, sum)


cdef void forward_part(const Terms *t, const Pass *p, Py_ssize_t part, Py_ssize_t n_parts, real *mine) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef real *max = <real *>p.max + part * p.n_lanes
    cdef double *sum = p.sum + part * p.n_lanes
    cdef Panels z
    for i in range(p.n_lanes):
        max[i], sum[i] = -INFINITY, 0
    for k in range(part * p.n_tiles // n_parts, (part + 1) * p.n_tiles // n_parts):
        z = panels_of(t, p, k, mine)
        read_tile(t, p, k, &z, False, max, sum, mine)


cdef void forward_parts(
    const Terms *t, const Pass *p, Py_ssize_t n_parts, Py_ssize_t begin, Py_ssize_t end, real *memory
) noexcept nogil:
    cdef Py_ssize_t q
    for q in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=p.n_threads):
        forward_part(t, p, q, n_parts, memory + threadid() * p.memory_stride)


cdef inline void *state_from(void *state, const int64_t *ids, Py_ssize_t start, Py_ssize_t itemsize) noexcept nogil:
    """The optimiser's state from element `start` on; where the block goes by ids, so does its state."""
    return state if state == NULL or ids != NULL else <char *>state + start * itemsize


cdef void gradient_scale(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *mine
) noexcept nogil:
    """Fills the thread's lanes: the factor of z, as `read_tile` left it, of tile k in the gradient of the logits, and for
    softmax prior_scale and exp(shift - lse).

    Tiles that were not kept are computed again, to the same bits: from the running maxima that they left, none rises.
    """
    cdef Py_ssize_t i
    cdef real *scale = mine + p.scratch.lanes
    cdef real *prior_scale = scale + p.n_lanes
    cdef real *max = prior_scale + p.n_lanes
    cdef double *unused = <double *>(max + p.n_lanes)
    cdef const real *shift = <const real *>p.shift + k * p.n_lanes
    if k >= p.n_kept:
        for i in range(p.n_lanes):
            max[i], unused[i] = shift[i], 0
        read_tile(t, p, k, z, True, max, unused, mine)
    memset(scale, 0, 2 * p.n_lanes * sizeof(real))
    if p.weight != NULL:
        for i in range(t.n_rows):
            scale[i] = <real>g.scale[i]
        return
    for i in range(t.n_rows):
        max[i] = <real>(shift[i] - g.lse[i])
        if max[i] > 0:      # the shift is 0 as long as a row has nothing but masked logits, which no factor may make NaN
            max[i] = 0
    exp_array(<const real *>max, t.n_rows, max)
    for i in range(t.n_rows):
        scale[i] = 0 if g.scale[i] == 0 else <real>g.scale[i] * max[i]
        if g.prior != NULL:
            prior_scale[i] = <real>g.prior_scale[i]


cdef void logit_gradient(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *mine
) noexcept nogil:
    """z of tile k, as `read_tile` left it, becomes the gradient of the logits."""
    cdef Py_ssize_t e, start = k * p.scratch.tile, n_cols = tile_cols(t, p, k)
    cdef real *scale = mine + p.scratch.lanes
    cdef const real *prior = <const real *>NULL if g.prior == NULL else <const real *>g.prior + start
    scale_panels(z, n_cols, scale, scale + p.n_lanes, prior)
    for e in range(p.targets.tile_ptr[k], p.targets.tile_ptr[k + 1]):
        (<real *>z.data)[p.targets.places[e]] = <real>g.target_dlogit[p.targets.sources[e]]


cdef bint backward_rounded(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *part, char *memory, real *mine
) noexcept nogil:
    """The gradients of tile k by its few entries; or False, and nothing has changed, where they are not few."""
    cdef Py_ssize_t n, start = k * p.scratch.tile, n_cols = tile_cols(t, p, k), n_hidden = t.n_hidden
    cdef real *scale = mine + p.scratch.lanes
    cdef real *grad = mine + p.scratch.grad
    cdef Lists lists = lists_at(memory, t.n_rows, p.n_targets, p.scratch.tile)
    cdef real *values = <real *>lists.sorted_values
    cdef Block block = rows_from(t.V, start, sizeof(real))
    if not round_tile(&g.rounding, z, t.n_rows, start, n_cols, <const real *>scale, scale + p.n_lanes,
                      scale + 2 * p.n_lanes, g.scale, &p.targets, k, g.target_dlogit, &lists):
        return False
    if g.additions != NULL:
        logit_gradient(t, p, g, k, z, mine)
        addition_gradients(&t.additions, k, z, <real *>g.additions)
    if part != NULL:
        add_to_hidden(&lists, &block, n_cols, n_hidden, part, mine + p.scratch.weights)
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
        if g.class_alpha != 0:
            penalise_listed(t, p, g, k, z, &lists, n, grad)
        update_block(&g.V_rule, &block, n, n_hidden, grad, n_hidden, <real *>g.V_state)
    return True


cdef void backward_tile(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, Py_ssize_t q, bint first, Py_ssize_t thread, real *mine
) noexcept nogil:
    """Tile k, which is in part q: the `first` one there or not."""
    cdef Py_ssize_t start = k * p.scratch.tile, n_cols = tile_cols(t, p, k)
    cdef real *part = <real *>NULL if g.parts == NULL else <real *>g.parts + q * p.n_lanes * t.n_hidden
    cdef real *grad = mine + p.scratch.grad
    cdef real *rounded_part = NULL
    cdef Panels z = panels_of(t, p, k, mine)
    cdef Block block
    gradient_scale(t, p, g, k, &z, mine)
    if g.rounding.threshold > 0:
        if g.rounding.parts != NULL:
            rounded_part = <real *>g.rounding.parts + q * t.n_rows * t.n_hidden
        if backward_rounded(t, p, g, k, &z, rounded_part, g.rounding.memory + thread * g.rounding.memory_stride, mine):
            return
        first = False  # the parts are zeros: tiles that are rounded leave them alone
    logit_gradient(t, p, g, k, &z, mine)
    if g.additions != NULL:
        addition_gradients(&t.additions, k, &z, <real *>g.additions)
    if g.bias.data != NULL:
        sum_panels(&z, n_cols, t.n_rows, grad)
        block = cols_from(g.bias, start, sizeof(real))
        update_block(&g.bias_rule, &block, 1, n_cols, grad, n_cols,
                     <real *>state_from(g.bias_state, g.bias.col_ids, start, sizeof(real)))
    if t.n_hidden:
        if part != NULL:
            hidden_gradient(t, start, n_cols, &z, first, part, mine + p.scratch.weights)
        if g.V.data != NULL:
            update_V(t, p, g, k, &z, grad)
    if t.x.n_features and g.W.data != NULL:
        step_csr_term(&t.x, &g.W_rule, &g.W, <real *>g.W_state, t.n_rows, start, n_cols, &z, mine + p.scratch.by_row)


cdef void hidden_gradient(
    const Terms *t, Py_ssize_t start, Py_ssize_t n_cols, const Panels *z, bint first, real *part, real *scratch
) noexcept nogil:
    """part (n_panels, n_hidden, width) (+)= dz V, with the features as rows of the product."""
    cdef Factor V = tile_weights(t, start, n_cols, scratch)
    cdef Panels out = z[0]
    V.row_stride, V.k_stride, V.k_block = V.k_stride, V.row_stride, n_cols
    out.data, out.stride = part, t.n_hidden * z.width
    multiply(&V, t.n_hidden, n_cols, z, <const real *>NULL, &out, z.width, not first)


cdef inline void add_penalty(const Gradients *g, double scale, Py_ssize_t id, Py_ssize_t n_hidden, real *grad) noexcept nogil:
    """grad += class_alpha scale V[id]"""
    cdef const real *V = <const real *>g.V.data + id * g.V.row_stride
    cdef real factor = <real>(g.class_alpha * scale)
    cdef Py_ssize_t j
    for j in range(n_hidden):
        grad[j] += factor * V[j * g.V.col_stride]


cdef void penalise(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *grad, Py_ssize_t stride
) noexcept nogil:
    """grad += the gradient of the penalty on the targets' rows of V; `grad` has rows for the classes of tile k."""
    cdef Py_ssize_t e, at, id
    for e in range(p.targets.tile_ptr[k], p.targets.tile_ptr[k + 1]):
        at = class_at(z, p.targets.places[e])
        id = k * p.scratch.tile + at
        if g.V.row_ids != NULL:
            id = g.V.row_ids[id]
        add_penalty(g, g.target_scale[p.targets.sources[e]], id, t.n_hidden, grad + at * stride)


cdef void penalise_listed(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, const Lists *lists, Py_ssize_t n,
    real *grad
) noexcept nogil:
    """The same where `grad` has rows for the n listed classes only, whose ids ascend."""
    cdef Py_ssize_t e, id, low, high, middle
    for e in range(p.targets.tile_ptr[k], p.targets.tile_ptr[k + 1]):
        id = k * p.scratch.tile + class_at(z, p.targets.places[e])
        if g.class_ids != NULL:
            id = g.class_ids[id]
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if lists.ids[middle] < id:
                low = middle + 1
            else:
                high = middle
        if low < n and lists.ids[low] == id:    # else its rows do not count
            add_penalty(g, g.target_scale[p.targets.sources[e]], id, t.n_hidden, grad + low * t.n_hidden)


cdef void update_V(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, const Panels *z, real *grad
) noexcept nogil:
    """V of tile k steps along dz^T hidden."""
    cdef Py_ssize_t start = k * p.scratch.tile, n_cols = tile_cols(t, p, k)
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
    if g.class_alpha != 0:
        penalise(t, p, g, k, z, grad, stride)
    start *= 1 if g.V_rule.state_per_row else g.V.row_stride
    update_block(&g.V_rule, &block, n_cols, t.n_hidden, grad, stride,
                 <real *>state_from(g.V_state, g.V.row_ids, start, sizeof(real)))


cdef void backward_part(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t q, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t thread,
    real *mine
) noexcept nogil:
    """Tiles begin to end of part q, which sums its share of the gradient of `hidden` in the order of its tiles."""
    cdef Py_ssize_t k, first = q * p.n_tiles // g.n_parts, n = (q + 1) * p.n_tiles // g.n_parts - first
    for k in range(first + begin, first + min(end, n)):
        backward_tile(t, p, g, k, q, k == first, thread, mine)


cdef void backward_parts(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t begin, Py_ssize_t end, real *memory
) noexcept nogil:
    cdef Py_ssize_t q
    for q in prange(g.n_parts, schedule='dynamic', chunksize=1, num_threads=p.n_threads):
        backward_part(t, p, g, q, begin, end, threadid(), memory + threadid() * p.memory_stride)


def thread_scratch(terms, Py_ssize_t tile):
    """Reals of scratch that each thread needs for tiles of `tile` classes."""
    cdef Terms t = read_terms(terms, None)
    return plan_scratch(&t, tile, terms.dtype.itemsize).size


def forward(terms, work, Py_ssize_t begin, Py_ssize_t end):
    """Fill work.max, work.sum, work.target_logit and the kept tiles, for parts begin to end."""
    cdef Terms t = read_terms(terms, work)
    cdef Pass p = read_pass(&t, work)
    cdef Py_ssize_t n_parts = (<cnp.ndarray>work.max).shape[0]
    if (<cnp.ndarray>work.scratch).itemsize == 4:
        with nogil:
            forward_parts[float](&t, &p, n_parts, begin, end, <float *>p.memory)
    else:
        with nogil:
            forward_parts[double](&t, &p, n_parts, begin, end, <double *>p.memory)


def backward(
    terms, work, dlogits, out, cnp.ndarray hidden_columns, cnp.ndarray parts, rounding, cnp.ndarray dadditions,
    Py_ssize_t n_parts, Py_ssize_t begin, Py_ssize_t end,
):
    """From the tiles of `forward` to the parameters, for tiles begin to end of each of the n_parts.

    Parameters
    ----------
    terms, work : as given to `forward`
    dlogits : LogitGradient of fastsoftmax.passes.logit_gradient
    out : Destination of fastsoftmax.passes.tiles, what the gradients are added to or the parameters that they step
    hidden_columns : (n_panels, n_rows, width) array, the transpose of `terms.hidden` packed into panels, or None
    parts : (n_parts, n_panels, n_hidden, width) array to fill with partial sums of the gradient of `hidden`, or None;
        zeros where there is rounding
    rounding : Rounding of fastsoftmax.passes.tiles, or None
    dadditions : as terms.additions.values, to fill with their gradients, or None
    n_parts : int
        How many parts the tiles are in.
    begin, end : int
        Which tiles of each part to take.
    """
    cdef Terms t = read_terms(terms, work)
    cdef Pass p = read_pass(&t, work)
    cdef Gradients g = read_gradients(&t, dlogits, out)
    if rounding is not None:
        g.rounding = read_rounding(terms, rounding)
    if hidden_columns is not None:
        g.hidden_columns = array_panels(hidden_columns)
    g.parts = NULL if parts is None else cnp.PyArray_DATA(parts)
    g.additions = NULL if dadditions is None else cnp.PyArray_DATA(dadditions)
    g.n_parts = n_parts
    if (<cnp.ndarray>work.scratch).itemsize == 4:
        with nogil:
            backward_parts[float](&t, &p, &g, begin, end, <float *>p.memory)
    else:
        with nogil:
            backward_parts[double](&t, &p, &g, begin, end, <double *>p.memory)


def lists_bytes(Py_ssize_t n_rows, Py_ssize_t n_targets, Py_ssize_t tile):
    """Bytes of Rounding.memory that each thread needs."""
    return lists_bytes_of(n_rows, n_targets, tile)
