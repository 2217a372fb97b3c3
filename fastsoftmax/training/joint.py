"""Joint training: a sparse direct term and a low-rank term on the loss of their sum.

Full softmax adds the sparse term to the tiles of all classes. Sampled softmax takes each row's touched classes and its target,
the *head*, exactly: these are the likeliest ones, and so the best negatives. The sample that all rows share estimates what the
others, the *tail*, add to the partition function:

    Z_i ~ sum over k in head_i of exp(z_ik) + sum over drawn k not in head_i of exp(z_ik) / expected count of k

Its expectation is the partition function of all classes. All gradients are those of the weights before the step.
"""

import copy

import numpy as np

from fastsoftmax.kernels import joint as joint_kernel
from fastsoftmax.kernels.additions import Additions
from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.model.runner import Runner
from fastsoftmax.passes import clipping, tiles
from fastsoftmax.passes.candidates import Candidates
from fastsoftmax.runtime import threads
from fastsoftmax.training.part import Part, Sampled


class HeadAndTail(Sampled):
    """Draws the candidates of the tail; the targets are in the head."""

    def candidates(self, target, rng, hidden=None):
        class_ids, log_expected, _ = self.sampler.draw_for(self.n_negatives, rng, target, hidden)
        return {"candidates": Candidates(target[:0], class_ids, log_expected)}


class JointPart(Part):
    """Both terms of the runner's model, whose sparse one has an optimiser of its own."""

    def __init__(self, runner, loss, optimizer, direct_optimizer, schedule=None, n_epochs=None):
        super().__init__(runner, loss, optimizer, schedule, n_epochs, "learning_rate and direct_learning_rate")
        self.direct_optimizer, self.direct_learning_rate = direct_optimizer, direct_optimizer.learning_rate

    def step(self, rows, target, weight, rng, rate):
        self.direct_optimizer.learning_rate = self.direct_learning_rate * rate
        return super().step(rows, target, weight, rng, rate)


class JointRunner(Runner):
    """As Runner, for a Model with a pattern and low rank; `step` trains both.

    direct_optimizer : the rule of the sparse term, which steps along the *sum* of the rows' gradients; see SparseRunner.step
    """

    def __init__(self, model, X, direct_optimizer, **kwargs):
        super().__init__(model, X, **kwargs)
        self.direct_optimizer = direct_optimizer
        self.class_reader = RowReader(model.n_classes)
        self.column_of = np.full(model.n_classes, -1, np.int32)  # of each class among the candidates

    def step(self, rows, target, optimizer, *, weight=1.0, candidates=None, rounding=None):
        """As Runner's, all classes or, with candidates of the tail, head and tail."""
        scale = np.full(len(rows), 1.0 / len(rows)) * weight
        batch = self._batch(rows)
        hidden = self._project(batch, self.model.E, "hidden")
        if candidates is None:
            return self._step_all(batch, hidden, target, scale, optimizer, rounding)
        return self._step_head_and_tail(
            batch, hidden, target, scale, optimizer, candidates.class_ids, candidates.offset
        )

    def _step_all(self, batch, hidden, target, scale, optimizer, rounding):
        touched = self._touch(batch, keep=True)
        forward = self._tiled(hidden, touched.additions(), target=target)
        loss = scale @ forward.nll
        if np.isfinite(loss):
            dhidden = self.workspace.array("dhidden", hidden.shape, self.model.dtype)
            dlogits = self.workspace.array("dlogits", touched.logits.shape, self.model.dtype)
            dlogits.fill(0)  # there are gaps
            clipped = self._clipped(scale, forward, batch, hidden, optimizer)
            forward.backward(
                clipped, self._destination(optimizer), dhidden=dhidden, dadditions=dlogits, rounding=rounding
            )
            self._step_inputs(batch, touched, dlogits, dhidden, scale, optimizer)
        return loss

    def _step_head_and_tail(self, batch, hidden, target, scale, optimizer, class_ids, offset):
        model = self.model
        head = self._touch(batch, target, keep=True)
        begin, end = head.row_ptr[:-1], head.row_ptr[:-1] + head.n_touched
        work = int(head.n_touched.sum()) * hidden.shape[1]
        joint_kernel.add_low_rank(
            begin, end, head.touched, hidden, model.V, model.bias, head.logits, threads.for_work(self.n_threads, work)
        )
        tail = self._tiled(hidden, self._mask(head, begin, end, class_ids), class_ids=class_ids, offset=offset)
        head.normalise(tail.lse)
        loss = scale @ head.nll
        if not np.isfinite(loss):
            return loss
        clipped = self._clipped(scale, head, batch, hidden, optimizer)
        head.backward(clipped)
        pairs = self._head_pairs(head, begin, end)
        dhidden = self.workspace.array("dhidden", hidden.shape, model.dtype)
        head_dhidden = self._project(pairs, model.V, "head.dhidden")  # before any step of V
        tail.backward(clipped, self._destination(optimizer), dhidden=dhidden, lse=head.lse)
        dhidden += head_dhidden
        self._backproject(pairs, hidden, model.V, model.state.get("V"), optimizer)
        self._step_bias(pairs, optimizer)
        self._step_inputs(batch, head, head.logits, dhidden, scale, optimizer)
        return loss

    def _tiled(self, hidden, additions, *, class_ids=None, target=None, offset=None):
        """The first pass over the tiles of all classes or candidates."""
        model = self.model
        n_candidates = model.n_classes if class_ids is None else len(class_ids)
        terms = tiles.Terms(
            len(hidden),
            n_candidates,
            hidden=hidden,
            V=model.V,
            bias=model.bias,
            class_ids=class_ids,
            additions=additions,
        )
        common = {"memory": self.working_memory, "n_threads": self.n_threads, "workspace": self.workspace}
        return tiles.Forward(terms, target, offset=offset, **common)

    def _destination(self, optimizer):
        state = {f"{name}_state": self.model.state.get(name) for name in ("V", "bias")}
        return tiles.Destination(V=self.model.V, bias=self.model.bias, rule=optimizer, **state)

    def _mask(self, head, begin, end, class_ids):
        """Additions that take each row's head out of the candidates."""
        columns = self.workspace.array("mask.columns", head.touched.shape, np.int32)
        values = self.workspace.array("mask.values", head.touched.shape, self.model.dtype)
        ends = np.empty_like(end)
        self.column_of[class_ids] = np.arange(len(class_ids))
        n_threads = threads.for_work(self.n_threads, 8 * int(head.n_touched.sum()))
        joint_kernel.mask(begin, end, head.touched, self.column_of, ends, columns, values, n_threads)
        self.column_of[class_ids] = -1
        return Additions(begin, ends, columns, values)

    def _head_pairs(self, head, begin, end):
        """The gradients of the head's logits as a Batch, whose features are classes."""
        indptr = np.column_stack([begin, end]).ravel()  # every second row is a gap
        dtype = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
        indptr, class_ids = indptr.astype(dtype), head.touched.astype(dtype, copy=False)
        return self.class_reader.take(indptr, class_ids, head.logits, np.arange(0, len(indptr), 2))

    def _step_bias(self, pairs, optimizer):
        """As `_backproject` of a hidden layer of ones: Adagrad by row is then Adagrad by element."""
        rule = copy.copy(optimizer)
        rule.alpha = 0.0  # the bias is not regularised
        ones = np.ones((len(pairs.indptr) - 1, 1), self.model.dtype)
        self._backproject(pairs, ones, self.model.bias[:, None], self.model.state.get("bias"), rule)

    @staticmethod
    def _clipped(scale, forward, batch, hidden, optimizer):
        if optimizer.clip_norm is None:
            return scale
        squared = 1.0 + clipping.squared_rows(hidden) + clipping.squared_rows(batch)
        return scale * clipping.row_factors(optimizer.clip_norm, forward, squared)

    def _step_inputs(self, batch, touched, dlogits, dhidden, scale, optimizer):
        """The steps of W and E; dlogits : gradients of the mean loss by the touched classes' logits, laid out as these."""
        model = self.model
        dlogits *= len(touched.n_touched)  # of the sum
        touched.apply(dlogits, model.W, state=model.state.get("W"), rule=self.direct_optimizer)
        if self.trains_embedding:
            self._step_embedding(batch, dhidden, scale, optimizer)
