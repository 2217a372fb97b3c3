"""Log-sum-exps and the best classes of CSR rows by their pairs, in one go: prediction, which keeps nothing of a row.

`touch` of pairs.pyx takes a Batch and keeps what a second pass needs. Here a row goes through touching, the k best and the
exponentials while it is in a cache, straight from the arrays of X and of the pairs: to answer a single row takes what its
own pairs take. A thread takes rows, each whole, in any order.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, exp, log, log1p
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset
cimport shared.numpy_c as cnp

from compact.compact cimport read_compact
from leaves.pairs cimport exp_touched, topk_touched, touch as touch_row
from leaves.pairs_bias cimport add_bias
from leaves.structs cimport COMPACT_NONE, Compact, Excluded, PairWeights, TouchTable
from pairs.touched cimport row_table, table_slots
from shared.fused cimport index, real
from shared.table cimport import_leaves
from tiles.excluded cimport read_excluded

cnp.import_array()
import_leaves()

cdef enum:
    ROWS = 4        # that a thread takes at a time
    SHORT = 1 << 13  # pairs of a call that keeps the interpreter's lock: to release it and wait for it takes longer
    LINE = 64       # bytes of a cache line: what a thread writes to begins on one

cdef struct Pairs:
    # where the pairs of each feature begin, in int32 or int64: a fused type more would double this module
    const int32_t *narrow
    const int64_t *wide


cdef inline Pairs read_pairs(cnp.ndarray indptr) noexcept:
    cdef Pairs pairs
    pairs.narrow = <const int32_t *>cnp.PyArray_DATA(indptr) if indptr.itemsize == 4 else NULL
    pairs.wide = <const int64_t *>cnp.PyArray_DATA(indptr)
    return pairs


cdef inline Py_ssize_t begin_of(const Pairs *pairs, Py_ssize_t feature) noexcept nogil:
    return pairs.narrow[feature] if pairs.narrow != NULL else <Py_ssize_t>pairs.wide[feature]


cdef struct Scratch:
    # a thread's memory in bytes: where each of its parts begins
    Py_ssize_t ends, features, scale, touched, logits, bases, table
    Py_ssize_t slots, size


cdef inline Py_ssize_t lines(Py_ssize_t n) noexcept nogil:
    return (n + LINE - 1) // LINE * LINE


cdef Scratch plan(Py_ssize_t most_entries, Py_ssize_t capacity, Py_ssize_t n_classes, Py_ssize_t itemsize) noexcept nogil:
    cdef Scratch s
    s.slots = table_slots(capacity, n_classes)
    s.ends = lines(most_entries * sizeof(Py_ssize_t))       # after the starts
    s.features = 2 * s.ends
    s.scale = s.features + lines(most_entries * sizeof(int32_t))
    s.touched = s.scale + lines(most_entries * itemsize)
    s.logits = s.touched + lines(capacity * sizeof(int32_t))
    s.bases = s.logits + lines(capacity * itemsize)
    s.table = s.bases + lines(2 * capacity * itemsize)
    s.size = s.table + lines((s.slots + 1) * sizeof(int64_t))
    return s


def measure(const index[::1] indptr, const index[::1] indices, cnp.ndarray pairs_indptr):
    """(most_entries, most_pairs, n_pairs): the most entries and pairs of a row, and the pairs of all rows."""
    cdef Py_ssize_t n_rows = indptr.shape[0] - 1
    cdef Pairs pairs = read_pairs(pairs_indptr)
    cdef Py_ssize_t[3] sizes
    cdef const index *columns = &indices[0] if indices.shape[0] else NULL
    if n_rows <= ROWS:      # the interpreter's lock is kept: to release it and wait for it takes longer
        measure_rows(&indptr[0], columns, n_rows, &pairs, sizes)
    else:
        with nogil:
            measure_rows(&indptr[0], columns, n_rows, &pairs, sizes)
    return sizes[0], sizes[1], sizes[2]


cdef void measure_rows(
    const index *indptr, const index *indices, Py_ssize_t n_rows, const Pairs *pairs, Py_ssize_t *sizes_out
) noexcept nogil:
    cdef Py_ssize_t i, e, n, most_entries = 0, most_pairs = 0, n_pairs = 0
    for i in range(n_rows):
        n = 0
        for e in range(<Py_ssize_t>indptr[i], <Py_ssize_t>indptr[i + 1]):
            n += begin_of(pairs, indices[e] + 1) - begin_of(pairs, indices[e])
        most_entries = max(most_entries, <Py_ssize_t>(indptr[i + 1] - indptr[i]))
        most_pairs, n_pairs = max(most_pairs, n), n_pairs + n
    sizes_out[0], sizes_out[1], sizes_out[2] = most_entries, most_pairs, n_pairs


def scratch_bytes(Py_ssize_t most_entries, Py_ssize_t most_pairs, Py_ssize_t n_classes, Py_ssize_t itemsize):
    """Bytes that `scan` needs for each thread."""
    return plan(most_entries, min(most_pairs, n_classes) + 1, n_classes, itemsize).size


cdef PairWeights read_weights(const int32_t[::1] class_ids, weights, const Compact *compact) noexcept:
    cdef PairWeights w
    w.kind, w.class_ids, w.base = compact.kind, &class_ids[0] if class_ids.shape[0] else NULL, NULL
    w.data = cnp.PyArray_DATA(weights) if compact.kind == COMPACT_NONE else compact.data
    return w


def touch(
    const index[::1] indptr, const index[::1] indices, const real[::1] data,    # CSR rows
    cnp.ndarray pairs_indptr, const int32_t[::1] class_ids, weights,    # as for `scan`
    Py_ssize_t n_classes,
    int32_t[:, ::1] touched_out, real[:, ::1] logits_out,   # (n_rows, the most touched classes of a row + 1)
    Py_ssize_t[::1] n_touched_out,
    Py_ssize_t most_entries, Py_ssize_t most_pairs,         # of `measure`
    uint8_t[::1] memory,            # (scratch_bytes,)
):
    """The touched classes of each row, and x . w of them."""
    cdef Py_ssize_t i, capacity = min(most_pairs, n_classes) + 1
    cdef Pairs pairs = read_pairs(pairs_indptr)
    cdef Scratch s = plan(most_entries, capacity, n_classes, sizeof(real))
    cdef Compact compact = read_compact(weights)
    cdef PairWeights w = read_weights(class_ids, weights, &compact)
    cdef const index *columns = &indices[0] if indices.shape[0] else NULL
    cdef const real *x = &data[0] if data.shape[0] else NULL
    cdef TouchTable table
    memset(&memory[s.table], 0, (s.slots + 1) * sizeof(int64_t))
    for i in range(n_touched_out.shape[0]):
        table = row_table(<int64_t *>&memory[s.table], s.slots, capacity, n_classes)
        n_touched_out[i] = touch_features(
            w, &s, n_classes, columns + indptr[i], x + indptr[i], <Py_ssize_t>(indptr[i + 1] - indptr[i]), &pairs,
            <const real *>compact.scale, <const real *>NULL, &table, &touched_out[i, 0], &logits_out[i, 0],
            <real *>NULL, &memory[0])
        table.base[0] += n_touched_out[i]


def scan(
    const index[::1] indptr, const index[::1] indices, const real[::1] data,    # CSR rows
    cnp.ndarray pairs_indptr, const int32_t[::1] class_ids,
    weights,                        # (n_pairs,) reals, or CompactPairs
    const real[:, ::1] weights_base,    # as PairWeights.base, or None
    const real[::1] bias, const real[:, ::1] base_of,   # of a Base, and its other numbers
    double mass, double shift, double least,    # rows with a smaller log-sum-exp are not exact
    const int32_t[::1] ranked,      # classes by falling bias: the k + most_pairs best that may be returned, or all
    eligible,                       # an Eligible for these rows, with its mask
    const uint8_t[::1] is_listed,   # or None
    real[:, ::1] values_out, int64_t[:, ::1] ids_out,   # (n_rows, k) heaps, best first, of logits; k may be 0
    double[::1] lse_out,            # (n_rows,)
    uint8_t[::1] is_exact_out,      # (n_rows,) 0: the difference of masses has lost digits
    Py_ssize_t most_entries, Py_ssize_t most_pairs,     # of `measure`
    uint8_t[:, ::1] memory,         # (n_threads, scratch_bytes)
):
    """Fill lse_out, and the k best classes of each row; return how many rows are not exact."""
    cdef Py_ssize_t i, j, n_inexact = 0, n_rows = lse_out.shape[0], n_classes = bias.shape[0], k = values_out.shape[1]
    cdef Py_ssize_t capacity = min(most_pairs, n_classes) + 1
    cdef Pairs pairs = read_pairs(pairs_indptr)
    cdef Scratch s = plan(most_entries, capacity, n_classes, sizeof(real))
    cdef Excluded excluded = read_excluded(eligible)
    cdef Compact compact = read_compact(weights)
    cdef PairWeights w = read_weights(class_ids, weights, &compact)
    cdef const uint8_t *mask = NULL if is_listed is None else &is_listed[0]
    cdef const real *row_scale = <const real *>compact.scale
    if n_rows == 0:
        return 0
    w.base = NULL if weights_base is None or not class_ids.shape[0] else &weights_base[0, 0]
    cdef const index *columns = &indices[0] if indices.shape[0] else NULL
    cdef const real *x = &data[0] if data.shape[0] else NULL
    cdef const int32_t *best = &ranked[0] if ranked.shape[0] else NULL
    cdef real *values = &values_out[0, 0] if k else NULL
    cdef int64_t *ids = &ids_out[0, 0] if k else NULL
    cdef int n_threads = <int>memory.shape[0]
    for i in range(n_threads):
        memset(&memory[i, s.table], 0, (s.slots + 1) * sizeof(int64_t))
    if n_threads == 1 and n_rows * most_pairs <= SHORT:
        for j in range(n_rows):
            lse_out[j] = scan_row(
                &w, &s, capacity, columns + indptr[j], x + indptr[j], <Py_ssize_t>(indptr[j + 1] - indptr[j]),
                &pairs, row_scale, &bias[0], &base_of[0, 0], n_classes, mass, shift, least, best,
                ranked.shape[0], mask, &excluded, j, k, values + j * k, ids + j * k, &is_exact_out[j], &memory[0, 0])
    else:
        for i in prange(0, n_rows, ROWS, schedule='dynamic', chunksize=1, num_threads=n_threads, nogil=True):
            for j in range(i, min(i + ROWS, n_rows)):
                lse_out[j] = scan_row(
                    &w, &s, capacity, columns + indptr[j], x + indptr[j], <Py_ssize_t>(indptr[j + 1] - indptr[j]),
                    &pairs, row_scale, &bias[0], &base_of[0, 0], n_classes, mass, shift, least, best,
                    ranked.shape[0], mask, &excluded, j, k, values + j * k, ids + j * k, &is_exact_out[j],
                    &memory[threadid(), 0])
    for j in range(n_rows):
        n_inexact += not is_exact_out[j]
    return n_inexact


cdef Py_ssize_t touch_features(
    PairWeights w, const Scratch *s, Py_ssize_t n_classes, const index *features, const real *x, Py_ssize_t n_entries,
    const Pairs *pairs, const real *row_scale, const real *base_of, const TouchTable *table, int32_t *touched,
    real *logits, real *bases, uint8_t *memory
) noexcept nogil:
    """The touched classes of a row, whose entries are numbered as a Batch numbers features, and x . w of them."""
    cdef Py_ssize_t *starts = <Py_ssize_t *>memory
    cdef Py_ssize_t *ends = <Py_ssize_t *>(memory + s.ends)
    cdef int32_t *numbers = <int32_t *>(memory + s.features)
    cdef real *scale = <real *>(memory + s.scale)
    cdef Py_ssize_t e, n_pairs = 0
    for e in range(n_entries):
        starts[e], ends[e] = begin_of(pairs, features[e]), begin_of(pairs, features[e] + 1)
        numbers[e] = <int32_t>e
        n_pairs += ends[e] - starts[e]
        if row_scale != NULL:
            scale[e] = row_scale[features[e]]
    w.starts, w.ends, w.scale = starts, ends, <const void *>scale if row_scale != NULL else NULL
    return touch_row(&w, numbers, x, n_entries, <const int32_t *>NULL, 0, base_of, table, min(n_pairs, n_classes) + 1,
                     touched, logits, <int32_t *>NULL, bases)


cdef double scan_row(
    const PairWeights *w, const Scratch *s, Py_ssize_t capacity, const index *features, const real *x,
    Py_ssize_t n_entries, const Pairs *pairs, const real *row_scale, const real *bias, const real *base_of,
    Py_ssize_t n_classes, double mass, double shift, double least, const int32_t *ranked, Py_ssize_t n_ranked,
    const uint8_t *is_listed, const Excluded *excluded, Py_ssize_t row, Py_ssize_t k, real *values, int64_t *ids,
    uint8_t *is_exact_out, uint8_t *memory
) noexcept nogil:
    """The log-sum-exp of a row, after its k best."""
    cdef int32_t *touched = <int32_t *>(memory + s.touched)
    cdef real *logits = <real *>(memory + s.logits)
    cdef real *bases = <real *>(memory + s.bases)
    cdef TouchTable table = row_table(<int64_t *>(memory + s.table), s.slots, capacity, n_classes)
    cdef double mass_of_touched, largest, total, lse, log_untouched = -INFINITY
    cdef Py_ssize_t n = touch_features(w[0], s, n_classes, features, x, n_entries, pairs, row_scale, base_of, &table,
                                       touched, logits, bases, memory)
    if w.base != NULL:
        mass_of_touched = add_bias(<const int32_t *>NULL, n, <const real *>bases, logits)
    else:
        mass_of_touched = add_bias(touched, n, base_of, logits)
    if k:
        topk_touched(touched, logits, n, &table, ranked, n_ranked, bias, is_listed, excluded, row, k, values, ids)
    table.base[0] += n
    total = exp_touched(logits, n, &largest)
    if n < n_classes and mass > mass_of_touched:
        log_untouched = shift + log(mass - mass_of_touched)
    lse = log_add(largest + log(total), log_untouched)
    is_exact_out[0] = n == n_classes or not lse < least
    return lse


cdef inline double log_add(double a, double b) noexcept nogil:
    """log(exp(a) + exp(b)); NaN in `a` stays."""
    if a == b or b == -INFINITY:    # both may be infinite
        return a + log(2.0) if a == b else a
    if b > a:
        return b + log1p(exp(a - b))
    return a + log1p(exp(b - a))
