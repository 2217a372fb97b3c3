# What the two passes over the tiles of logits are given: see tiles.pyx.
from libc.stdint cimport int64_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

from leaves.structs cimport RULE_STORE, Block, Panels, Rule
from rules.rule cimport read_rule
from tiles.additions cimport Additions, read_additions
from tiles.blocks cimport ids_or_null, matrix_block, vector_block
from tiles.logits cimport Scratch, Terms, plan_scratch
from tiles.rounding cimport Rounding


cdef struct Pass:
    # what both passes share
    Scratch scratch
    Py_ssize_t n_tiles
    Py_ssize_t n_lanes              # rows, and those that fill up the last panel
    Py_ssize_t n_kept               # the first tiles are kept
    void *kept                      # (n_kept, n_lanes * tile)
    void *shift                     # (n_tiles, n_lanes): what is subtracted in each tile
    void *memory                    # one row of memory_stride reals a thread
    Py_ssize_t memory_stride
    const void *offset              # (n_classes,) added to the logits of all but the target, or NULL
    const void *weight              # (n_classes,) of binary losses, or NULL: softmax
    int binary                      # which of them
    Additions targets               # the classes of each row whose logits are noted and masked
    Py_ssize_t n_targets
    void *max                       # (n_parts, n_lanes)
    double *sum
    double *target_logit            # (n_targets,)
    int n_threads


cdef struct Gradients:
    const double *scale             # (n_rows,) dloss / dlogit = scale p - prior_scale prior, but for the targets'
    const double *lse               # (n_rows,), of softmax
    const double *target_dlogit     # (n_targets,) the whole gradient of the targets' logits
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
    double class_alpha              # penalty on the rows of V that are targets,
    const double *target_scale      # (n_targets,) times this
    Rule W_rule
    Panels hidden_columns           # (n_panels of features, n_rows, width): hidden, the other way round
    void *parts                     # (n_parts, n_panels, n_hidden, width) partial gradients of hidden, or NULL
    Py_ssize_t n_parts
    void *additions                 # gradient of each, in the caller's order, or NULL
    Rounding rounding


cdef inline Pass read_pass(const Terms *t, work) except *:
    """The C view of a Forward of fastsoftmax.passes.tiles, whose arrays must outlive it."""
    cdef Pass p
    cdef cnp.ndarray memory = work.scratch, max = work.max
    p.scratch = plan_scratch(t, work.tile, memory.itemsize)
    p.n_tiles = work.n_tiles
    p.n_lanes = max.shape[1]
    p.n_kept = (<cnp.ndarray>work.kept).shape[0]
    p.kept = cnp.PyArray_DATA(work.kept)
    p.shift = cnp.PyArray_DATA(work.shift)
    p.memory = cnp.PyArray_DATA(memory)
    p.memory_stride = memory.shape[1]
    p.offset = NULL if work.offset is None else cnp.PyArray_DATA(work.offset)
    p.weight = NULL if work.weight is None else cnp.PyArray_DATA(work.weight)
    p.binary = work.loss.binary
    p.targets = read_additions(work.targets)
    p.n_targets = (<cnp.ndarray>work.target_logit).shape[0]
    p.max = cnp.PyArray_DATA(max)
    p.sum = <double *>cnp.PyArray_DATA(work.sum)
    p.target_logit = <double *>cnp.PyArray_DATA(work.target_logit)
    p.n_threads = work.n_threads
    return p


cdef inline Gradients read_gradients(const Terms *t, dlogits, out) except *:
    """The C view of a LogitGradient and a Destination of fastsoftmax.passes.tiles, whose arrays must outlive it."""
    cdef Gradients g
    cdef cnp.ndarray V_state = out.V_state
    cdef const int64_t *class_ids = NULL if out.by_position else t.class_ids
    memset(&g, 0, sizeof(Gradients))
    g.scale = <const double *>cnp.PyArray_DATA(dlogits.scale)
    g.target_scale = <const double *>cnp.PyArray_DATA(dlogits.target_scale)
    g.lse = NULL if dlogits.lse is None else <const double *>cnp.PyArray_DATA(dlogits.lse)
    g.target_dlogit = <const double *>cnp.PyArray_DATA(dlogits.target)
    if dlogits.prior is not None:
        g.prior = cnp.PyArray_DATA(dlogits.prior)
        g.prior_scale = <const double *>cnp.PyArray_DATA(dlogits.prior_scale)
    g.class_ids = class_ids
    g.bias = vector_block(out.bias, class_ids)
    if out.V is not None:
        g.V = matrix_block(out.V, class_ids, NULL)
    if out.W is not None:
        g.W = matrix_block(out.W.T, t.x.W.row_ids if out.columns is None else ids_or_null(out.columns), class_ids)
    g.bias_state = NULL if out.bias_state is None else cnp.PyArray_DATA(out.bias_state)
    g.V_state = NULL if V_state is None else cnp.PyArray_DATA(V_state)
    g.W_state = NULL if out.W_state is None else cnp.PyArray_DATA(out.W_state)
    g.bias_rule = read_rule(out.rule, False)
    g.bias_rule.alpha = 0
    g.V_rule = read_rule(out.rule, V_state is not None and V_state.ndim == 1)
    if out.class_alpha is not None:
        g.V_rule.alpha, g.class_alpha = 0, out.class_alpha
    g.W_rule = read_rule(out.rule, False)
    if out.stores_W:
        g.W_rule.kind = RULE_STORE
    return g
