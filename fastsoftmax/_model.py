"""The parameters of a softmax model, and its logits for a batch:  z_k = bias_k + x . W_k  +  (x E) . V_k.

W (direct term) and E, V (low rank) may each be absent. `step` takes one batch through loss, gradient and optimiser.
"""

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax import _head, _lowrank, _threads
from fastsoftmax._batch import RowReader


class Model:
    """Parameters with their optimiser's state.

    Attributes
    ----------
    W : (n_classes, n_features) or None
        Feature-major (Fortran order) for sparse input, class-major for dense input.
    E : (n_features, hidden_size) or None
    V : (n_classes, hidden_size) or None
    bias : (n_classes,)
    state : dict of str to array
        Adagrad's sums of squares: one number a row of E and V, one an element of W and bias. Empty for SGD.
    """

    NAMES = ("W", "E", "V", "bias")

    def __init__(self, W=None, E=None, V=None, bias=None, state=None):
        self.W, self.E, self.V, self.bias = W, E, V, bias
        self.state = {} if state is None else state

    @classmethod
    def initialise(cls, n_classes, n_features, hidden_size, has_direct, *, optimizer, dense_input, rng, dtype):
        """Zeros, but for E: normal with deviation 0.2 (0.1 to 0.3 do equally well on WordNet; 1 does badly)."""
        order = "C" if dense_input else "F"
        W = np.zeros((n_classes, n_features), dtype, order=order) if has_direct else None
        E = V = None
        if hidden_size:
            E = 0.2 * rng.standard_normal((n_features, hidden_size), dtype=dtype)
            V = np.zeros((n_classes, hidden_size), dtype)
        model = cls(W, E, V, np.zeros(n_classes, dtype))
        model.prepare(optimizer)
        return model

    def prepare(self, optimizer):
        """Make it ready for steps of `optimizer`, which may not be the one before: its state is there, all can be written."""
        for name, a in self.parameters().items():
            if optimizer.has_state and name not in self.state:
                self.state[name] = np.zeros(len(a), self.dtype) if name in "EV" else np.zeros_like(a)
            if not a.flags.writeable:  # a memory-mapped pickle
                setattr(self, name, a.copy(order="K"))
        self.state = {name: a if a.flags.writeable else a.copy(order="K") for name, a in self.state.items()}

    @staticmethod
    def forecast(n_classes, n_features, hidden_size, has_direct, *, optimizer, itemsize):
        """Bytes of a model to be, and the formula that gives them, with its figures."""
        terms, n_values = [f"bias {n_classes:,}"], n_classes
        if has_direct:
            terms.append(f"direct {n_classes:,} classes x {n_features:,} features")
            n_values += n_classes * n_features
        n_states = n_values
        if hidden_size:
            terms.append(f"low rank ({n_features:,} features + {n_classes:,} classes) x {hidden_size}")
            n_values += (n_features + n_classes) * hidden_size
            n_states += n_features + n_classes
        formula = f"{' + '.join(terms)}, {itemsize} bytes each"
        if optimizer.has_state:
            formula += ", and the optimiser's state"
            n_values += n_states
        return n_values * itemsize, formula

    def parameters(self):
        """The parameters that there are, by name."""
        return {name: getattr(self, name) for name in self.NAMES if getattr(self, name) is not None}

    def arrays(self):
        """All arrays by name, states as `state.NAME`."""
        return self.parameters() | {f"state.{name}": a for name, a in self.state.items()}

    def is_finite(self):
        """Whether no parameter, nor the optimiser's state, is infinite or NaN."""
        with np.errstate(over="ignore", invalid="ignore"):
            return all(np.isfinite(a.sum(dtype=np.float64)) for a in self.arrays().values())

    @property
    def n_classes(self):
        return len(self.bias)

    @property
    def n_features(self):
        return self.W.shape[1] if self.W is not None else self.E.shape[0]

    @property
    def dtype(self):
        return self.bias.dtype

    def copy(self):
        """A copy that further steps leave alone."""
        arrays = {name: None if a is None else a.copy(order="K") for name in self.NAMES for a in [getattr(self, name)]}
        return Model(**arrays, state={name: a.copy(order="K") for name, a in self.state.items()})


class Runner:
    """Runs a Model over the rows of one checked X: threads, scratch and row reader held ready.

    A dense X stays dense where the model is a direct term alone, else it goes batch by batch as CSR.
    """

    def __init__(self, model, X, *, n_threads, working_memory=_head.WORKING_MEMORY):
        self.model, self.X = model, X
        self.n_threads, self.working_memory = n_threads, working_memory
        self.workspace = _head.Workspace()
        self.dense_input = isinstance(X, np.ndarray)
        self.dense_direct = self.dense_input and model.E is None
        if not self.dense_direct:
            self.reader = RowReader(X.shape[1])

    def _batch(self, rows):
        if not self.dense_input:
            return self.reader.take(self.X.indptr, self.X.indices, self.X.data, rows)
        block = csr_matrix(self.X[rows])
        return self.reader.take(block.indptr, block.indices, block.data, np.arange(len(rows)))

    def terms(self, rows, class_ids=None):
        """The logits of rows `rows` (int64 array)."""
        model, n_rows = self.model, len(rows)
        n_candidates = model.n_classes if class_ids is None else len(class_ids)
        common = {"bias": model.bias, "class_ids": class_ids}
        if self.dense_direct:
            return _head.Terms(n_rows, n_candidates, hidden=self.X[rows], V=model.W, **common)
        batch, hidden = self._batch(rows), None
        if model.E is not None:
            hidden = self.workspace.array("hidden", (n_rows, model.E.shape[1]), model.dtype)
            n_threads = _threads.for_work(self.n_threads, len(batch.indices) * model.E.shape[1])
            _lowrank.project(batch.indptr, batch.indices, batch.data, batch.feature_ids, model.E, hidden, n_threads)
        return _head.Terms(n_rows, n_candidates, hidden=hidden, V=model.V, batch=batch, W=model.W, **common)

    def forward(self, rows, target=None, *, class_ids=None, offset=None, memory=0):
        return _head.Forward(
            self.terms(rows, class_ids),
            target,
            offset=offset,
            memory=memory,
            n_threads=self.n_threads,
            workspace=self.workspace,
        )

    def step(self, rows, target, optimizer, *, weight=1.0, class_ids=None, offset=None, rounding=None):
        """One optimiser step on a batch's mean of weight (one, or one a row) times loss. Returns that mean, from before it.

        Nothing is changed where it is not finite. rounding : _head.Rounding of the gradient, or None
        """
        forward = self.forward(rows, target, class_ids=class_ids, offset=offset, memory=self.working_memory)
        scale = np.full(len(rows), 1.0 / len(rows)) * weight
        loss = scale @ forward.nll
        if np.isfinite(loss):
            self._backward(forward, scale, optimizer, rounding)
        return loss

    def _backward(self, forward, scale, optimizer, rounding):
        model, terms = self.model, forward.terms
        state = {f"{name}_state": a for name, a in model.state.items() if name != "E"}
        if self.dense_direct:
            state["V_state"] = state.pop("W_state", None)
            destination = _head.Destination(V=model.W, bias=model.bias, rule=optimizer, **state)
            forward.backward(scale, destination, rounding=rounding)
            return
        destination = _head.Destination(V=model.V, W=model.W, bias=model.bias, rule=optimizer, **state)
        if model.E is None:
            forward.backward(scale, destination)
            return
        dhidden = self.workspace.array("dhidden", terms.hidden.shape, model.dtype)
        forward.backward(scale, destination, dhidden=dhidden, rounding=rounding)
        scratch = self.workspace.array("dE", (self.n_threads, _lowrank.SCRATCH_ROWS * model.E.shape[1]), model.dtype)
        b = terms.batch
        _lowrank.backproject(
            b.col_indptr, b.rows, b.col_data, b.feature_ids, dhidden, model.E, model.state.get("E"), optimizer, scratch,
            self.n_threads,
        )  # fmt: skip

    def chunks(self):
        """Consecutive rows, a moment's work at a time."""
        step = int(np.clip((1 << 29) // self.model.n_classes, 64, 1024))
        for start in range(0, self.X.shape[0], step):
            yield np.arange(start, min(start + step, self.X.shape[0]))

    def topk(self, k):
        """Class codes and log-probabilities (n_samples, k) of all rows, best first."""
        class_ids = np.empty((self.X.shape[0], k), np.int64)
        log_proba = np.empty((self.X.shape[0], k), self.model.dtype)
        for rows in self.chunks():
            class_ids[rows], log_proba[rows] = _head.topk(self.terms(rows), k, self.n_threads, self.workspace)
        return class_ids, log_proba

    def nll(self, target):
        """(n_samples,) negative log-probabilities of class codes `target` (-1: nan) among all classes."""
        out = np.empty(self.X.shape[0])
        for rows in self.chunks():
            out[rows] = self.forward(rows, target[rows]).nll
        return np.where(target < 0, np.nan, out)

    def logits(self, out):
        """out (n_samples, n_classes) <- all logits."""
        for rows in self.chunks():
            _head.write_logits(self.terms(rows), out[rows[0] : rows[-1] + 1], self.n_threads, self.workspace)
        return out
