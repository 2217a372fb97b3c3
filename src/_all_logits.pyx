"""All logits of a batch, for callers who ask for them."""
from cython.parallel cimport prange, threadid
cimport numpy as cnp

from _logits cimport Panels, Scratch, Terms, logits_tile, plan_scratch, read_terms, tile_panels
from _rowops cimport import_rowops
from _tileops cimport unpack_panels
from _types cimport real

cnp.import_array()
import_rowops()


cdef void write_tile(const Terms *t, const Scratch *s, Py_ssize_t k, real *out, real *mine) noexcept nogil:
    cdef Py_ssize_t n_cols = min(s.tile, t.n_classes - k * s.tile)
    cdef Panels z = tile_panels(t, s.tile, mine)
    logits_tile(t, s, k * s.tile, n_cols, &z, mine)
    unpack_panels(&z, t.n_rows, n_cols, out + k * s.tile, t.n_classes)


cdef void write_tiles(
    const Terms *t, const Scratch *s, real *out, real *memory, Py_ssize_t memory_stride, int n_threads
) noexcept nogil:
    cdef Py_ssize_t k
    for k in prange((t.n_classes + s.tile - 1) // s.tile, schedule='dynamic', chunksize=1, num_threads=n_threads):
        write_tile(t, s, k, out, memory + threadid() * memory_stride)


def write(terms, work, cnp.ndarray out):
    """out (n_rows, n_classes) <- the logits: for callers who ask for all of them."""
    cdef Terms t = read_terms(terms, work)
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
