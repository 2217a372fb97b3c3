"""The best classes of rows by a model that stays as it is: a few rows by the shortest way, others by a runner."""

import numpy as np
from scipy import sparse

from fastsoftmax.kernels import low_rank
from fastsoftmax.model import approximate, unit_rows
from fastsoftmax.model.runners import runner_for
from fastsoftmax.passes import few_rows, pairs, pairs_scan, screen, tiles
from fastsoftmax.passes.eligible import ALL, EMPTY
from fastsoftmax.passes.pairs_base import Base
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import threads, workspaces
from fastsoftmax.runtime.csr_rows import CsrRows
from fastsoftmax.validation import check_can_screen

SCANNED_PAIRS = 1 << 24  # at a time: a tenth of a second, after which Python sees signals
NO_IDS = np.empty(0, np.int64)  # features stand for themselves


class Predictor:
    """Finds the best classes of rows by a Model, whose arrays must not change meanwhile. Several threads may use it at once.

    Parameters
    ----------
    model : Model
    n_threads : checked number of threads, which is resolved for each call: the process may be another, after a fork
    working_memory : bytes of scratch for the rows of one call
    keeps : bool
        Whether it is made once for many calls. It then has a copy of the bias, with all that follows from the bias, and with
        many classes a copy of (bias, exponential) beside each pair, so that a row reads nothing that lies elsewhere.
    screens : bool
        Whether a copy of the output weights in 8 bits finds the best classes; `output_weights` must find some.
    approximates : bool
        Whether an index of the output weights finds good classes; likewise.
    """

    def __init__(
        self, model, *, n_threads, working_memory=workspaces.WORKING_MEMORY, keeps=False, screens=False,
        approximates=False,
    ):  # fmt: skip
        self.model, self._n_threads, self.working_memory = model, n_threads, working_memory
        self.is_sparse_only = model.pairs is not None and model.E is None
        self._base, self._weights = None, None if model.pairs is None else model.pair_weights
        if keeps and self.is_sparse_only:
            self._base = Base(model.bias.copy(), self.n_threads)
            self._weights = self._weights.with_kept_base(self._base)
        self._screen = self._index = None
        if screens or approximates:
            V = output_weights(model)
            check_can_screen(V, "screen=True" if screens else "exact=False")
            if screens:
                self._screen = screen.Screen.of(V, model.bias)
            else:
                self._index = approximate.ApproximateIndex.of(V, model.bias, self.n_threads)

    @property
    def n_threads(self):
        return threads.resolve(self._n_threads)

    def runner(self, X):
        """A runner of the model over checked X."""
        X = X.matrix() if isinstance(X, CsrRows) else X
        common = {"n_threads": self.n_threads, "working_memory": self.working_memory}
        if self.is_sparse_only:
            common["base"] = self._base_of_all()
        return runner_for(self.model, X, **common)

    def topk(self, X, k, eligible=ALL, *, normalise=True):
        """The k best class codes of each row and their log-probabilities, (n_samples, k) each, best first.

        X : array, CSR matrix or CsrRows, checked; the rest is as for `Runner.topk`
        """
        if self.model.shard is not WHOLE:
            return self.runner(X).topk(k, eligible, normalise=normalise)
        if self.is_sparse_only:
            X = X if isinstance(X, CsrRows) else CsrRows.of(X if sparse.issparse(X) else sparse.csr_array(X))
            return self._topk_of_pairs(X, k, eligible, normalise)
        n_rows = X.n_rows if isinstance(X, CsrRows) else X.shape[0]
        most = k + eligible.most_excluded
        is_dense = self.model.E is not None or isinstance(X, np.ndarray)
        chooses = eligible.class_ids is not None or eligible.threshold is not None
        if self._screen is not None and is_dense and not chooses and most <= screen.MOST_BEST:
            return self._topk_screened(X, n_rows, k, eligible, normalise)
        if self._index is not None and is_dense and self._index.helps(k, eligible):
            return self._topk_approximate(X, n_rows, k, eligible, normalise)
        return self._topk_of_all(X, n_rows, k, eligible, normalise)

    def _topk_of_all(self, X, n_rows, k, eligible, normalise):
        """The same, by the logits of all classes."""
        if 0 < n_rows <= few_rows.ROWS:
            with workspaces.workspace() as workspace:
                terms = self._few(X, workspace)
                if terms is not None:
                    common = {"eligible": eligible, "normalise": normalise}
                    return few_rows.topk(self.model.bias, k, self.n_threads, workspace, **terms, **common)
        return self.runner(X).topk(k, eligible, normalise=normalise)

    def _topk_screened(self, X, n_rows, k, eligible, normalise):
        """The same, by the logits of the classes that a screen leaves; by those of all where it leaves too many."""
        most = k + eligible.most_excluded
        if n_rows <= few_rows.ROWS:
            with workspaces.workspace() as workspace:
                terms = self._few(X, workspace) if n_rows else None
                if terms is not None and "hidden" in terms:
                    hidden, V = np.ascontiguousarray(terms["hidden"]), terms["V"]
                    found = self._screen.candidates(hidden, most, self.n_threads, workspace, normalise=normalise)
                    if found is not None:
                        best = screen.few_best(self.model.bias, hidden, V, found, k, eligible)
                        return screen.finished(self._screen, found, *best, eligible, normalise)
            return self._topk_of_all(X, n_rows, k, eligible, normalise)
        runner = self.runner(X)
        class_ids, values = np.empty((n_rows, k), np.int64), np.empty((n_rows, k), self.model.dtype)
        for start in range(0, n_rows, screen.ROWS):
            rows = np.arange(start, min(start + screen.ROWS, n_rows))
            class_ids[rows], values[rows] = self._screen_chunk(
                runner, rows, k, eligible.of_rows(start, rows[-1] + 1), normalise
            )
        return class_ids, values

    def _screen_chunk(self, runner, rows, k, eligible, normalise):
        common = self.n_threads, runner.workspace
        hidden = np.ascontiguousarray(runner.hidden(rows))
        found = self._screen.candidates(hidden, k + eligible.most_excluded, *common, normalise=normalise)
        if found is None:
            return tiles.topk(runner.terms(rows), k, *common, eligible, normalise=normalise)
        union = np.unique(found.class_ids)
        at, values = tiles.topk(runner.terms(rows, union), k, *common, eligible.among(union), normalise=False)
        class_ids = np.where(at < 0, EMPTY, union[at])
        return screen.finished(self._screen, found, class_ids, values, eligible, normalise)

    def _topk_approximate(self, X, n_rows, k, eligible, normalise):
        """The same, by the logits of the classes that an index finds; by those of all for rows in which it fails."""
        runner = self.runner(X)
        class_ids, values = np.empty((n_rows, k), np.int64), np.empty((n_rows, k), self.model.dtype)
        for start in range(0, n_rows, approximate.ROWS):
            rows = np.arange(start, min(start + approximate.ROWS, n_rows))
            of_rows = eligible.of_rows(start, rows[-1] + 1)
            class_ids[rows], values[rows], is_found = self._index.best(
                runner.hidden(rows), k, self.n_threads, of_rows, normalise=normalise
            )
            for i in np.flatnonzero(~is_found):
                row, of_row = rows[i : i + 1], of_rows.of_rows(i, i + 1)
                class_ids[row], values[row] = tiles.topk(
                    runner.terms(row), k, self.n_threads, runner.workspace, of_row, normalise=normalise
                )
        return class_ids, values

    def _base_of_all(self):
        return self.model.base(self.n_threads) if self._base is None else self._base

    def _topk_of_pairs(self, rows, k, eligible, normalise):
        sizes = pairs_scan.measure(rows, self._weights)
        base = self._base_of_all()
        weights = self._weights.with_base(base, sizes.n_pairs)
        options = {"n_threads": self.n_threads, "normalise": normalise}
        with workspaces.workspace() as workspace:
            if sizes.n_pairs <= SCANNED_PAIRS:
                return pairs_scan.topk(
                    rows, weights, base, k, workspace=workspace, eligible=eligible, sizes=sizes, **options
                )
            class_ids, values = np.empty((rows.n_rows, k), np.int64), np.empty((rows.n_rows, k), self.model.dtype)
            for start, stop in pairs.row_chunks(rows, np.diff(weights.indptr), SCANNED_PAIRS):
                of_rows = {"eligible": eligible.of_rows(start, stop), "workspace": workspace}
                class_ids[start:stop], values[start:stop] = pairs_scan.topk(
                    rows.of_rows(start, stop), weights, base, k, **of_rows, **options
                )
            return class_ids, values

    def _few(self, X, workspace):
        """The arguments of few_rows.topk for these few rows; None where the layout of the weights is not for them."""
        model = self.model
        if model.E is None and isinstance(X, np.ndarray):
            return {"hidden": X, "V": model.W} if model.has_dense_direct and has_contiguous_rows(model.W) else None
        if model.E is None and not has_contiguous_rows(model.W, transposed=True):
            return None
        if model.E is not None and model.has_dense_direct:
            return None
        rows = X if isinstance(X, CsrRows) else CsrRows.of(X if sparse.issparse(X) else sparse.csr_array(X))
        if rows.n_columns > np.iinfo(np.int32).max:
            return None
        by_number = CsrRows(
            rows.indptr.astype(np.intp), rows.indices.astype(np.int32, copy=False), rows.data, rows.n_columns
        )
        if model.E is None:
            return {"rows": by_number, "W": model.W}
        hidden = self._hidden(by_number.within(len(model.E)), workspace)
        additions = None
        if model.pairs is not None:
            additions = pairs_scan.additions(rows, self._weights, model.dtype, workspace)
        return {"hidden": hidden, "V": model.V, "additions": additions}

    def _hidden(self, rows, workspace):
        """The hidden layer of CsrRows, (n_rows, hidden_size)."""
        E = self.model.E
        out = workspace.array("hidden", (rows.n_rows, E.shape[1]), self.model.dtype)
        project = low_rank.project if isinstance(E, np.ndarray) else low_rank.project_compact
        n_threads = threads.for_work(self.n_threads, len(rows.indices) * E.shape[1])
        project(rows.indptr, rows.indices, rows.data, NO_IDS, E, out, n_threads)
        if self.model.scale is not None:
            unit_rows.scale_rows(out, self.model.scale)
        return out


def output_weights(model):
    """The weights (n_classes, n) for a screen or an index; None where the logits are more than one dense product."""
    if model.storage is not None or model.pairs is not None or (model.E is not None and model.has_dense_direct):
        return None
    V = model.W if model.E is None else model.V
    return V if V.flags.c_contiguous else None


def has_contiguous_rows(a, *, transposed=False):
    """Whether the rows (transposed: the columns) of `a`, an array or a CompactMatrix, lie one after another in memory."""
    if not isinstance(a, np.ndarray):
        return a.feature_major == transposed
    flags = a.flags
    return flags.f_contiguous if transposed else flags.c_contiguous
