"""All logits of a batch, for callers who ask for them, and the way back from a gradient of all logits to that of W."""
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset
cimport shared.numpy_c as cnp

from csr.strips cimport by_row_stride
from leaves.panels cimport unpack_panels
from leaves.strips cimport csr_step
from leaves.structs cimport Block, Panels, Rule
from rules.rule cimport read_rule
from shared.fused cimport real
from shared.table cimport import_leaves
from tiles.blocks cimport matrix_block
from tiles.logits cimport Scratch, Terms, logits_tile, plan_scratch, read_terms, tile_panels

cnp.import_array()
import_leaves()


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


cdef void add_tile(
    const Terms *t, const Scratch *s, const Rule *rule, const Block *dW, Py_ssize_t k, const real *dlogits, real *mine
) noexcept nogil:
    """dW of a tile += dlogits^T x, from whole strips of classes that lie side by side."""
    cdef Py_ssize_t i, start = k * s.tile, n_cols = min(s.tile, t.n_classes - start)
    cdef Py_ssize_t stride = by_row_stride(n_cols, sizeof(real))
    cdef real *by_row = mine + s.by_row
    for i in range(t.n_rows):
        memcpy(by_row + i * stride, dlogits + i * t.n_classes + start, n_cols * sizeof(real))
        memset(by_row + i * stride + n_cols, 0, (stride - n_cols) * sizeof(real))
    csr_step(rule, dW, <real *>NULL, start, t.x.col_indptr, t.x.rows, <const real *>t.x.col_data, t.x.n_features,
             <const real *>by_row, stride, n_cols)


cdef void add_tiles(
    const Terms *t, const Scratch *s, const Rule *rule, const Block *dW, const real *dlogits, real *memory,
    Py_ssize_t memory_stride, int n_threads
) noexcept nogil:
    cdef Py_ssize_t k
    for k in prange((t.n_classes + s.tile - 1) // s.tile, schedule='dynamic', chunksize=1, num_threads=n_threads):
        add_tile(t, s, rule, dW, k, dlogits, memory + threadid() * memory_stride)


def add_gradient(terms, work, cnp.ndarray dlogits, cnp.ndarray dW):
    """dW (n_classes, n_features) += dlogits^T x, for dlogits (n_rows, n_classes), C contiguous, of terms with a sparse x."""
    cdef Terms t = read_terms(terms, work)
    cdef cnp.ndarray memory = work.scratch
    cdef Scratch s = plan_scratch(&t, work.tile, memory.itemsize)
    if t.x.n_features == 0:  # without entries there is no gradient, and no room in the scratch for that of the logits
        return
    cdef Rule rule = read_rule(None, False)
    cdef Block block = matrix_block(dW.T, t.x.W.row_ids, NULL)
    cdef int n_threads = work.n_threads
    if dlogits.itemsize == 4:
        with nogil:
            add_tiles[float](&t, &s, &rule, &block, <const float *>cnp.PyArray_DATA(dlogits),
                             <float *>cnp.PyArray_DATA(memory), memory.shape[1], n_threads)
    else:
        with nogil:
            add_tiles[double](&t, &s, &rule, &block, <const double *>cnp.PyArray_DATA(dlogits),
                              <double *>cnp.PyArray_DATA(memory), memory.shape[1], n_threads)
