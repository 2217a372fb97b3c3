"""Loss, gradient and optimiser step of a linear softmax, tile by tile: the (n_rows, n_classes) logits never exist whole.

Two passes over the tiles. `forward` leaves, for each tile and row, the maximum m and the sum of exp(z - m), the target's own
logit apart (it is masked in its tile, so that a candidate that happens to be the target is never counted twice, and so that
1 - p_target keeps its digits). `backward` turns each tile into the gradient of its logits, and that at once into the gradients
of the parameters, which the rule adds up or applies. Tiles of exp(z - m) are kept between the passes as far as the given
memory goes; those beyond it are computed again.

A thread owns whole tiles of classes, so there are no races; which tile does what, and every order of summation, depends on the
shapes alone, so results are the same for any number of threads.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, log
from libc.stdint cimport int64_t
from libc.string cimport memset
cimport numpy as cnp

from _logits cimport (
    Block, Terms, cols_from, hidden_weights, ids_or_null, logits_tile, matrix_block, read_rule, read_terms,
    rows_from, scratch_size, vector_block,
)
from _rowops cimport exp_array, import_rowops
from _sparse_terms cimport sparse_step
from _tileops cimport Rule, exp_rows, gemm, scale_rows, sum_columns, sum_parts, update_block
from _types cimport real

cnp.import_array()
import_rowops()


cdef enum:
    REDUCE_ROWS = 256


cdef struct Pass:
    # what both passes share
    Py_ssize_t tile                 # classes a tile
    Py_ssize_t n_tiles
    Py_ssize_t n_kept               # the first tiles are kept
    void *kept                      # (n_kept, n_rows, tile)
    void *scratch                   # one row of scratch_stride reals a thread
    Py_ssize_t scratch_stride
    const void *offset              # (n_classes,) added to the logits of all but the target, or NULL
    const int64_t *target           # (n_rows,) candidate number of the target, -1: none; or NULL
    double *max                     # (n_tiles, n_rows)
    double *sum
    double *target_logit            # (n_rows,)
    int n_threads


cdef struct Gradients:
    const double *scale             # (n_rows,) dloss / dlogit = scale p - prior_scale prior, but for the target's
    const double *lse               # (n_rows,)
    const double *target_dlogit     # (n_rows,) the whole gradient of the target's logit
    const double *prior_scale
    const void *prior               # (n_classes,) or NULL
    Block bias
    Block V
    Block W
    void *bias_state
    void *V_state
    void *W_state
    Rule bias_rule                  # not regularised
    Rule V_rule                     # one state a row
    Rule W_rule
    void *parts                     # (n_parts, n_rows, n_hidden) partial gradients of hidden, or NULL
    Py_ssize_t n_parts


cdef inline Py_ssize_t tile_start(const Pass *p, Py_ssize_t k) noexcept nogil:
    return k * p.tile


cdef inline Py_ssize_t tile_cols(const Terms *t, const Pass *p, Py_ssize_t k) noexcept nogil:
    return min(p.tile, t.n_classes - k * p.tile)


cdef inline real *tile_memory(const Terms *t, const Pass *p, Py_ssize_t k, real *scratch) noexcept nogil:
    return <real *>p.kept + k * t.n_rows * p.tile if k < p.n_kept else scratch


cdef void exp_tile(const Terms *t, const Pass *p, Py_ssize_t k, real *z, real *scratch) noexcept nogil:
    """z <- exp(logits - m) of tile k, and m and the sums; the targets' logits noted and masked."""
    cdef Py_ssize_t i, at, start = tile_start(p, k), n_cols = tile_cols(t, p, k)
    cdef const real *offset = <const real *>NULL if p.offset == NULL else <const real *>p.offset + start
    logits_tile(t, start, n_cols, z, p.tile, scratch)
    if p.target != NULL:
        for i in range(t.n_rows):
            at = p.target[i] - start
            if 0 <= at < n_cols:
                p.target_logit[i] = z[i * p.tile + at]
                z[i * p.tile + at] = -INFINITY
    exp_rows(z, t.n_rows, n_cols, p.tile, offset, p.max + k * t.n_rows, p.sum + k * t.n_rows)


cdef void forward_tiles(
    const Terms *t, const Pass *p, Py_ssize_t begin, Py_ssize_t end, real *scratch
) noexcept nogil:
    cdef Py_ssize_t k
    cdef real *mine
    for k in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=p.n_threads):
        mine = scratch + threadid() * p.scratch_stride
        exp_tile(t, p, k, tile_memory(t, p, k, mine), mine + t.n_rows * p.tile)


cdef inline void *state_from(void *state, const int64_t *ids, Py_ssize_t start, Py_ssize_t itemsize) noexcept nogil:
    """The optimiser's state from element `start` on; where the block goes by ids, so does its state."""
    return state if state == NULL or ids != NULL else <char *>state + start * itemsize


cdef void backward_tile(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t k, bint first, real *part, real *mine
) noexcept nogil:
    cdef Py_ssize_t i, at, stride, n = t.n_rows, start = tile_start(p, k), n_cols = tile_cols(t, p, k)
    cdef bint transposed
    cdef real *z = tile_memory(t, p, k, mine)
    cdef real *scratch = mine + n * p.tile          # weights, gathered
    cdef real *grad = scratch + scratch_size(t, p.tile, sizeof(real))
    cdef double *scale = <double *>(grad + p.tile * max(1, t.n_hidden))
    cdef const real *V
    cdef const real *prior = <const real *>NULL if g.prior == NULL else <const real *>g.prior + start
    cdef Block block

    if k >= p.n_kept:
        exp_tile(t, p, k, z, scratch)
    for i in range(n):
        scale[i] = p.max[k * n + i] - g.lse[i]
    exp_array(<const double *>scale, n, scale)
    for i in range(n):
        scale[i] = 0 if g.scale[i] == 0 else g.scale[i] * scale[i]
    scale_rows(z, n, n_cols, p.tile, scale, g.prior_scale, prior)
    for i in range(n):
        at = p.target[i] - start
        if 0 <= at < n_cols:
            z[i * p.tile + at] = <real>g.target_dlogit[i]

    if g.bias.data != NULL:
        sum_columns(<const real *>z, n, n_cols, p.tile, grad)
        block = cols_from(g.bias, start, sizeof(real))
        update_block(&g.bias_rule, &block, 1, n_cols, grad,
                     <real *>state_from(g.bias_state, g.bias.col_ids, start, sizeof(real)))
    if t.n_hidden:
        if part != NULL:
            V = hidden_weights(t, start, n_cols, scratch, &stride, &transposed)
            gemm(False, transposed, n, t.n_hidden, n_cols, <const real *>z, p.tile, V, stride, <real>(0 if first else 1),
                 part, t.n_hidden)
        if g.V.data != NULL:
            gemm(True, False, n_cols, t.n_hidden, n, <const real *>z, p.tile, <const real *>t.hidden, t.n_hidden, <real>0,
                 grad, t.n_hidden)
            block = rows_from(g.V, start, sizeof(real))
            update_block(&g.V_rule, &block, n_cols, t.n_hidden, grad,
                         <real *>state_from(g.V_state, g.V.row_ids, start * (1 if g.V_rule.state_per_row else g.V.row_stride),
                                            sizeof(real)))
    if g.W.data != NULL:
        sparse_step(&t.x, &g.W_rule, &g.W, <real *>g.W_state, start, n_cols, <const real *>z, p.tile)


cdef void backward_tiles(
    const Terms *t, const Pass *p, const Gradients *g, Py_ssize_t begin, Py_ssize_t end, real *scratch
) noexcept nogil:
    """Parts of consecutive tiles; a part sums its share of the gradient of `hidden` in the order of its tiles."""
    cdef Py_ssize_t q, k, first
    cdef real *part
    for q in prange(begin, end, schedule='dynamic', chunksize=1, num_threads=p.n_threads):
        first = q * p.n_tiles // g.n_parts
        part = <real *>NULL if g.parts == NULL else <real *>g.parts + q * t.n_rows * t.n_hidden
        for k in range(first, (q + 1) * p.n_tiles // g.n_parts):
            backward_tile(t, p, g, k, k == first, part, scratch + threadid() * p.scratch_stride)


cdef void write_tiles(const Terms *t, Py_ssize_t tile, real *z, Py_ssize_t z_stride, real *scratch,
                      Py_ssize_t scratch_stride, int n_threads) noexcept nogil:
    cdef Py_ssize_t k
    for k in prange((t.n_classes + tile - 1) // tile, schedule='dynamic', chunksize=1, num_threads=n_threads):
        logits_tile(t, k * tile, min(tile, t.n_classes - k * tile), z + k * tile, z_stride,
                    scratch + threadid() * scratch_stride)


cdef Pass read_pass(const Terms *t, work) except *:
    """The C view of a fastsoftmax._head.Forward, whose arrays must outlive it."""
    cdef Pass p
    cdef cnp.ndarray scratch = work.scratch
    p.tile = work.tile
    p.n_tiles = work.n_tiles
    p.n_kept = work.n_kept
    p.kept = cnp.PyArray_DATA(work.kept)
    p.scratch = cnp.PyArray_DATA(scratch)
    p.scratch_stride = scratch.shape[1]
    p.offset = NULL if work.offset is None else cnp.PyArray_DATA(work.offset)
    p.target = ids_or_null(work.target)
    p.max = <double *>cnp.PyArray_DATA(work.max)
    p.sum = <double *>cnp.PyArray_DATA(work.sum)
    p.target_logit = <double *>cnp.PyArray_DATA(work.target_logit)
    p.n_threads = work.n_threads
    return p


def thread_scratch(terms, Py_ssize_t tile):
    """Reals of scratch that each thread needs for tiles of `tile` classes."""
    cdef Terms t = read_terms(terms)
    # the tile, the gathered weights, a gradient of bias or V, a double a row; a cache line between threads
    return (t.n_rows * tile + scratch_size(&t, tile, terms.dtype.itemsize) + tile * max(1, t.n_hidden) + 2 * t.n_rows
            + 31) // 16 * 16


def logits(terms, work, cnp.ndarray out):
    """out (n_rows, n_classes) <- the logits: for callers who ask for all of them."""
    cdef Terms t = read_terms(terms)
    cdef cnp.ndarray scratch = work.scratch
    cdef Py_ssize_t tile = work.tile
    cdef int n_threads = work.n_threads
    if out.itemsize == 4:
        with nogil:
            write_tiles[float](&t, tile, <float *>cnp.PyArray_DATA(out), t.n_classes, <float *>cnp.PyArray_DATA(scratch),
                               scratch.shape[1], n_threads)
    else:
        with nogil:
            write_tiles[double](&t, tile, <double *>cnp.PyArray_DATA(out), t.n_classes, <double *>cnp.PyArray_DATA(scratch),
                                scratch.shape[1], n_threads)


def forward(terms, work, Py_ssize_t begin, Py_ssize_t end):
    """Fill work.max, work.sum, work.target_logit and the kept tiles, for tiles begin to end."""
    cdef Terms t = read_terms(terms)
    cdef Pass p = read_pass(&t, work)
    if (<cnp.ndarray>work.scratch).itemsize == 4:
        with nogil:
            forward_tiles[float](&t, &p, begin, end, <float *>p.scratch)
    else:
        with nogil:
            forward_tiles[double](&t, &p, begin, end, <double *>p.scratch)


def backward(terms, work, dlogits, out, cnp.ndarray parts, Py_ssize_t n_parts, Py_ssize_t begin, Py_ssize_t end):
    """From the tiles of `forward` to the parameters, for parts begin to end of the n_parts.

    Parameters
    ----------
    terms, work : as given to `forward`
    dlogits : fastsoftmax._head.LogitGradient
    out : fastsoftmax._head.Destination, what the gradients are added to or the parameters that they step
    parts : (n_parts, n_rows, n_hidden) array to fill with partial sums of the gradient of `hidden`, or None
    """
    cdef Terms t = read_terms(terms)
    cdef Pass p = read_pass(&t, work)
    cdef Gradients g = read_gradients(&t, dlogits, out)
    g.parts = NULL if parts is None else cnp.PyArray_DATA(parts)
    g.n_parts = n_parts
    if (<cnp.ndarray>work.scratch).itemsize == 4:
        with nogil:
            backward_tiles[float](&t, &p, &g, begin, end, <float *>p.scratch)
    else:
        with nogil:
            backward_tiles[double](&t, &p, &g, begin, end, <double *>p.scratch)


def reduce_tiles(const double[:, ::1] max, const double[:, ::1] sum, double[::1] lse_out, int n_threads):
    """lse_out (n_rows,) <- log-sum-exp from the (n_tiles, n_rows) maxima and sums of exp(z - max); -inf where all is -inf."""
    cdef Py_ssize_t n_tiles = max.shape[0], n_rows = max.shape[1], i
    if n_rows == 0:
        return
    for i in prange(0, n_rows, REDUCE_ROWS, num_threads=n_threads, nogil=True):
        reduce_rows(&max[0, i], &sum[0, i], n_tiles, n_rows, min(n_rows - i, <Py_ssize_t>REDUCE_ROWS), &lse_out[i])


cdef void reduce_rows(
    const double *max, const double *sum, Py_ssize_t n_tiles, Py_ssize_t stride, Py_ssize_t n, double *lse_out
) noexcept nogil:
    cdef double top[REDUCE_ROWS]
    cdef double mass[REDUCE_ROWS]
    cdef double total[REDUCE_ROWS]
    cdef Py_ssize_t i, k
    for i in range(n):
        top[i], total[i] = -INFINITY, 0
    for k in range(n_tiles):
        for i in range(n):
            if max[k * stride + i] > top[i]:
                top[i] = max[k * stride + i]
    for i in range(n):
        if top[i] == -INFINITY:
            top[i] = 0
    for k in range(n_tiles):
        for i in range(n):
            mass[i] = max[k * stride + i] - top[i]  # a NaN stays
        exp_array(<const double *>mass, n, <double *>mass)
        for i in range(n):
            total[i] = total[i] + sum[k * stride + i] * mass[i]
    for i in range(n):
        lse_out[i] = log(total[i]) + top[i]


def add_parts(const real[:, :, ::1] parts, real[:, ::1] sum_out, int n_threads):
    """sum_out (n_rows, n_hidden) <- the sum of the parts, in their order."""
    cdef Py_ssize_t i, d = parts.shape[2], n_rows = parts.shape[1], stride = n_rows * d
    for i in prange(n_rows if d else 0, num_threads=n_threads, nogil=True):
        sum_parts(&parts[0, i, 0], parts.shape[0], stride, d, &sum_out[i, 0])


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
