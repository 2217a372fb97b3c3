"""The two passes of a linear softmax over a batch, around the kernels of _linear.pyx.

Every loss and every step runs them. `Terms` says how the logits come about, `Forward` holds the first pass and what follows
from it (log-sum-exp, losses), and `Forward.backward` turns row weights into gradients or optimiser steps.
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax import _linear, _threads, _topk

WORKING_MEMORY = 256 << 20  # bytes; default of every `working_memory`
CACHE_LINE = 64
MAX_PARTS = 32  # partial sums of the gradient of `hidden`: also the most threads that the backward pass can use
BLOCK_WORK = 5 << 30  # multiply-adds between two looks at signals: a tenth of a second or so
SPARSE_TILE_BYTES = 1 << 19  # of the logits of a tile that stay in an L2 cache
PANEL_BYTES = 128  # of tileops.h
MAX_TOPK_PARTS = 32  # heaps a row, merged at the end: also the most threads that top-k can use


class Terms(NamedTuple):
    """z[i, k] = bias[k] + hidden[i] . V[k] + x[i] . W[k] for all classes or those in `class_ids`."""

    n_rows: int
    n_candidates: int
    hidden: np.ndarray | None = None  # (n_rows, n_hidden), C contiguous
    V: np.ndarray | None = None  # (n_classes, n_hidden), any strides
    batch: object | None = None  # _batch.Batch: x
    W: np.ndarray | None = None  # (n_classes, n_features), any strides; feature-major is fast
    bias: np.ndarray | None = None  # (n_classes,)
    class_ids: np.ndarray | None = None  # (n_candidates,) int64

    @property
    def dtype(self):
        return (self.V if self.V is not None else self.W).dtype

    @property
    def multiply_adds(self):
        """Of one pass; a logit by itself counts as eight."""
        n_entries = self.batch.indices.size if self.batch is not None else 0
        n_hidden = self.hidden.shape[1] if self.hidden is not None else 0
        return (self.n_rows * (n_hidden + 8) + n_entries) * self.n_candidates


class Destination(NamedTuple):
    """Where gradients go: added to arrays (rule None), or applied to parameters with their optimiser's state.

    `by_position`: the arrays have one row a candidate, not one a class.
    """

    V: np.ndarray | None = None
    W: np.ndarray | None = None
    bias: np.ndarray | None = None
    V_state: np.ndarray | None = None  # (n_classes,), or laid out as V
    W_state: np.ndarray | None = None  # laid out as W
    bias_state: np.ndarray | None = None
    rule: object | None = None
    by_position: bool = False


class LogitGradient(NamedTuple):
    """dloss / dz[i, k] = scale[i] p[i, k] - prior_scale[i] prior[k], and `target[i]` where k is the target."""

    scale: np.ndarray  # (n_rows,) float64
    lse: np.ndarray
    target: np.ndarray
    prior: np.ndarray | None = None  # (n_candidates,)
    prior_scale: np.ndarray | None = None


class Workspace:
    """Scratch arrays that live from batch to batch: fresh pages would cost as much as the work."""

    def __init__(self):
        self._buffers = {}

    def array(self, name, shape, dtype):
        """An array with undefined contents, valid until the same name is asked for again; starts on a cache line."""
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < n_bytes:
            raw = np.empty(n_bytes + CACHE_LINE, np.uint8)
            skip = -raw.ctypes.data % CACHE_LINE
            buffer = self._buffers[name] = raw[skip : skip + n_bytes]
        return buffer[:n_bytes].view(dtype).reshape(shape)


def tile_classes(n_classes):
    """Classes a tile: 512 keep a GEMM busy; few classes are cut into about eight tiles, for the threads."""
    return 512 if n_classes >= 4096 else max(16, -(-n_classes // 128) * 16)


def tile_of(terms):
    """Classes a tile for these terms. With a sparse one the tile's logits stay in a cache: a feature's entries jump between
    their rows. It is a multiple of the kernels' panel then."""
    tile = tile_classes(terms.n_candidates)
    if terms.W is None:
        return tile
    itemsize = terms.dtype.itemsize
    panel = PANEL_BYTES // itemsize
    in_cache = SPARSE_TILE_BYTES // (max(1, terms.n_rows) * itemsize)
    return max(1, min(-(-tile // panel), in_cache // panel)) * panel


class Forward:
    """The first pass over all tiles.

    Parameters
    ----------
    terms : Terms
    target : (n_rows,) int64 candidate numbers, -1 for rows without a target; or None
    offset : (n_candidates,) added to the logits of all candidates but a row's own target, or None
    target_shift : (n_rows,) added to the logits of the targets
    keep : bytes of exp(logits) to keep for `backward`
    n_threads : resolved number of threads
    workspace : Workspace or None
    """

    def __init__(self, terms, target=None, *, offset=None, target_shift=0.0, keep=0, n_threads=1, workspace=None):
        self.terms, self.target, self.n_threads = terms, target, _threads.for_work(n_threads, terms.multiply_adds)
        self.offset = None if offset is None else offset.astype(terms.dtype)
        self.workspace = workspace or Workspace()
        dtype, n_rows = terms.dtype, terms.n_rows
        self._plan(keep)
        array = self.workspace.array
        self.max = array("max", (self.n_tiles, n_rows), np.float64)
        self.sum = array("sum", (self.n_tiles, n_rows), np.float64)
        self.target_logit = array("target_logit", (n_rows,), np.float64)
        self.kept = array("kept", (self.n_kept, n_rows, self.tile), dtype)
        self.target_logit.fill(-np.inf)
        for begin, end in self._blocks(self.n_tiles, 1):
            _linear.forward(terms, self, begin, end)
        self.target_logit += target_shift
        self._reduce()

    def _plan(self, keep):
        terms = self.terms
        self.tile = tile_of(terms)
        self.n_tiles = -(-terms.n_candidates // self.tile)
        self.n_kept = min(self.n_tiles, keep // max(1, terms.n_rows * self.tile * terms.dtype.itemsize))
        size = _linear.thread_scratch(terms, self.tile)
        self.scratch = self.workspace.array("scratch", (self.n_threads, size), terms.dtype)

    def _blocks(self, n_items, tiles_per_item):
        """Ranges of tiles, or parts of tiles, that take a fraction of a second: Python sees signals between them."""
        work = self.terms.multiply_adds * self.tile * tiles_per_item // max(1, self.terms.n_candidates)
        step = max(2 * self.n_threads, BLOCK_WORK // max(1, work))
        return [(begin, min(begin + step, n_items)) for begin in range(0, n_items, step)]

    def _reduce(self):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self.rest = reduce_tiles(self.max, self.sum, self.n_threads)  # log-sum-exp of all but the target
            self.lse = np.logaddexp(self.rest, self.target_logit)
            self.nll = np.logaddexp(0.0, self.rest - self.target_logit)  # lse - target_logit, without cancellation

    def backward(self, scale, destination, *, dhidden=None, parts_memory=WORKING_MEMORY // 8, smoothing=None):
        """Gradients of sum_i scale[i] nll[i].

        Parameters
        ----------
        scale : (n_rows,) float64; 0 for rows that do not count
        destination : Destination
        dhidden : (n_rows, n_hidden) array to fill, or None
        parts_memory : bytes for partial sums of dhidden
        smoothing : None, or (scale_p, prior_scale, prior)
            The gradient of the logits is scale_p p - scale [target] - prior_scale prior.
        """
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            target = -scale * np.exp(self.rest - self.lse)
            if smoothing is None:
                dlogits = LogitGradient(scale, self.lse, target)
            else:
                scale_p, prior_scale, prior = smoothing
                target += (scale_p - scale) * np.exp(self.target_logit - self.lse)
                target -= prior_scale * prior[np.maximum(self.target, 0)]
                dlogits = LogitGradient(scale_p, self.lse, target, prior, prior_scale)
        parts, n_parts = None, min(MAX_PARTS, self.n_tiles)
        if dhidden is not None:
            n_parts = int(np.clip(parts_memory // max(1, dhidden.nbytes), 1, n_parts))
            parts = self.workspace.array("parts", (n_parts, *dhidden.shape), dhidden.dtype)
        for begin, end in self._blocks(n_parts, -(-self.n_tiles // n_parts)):
            _linear.backward(self.terms, self, dlogits, destination, parts, n_parts, begin, end)
        if dhidden is not None:
            _linear.add_parts(parts, dhidden, _threads.for_work(self.n_threads, parts.size))


def reduce_tiles(maxes, sums, n_threads):
    """(n_rows,) log-sum-exp from the (n_tiles, n_rows) maxima and sums of exp(z - max); -inf where all is -inf."""
    lse = np.empty(maxes.shape[1])
    _linear.reduce_tiles(maxes, sums, lse, _threads.for_work(n_threads, 8 * maxes.size))
    return lse


class _Plan:
    """Tiles and scratch of a pass that keeps nothing."""

    def __init__(self, terms, n_threads, workspace):
        self.tile, self.n_threads = tile_of(terms), _threads.for_work(n_threads, terms.multiply_adds)
        self.n_tiles = -(-terms.n_candidates // self.tile)
        size = _linear.thread_scratch(terms, self.tile)
        self.scratch = workspace.array("scratch", (self.n_threads, size), terms.dtype)


def write_logits(terms, out, n_threads, workspace):
    """out (n_rows, n_classes), C contiguous <- all logits."""
    _linear.logits(terms, _Plan(terms, n_threads, workspace), out)


def topk(terms, k, n_threads, workspace):
    """(n_rows, k) class ids and log-probabilities, best first. ValueError where a row's logits hold NaN."""
    work = _Plan(terms, n_threads, workspace)
    heap_bytes = terms.n_rows * k * (terms.dtype.itemsize + 8)  # of each part
    n_parts = int(np.clip(WORKING_MEMORY // max(1, heap_bytes), 1, min(work.n_tiles, MAX_TOPK_PARTS)))
    work.max = workspace.array("max", (work.n_tiles, terms.n_rows), np.float64)
    work.sum = workspace.array("sum", (work.n_tiles, terms.n_rows), np.float64)
    values = workspace.array("topk_values", (n_parts, terms.n_rows, k), terms.dtype)
    class_ids = workspace.array("topk_ids", (n_parts, terms.n_rows, k), np.int64)
    _topk.topk(terms, work, values, class_ids)
    lse = reduce_tiles(work.max, work.sum, work.n_threads)
    if np.isnan(lse).any():
        raise ValueError(
            f"the logits of row {int(np.flatnonzero(np.isnan(lse))[0])} are NaN: W or bias holds NaN or infinity"
        )
    return class_ids[0], values[0] - lse[:, None]
