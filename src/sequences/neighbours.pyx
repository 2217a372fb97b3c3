"""The sequences nearest to histories, and what they say comes next.

A row is a history. Its similarity to a sequence is the sum of the weights of the items that both have. Of the sequences, the
`k` most similar ones count, and of equally similar ones the later. Each of them votes for its items, the more the nearer they
are to its anchor: the item that it shares with the history and that lies least far back there. The votes of a row, which add
up to 1, are the distribution over the items that it gets.

One thread does a whole row, so that results are the same for any number of threads.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t

import numpy as np

cdef struct Histories:
    const int64_t *indptr
    const int32_t *items        # distinct within a row, the latest first
    const float *weights        # of a shared item, in the similarity
    const float *votes          # factors of the votes of sequences with this item as their anchor

cdef struct Sequences:
    const int64_t *item_ptr     # the sequences that an item is in, by item, the latest sequence first
    const int32_t *of_item
    const int64_t *indptr       # the items of a sequence in their order
    const int32_t *items
    const float *reach          # factors of votes for items from n_reach places before the anchor to as many after it
    Py_ssize_t n_reach

cdef struct Scratch:            # of a thread; sums are 0 and places -1 between rows
    float *similarity           # (n_sequences,)
    int32_t *touched            # (n_sequences,)
    float *score                # (n_items,)
    int32_t *place              # (n_items,) of the history's items
    int32_t *best               # (k,) a heap of sequences, the worst first


def vote(
    const int64_t[::1] indptr, const int32_t[::1] items, const float[::1] weights, const float[::1] votes,
    const int64_t[::1] item_ptr, const int32_t[::1] of_item,
    const int64_t[::1] sequence_ptr, const int32_t[::1] sequence_items, const float[::1] reach,
    int32_t k,
    float[:, ::1] similarity, int32_t[:, ::1] touched, float[:, ::1] score, int32_t[:, ::1] place,  # Scratch
    int32_t[:, ::1] best,
    const int64_t[::1] out_ptr,     # where there is room for the items of each row
    int32_t[::1] items_out, float[::1] proba_out,   # not sorted
    int64_t[::1] counts_out,        # how many items each row has
    int n_threads,
):
    """The distributions of some histories."""
    cdef Py_ssize_t i, n_rows = indptr.shape[0] - 1
    cdef Histories histories
    cdef Sequences sequences
    cdef int t
    if items.shape[0] == 0 or of_item.shape[0] == 0 or items_out.shape[0] == 0:
        counts_out[:] = 0
        return
    histories.indptr, histories.items = &indptr[0], &items[0]
    histories.weights, histories.votes = &weights[0], &votes[0]
    sequences.item_ptr, sequences.of_item = &item_ptr[0], &of_item[0]
    sequences.indptr, sequences.items = &sequence_ptr[0], &sequence_items[0]
    sequences.reach, sequences.n_reach = &reach[0], reach.shape[0] // 2
    for i in prange(n_rows, schedule='dynamic', chunksize=8, num_threads=n_threads, nogil=True):
        t = threadid()
        counts_out[i] = _vote(&histories, i, &sequences, k, &similarity[t, 0], &touched[t, 0], &score[t, 0],
                              &place[t, 0], &best[t, 0], &items_out[0] + out_ptr[i], &proba_out[0] + out_ptr[i])


cdef int64_t _vote(
    const Histories *h, Py_ssize_t row, const Sequences *s, int32_t k, float *similarity, int32_t *touched, float *score,
    int32_t *place, int32_t *best, int32_t *items_out, float *proba_out,
) noexcept nogil:
    cdef int64_t e, n_touched = 0, n_items = 0, begin = h.indptr[row], end = h.indptr[row + 1]
    cdef int32_t n_best
    cdef Py_ssize_t i
    cdef float total = 0
    n_touched = _similarities(h, begin, end, s, similarity, touched)
    n_best = _nearest(touched, n_touched, similarity, k, best)
    for e in range(begin, end):
        place[h.items[e]] = <int32_t>(e - begin)
    for i in range(n_best):
        n_items = _vote_of(h, begin, s, best[i], similarity[best[i]], score, place, items_out, n_items)
    for e in range(n_touched):
        similarity[touched[e]] = 0
    for e in range(begin, end):
        place[h.items[e]] = -1
    for i in range(n_items):
        proba_out[i] = score[items_out[i]]
        total += proba_out[i]
        score[items_out[i]] = 0
    for i in range(n_items):
        proba_out[i] /= total
    return n_items


cdef int64_t _similarities(
    const Histories *h, int64_t begin, int64_t end, const Sequences *s, float *similarity, int32_t *touched
) noexcept nogil:
    """Add up the similarities, and list the sequences that have one."""
    cdef int64_t e, j, n_touched = 0
    cdef int32_t item, sequence
    for e in range(begin, end):
        item = h.items[e]
        for j in range(s.item_ptr[item], s.item_ptr[item + 1]):
            sequence = s.of_item[j]
            if similarity[sequence] == 0:
                touched[n_touched] = sequence
                n_touched += 1
            similarity[sequence] += h.weights[e]
    return n_touched


cdef int32_t _nearest(
    const int32_t *touched, int64_t n_touched, const float *similarity, int32_t k, int32_t *best
) noexcept nogil:
    """Put the k most similar sequences into a heap, of which the first is the least similar. Returns their number."""
    cdef int64_t e
    cdef int32_t n = 0, sequence, i
    for e in range(n_touched):
        sequence = touched[e]
        if n < k:
            i = n
            n += 1
            while i > 0 and _farther(sequence, best[(i - 1) // 2], similarity):
                best[i] = best[(i - 1) // 2]
                i = (i - 1) // 2
            best[i] = sequence
        elif _farther(best[0], sequence, similarity):
            _sift_down(best, n, sequence, similarity)
    return n


cdef void _sift_down(int32_t *best, int32_t n, int32_t sequence, const float *similarity) noexcept nogil:
    """Put a sequence into the heap in the place of its first."""
    cdef int32_t i = 0, child
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and _farther(best[child + 1], best[child], similarity):
            child += 1
        if not _farther(best[child], sequence, similarity):
            break
        best[i] = best[child]
        i = child
    best[i] = sequence


cdef inline bint _farther(int32_t a, int32_t b, const float *similarity) noexcept nogil:
    return similarity[a] < similarity[b] or (similarity[a] == similarity[b] and a < b)


cdef int64_t _vote_of(
    const Histories *h, int64_t begin, const Sequences *s, int32_t sequence, float similarity, float *score,
    const int32_t *place, int32_t *items_out, int64_t n_items,
) noexcept nogil:
    """Add the votes of a sequence for its items, and list the items that are new. Returns how many are listed now."""
    cdef int64_t j, first = s.indptr[sequence], last = s.indptr[sequence + 1], anchor = -1
    cdef int32_t item, nearest = -1
    cdef float factor, given
    for j in range(first, last):
        item = place[s.items[j]]
        if item >= 0 and (nearest < 0 or item <= nearest):
            nearest, anchor = item, j
    factor = similarity * h.votes[begin + nearest]
    for j in range(max(first, anchor - s.n_reach), min(last, anchor + s.n_reach + 1)):
        given = factor * s.reach[j - anchor + s.n_reach]
        if given == 0:
            continue
        item = s.items[j]
        if score[item] == 0:
            items_out[n_items] = item
            n_items += 1
        score[item] += given
    return n_items


def room(
    const int64_t[::1] indptr, const int32_t[::1] items, const int64_t[::1] item_ptr, Py_ssize_t k, Py_ssize_t longest,
    Py_ssize_t n_items,
):
    """An upper bound of the number of items that each row gets, (n_rows,) int64: k sequences of at most `longest` items."""
    cdef Py_ssize_t i, e, n_rows = indptr.shape[0] - 1
    cdef int64_t n_sequences
    out = np.empty(n_rows, np.int64)
    cdef int64_t[::1] rooms = out
    for i in range(n_rows):
        n_sequences = 0
        for e in range(indptr[i], indptr[i + 1]):
            n_sequences += item_ptr[items[e] + 1] - item_ptr[items[e]]
        rooms[i] = min(n_items, min(k, n_sequences) * longest)
    return out
