"""The two passes over the linear logits of a batch, in tiles of classes, around the kernels of src/tiles.

Every loss and every step runs them. `Terms` says what the logits are the sum of. `Forward` is the first pass, with what
follows from it: log-sum-exps and losses. `Forward.backward` turns row weights into gradients or optimiser steps.
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax.kernels import additions as additions_kernel
from fastsoftmax.kernels import all_logits
from fastsoftmax.kernels import panels as panels_kernel
from fastsoftmax.kernels import tiles as tiles_kernel
from fastsoftmax.kernels import topk as topk_kernel
from fastsoftmax.passes.eligible import ALL, EMPTY
from fastsoftmax.passes.logit_gradient import LogitGradient, smoothed
from fastsoftmax.passes.row_losses import LOGISTIC, SOFTMAX, negative_losses
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import threads, workspaces
from fastsoftmax.runtime.workspaces import CACHE_LINE, Workspace
from fastsoftmax.validation import check_lse

ROWS = 12  # classes that a product takes at a time with AVX-512; others take 6
TILE_BYTES = 256 << 10  # size of a tile of logits: half of a second-level cache
SPARSE_TILE_BYTES = 512 << 10  # the same where x is sparse
FEW_TILES = 16  # few classes are cut into about as many, for the threads to share; 32 take 6 % longer on one thread
MAX_PARTS = 256  # partial sums of the gradient of `hidden`: the backward pass cannot use more threads than that
FEW_PARTS = 32  # up to so many a part is one tile; further ones are of two or more, so that to add them up takes little
MAX_ROUNDED_PARTS = 64  # with rounding, to clear and add up more would take a tenth of the backward pass
MIN_PARTS = 4  # there are as many however little memory there is
MAX_FORWARD_PARTS = 256  # running log-sum-exps of each row, which are merged at the end
GROUP_WORK = 64  # multiply-adds that it costs to group an addition by tile
BLOCK_WORK = 5 << 30  # multiply-adds between two checks for signals: about a tenth of a second


class Terms(NamedTuple):
    """z[i, k] = bias[k] + hidden[i] . V[k] + x[i] . W[k] + s[i, k] for all classes or those in `class_ids`."""

    n_rows: int
    n_candidates: int
    hidden: np.ndarray | None = None  # (n_rows, n_hidden), C contiguous
    V: np.ndarray | None = None  # (n_classes, n_hidden), any strides
    batch: object | None = None  # kernels.batch.Batch: x
    W: np.ndarray | None = None  # (n_classes, n_features), any strides; feature-major is fast
    bias: np.ndarray | None = None  # (n_classes,)
    class_ids: np.ndarray | None = None  # (n_candidates,) int64
    additions: object | None = None  # additions_kernel.Additions: s
    hidden_batch: object | None = None  # the Batch that `hidden` was made of, where it was: some columns of x, or all
    hidden_factors: np.ndarray | None = None  # (n_rows, 1) that have brought the rows of `hidden` to one norm, or None

    @property
    def dtype(self):
        return (self.V if self.V is not None else self.W if self.W is not None else self.bias).dtype

    @property
    def multiply_adds(self):
        """The multiply-adds of one pass; each logit counts as eight more."""
        n_entries = self.batch.indices.size if self.batch is not None else 0
        n_hidden = self.hidden.shape[1] if self.hidden is not None else 0
        return (self.n_rows * (n_hidden + 8) + n_entries) * self.n_candidates


class Destination(NamedTuple):
    """Where gradients go: they are added to arrays (rule None), or parameters and their optimiser's state take a step.

    With `by_position`, the arrays have one row a candidate instead of one a class. With `columns`, those are the columns of W
    that the features of the batch have, instead of their ids. With `stores_W`, the gradient of W takes the place of what is
    there: features that the batch has not are left alone. `class_alpha` is an L2 penalty on V that
    replaces the rule's: scale times class_alpha / 2 m ||V[target]||^2 for each target of mass m. It needs a rule.
    """

    V: np.ndarray | None = None
    W: np.ndarray | None = None
    bias: np.ndarray | None = None
    V_state: np.ndarray | None = None  # (n_classes,), or the shape and strides of V
    W_state: np.ndarray | None = None  # the shape and strides of W
    bias_state: np.ndarray | None = None
    rule: object | None = None
    class_alpha: float | None = None
    by_position: bool = False
    columns: np.ndarray | None = None  # (n features of the batch,) int64
    stores_W: bool = False


class Rounding(NamedTuple):
    """How small probabilities in the gradient are rounded at random, to 0 or the threshold; see src/tiles/rounding.h."""

    threshold: float
    row_keys: np.ndarray  # (n_rows,) uint32, random
    memory: np.ndarray | None = None  # `backward` fills in what it needs
    parts: np.ndarray | None = None


def draw_row_keys(rng, n_rows):
    """The `row_keys` of a Rounding: the draws of a row depend only on its key and the class."""
    return rng.integers(1 << 32, size=n_rows, dtype=np.uint32)


def tile_classes(n_classes, n_rows, itemsize):
    """The number of classes in a tile, a multiple of what the products take at a time.

    A tile is as large as a second-level cache allows; few classes are cut into about FEW_TILES.
    """
    fitting = TILE_BYTES // (itemsize * max(1, n_rows)) // (4 * ROWS) * (4 * ROWS)
    return min(max(8 * ROWS, min(fitting, 64 * ROWS)), max(2 * ROWS, -(-n_classes // (FEW_TILES * ROWS)) * ROWS))


def tile_of(terms):
    """The number of classes in a tile for these terms.

    With a W, whose x is sparse, it is a multiple of a strip, and the tile still fits into a second-level cache, since the
    entries of a feature jump between the rows of the tile.
    """
    itemsize = terms.dtype.itemsize
    tile = tile_classes(terms.n_candidates, terms.n_rows, itemsize)
    if terms.W is None:
        return tile
    strip = panels_kernel.STRIP_BYTES // itemsize
    fitting = SPARSE_TILE_BYTES // (max(1, terms.n_rows) * itemsize)
    return max(1, min(-(-tile // strip), fitting // strip)) * strip


class _Pass:
    """What every pass over the tiles needs: their size, packed `hidden`, and scratch for the threads.

    The scratch takes at most half of `memory` (0 stands for WORKING_MEMORY), which limits the number of threads.
    """

    def __init__(self, terms, n_threads, workspace, memory=0):
        self.terms, self.n_threads = terms, threads.for_work(n_threads, terms.multiply_adds)
        self.workspace = workspace or Workspace()
        self.dtype = terms.dtype
        itemsize, n_rows = self.dtype.itemsize, terms.n_rows
        self.tile = tile_of(terms)
        self.n_tiles = -(-terms.n_candidates // self.tile)
        self.width = panels_kernel.panel_width(n_rows, itemsize)
        self.n_panels = -(-n_rows // self.width)
        self.n_lanes = self.n_panels * self.width
        size = tiles_kernel.thread_scratch(terms, self.tile)
        self.n_threads = max(1, min(self.n_threads, (memory or workspaces.WORKING_MEMORY) // (2 * size * itemsize)))
        self.scratch = self.array("scratch", (self.n_threads, size))
        self.hidden_panels = None if terms.hidden is None else self.pack("hidden_panels", terms.hidden)
        self.additions = None if terms.additions is None else self._group(terms.additions, "additions")

    def _group(self, additions, name):
        """Additions grouped by tile."""
        n_threads = threads.for_work(self.n_threads, GROUP_WORK * len(additions.class_ids))
        return additions_kernel.group(additions, self.n_tiles, self.tile, self.width, self.array, n_threads, name)

    def array(self, name, shape, dtype=None):
        return self.workspace.array(name, shape, self.dtype if dtype is None else dtype)

    def pack(self, name, a):
        """`a`, (n, n_columns), packed into panels of rows: (n_panels, n_columns, width)."""
        panels = self.array(name, (-(-a.shape[0] // self.width), a.shape[1], self.width))
        panels_kernel.pack(a, panels, self.n_threads)
        return panels

    def log_sum_exps(self, n_parts):
        """Make room for the running log-sum-exps of each part of the tiles."""
        self.max = self.array("max", (n_parts, self.n_lanes))
        self.sum = self.array("sum", (n_parts, self.n_lanes), np.float64)

    def log_sum_exp(self):
        """The log-sum-exps over all parts, (n_rows,) float64."""
        if not self.n_tiles:  # no candidates
            return np.full(self.terms.n_rows, -np.inf)
        lse = np.empty(self.n_lanes)
        panels_kernel.merge_parts(self.max, self.sum, lse, threads.for_work(self.n_threads, 8 * self.max.size))
        return lse[: self.terms.n_rows]

    def blocks(self, n_items, least=None):
        """Ranges of the `n_items` of a pass that take a fraction of a second each, so that Python sees signals in between."""
        step = max(least or 2 * self.n_threads, BLOCK_WORK * n_items // max(1, self.terms.multiply_adds))
        return [(begin, min(begin + step, n_items)) for begin in range(0, n_items, step)]


class Forward(_Pass):
    """The first pass over all tiles; `backward`, the second pass, overwrites it and can run only once.

    Parameters
    ----------
    terms : Terms
    target : RowTargets of candidate numbers; or (n_rows,) int64, -1 for rows without a target; or None
    loss : row_losses.RowLoss; None: SOFTMAX, or LOGISTIC where there are weights
    offset : (n_candidates,) numbers added to the logits of all candidates except a row's own targets, or None
    weight : (n_candidates,) weights of the binary losses of a row's negatives; None: 1
    keeps_hits : whether a row's own targets are among its negatives as well, with their offsets and weights
    n_own : how much of that weight does not count; for binary losses only
    target_shift : (n_targets,) numbers added to the logits of the targets
    memory : bytes for everything that both passes need; exp(logits) are kept for `backward` in what is left
    n_threads : resolved number of threads
    workspace : Workspace or None
    shard : shard.Shard of these candidates; `target` are its own targets

    Attributes
    ----------
    target_logit : (n_targets,) float64, shifted
    rest : (n_rows,) float64
        Log-sum-exps, or sums of binary losses, over all candidates except the targets.
    lse : (n_rows,) float64 log-sum-exps over all candidates; None for binary losses
    nll : (n_rows,) float64 losses
    """

    def __init__(
        self, terms, target=None, *, loss=None, offset=None, weight=None, keeps_hits=False, n_own=0, target_shift=0.0,
        memory=0, n_threads=1, workspace=None, shard=WHOLE,
    ):  # fmt: skip
        super().__init__(terms, n_threads, workspace, memory)
        self.shard = shard
        self.loss = loss or (SOFTMAX if weight is None else LOGISTIC)
        if self.loss.binary >= 0 and weight is None:
            weight = np.ones(terms.n_candidates)
        self.row_targets = RowTargets.of(target, terms.n_rows)
        self.targets = self._group(self.row_targets.additions(), "targets")
        self.offset, self.weight = (None if a is None else a.astype(self.dtype) for a in (offset, weight))
        n_parts = min(MAX_FORWARD_PARTS, self.n_tiles)
        self.log_sum_exps(n_parts)
        self.shift = self.array("shift", (self.n_tiles, self.n_lanes))
        self.kept = self.array("kept", (self._n_kept(memory), self.n_lanes * self.tile))
        self.target_logit = self.array("target_logit", (len(self.row_targets),), np.float64)
        for begin, end in self.blocks(n_parts):
            tiles_kernel.forward(terms, self, begin, end)
        self.hit = self.hit_weight = None  # the targets' logits as negatives
        if keeps_hits:
            hits = self.row_targets.class_ids
            self.hit = self.target_logit + (0.0 if offset is None else self.offset[hits])
            self.hit_weight = None if weight is None else self.weight[hits] - n_own
        self.target_logit += target_shift
        self._reduce()

    def _n_kept(self, memory):
        """The number of tiles that fit into `memory` beside everything else. It does not change the results."""
        self.n_parts = min(MAX_PARTS, max(FEW_PARTS, self.n_tiles // 2), self.n_tiles)
        if self.hidden_panels is not None:
            size = max(1, self.hidden_panels.nbytes)
            self.n_parts = min(max(memory // 8 // size, min(MIN_PARTS, self.n_parts)), self.n_parts)
            memory -= (2 + self.n_parts) * size  # `hidden` is packed twice
        memory -= self.scratch.nbytes + self.max.nbytes + self.sum.nbytes + self.shift.nbytes + self.targets.nbytes
        memory -= 0 if self.additions is None else self.additions.nbytes
        return min(max(memory // max(1, self.n_lanes * self.tile * self.scratch.itemsize), 0), self.n_tiles)

    def _reduce(self):
        t = self.row_targets
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            if self.weight is not None:
                negatives = self.sum.sum(axis=0)[: self.terms.n_rows]
                if self.hit is not None:
                    negatives = negatives + t.sums(self.hit_weight * negative_losses(self.loss, self.hit))
            else:
                negatives = self.log_sum_exp()
                if self.hit is not None:
                    negatives = np.logaddexp(negatives, t.log_sum_exp(self.hit)[0])
            self.rest, self.reduced = self.shard.reduce(self.loss, negatives, self.target_logit, t)
        self.lse, self.nll = self.reduced.lse, self.reduced.nll

    def backward(
        self, scale, destination, *, dhidden=None, dadditions=None, smoothing=None, rounding=None, log_normaliser=None
    ):
        """Compute the gradients of sum_i scale[i] nll[i], and add or apply them as `destination` says.

        Parameters
        ----------
        scale : (n_rows,) float64; 0 for rows that do not count
        destination : Destination
        dhidden : (n_rows, n_hidden) array to fill, or None
        dadditions : array like `values` of the additions to fill at their entries, or None; never rounded, 0 where masked
        smoothing : None, or (scale_p, prior_scale, prior)
            The gradient of the logits is scale_p p - scale [target] - prior_scale prior. It is for softmax with one target a
            row only.
        rounding : None, or Rounding
            It cannot go together with `smoothing`. Nothing is rounded with a W of sparse x, or for binary losses.
        log_normaliser : (n_rows,) float64, or None
            A better estimate that takes the place of the log-sum-exps in the gradients. It cannot go together with
            `smoothing`, and is for softmax only.
        """
        if not self.n_tiles:  # no candidates
            if dhidden is not None:
                dhidden.fill(0)
            return
        dlogits = self.logit_gradient(scale, smoothing, log_normaliser)
        parts, n_parts = None, min(MAX_PARTS, self.n_tiles)
        if dhidden is not None:
            n_parts = self.n_parts if rounding is None else min(self.n_parts, MAX_ROUNDED_PARTS)
            parts = self.array("parts", (n_parts, *self.hidden_panels.shape))
        rounding = self._prepare(rounding, parts, dhidden)
        hidden_columns = None
        if self.hidden_panels is not None and destination.V is not None:
            hidden_columns = self.pack("hidden_columns", self.terms.hidden.T)
        n_tiles = -(-self.n_tiles // n_parts)  # the most tiles that a part has
        for begin, end in self.blocks(n_tiles, least=1):
            tiles_kernel.backward(
                self.terms, self, dlogits, destination, hidden_columns, parts, rounding, dadditions, n_parts, begin, end
            )
        if dhidden is not None:
            rounded = None if rounding is None else rounding.parts
            panels_kernel.add_parts(parts, rounded, dhidden, threads.for_work(self.n_threads, parts.size))

    def logit_gradient(self, scale, smoothing=None, log_normaliser=None):
        """The LogitGradient of sum_i scale[i] nll[i]; the arguments are those of `backward`."""
        r, t = self.reduced, self.row_targets
        of_targets = scale[t.rows]
        gradient = LogitGradient(
            scale * r.factor,
            r.lse,
            of_targets * r.dlogit,
            target_scale=of_targets if t.mass_is_one else of_targets * t.mass,
        )
        if smoothing is None and log_normaliser is None and self.hit is None:
            return gradient
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            if log_normaliser is not None:
                total = t.total[t.rows]
                target = of_targets * (total * np.expm1(self.target_logit - log_normaliser[t.rows]) + (total - t.mass))
                return gradient._replace(scale=gradient.scale * np.exp(r.lse - log_normaliser), target=target)
            if smoothing is not None:
                return smoothed(gradient, self.target_logit, t, scale, *smoothing)
            if self.hit is not None and self.weight is not None:
                hits = of_targets * self.hit_weight * np.exp(-np.logaddexp(0.0, -self.hit))
                return gradient._replace(target=gradient.target + hits)
            if self.hit is not None:
                hits = gradient.scale[t.rows] * np.exp(self.hit - r.lse[t.rows])
                return gradient._replace(target=gradient.target + hits)
        return gradient

    def _prepare(self, rounding, parts, dhidden):
        """`rounding` with its scratch, after `parts` is filled with zeros; None where nothing is rounded."""
        if rounding is None or rounding.threshold == 0 or self.weight is not None:
            return None
        if self.terms.hidden is None or self.terms.W is not None:
            return None
        row_keys = self.array("row_keys", (self.n_lanes,), np.uint32)
        row_keys.fill(0)
        row_keys[: self.terms.n_rows] = rounding.row_keys
        memory_shape = (
            self.n_threads,
            -(-tiles_kernel.lists_bytes(self.terms.n_rows, len(self.row_targets), self.tile) // CACHE_LINE)
            * CACHE_LINE,
        )
        memory, rounded = self.array("lists", memory_shape, np.uint8), None
        if parts is not None:
            rounded = self.array("rounded_parts", (len(parts), *dhidden.shape))
            for a in (rounded, parts):
                panels_kernel.clear(a.reshape(len(a), -1), threads.for_work(self.n_threads, a.size))
        return Rounding(rounding.threshold, row_keys, memory, rounded)


def write_logits(terms, out, n_threads, workspace):
    """Write all logits to `out`, (n_rows, n_classes), C contiguous."""
    all_logits.write(terms, _Pass(terms, n_threads, workspace), out)


def add_gradient(terms, dlogits, dW, n_threads, workspace):
    """dW (n_classes, n_features) += dlogits^T x; dlogits : (n_rows, n_classes), C contiguous."""
    all_logits.add_gradient(terms, _Pass(terms, n_threads, workspace), dlogits, dW)


def topk(terms, k, n_threads, workspace, eligible=ALL, *, normalise=True, shard=WHOLE):
    """The k best class ids of each row and their log-probabilities, (n_rows, k) each, best first.

    They are padded where fewer than k classes are `eligible`. Without `normalise`, logits take the place of
    log-probabilities. It raises ValueError where a row's logits hold NaN. `eligible` and the results number all classes, of
    which `shard` has those of `terms`.
    """
    work, eligible, n_best = _Pass(terms, n_threads, workspace), shard.eligible(eligible), shard.depth(k)
    work.log_sum_exps(min(work.n_tiles, MAX_FORWARD_PARTS))
    heap_bytes = terms.n_rows * n_best * (terms.dtype.itemsize + 8)  # what the heaps of a thread take
    n_heaps = int(np.clip(workspaces.WORKING_MEMORY // max(1, heap_bytes), 1, work.n_threads))
    values = np.full((n_heaps, terms.n_rows, n_best), -np.inf, terms.dtype)
    class_ids = np.full((n_heaps, terms.n_rows, n_best), EMPTY)
    tile_ptr = eligible.tile_ptr(work.tile, work.n_tiles)
    for begin, end in work.blocks(len(work.max)):
        topk_kernel.scan(terms, work, values, class_ids, eligible, tile_ptr, begin, end)
    topk_kernel.merge(values, class_ids)
    lse = shard.log_sum_exp(work.log_sum_exp())
    check_lse(lse)
    class_ids, best = shard.best(class_ids[0], values[0], k)
    if normalise:
        best = (best - lse[:, None]).astype(values.dtype)
    return eligible.pad(class_ids, best)
