"""The k best classes of a few rows, around the kernel of src/tiles/few_rows.pyx: what answers a single row."""

import numpy as np

from fastsoftmax.kernels import few_rows
from fastsoftmax.passes.eligible import ALL, EMPTY
from fastsoftmax.runtime import threads
from fastsoftmax.validation import check_lse

ROWS = 4  # with more, the lanes of the panels of passes.tiles are full enough


def topk(
    bias, k, n_threads, workspace, *, hidden=None, V=None, rows=None, W=None, additions=None, eligible=ALL,
    normalise=True,
):  # fmt: skip
    """The k best class ids of each row and their log-probabilities, (n_rows, k) each, best first.

    They are padded where fewer than k classes are `eligible`. Without `normalise`, logits take the place of
    log-probabilities. It raises ValueError where a row's logits hold NaN.

    Parameters
    ----------
    bias : (n_classes,) array
    hidden, V : (n_rows, n_hidden) array, and an array or CompactMatrix whose rows are contiguous; or None
    rows, W : CsrRows of int32, their indptr intp, and an array or CompactMatrix whose columns are contiguous; or None
    additions : pairs_scan.additions of the rows, or None
    """
    n_rows = len(hidden) if hidden is not None else rows.n_rows
    n_classes, dtype = len(bias), bias.dtype
    block = few_rows.block_classes(n_classes)
    n_blocks = -(-n_classes // block)
    inner = hidden.shape[1] * n_rows if hidden is not None else len(rows.indices)
    n_threads = min(threads.for_work(n_threads, (inner + 8 * n_rows) * n_classes), n_blocks)
    values = np.full((n_threads, n_rows, k), -np.inf, dtype)
    class_ids = np.full((n_threads, n_rows, k), EMPTY)
    lse = np.empty(n_rows)
    csr = (None, None, None) if W is None else rows[:3]
    few_rows.topk(
        bias, hidden, V, *csr, W, additions, eligible, eligible.tile_ptr(block, n_blocks), values, class_ids, lse,
        workspace.array("sums", (2, n_blocks, n_rows), np.float64),
        workspace.array("scratch", (n_threads, n_rows * block), dtype),
    )  # fmt: skip
    check_lse(lse)
    best = (values[0] - lse[:, None]).astype(dtype) if normalise else values[0]
    return eligible.pad(class_ids[0], best)
