"""Sparse additions s to the logits of a batch, z[i, k] + s[i, k], for the tiles of the dense passes.

They come row by row, the tiles need them tile by tile: a counting sort, stable, so that those of a tile are by row, and the
same for any number of threads.
"""
from typing import NamedTuple

import numpy as np

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint32_t

from shared.fused cimport real


class Additions(NamedTuple):
    """Entries begin[i] to end[i] of `class_ids` and `values` are added to the logits of row i; no class twice.

    Between end[i] and begin[i + 1] may be a gap. The value -inf masks a class: its probability is 0. Where the terms have
    `class_ids`, those here are numbers of candidates.
    """

    begin: np.ndarray  # (n_rows,) intp
    end: np.ndarray  # (n_rows,) intp
    class_ids: np.ndarray  # int32
    values: np.ndarray  # of the weights' dtype; of length 0 where only the places matter, as for the targets of rows


class Grouped(NamedTuple):
    """The same by tile of classes, within a tile by row, within a row as they came."""

    tile_ptr: np.ndarray  # (n_tiles + 1,) intp
    places: np.ndarray  # (n_entries,) int32: within the panels of a tile (panels.h)
    values: np.ndarray  # (n_entries,), or of length 0
    sources: np.ndarray  # (n_entries,) int32: where each was in `Additions`

    @property
    def nbytes(self):
        return sum(a.nbytes for a in self)


def group(additions, Py_ssize_t n_tiles, Py_ssize_t tile, Py_ssize_t width, array, int n_threads, name="additions"):
    """The additions as Grouped, by tiles of `tile` classes in panels of `width` rows.

    array(name, shape, dtype) gives the memory, as a Workspace of fastsoftmax.runtime.workspaces does; `name` begins the names.
    """
    largest = max(len(additions.class_ids), (len(additions.begin) + width) * tile)
    if largest > np.iinfo(np.int32).max:  # small entries: what they take in cache is most of what additions cost
        raise ValueError(f"too many rows or additions in a batch: {largest:,} numbers")
    n_entries = count(additions.begin, additions.end)
    values = additions.values
    grouped = Grouped(
        array(f"{name}.tile_ptr", (n_tiles + 1,), np.intp),
        array(f"{name}.places", (n_entries,), np.int32),
        array(f"{name}.values", (n_entries if len(values) else 0,), values.dtype),
        array(f"{name}.sources", (n_entries,), np.int32),
    )
    starts = array(f"{name}.starts", (n_threads, n_tiles), np.intp)
    starts.fill(0)
    sort(additions.begin, additions.end, additions.class_ids, values, <uint32_t>tile, width, starts, *grouped)
    return grouped


def count(const Py_ssize_t[::1] begin, const Py_ssize_t[::1] end):
    """How many entries the rows have."""
    cdef Py_ssize_t i, n = 0
    for i in range(begin.shape[0]):
        n += end[i] - begin[i]
    return n


def sort(
    const Py_ssize_t[::1] begin, const Py_ssize_t[::1] end, const int32_t[::1] class_ids, const real[::1] values,
    uint32_t tile, Py_ssize_t width,
    Py_ssize_t[:, ::1] starts,      # (number of parts of the rows, n_tiles), IN: zeros
    Py_ssize_t[::1] tile_ptr, int32_t[::1] places, real[::1] values_out, int32_t[::1] sources,  # OUT
):
    cdef Py_ssize_t q, n_rows = begin.shape[0], n_tiles = starts.shape[1]
    cdef int n_parts = <int>starts.shape[0]
    cdef const real *first_value = &values[0] if values.shape[0] else NULL
    cdef real *first_out = &values_out[0] if values_out.shape[0] else NULL
    if n_rows == 0 or n_tiles == 0 or places.shape[0] == 0:
        tile_ptr[:] = 0
        return
    with nogil:
        for q in prange(n_parts, schedule='static', num_threads=n_parts):
            count_part(&begin[0], &end[0], &class_ids[0], q * n_rows // n_parts, (q + 1) * n_rows // n_parts, tile,
                       &starts[q, 0])
        add_up(&starts[0, 0], n_parts, n_tiles, &tile_ptr[0])
        for q in prange(n_parts, schedule='static', num_threads=n_parts):
            place_part(&begin[0], &end[0], &class_ids[0], first_value, q * n_rows // n_parts, (q + 1) * n_rows // n_parts,
                       tile, width, &starts[q, 0], &places[0], first_out, &sources[0])


cdef void count_part(
    const Py_ssize_t *begin, const Py_ssize_t *end, const int32_t *class_ids, Py_ssize_t first, Py_ssize_t last,
    uint32_t tile, Py_ssize_t *counts
) noexcept nogil:
    cdef Py_ssize_t i, e
    for i in range(first, last):
        for e in range(begin[i], end[i]):
            counts[<uint32_t>class_ids[e] // tile] += 1


cdef void add_up(
    Py_ssize_t *starts,             # IN: counts. OUT: where the entries of each part and tile begin
    Py_ssize_t n_parts, Py_ssize_t n_tiles, Py_ssize_t *tile_ptr
) noexcept nogil:
    cdef Py_ssize_t k, q, n, at = 0
    for k in range(n_tiles):
        tile_ptr[k] = at
        for q in range(n_parts):
            n = starts[q * n_tiles + k]
            starts[q * n_tiles + k] = at
            at += n
    tile_ptr[n_tiles] = at


cdef void place_part(
    const Py_ssize_t *begin, const Py_ssize_t *end, const int32_t *class_ids, const real *values, Py_ssize_t first,
    Py_ssize_t last, uint32_t tile, Py_ssize_t width, Py_ssize_t *starts, int32_t *places, real *values_out,
    int32_t *sources
) noexcept nogil:
    cdef Py_ssize_t i, e, at, lane
    cdef uint32_t k
    for i in range(first, last):
        lane = i // width * width * tile + i % width
        for e in range(begin[i], end[i]):
            k = <uint32_t>class_ids[e] // tile
            at = starts[k]
            starts[k] = at + 1
            places[at] = <int32_t>(lane + (<uint32_t>class_ids[e] - k * tile) * width)
            if values != NULL:
                values_out[at] = values[e]
            sources[at] = <int32_t>e
