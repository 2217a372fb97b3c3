"""The best k classes without reading float weights: all classes are screened in 8 bits, and what may be best is kept.

A row h and a class's weights v are rounded to h' = a p and v' = s q, with whole numbers p and q of a byte. From

    |h . v - h' . v'|  <=  |h . (v - v')| + |(h - h') . v'|  <=  s (|h| max(|v - v'| / s) + |h - h'| max |q|)

follows an interval for each logit. A class whose upper bound is below the k-th best lower bound is not among the best k.
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax.kernels import few_rows, screen
from fastsoftmax.passes.eligible import EMPTY
from fastsoftmax.runtime import threads, workspaces
from fastsoftmax.validation import check_lse

MOST_BEST = 1024  # classes that are looked for; where more are, all are computed
ROWS = 128  # that share each read of the classes: what is kept of them stays in a second-level cache
BLOCK = screen.GROUP * screen.BLOCK_GROUPS
MOST_PARTS = 64
SAMPLED = 64  # one block of so many is read first, to learn which logits are large ...
LEAST_SAMPLED = 8  # ... but at least so many blocks
CLASS_CODES, ROW_CODES = 127, 63  # the largest codes; see screen.h
MOST_HIDDEN = 1 << 16  # sums of products of codes then fit into 32 bits
STEP = 1 << 14  # classes that are rounded at a time
LOG2E = float(np.log2(np.e))
LEAST_SCALE = 2.0**-100  # so that products of scales are not subnormal
LARGEST = 1e29  # of logits in bits; the classes that fill up the last group are below
EXP2_ERROR = 1e-4  # relative, of the kernel's powers of two, with their sums in float32
OVERFLOW = 2.0**120  # sums from here on may hold a power of two that was cut


class Candidates(NamedTuple):
    """What screening says of some rows; `Screen.log_sum_exps` needs `mass` and `rounded`."""

    class_ids: np.ndarray  # int64, ascending in each row
    indptr: np.ndarray  # (n_rows + 1,) intp
    mass: np.ndarray | None  # (n_rows,) of all classes by approximate logits: the sum of 2^(z - shift)
    rounded: "Rounded"


class Rounded(NamedTuple):
    """Rows in 8 bits."""

    codes: np.ndarray  # (n_rows, n_quads, 4) int8
    factor: np.ndarray  # (n_rows,) float32, and so are the others
    margin: np.ndarray
    slack: np.ndarray
    shift: np.ndarray


class Screen:
    """All classes in 8 bits: a copy of the weights in a quarter of the memory of float32, and 8 bytes a class.

    Attributes
    ----------
    codes : (n_groups, n_quads, 16, 4) uint8, 128 + q
    scale : (16 n_groups,) float32, s
    bias : (16 n_groups,) float32, in bits: log2(e) times the bias
    """

    def __init__(self, codes, scale, bias, n_classes, max_code_norm, max_residual, max_norm, max_bias):
        self.codes, self.scale, self.bias, self.n_classes = codes, scale, bias, n_classes
        self._max_code_norm, self._max_residual = max_code_norm, max_residual
        self._max_norm, self._max_bias = max_norm, max_bias
        self._max_scale = float(scale.max(initial=0))

    @property
    def nbytes(self):
        return self.codes.nbytes + self.scale.nbytes + self.bias.nbytes

    @classmethod
    def of(cls, V, bias):
        """The Screen of weights (n_classes, n_hidden) and bias; None where a weight is not finite or too large for bounds."""
        n_classes, n_hidden = V.shape
        n_groups, n_quads = -(-n_classes // screen.GROUP), -(-max(1, n_hidden) // 4)
        codes = np.full((n_groups, n_quads, screen.GROUP, 4), 128, np.uint8)
        scale = np.zeros(n_groups * screen.GROUP, np.float32)
        bits = np.full(len(scale), -10 * LARGEST, np.float32)
        max_code_norm = max_residual = max_norm = 0.0
        max_bias = float(np.abs(bias).max(initial=0)) * LOG2E
        if not max_bias < LARGEST or n_hidden > MOST_HIDDEN or n_classes > np.iinfo(np.int32).max:
            return None
        bits[:n_classes] = bias * bias.dtype.type(LOG2E)
        for start in range(0, n_classes, STEP):
            v = V[start : start + STEP]
            largest = np.abs(v).max(axis=1, initial=0)
            if not (largest < LARGEST).all():
                return None
            s = np.maximum(largest / CLASS_CODES, LEAST_SCALE).astype(np.float32)
            scale[start : start + len(v)] = s
            real = v / s[:, None]
            q = np.clip(np.rint(real), -CLASS_CODES, CLASS_CODES)
            real -= q
            squares = np.einsum("ij,ij->i", q, q)
            max_code_norm = max(max_code_norm, float(squares.max(initial=0)) ** 0.5)
            max_residual = max(max_residual, float(np.einsum("ij,ij->i", real, real).max(initial=0)) ** 0.5)
            max_norm = max(max_norm, float((np.sqrt(squares) * s.astype(np.float64)).max(initial=0)))
            padded = np.zeros((-(-len(v) // screen.GROUP) * screen.GROUP, n_quads * 4), np.int16)
            padded[: len(v), :n_hidden] = q
            padded += 128
            group = start // screen.GROUP
            grouped = padded.reshape(-1, screen.GROUP, n_quads, 4).transpose(0, 2, 1, 3)
            codes[group : group + len(grouped)] = grouped
        return cls(codes, scale, bits, n_classes, max_code_norm, max_residual * 1.001, max_norm * 1.01, max_bias)

    def rounded(self, hidden):
        """The rows of `hidden`, (n_rows, n_hidden), as Rounded; None where a logit could be too large for bounds."""
        n_rows, n_hidden = hidden.shape
        h = hidden.astype(np.float64)
        largest = np.abs(h).max(axis=1, initial=0)
        if not (largest < LARGEST).all():
            return None
        a = np.maximum(largest / ROW_CODES, LEAST_SCALE)
        p = np.rint(h / a[:, None])
        codes = np.zeros((n_rows, self.codes.shape[1], 4), np.int8)
        codes.reshape(n_rows, -1)[:, :n_hidden] = p
        norm = np.sqrt(np.einsum("ij,ij->i", h, h))
        h -= a[:, None] * p
        off = np.sqrt(np.einsum("ij,ij->i", h, h))
        most = LOG2E * norm * self._max_norm + self._max_bias
        if not (most < LARGEST).all():
            return None
        margin = (LOG2E * 1.001) * (norm * self._max_residual + off * self._max_code_norm)
        slack = most * (2.0**-19 + (n_hidden + 8) * 2.0**-23) + 2.0**-120  # both passes' rounding in float32
        small = (x.astype(np.float32) for x in (a * LOG2E, margin, slack, np.full(n_rows, 1e30)))
        return Rounded(codes, *small)

    def lse_error(self, rounded):
        """What the log-sum-exps of `log_sum_exps` may be off, (n_rows,)."""
        margin, slack = rounded.margin.astype(np.float64), rounded.slack.astype(np.float64)
        return (margin * self._max_scale + slack) / LOG2E + 2 * EXP2_ERROR

    def candidates(self, hidden, k, n_threads, workspace, *, normalise=True):
        """The Candidates for the best k classes of rows; None where too many classes may be best.

        hidden : (n_rows, n_hidden), at most ROWS rows
        """
        rounded = self.rounded(hidden)
        if rounded is None:
            return None
        n_rows, n_blocks = len(hidden), -(-self.n_classes // BLOCK)
        n_threads = threads.for_work(n_threads, (hidden.shape[1] + 8) * n_rows * self.n_classes // 4)
        room = max(1 << 14, 32 * k)
        n_threads = max(1, min(n_threads, workspaces.WORKING_MEMORY // (8 * room * n_rows)))
        shape = (n_threads, n_rows)
        heap, heap_ids = np.full((*shape, k), -np.inf, np.float32), np.full((*shape, k), EMPTY)
        bar = np.full(shape, np.finfo(np.float32).min)
        n_listed = np.zeros(shape, np.intp)
        listed = workspace.array("listed", (*shape, room), np.int32)
        upper = workspace.array("upper", (*shape, room), np.float32)
        scratch = workspace.array("screen_scratch", (n_threads, n_rows * (screen.GROUP + 1)), np.float32)
        offset = (-128 * rounded.codes.sum(axis=(1, 2), dtype=np.int32)).astype(np.int32)

        def scan(sums, step):
            screen.scan(
                self.codes.reshape(-1), self.scale, self.bias, self.n_classes, self.codes.shape[1],
                rounded.codes.reshape(n_rows, -1), offset, *rounded[1:], heap, heap_ids, bar, n_listed, listed, upper,
                sums, scratch, min(n_blocks, MOST_PARTS), step,
            )  # fmt: skip

        scan(None, max(1, min(SAMPLED, n_blocks // LEAST_SAMPLED)))
        screen.merge(heap, heap_ids)
        full = heap_ids[0, :, -1] != EMPTY
        bar[:] = np.where(full, heap[0, :, -1] - rounded.slack, bar[0])
        rounded = rounded._replace(shift=heap[0, :, 0].copy())
        heap[:], heap_ids[:] = -np.inf, EMPTY
        n_listed[:] = 0
        sums = np.zeros((min(n_blocks, MOST_PARTS), n_rows)) if normalise else None
        scan(sums, 1)
        screen.merge(heap, heap_ids)
        np.maximum(bar[0], heap[0, :, -1] - rounded.slack, out=bar[0], where=heap_ids[0, :, -1] != EMPTY)
        if (n_listed < 0).any():  # which classes a thread lists depends on its bar so far: now it is that of all
            bar[:], n_listed[:] = bar[0], 0
            scan(None, 1)
            if (n_listed < 0).any():
                return None
        class_ids, indptr = np.empty(n_listed.sum(), np.int64), np.empty(n_rows + 1, np.intp)
        screen.collect(bar[0], n_listed, listed, upper, class_ids, indptr)
        if (np.diff(indptr) > room // 2).any():  # as the lists have it: whether a row is answered depends on no thread
            return None
        of_row = np.repeat(np.arange(n_rows) * self.n_classes, np.diff(indptr))
        class_ids = np.sort(class_ids[: indptr[-1]] + of_row) - of_row
        mass = None
        if normalise:
            mass = sums.sum(axis=0)
            if not (mass < OVERFLOW).all():
                return None
        return Candidates(class_ids, indptr, mass, rounded)

    def log_sum_exps(self, found, class_ids, logits):
        """The log-sum-exps of rows, (n_rows,) float64, by approximate logits of all classes but those in `class_ids`.

        The logits of these, (n_rows, k), replace what was estimated of them. EMPTY ids do not count.
        """
        counts = class_ids != EMPTY
        ids = np.where(counts, class_ids, 0)
        q = self.codes[ids // screen.GROUP, :, ids % screen.GROUP].astype(np.int32) - 128
        dots = np.einsum("ikqj,iqj->ik", q, found.rounded.codes.astype(np.int32))
        bits = dots * found.rounded.factor.astype(np.float64)[:, None] * self.scale[ids] + self.bias[ids]
        shift = found.rounded.shift.astype(np.float64)
        rest = found.mass - np.where(counts, np.exp2(bits - shift[:, None]), 0).sum(axis=1)
        with np.errstate(divide="ignore"):
            lse = np.log(np.maximum(rest, 0)) + shift / LOG2E
        exact = np.where(counts, logits, -np.inf).astype(np.float64)
        top = np.maximum(exact.max(axis=1), lse)
        return top + np.log(np.exp(exact - top[:, None]).sum(axis=1) + np.exp(lse - top))


def few_best(bias, hidden, V, found, k, eligible):
    """The k best class ids of a few rows among Candidates, and their logits: the bits are those of passes.few_rows."""
    values, class_ids = np.full((len(hidden), k), -np.inf, bias.dtype), np.full((len(hidden), k), EMPTY)
    block = few_rows.block_classes(len(bias))
    screen.rescore(bias, hidden, V, eligible, found.class_ids, found.indptr, block, values, class_ids)
    return class_ids, values


def finished(screen, found, class_ids, values, eligible, normalise):
    """The best classes and their log-probabilities (or logits), padded."""
    if normalise:
        lse = screen.log_sum_exps(found, class_ids, values)
        check_lse(lse)
        values = (values - lse[:, None]).astype(values.dtype)
    return eligible.pad(class_ids, values)
