"""The first layer of a low-rank model: hidden = X E for a CSR batch, and the step of E from the gradient of hidden."""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
cimport shared.numpy_c as cnp

from compact.compact cimport read_compact
from leaves.compact cimport compact_spmm
from leaves.spmm cimport spmm
from leaves.structs cimport Block, Compact, Rule
from leaves.update cimport update_block
from rules.rule cimport read_rule
from shared.fused cimport real
from shared.table cimport import_leaves

cnp.import_array()
import_leaves()

cdef enum:
    ROWS = 16        # rows of a batch that a thread takes at a time
    FEATURES = 8     # rows of E that a thread steps at a time; the first ones have the most entries

SCRATCH_ROWS = FEATURES  # rows of gradient that `backproject` needs room for, a thread


def project(
    const Py_ssize_t[::1] indptr, const int32_t[::1] indices, const real[::1] data, const int64_t[::1] feature_ids,
    const real[:, ::1] E,       # (n_features, n_hidden)
    real[:, ::1] hidden_out,    # (n_rows, n_hidden)
    int n_threads,
):
    """hidden_out <- X E, for the rows of a batch."""
    cdef Py_ssize_t i, n_rows = hidden_out.shape[0], d = E.shape[1]
    cdef const int64_t *ids = &feature_ids[0] if feature_ids.shape[0] else NULL
    cdef const int32_t *entries = &indices[0] if indices.shape[0] else NULL
    cdef const real *values = &data[0] if data.shape[0] else NULL
    if n_rows == 0 or d == 0:
        return
    with nogil:
        for i in prange(0, n_rows, ROWS, schedule='dynamic', chunksize=1, num_threads=n_threads):
            spmm(&indptr[i], entries, values, min(<Py_ssize_t>ROWS, n_rows - i), &E[0, 0], d, ids, d,
                 &hidden_out[i, 0], d, False)


def project_compact(
    const Py_ssize_t[::1] indptr, const int32_t[::1] indices, const real[::1] data, const int64_t[::1] feature_ids,
    E,                          # a CompactMatrix of fastsoftmax.model.compact, (n_features, n_hidden)
    real[:, ::1] hidden_out,    # (n_rows, n_hidden)
    int n_threads,
):
    """The same where E is kept in few bits."""
    cdef Py_ssize_t i, n_rows = hidden_out.shape[0], d = hidden_out.shape[1]
    cdef const int64_t *ids = &feature_ids[0] if feature_ids.shape[0] else NULL
    cdef const int32_t *entries = &indices[0] if indices.shape[0] else NULL
    cdef const real *values = &data[0] if data.shape[0] else NULL
    cdef Compact rows = read_compact(E)
    if n_rows == 0 or d == 0:
        return
    with nogil:
        for i in prange(0, n_rows, ROWS, schedule='dynamic', chunksize=1, num_threads=n_threads):
            compact_spmm(&indptr[i], entries, values, min(<Py_ssize_t>ROWS, n_rows - i), &rows, ids, d,
                         &hidden_out[i, 0], d)


def backproject(
    const Py_ssize_t[::1] col_indptr, const int32_t[::1] rows, const real[::1] col_data, const int64_t[::1] feature_ids,
    const real[:, ::1] dhidden,     # (n_rows, n_hidden)
    real[:, ::1] E_out,             # (n_features, n_hidden): added to, or stepped
    cnp.ndarray state,              # (n_features,) or None
    rule,
    real[:, ::1] scratch,           # (n_threads, >= SCRATCH_ROWS * n_hidden)
    int n_threads,
):
    """The gradient of E, added to E_out, or the rule's step of it. A thread owns features of the batch, and so rows of E."""
    cdef Py_ssize_t f, n_local = feature_ids.shape[0], d = E_out.shape[1], n
    cdef Rule r = read_rule(rule, True)
    cdef real *state_data = NULL if state is None else <real *>cnp.PyArray_DATA(state)
    cdef Block block
    if n_local == 0 or d == 0:
        return
    block.data = &E_out[0, 0]
    block.col_ids = NULL
    block.row_stride = d
    block.col_stride = 1
    with nogil:
        for f in prange(0, n_local, FEATURES, schedule='dynamic', chunksize=1, num_threads=n_threads):
            n = min(<Py_ssize_t>FEATURES, n_local - f)
            step_features(&block, &feature_ids[f], &col_indptr[f], &rows[0], &col_data[0], n, &dhidden[0, 0], d, &r,
                          state_data, &scratch[threadid(), 0])


cdef void step_features(
    const Block *E, const int64_t *feature_ids, const Py_ssize_t *col_indptr, const int32_t *rows, const real *col_data,
    Py_ssize_t n, const real *dhidden, Py_ssize_t d, const Rule *rule, real *state, real *grad
) noexcept nogil:
    cdef Block block = E[0]
    block.row_ids = feature_ids
    spmm(col_indptr, rows, col_data, n, dhidden, d, NULL, d, grad, d, False)
    update_block(rule, &block, n, d, grad, d, state)
