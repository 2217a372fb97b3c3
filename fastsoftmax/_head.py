"""The two passes of a linear softmax over a batch, around the kernels of _linear.pyx.

Every loss and every step runs them. `Terms` says how the logits come about, `Forward` holds the first pass and what follows
from it (log-sum-exp, losses), and `Forward.backward` turns row weights into gradients or optimiser steps.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from fastsoftmax import _linear, _threads, _topk

WORKING_MEMORY = 256 << 20  # bytes; default of every `working_memory`
CACHE_LINE = 64
TILE_BYTES = 256 << 10  # of a tile of logits: half of a second-level cache
MAX_PARTS = 32  # partial sums of the gradient of `hidden`: also the most threads that the backward pass can use
MAX_FORWARD_PARTS = 256  # running log-sum-exps of each row, merged at the end
BLOCK_WORK = 5 << 30  # multiply-adds between two looks at signals: a tenth of a second or so
SPARSE_TILE_BYTES = 512 << 10  # the same with a sparse term
STRIP_BYTES = 128  # of tileops.h
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


class Rounding(NamedTuple):
    """Small probabilities in the gradient are rounded at random, to 0 or the threshold; see rounding_impl.h."""

    threshold: float
    row_keys: np.ndarray  # (n_rows,) uint32, random
    memory: np.ndarray | None = None  # `backward` fills in what it needs
    parts: np.ndarray | None = None


def draw_row_keys(rng, n_rows):
    """For Rounding: with them, the draws of a row depend on its key and the class alone."""
    return rng.integers(1 << 32, size=n_rows, dtype=np.uint32)


class Workspace:
    """Scratch arrays that live from batch to batch: fresh pages would cost as much as the work."""

    def __init__(self):
        self._buffers = {}

    @property
    def nbytes(self):
        return sum(buffer.nbytes for buffer in self._buffers.values())

    def array(self, name, shape, dtype):
        """An array with undefined contents, valid until the same name is asked for again; starts on a cache line."""
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < n_bytes:
            raw = np.empty(n_bytes + CACHE_LINE, np.uint8)
            skip = -raw.ctypes.data % CACHE_LINE
            buffer = self._buffers[name] = raw[skip : skip + n_bytes]
        return buffer[:n_bytes].view(dtype).reshape(shape)


_spare = []  # at most one Workspace, from call to call


@contextmanager
def workspace():
    """A Workspace for the time of one call, and of later ones: fresh pages cost up to a fifth of the time of a call.

    Up to about WORKING_MEMORY bytes stay allocated.
    """
    try:
        workspace = _spare.pop()
    except IndexError:  # the first call, or another Python thread has it
        workspace = Workspace()
    yield workspace
    if workspace.nbytes <= 1.25 * WORKING_MEMORY and not _spare:
        _spare.append(workspace)


def tile_classes(n_classes, n_rows, itemsize):
    """Classes a tile: a multiple of what the products take at a time, so many that the tile stays in a second-level cache;
    few classes are cut into about eight tiles, for the threads."""
    fitting = TILE_BYTES // (itemsize * max(1, n_rows)) // 48 * 48
    return min(int(np.clip(fitting, 96, 768)), max(24, -(-n_classes // 96) * 12))


def tile_of(terms):
    """Classes a tile for these terms: with a sparse one a multiple of its strips, and still so few that the tile stays in a
    second-level cache, since a feature's entries jump between its rows."""
    itemsize = terms.dtype.itemsize
    tile = tile_classes(terms.n_candidates, terms.n_rows, itemsize)
    if terms.W is None:
        return tile
    strip = STRIP_BYTES // itemsize
    fitting = SPARSE_TILE_BYTES // (max(1, terms.n_rows) * itemsize)
    return max(1, min(-(-tile // strip), fitting // strip)) * strip


class _Pass:
    """What every pass over the tiles needs: their size, packed `hidden`, and scratch for the threads."""

    def __init__(self, terms, n_threads, workspace):
        self.terms, self.n_threads = terms, _threads.for_work(n_threads, terms.multiply_adds)
        self.workspace = workspace or Workspace()
        itemsize, n_rows = terms.dtype.itemsize, terms.n_rows
        self.tile = tile_of(terms)
        self.n_tiles = -(-terms.n_candidates // self.tile)
        self.width = _linear.panel_width(n_rows, itemsize)
        self.n_panels = -(-n_rows // self.width)
        self.n_lanes = self.n_panels * self.width
        self.scratch = self.array("scratch", (self.n_threads, _linear.thread_scratch(terms, self.tile)))
        self.hidden_panels = None if terms.hidden is None else self.pack("hidden_panels", terms.hidden)

    def array(self, name, shape, dtype=None):
        return self.workspace.array(name, shape, self.terms.dtype if dtype is None else dtype)

    def pack(self, name, a):
        """`a` in panels of its rows."""
        panels = self.array(name, (-(-a.shape[0] // self.width), a.shape[1], self.width))
        _linear.pack(a, panels, self.n_threads)
        return panels

    def log_sum_exps(self, n_parts):
        """Room for the running log-sum-exps of each part of the tiles."""
        self.max = self.array("max", (n_parts, self.n_lanes))
        self.sum = self.array("sum", (n_parts, self.n_lanes), np.float64)

    def log_sum_exp(self):
        """(n_rows,) over all parts."""
        lse = np.empty(self.n_lanes)
        _linear.merge_parts(self.max, self.sum, lse, _threads.for_work(self.n_threads, 8 * self.max.size))
        return lse[: self.terms.n_rows]

    def blocks(self, n_parts):
        """Ranges of parts that take a fraction of a second: Python sees signals between them."""
        step = max(2 * self.n_threads, BLOCK_WORK * n_parts // max(1, self.terms.multiply_adds))
        return [(begin, min(begin + step, n_parts)) for begin in range(0, n_parts, step)]


class Forward(_Pass):
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
        super().__init__(terms, n_threads, workspace)
        self.target = target
        self.offset = None if offset is None else offset.astype(terms.dtype)
        self.n_kept = min(self.n_tiles, keep // max(1, self.n_lanes * self.tile * terms.dtype.itemsize))
        self.kept = self.array("kept", (self.n_kept, self.n_lanes * self.tile))
        self.shift = self.array("shift", (self.n_kept, self.n_lanes))
        self.target_logit = self.array("target_logit", (terms.n_rows,), np.float64)
        self.target_logit.fill(-np.inf)
        n_parts = min(MAX_FORWARD_PARTS, self.n_tiles)
        self.log_sum_exps(n_parts)
        for begin, end in self.blocks(n_parts):
            _linear.forward(terms, self, begin, end)
        self.target_logit += target_shift
        self._reduce()

    def _reduce(self):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self.rest = self.log_sum_exp()  # of all but the target
            self.lse = np.logaddexp(self.rest, self.target_logit)
            self.nll = np.logaddexp(0.0, self.rest - self.target_logit)  # lse - target_logit, without cancellation

    def backward(
        self, scale, destination, *, dhidden=None, parts_memory=WORKING_MEMORY // 8, smoothing=None, rounding=None
    ):
        """Gradients of sum_i scale[i] nll[i].

        Parameters
        ----------
        scale : (n_rows,) float64; 0 for rows that do not count
        destination : Destination
        dhidden : (n_rows, n_hidden) array to fill, or None
        parts_memory : bytes for partial sums of dhidden
        smoothing : None, or (scale_p, prior_scale, prior)
            The gradient of the logits is scale_p p - scale [target] - prior_scale prior.
        rounding : None, or Rounding
            Not together with `smoothing`; nothing is rounded where there is a sparse term.
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
            parts = self.array("parts", (n_parts, *self.hidden_panels.shape))
        rounding = self._prepare(rounding, n_parts, dhidden)
        hidden_columns = None
        if self.hidden_panels is not None and destination.V is not None:
            hidden_columns = self.pack("hidden_columns", self.terms.hidden.T)
        for begin, end in self.blocks(n_parts):
            _linear.backward(
                self.terms, self, dlogits, destination, hidden_columns, parts, rounding, n_parts, begin, end
            )
        if dhidden is not None:
            rounded = None if rounding is None else rounding.parts
            _linear.add_parts(parts, rounded, dhidden, _threads.for_work(self.n_threads, parts.size))

    def _prepare(self, rounding, n_parts, dhidden):
        """`rounding` with its scratch; None where it does not apply."""
        if rounding is None or rounding.threshold == 0 or self.terms.hidden is None or self.terms.W is not None:
            return None
        row_keys = self.array("row_keys", (self.n_lanes,), np.uint32)
        row_keys.fill(0)
        row_keys[: self.terms.n_rows] = rounding.row_keys
        memory_shape = self.n_threads, -(-_linear.lists_bytes(self.terms.n_rows, self.tile) // CACHE_LINE) * CACHE_LINE
        memory = self.array("lists", memory_shape, np.uint8)
        parts = None if dhidden is None else self.array("rounded_parts", (n_parts, *dhidden.shape))
        return Rounding(rounding.threshold, row_keys, memory, parts)


def write_logits(terms, out, n_threads, workspace):
    """out (n_rows, n_classes), C contiguous <- all logits."""
    _linear.logits(terms, _Pass(terms, n_threads, workspace), out)


def topk(terms, k, n_threads, workspace):
    """(n_rows, k) class ids and log-probabilities, best first. ValueError where a row's logits hold NaN."""
    work = _Pass(terms, n_threads, workspace)
    heap_bytes = terms.n_rows * k * (terms.dtype.itemsize + 8)  # of each part
    n_parts = int(np.clip(WORKING_MEMORY // max(1, heap_bytes), 1, min(work.n_tiles, MAX_TOPK_PARTS)))
    work.log_sum_exps(n_parts)
    values = work.array("topk_values", (n_parts, terms.n_rows, k))
    class_ids = work.array("topk_ids", (n_parts, terms.n_rows, k), np.int64)
    _topk.topk(terms, work, values, class_ids)
    lse = work.log_sum_exp()
    if np.isnan(lse).any():
        raise ValueError(
            f"the logits of row {int(np.flatnonzero(np.isnan(lse))[0])} are NaN: W or bias holds NaN or infinity"
        )
    return class_ids[0], values[0] - lse[:, None]
