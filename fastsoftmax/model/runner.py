"""The runner of a Model over the rows of X: losses, the best classes, all logits, and optimiser steps, batch by batch."""

from functools import cached_property, partial

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax.kernels import low_rank
from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.model import unit_rows
from fastsoftmax.passes import clipping, tiles
from fastsoftmax.passes.candidates import EXACT
from fastsoftmax.passes.eligible import ALL
from fastsoftmax.passes.pairs import PairsForward
from fastsoftmax.passes.pairs_base import Base
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.runtime import row_subset, threads, workspaces


class Runner:
    """Runs a Model over the rows of one checked X, or of a RowSubset, and keeps threads, scratch and row reader for them.

    A dense X stays dense where a dense direct term is the only term; else its rows become CSR rows, batch by batch. The
    passes go through all classes (or the candidates) in tiles. A sparse term adds to the logits of the classes that a row
    touches.

    Parameters
    ----------
    model : Model
    X : array or CSR matrix as validation.check_X returns it, or a RowSubset
    n_threads : resolved number of threads
    working_memory : bytes for the exponentials that a step keeps between its two passes
    trains_embedding : whether `step` changes E
    reader : RowReader that it shares with other runners over these rows, or None
    """

    def __init__(
        self, model, X, *, n_threads, working_memory=workspaces.WORKING_MEMORY, trains_embedding=True, reader=None
    ):
        self.model, self.X, self.trains_embedding = model, X, trains_embedding
        self.n_rows = X.shape[0]
        self._X, self._ids = row_subset.unwrapped(X)
        is_cut = model.E is not None and len(model.E) < X.shape[1]
        self.hidden_runner = None  # there is one where E takes only some columns of X, and another term all
        if is_cut and model.W is not None:
            self.hidden_runner = Runner(model.low_rank(), X, n_threads=n_threads)
        elif is_cut:
            self._X = self._X[:, model.hidden_columns]
        self.n_threads, self.working_memory = n_threads, working_memory
        self.workspace = workspaces.Workspace()
        self.dense_input = isinstance(self._X, np.ndarray)
        self.dense_direct = self._has_dense_direct()
        if not self.dense_direct:
            self.reader = reader or RowReader(self._X.shape[1])

    def _has_dense_direct(self):
        """Whether the only term is a direct term that takes dense rows; the layout of compact weights leaves no choice."""
        if self.model.E is not None or self.model.pairs is not None:
            return False
        return self.dense_input if self.model.storage is None else not self.model.W.feature_major

    @cached_property
    def no_bias(self):
        """The Base of a sparse term, of zeros, where the tiles add the bias."""
        return Base(np.zeros_like(self.model.bias), self.n_threads)

    def _taken(self, rows):
        return self._X[rows if self._ids is None else self._ids[rows]]

    def _batch(self, rows):
        if not self.dense_input:
            ids = rows if self._ids is None else self._ids[rows]
            return self.reader.take(self._X.indptr, self._X.indices, self._X.data, ids)
        block = csr_matrix(self._taken(rows))
        return self.reader.take(block.indptr, block.indices, block.data, np.arange(len(rows)))

    def terms(self, rows, class_ids=None):
        """The Terms of the logits of `rows`, (n,) int64, for all classes or for `class_ids`."""
        model, n_rows = self.model, len(rows)
        n_candidates = model.n_classes if class_ids is None else len(class_ids)
        common = {"bias": model.bias, "class_ids": class_ids}
        if self.dense_direct:
            return tiles.Terms(n_rows, n_candidates, hidden=self.hidden(rows), V=model.W, **common)
        batch = self._batch(rows)
        if model.E is not None:
            hidden_batch = self._hidden_batch(batch, rows)
            hidden, factors = self._hidden_layer(hidden_batch)
            common |= {"hidden": hidden, "V": model.V, "hidden_batch": hidden_batch, "hidden_factors": factors}
        if model.pairs is None:
            return tiles.Terms(n_rows, n_candidates, batch=batch, W=model.W, **common)
        return tiles.Terms(n_rows, n_candidates, batch=batch, additions=self._additions(batch), **common)

    def _hidden_batch(self, batch, rows):
        """The rows of the batch with the features only that the rows of E here are of."""
        return batch if self.hidden_runner is None else self.hidden_runner._batch(rows)

    def _hidden_layer(self, batch):
        """The hidden layer of a `_hidden_batch`, and what its rows were multiplied by to bring them to one norm, or None.

        Where E is divided, it is that of all features, which takes all ranks.
        """
        hidden, scale = self._project(batch, self.model.E, "hidden"), self.model.scale
        if self.model.features is not None:
            self.model.shard.add(hidden)
        return hidden, None if scale is None else unit_rows.scale_rows(hidden, scale)

    def _project(self, batch, rows, name):
        """The batch times `rows`, one row a feature: (n_rows, n_hidden), in the workspace under `name`."""
        out = self.workspace.array(name, (len(batch.indptr) - 1, rows.shape[1]), self.model.dtype)
        n_threads = threads.for_work(self.n_threads, len(batch.indices) * rows.shape[1])
        project = low_rank.project if isinstance(rows, np.ndarray) else low_rank.project_compact
        project(batch.indptr, batch.indices, batch.data, batch.feature_ids, rows, out, n_threads)
        return out

    def _backproject(self, batch, dhidden, rows, state, rule):
        """A step of `rows`, one row a feature; `dhidden` is the gradient with respect to what `_project` computes."""
        scratch = self.workspace.array("dE", (self.n_threads, low_rank.SCRATCH_ROWS * rows.shape[1]), self.model.dtype)
        low_rank.backproject(
            batch.col_indptr, batch.rows, batch.col_data, batch.feature_ids, dhidden, rows, state, rule, scratch,
            self.n_threads,
        )  # fmt: skip

    def _additions(self, batch):
        """x . W for the classes that a sparse term touches."""
        common = {"n_threads": self.n_threads, "workspace": self.workspace}
        return PairsForward(
            batch, self.model.pair_weights, self.no_bias, keep=False, normalise=False, **common
        ).additions()

    @property
    def has_hidden(self):
        """Whether dense inputs are multiplied by output weights: a hidden layer, or dense rows of X."""
        return self.dense_direct or self.model.E is not None

    def hidden(self, rows):
        """The inputs (n_rows, n_hidden) of the dense output weights: the hidden layer, or dense rows of X."""
        if self.dense_direct:
            taken = self._taken(rows)
            return taken if self.dense_input else taken.toarray()
        batch = self._batch(rows) if self.hidden_runner is None else self.hidden_runner._batch(rows)
        return self._hidden_layer(batch)[0]

    def forward(self, rows, target=None, *, loss=None, candidates=None, memory=0):
        """The first pass: over all classes or Candidates; the arguments are those of passes.tiles.Forward."""
        class_ids, options, shard = None, {}, self.model.shard
        target = RowTargets.of(target, len(rows))
        if candidates is None:
            target = shard.own(target)
        else:
            target, class_ids, options = shard.own_candidates(target, candidates)
        return tiles.Forward(
            self.terms(rows, class_ids),
            target,
            loss=loss,
            memory=memory,
            n_threads=self.n_threads,
            workspace=self.workspace,
            shard=shard,
            **options,
        )

    def step(self, rows, target, scale, rule, estimate=EXACT):
        """Take one step along the gradient of sum_i scale[i] loss[i] over a batch, and return that sum from before the step.

        Where the sum is not finite, nothing changes.

        Parameters
        ----------
        rows : (n,) int64
        target : RowTargets of class codes, or (n,) int64
        scale : (n,) float64 factors of the rows' losses: their weights over n, for a step along the mean
        rule : optimizers.Rule
        estimate : Estimate
        """
        forward = self.forward(
            rows, target, loss=estimate.loss, candidates=estimate.candidates, memory=self.working_memory
        )
        loss = scale @ forward.nll
        if np.isfinite(loss):
            self.model.note_change()
            options, factors = {}, 1.0
            if estimate.normaliser is not None:
                options["log_normaliser"] = estimate.normaliser.update(rows, forward.lse)
            if rule.clip_norm is not None:
                squared = self._squared_inputs(forward.terms)
                factors = clipping.row_factors(rule.clip_norm, forward, squared, **options)
            self._backward(forward, scale, factors * scale, rule, rounding=estimate.rounding, **options)
        return loss

    def _squared_inputs(self, terms):
        """The squared norm of what each row multiplies the output weights by: 1 for the bias, x, and the hidden layer."""
        squared = np.ones(terms.n_rows)
        if terms.hidden is not None:
            squared += clipping.squared_rows(terms.hidden)
        if self.model.W is not None and not self.dense_direct:
            squared += clipping.squared_rows(terms.batch)
        return squared

    def _backward(self, forward, full_scale, scale, rule, **options):
        """The second pass; `full_scale` and `scale` are the factors of the rows' losses before and after clipping."""
        model, terms = self.model, forward.terms
        state = {f"{name}_state": a for name, a in model.state.items() if name != "E"}
        if self.dense_direct:
            state["V_state"] = state.pop("W_state", None)
            destination = tiles.Destination(V=model.W, bias=model.bias, rule=rule, **state)
            forward.backward(scale, destination, **options)
            return
        destination = tiles.Destination(
            V=model.V, W=model.W, bias=model.bias, rule=rule, class_alpha=rule.class_alpha, **state
        )
        if model.E is None or not self.trains_embedding:
            forward.backward(scale, destination, **options)
            model.normalise_classes(terms.class_ids)
            return
        dhidden = self.workspace.array("dhidden", terms.hidden.shape, model.dtype)
        forward.backward(scale, destination, dhidden=dhidden, **options)
        model.normalise_classes(terms.class_ids)
        model.shard.add(dhidden)
        if model.scale is not None:
            unit_rows.backproject_scaled(dhidden, terms.hidden, model.scale, terms.hidden_factors)
        self._step_embedding(terms.hidden_batch, dhidden, full_scale, rule)

    def _step_embedding(self, batch, dhidden, scale, rule):
        """One step of E; `dhidden` holds the gradients of scale times loss, and may be overwritten."""
        if rule.clip_norm is not None:
            squared = clipping.squared_rows(batch)
            if self.model.features is not None:
                self.model.shard.add(squared)
            clipping.clip_hidden(rule.clip_norm, dhidden, squared, scale)
        self._backproject(batch, dhidden, self.model.E, self.model.state.get("E"), rule)

    def chunks(self):
        """Ranges of consecutive rows, each of which takes a fraction of a second."""
        step = int(np.clip((1 << 29) // self.model.n_all_classes, 64, 1024))
        for start in range(0, self.n_rows, step):
            yield np.arange(start, min(start + step, self.n_rows))

    def topk(self, k, eligible=ALL, *, normalise=True):
        """The k best class codes of each row and their log-probabilities, (n_samples, k) each, best first.

        They are padded where fewer than k classes are `eligible`. Without `normalise`, logits take the place of
        log-probabilities.
        """
        class_ids = np.empty((self.n_rows, k), np.int64)
        values = np.empty((self.n_rows, k), self.model.dtype)
        for rows in self.chunks():
            of_rows = eligible.of_rows(rows[0], rows[-1] + 1)
            class_ids[rows], values[rows] = self._topk(rows, k, of_rows, normalise)
        return class_ids, values

    def best(self, k, eligible=ALL):
        """The k best class codes of each row, (n_rows, k) int32, best first, -1 where there are fewer."""
        class_ids = np.empty((self.n_rows, k), np.int32)
        for rows in self.chunks():
            class_ids[rows] = self._topk(rows, k, eligible.of_rows(rows[0], rows[-1] + 1), False)[0]
        return class_ids

    def _topk(self, rows, k, eligible, normalise):
        options = {"normalise": normalise, "shard": self.model.shard}
        return tiles.topk(self.terms(rows), k, self.n_threads, self.workspace, eligible, **options)

    def nll(self, target, show=None):
        """Negative log-probabilities of class codes `target`, over all classes: (n_samples,) float64, nan for -1.

        show : function that is called with the number of rows of each chunk that is done
        """
        out = np.empty(self.n_rows)
        for rows in self.chunks():
            out[rows] = self._nll(rows, target[rows])
            if show is not None:
                show(len(rows))
        return np.where(target < 0, np.nan, out)

    def losses(self, target_of, loss, show=None):
        """The losses of all rows, (n_rows,) float64.

        target_of : function of the rows of a chunk that returns their RowTargets
        loss : row_losses.RowLoss
        show : as for `nll`
        """
        out = np.empty(self.n_rows)
        for rows in self.chunks():
            out[rows] = Runner.forward(self, rows, target_of(rows), loss=loss).nll
            if show is not None:
                show(len(rows))
        return out

    def _nll(self, rows, target):
        return self.forward(rows, target).nll

    def logits(self, out):
        """Write all logits to `out`, (n_samples, n_all_classes), and return it."""
        for rows in self.chunks():
            write = partial(tiles.write_logits, self.terms(rows), n_threads=self.n_threads, workspace=self.workspace)
            self.model.shard.fill(out[rows[0] : rows[-1] + 1], lambda part, write=write: write(out=part))
        return out
