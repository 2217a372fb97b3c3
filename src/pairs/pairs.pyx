"""Softmax over pairs: z_k = bias_k + x . w_k, where w_jk exists only for some pairs of feature j and class k.

A row touches the classes of its features; all others have the logit bias_k, and together a mass that is known: that of all
classes less that of the touched ones. So a row costs as much as it has pairs (feature, class), however many classes there
are. `touch` finds the touched classes and their logits, `exponentiate` sums up their exponentials (or `differentiate` their
binary losses), `gradient` turns these into the gradient of the logits, and `step` that into gradients or optimiser steps of
the weights.

A row's targets come first among its touched classes. Their logits are noted, and what a loss makes of them is the caller's.

The first three take rows, each whole, in any order. `step` takes pieces of the features' lists of classes: what belongs to
a piece no other thread writes, and it adds up its rows in their order. So results are the same for any number of threads.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
cimport shared.numpy_c as cnp

import numpy as np

from compact.compact cimport read_compact
from leaves.pairs cimport binary_touched, exp_touched, scale_touched, step_pairs, touch as touch_row
from leaves.pairs_bias cimport add_bias
from leaves.structs cimport (
    COMPACT_NONE, PIECE_CLASSES, Compact, PairPiece, PairStep, PairWeights, Rule, TouchTable,
)
from pairs.touched cimport row_table, table_slots
from rules.rule cimport read_rule
from shared.fused cimport real
from shared.table cimport import_leaves

cnp.import_array()
import_leaves()

cdef enum:
    ROWS = 4                # that a thread takes at a time
    CHUNK = 16384           # elements of gradients that a thread takes at a time, or one piece

PIECE = PIECE_CLASSES       # reals of scratch that `step` needs for each thread


def plan(
    const Py_ssize_t[::1] indptr, const int32_t[::1] indices, const Py_ssize_t[::1] col_indptr,     # of a Batch
    const Py_ssize_t[::1] lengths,  # (n_local,) classes of each feature of the batch
    const Py_ssize_t[::1] target_ptr,   # (n_rows + 1,) where the targets of each row begin
    Py_ssize_t n_classes,
):
    """Plan where everything of a batch goes.

    Returns
    -------
    pos_ptr : (n_rows + 1,) where the pairs (entry, class) of each row begin
    row_ptr : (n_rows + 1,) where there is room for the touched classes of each row, and one more
    offsets : (n_entries,) where the pairs of an entry begin, entries by feature as in `col_indptr`
    """
    cdef Py_ssize_t i, e, to, at = 0, n_rows = indptr.shape[0] - 1
    pos, rows, offsets = np.empty(n_rows + 1, np.intp), np.empty(n_rows + 1, np.intp), np.empty(indices.shape[0], np.intp)
    cdef Py_ssize_t[::1] pos_ptr = pos, row_ptr = rows, out = offsets, next = np.array(col_indptr)
    pos_ptr[0] = row_ptr[0] = 0
    with nogil:
        for i in range(n_rows):
            for e in range(indptr[i], indptr[i + 1]):
                to = next[indices[e]]
                next[indices[e]] = to + 1
                out[to] = at
                at += lengths[indices[e]]
            pos_ptr[i + 1] = at
            row_ptr[i + 1] = row_ptr[i] + min(at - pos_ptr[i] + target_ptr[i + 1] - target_ptr[i], n_classes) + 1
    return pos, rows, offsets


def table_size(Py_ssize_t capacity, Py_ssize_t n_classes):
    """How many int64, zeros at first, `touch` needs for each thread and rows of up to `capacity` touched classes."""
    return table_slots(capacity, n_classes) + 1


def touch(
    batch, weights,                 # a Batch; starts, ends, class_ids, data; base and, of compact data, scale, or None
    const real[::1] bias,           # (n_classes,)
    const real[:, ::1] base_of,     # (n_classes, 2) of pairs_bias.write_base
    const Py_ssize_t[::1] target_ptr, const int32_t[::1] targets,   # classes of the rows
    const Py_ssize_t[::1] pos_ptr, const Py_ssize_t[::1] row_ptr,
    int32_t[::1] touched_out,       # the touched classes of row i, from row_ptr[i] on; its targets come first
    real[::1] logits_out,           # their logits
    int32_t[::1] positions_out,     # of each pair (entry, class): which of the row's touched classes; or None
    Py_ssize_t[::1] n_touched_out,
    double[::1] mass_out,           # (n_rows,) sum over the touched classes of exp(bias - shift)
    int64_t[:, ::1] tables,         # (n_threads, table_size): zeros
    real[:, ::1] bases,             # (n_threads, 2 * the largest room of a row): scratch where `weights` has base
    int n_threads,
    exponentials=None,              # None, or what `exponentiate` writes, (max_out, sum_out, target_logit_out)
):
    """Find the classes that the rows touch, and their logits; with `exponentials`, do what `exponentiate` does as well.

    That saves one wake-up of the threads, and a row is exponentiated while it is in the first-level cache.
    """
    cdef PairWeights w
    w.starts = <const Py_ssize_t *>cnp.PyArray_DATA(weights[0])
    w.ends = <const Py_ssize_t *>cnp.PyArray_DATA(weights[1])
    w.class_ids = <const int32_t *>cnp.PyArray_DATA(weights[2])
    cdef Compact compact = read_compact(weights[3])
    w.kind, w.scale = compact.kind, NULL if weights[5] is None else cnp.PyArray_DATA(weights[5])
    w.data = cnp.PyArray_DATA(weights[3]) if compact.kind == COMPACT_NONE else compact.data
    w.base = NULL if weights[4] is None else cnp.PyArray_DATA(weights[4])
    cdef const Py_ssize_t[::1] indptr = batch.indptr
    cdef const int32_t *indices = <const int32_t *>cnp.PyArray_DATA(batch.indices)
    cdef const real *data = <const real *>cnp.PyArray_DATA(batch.data)
    cdef int32_t *positions = NULL
    cdef Py_ssize_t i, j, n_rows = row_ptr.shape[0] - 1, n_classes = bias.shape[0]
    cdef const int32_t *first_target = &targets[0] if targets.shape[0] else NULL
    cdef double[::1] max_out = None, sum_out = None, target_logit_out = None
    if n_rows == 0:
        return
    if positions_out is not None and positions_out.shape[0]:
        positions = &positions_out[0]
    cdef bint exponentiated = exponentials is not None
    if exponentiated:
        max_out, sum_out, target_logit_out = exponentials
    for i in prange(0, n_rows, ROWS, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
        for j in range(i, min(i + ROWS, n_rows)):
            n_touched_out[j] = touch_one(
                &w, indices + indptr[j], data + indptr[j], indptr[j + 1] - indptr[j],
                first_target + target_ptr[j], target_ptr[j + 1] - target_ptr[j], &base_of[0, 0], n_classes,
                &tables[threadid(), 0], tables.shape[1] - 1, row_ptr[j + 1] - row_ptr[j], &touched_out[row_ptr[j]],
                &logits_out[row_ptr[j]],
                positions + pos_ptr[j] if positions != NULL else NULL, &bases[threadid(), 0], &mass_out[j])
            if exponentiated:
                exponentiate_row(&logits_out[row_ptr[j]], n_touched_out[j], target_ptr[j], target_ptr[j + 1],
                                 &max_out[j], &sum_out[j], target_logit_out)


cdef Py_ssize_t touch_one(
    const PairWeights *w, const int32_t *features, const real *x, Py_ssize_t n_entries, const int32_t *targets,
    Py_ssize_t n_targets, const real *base_of, Py_ssize_t n_classes, int64_t *memory, Py_ssize_t size,
    Py_ssize_t capacity, int32_t *touched, real *logits, int32_t *positions, real *bases, double *mass_out
) noexcept nogil:
    cdef TouchTable table = row_table(memory, size, capacity, n_classes)
    cdef Py_ssize_t n = touch_row(w, features, x, n_entries, targets, n_targets, base_of, &table, capacity, touched,
                                  logits, positions, bases)
    if w.base != NULL:
        mass_out[0] = add_bias(<const int32_t *>NULL, n, <const real *>bases, logits)
    else:
        mass_out[0] = add_bias(touched, n, base_of, logits)
    table.base[0] += n
    return n


def exponentiate(
    const Py_ssize_t[::1] row_ptr, const Py_ssize_t[::1] n_touched,
    real[::1] logits,               # IN. OUT: exp(logits - max), 0 for the targets
    const Py_ssize_t[::1] target_ptr,
    double[::1] max_out, double[::1] sum_out,   # (n_rows,) of all but the targets
    double[::1] target_logit_out,   # (n_targets,)
    int n_threads,
):
    """Turn the touched classes' logits into exponentials, and sum these up."""
    cdef Py_ssize_t i, n_rows = n_touched.shape[0]
    for i in prange(n_rows, schedule='dynamic', chunksize=ROWS, num_threads=n_threads, nogil=True):
        exponentiate_row(&logits[row_ptr[i]], n_touched[i], target_ptr[i], target_ptr[i + 1], &max_out[i], &sum_out[i],
                         target_logit_out)


cdef inline void exponentiate_row(
    real *logits, Py_ssize_t n_touched, Py_ssize_t first_target, Py_ssize_t end_target, double *max_out, double *sum_out,
    double[::1] target_logit_out
) noexcept nogil:
    mask_targets(logits, first_target, end_target, target_logit_out)
    sum_out[0] = exp_touched(logits, n_touched, max_out)


def differentiate(
    int kind,                       # of a binary loss
    const Py_ssize_t[::1] row_ptr, const Py_ssize_t[::1] n_touched,
    real[::1] logits,               # IN. OUT: the derivatives of the losses of classes that the row does not have
    const Py_ssize_t[::1] target_ptr,
    double[::1] sum_out,            # (n_rows,) of these losses
    double[::1] target_logit_out,   # (n_targets,)
    int n_threads,
):
    """Turn the touched classes' logits into derivatives of binary losses, and sum these up: of all but the targets."""
    cdef Py_ssize_t i, n_rows = n_touched.shape[0]
    for i in prange(n_rows, schedule='dynamic', chunksize=ROWS, num_threads=n_threads, nogil=True):
        mask_targets(&logits[row_ptr[i]], target_ptr[i], target_ptr[i + 1], target_logit_out)
        sum_out[i] = binary_touched(kind, &logits[row_ptr[i]], n_touched[i])


cdef inline void mask_targets(real *logits, Py_ssize_t begin, Py_ssize_t end, double[::1] out) noexcept nogil:
    """out[begin:end] <- the logits of a row's targets, which become -inf."""
    cdef Py_ssize_t e
    for e in range(begin, end):
        out[e] = logits[e - begin]
        logits[e - begin] = -INFINITY


def gradient(
    const Py_ssize_t[::1] row_ptr, const Py_ssize_t[::1] n_touched, const int32_t[::1] touched,
    real[::1] logits,               # IN: as `exponentiate` or `differentiate` leaves them. OUT: the gradient of the logits
    const double[::1] scale,        # (n_rows,) factors of what they are
    const Py_ssize_t[::1] target_ptr, const double[::1] target_dlogit,     # (n_targets,) the targets' gradients in full
    const double[::1] prior_scale, const real[::1] prior,           # or None
    int n_threads,
):
    """The gradient of the logits of the touched classes, in place: scale logits - prior_scale prior, or `target_dlogit`."""
    cdef Py_ssize_t i, e, n_rows = n_touched.shape[0]
    cdef const real *priors = NULL if prior is None else &prior[0]
    for i in prange(n_rows, schedule='dynamic', chunksize=ROWS, num_threads=n_threads, nogil=True):
        scale_touched(&logits[row_ptr[i]], &touched[row_ptr[i]], n_touched[i], scale[i],
                      prior_scale[i] if priors != NULL else 0.0, priors)
        for e in range(target_ptr[i], target_ptr[i + 1]):
            logits[row_ptr[i] + e - target_ptr[i]] = <real>target_dlogit[e]


def pieces_of(const Py_ssize_t[::1] lengths, const Py_ssize_t[::1] col_indptr):
    """(pieces, chunk_ptr): the lists of the features cut into pieces, and chunks of pieces of about the same work."""
    cdef Py_ssize_t f, begin, n = 0, work = 0, n_chunks = 0, n_pieces = 0
    for f in range(lengths.shape[0]):
        n_pieces += (lengths[f] + PIECE_CLASSES - 1) // PIECE_CLASSES
    pieces, chunks = np.empty((n_pieces, 2), np.int64), np.empty(n_pieces + 1, np.intp)
    cdef PairPiece *out = <PairPiece *>cnp.PyArray_DATA(pieces)
    cdef Py_ssize_t[::1] chunk_ptr = chunks
    chunk_ptr[0] = 0
    for f in range(lengths.shape[0]):
        begin = 0
        while begin < lengths[f]:
            out[n].feature, out[n].begin = <int32_t>f, begin
            out[n].length = <int32_t>min(<Py_ssize_t>PIECE_CLASSES, lengths[f] - begin)
            work += out[n].length * (col_indptr[f + 1] - col_indptr[f] + 1) + 8
            begin += PIECE_CLASSES
            n += 1
            if work >= CHUNK or n == n_pieces:
                n_chunks += 1
                chunk_ptr[n_chunks] = n
                work = 0
    return pieces, chunks[:n_chunks + 1]


def step(
    batch, const Py_ssize_t[::1] starts, const Py_ssize_t[::1] lengths, const Py_ssize_t[::1] offsets,
    const int32_t[::1] positions, const Py_ssize_t[::1] row_ptr,
    const real[::1] dlogits,        # of the touched classes
    real[::1] data_out,             # one number a pair: added to, or stepped
    real[::1] state,                # laid out alike, or None
    rule,                           # of fastsoftmax.optimizers, or None
    real[:, ::1] scratch,           # (n_threads, PIECE)
    int n_threads,
):
    """Gradient of the weights of the batch's features: added to data_out (rule None), or the rule's step of them."""
    pieces, chunks = pieces_of(lengths, batch.col_indptr)
    cdef const Py_ssize_t[::1] chunk_ptr = chunks
    cdef const PairPiece *all_pieces = <const PairPiece *>cnp.PyArray_DATA(pieces)
    cdef Py_ssize_t c, n_chunks = chunk_ptr.shape[0] - 1
    cdef Rule r = read_rule(rule, False)
    cdef PairStep s
    if n_chunks == 0:
        return
    s.rule = &r
    s.starts, s.offsets, s.row_ptr = &starts[0], &offsets[0], &row_ptr[0]
    s.positions, s.dlogits = &positions[0], &dlogits[0]
    s.data, s.state = &data_out[0], NULL if state is None else &state[0]
    s.col_indptr = <const Py_ssize_t *>cnp.PyArray_DATA(batch.col_indptr)
    s.rows = <const int32_t *>cnp.PyArray_DATA(batch.rows)
    s.x = cnp.PyArray_DATA(batch.col_data)
    for c in prange(n_chunks, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
        step_pairs(&s, &all_pieces[chunk_ptr[c]], chunk_ptr[c + 1] - chunk_ptr[c], &scratch[threadid(), 0])
