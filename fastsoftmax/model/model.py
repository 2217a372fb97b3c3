"""The parameters of a softmax model:  z_k = bias_k + x . W_k  +  (x E) . V_k.

W (the direct term, dense or sparse) and E, V (the low-rank term) may each be absent. A low-rank term may be normalised: it is
then ``s (h / |h|) . V_k`` with h = x E, a scale s, and rows V_k of length 1.
"""

import copy

import numpy as np
from scipy import sparse

from fastsoftmax.model import unit_rows
from fastsoftmax.model.features import Features
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.passes.pairs import PAIRED_FROM, PairWeights
from fastsoftmax.passes.pairs_base import Base
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import allocation

ROWS_AT_A_TIME = 1 << 14  # rows of E that are drawn at a time when it is initialised


class Model:
    """The parameters of a softmax model, with their optimiser's state.

    Attributes
    ----------
    W : (n_classes, n_features), (n_pairs,) or None
        A dense W is feature-major (Fortran order) for sparse X and class-major for dense X. A sparse W has one weight for
        each of `pairs`.
    pairs : Pairs or None
    prior : (n_classes,) or None
        The bias that the sparse term learns with where a low-rank term learns with `bias`: each has a loss of its own. It is
        not part of the logits.
    E : (n_features, hidden_size) or None
        Beside a sparse W, it may have rows for the first features only. Where `features` are given, it has theirs alone.
    V : (n_classes, hidden_size) or None
    bias : (n_classes,)
    state : dict of str to array
        Adagrad's sums of squares: one number a row of E and V, one an element of W and bias. It is empty for SGD.
    allocator : allocation.InMemory or InFiles, which makes new arrays
    shard : passes.shard.Shard; the classes here are a part of all where other ranks have the rest
    features : model.features.Features that the rows of E here are of, where other ranks have the rest; else None
    scale : float or None
        The norm s that the hidden layer of each row is scaled to where the low-rank term is normalised; None: it is not.
    """

    NAMES = ("W", "E", "V", "bias")
    storage = None  # the small type of the weights, which only a compact.CompactModel has
    shard, features, scale = WHOLE, None, None  # of models that were pickled by earlier versions

    def __init__(
        self, W=None, E=None, V=None, bias=None, state=None, pairs=None, prior=None,
        allocator=allocation.IN_MEMORY, shard=WHOLE, features=None, scale=None,
    ):  # fmt: skip
        self.W, self.E, self.V, self.bias = W, E, V, bias
        self.pairs, self.prior, self.shard, self.features, self.scale = pairs, prior, shard, features, scale
        self.changes = [0]  # how often arrays were written to in place; models that share arrays share this
        self.state = {} if state is None else state
        self.allocator = allocator

    @classmethod
    def initialise(
        cls, n_classes, n_features, hidden_size, direct, *, optimizer, dense_input, rng, dtype, pairs=None,
        n_hidden_features=None, allocator=allocation.IN_MEMORY, shard=WHOLE, features=None, scale=None,
    ):  # fmt: skip
        """A model of zeros, except for E: it is normal with standard deviation 0.2.

        On WordNet, 0.1 to 0.3 do equally well; 1 does badly. With a `scale`, the rows of V are random unit vectors.
        """
        W = E = V = None
        if direct == "dense":
            W = allocator.zeros((n_classes, n_features), dtype, order="C" if dense_input else "F")
        elif direct == "sparse":
            W = allocator.zeros(len(pairs.class_ids), dtype)
        if hidden_size:
            n_rows = n_hidden_features or n_features
            own = features or Features(0, n_rows, n_rows)
            E = allocator.zeros((own.end - own.begin, hidden_size), dtype)
            _draw(E, own, rng)
            V = allocator.zeros((n_classes, hidden_size), dtype)
            if scale is not None:
                n_all = shard.n_classes(n_classes)
                own = shard.own_part(range(n_all))
                _draw(V, (own.start, own.stop, n_all), rng)
                unit_rows.normalise(V)
        common = {"pairs": pairs, "allocator": allocator, "shard": shard, "features": features}
        model = cls(W, E, V, np.zeros(n_classes, dtype), **common, scale=scale if hidden_size else None)
        model.prepare(optimizer)
        return model

    def prepare(self, optimizer):
        """Make the model ready for steps of `optimizer`, which may differ from the one before.

        It gets the state that this optimiser keeps, and read-only arrays become writable copies.
        """
        states = dict(self.state)  # which replaces the other at once: another thread may be copying the model
        for name, a in self.parameters().items():
            if optimizer.has_state and name not in states:
                shape = len(a) if name in "EV" else a.shape
                states[name] = self.allocator.zeros(shape, self.dtype, "C" if a.flags.c_contiguous else "F")
            if not a.flags.writeable:  # a memory-mapped file
                setattr(self, name, self.allocator.copy(a))
        self.state = {name: a if a.flags.writeable else self.allocator.copy(a) for name, a in states.items()}

    @staticmethod
    def forecast(
        n_classes, n_features, hidden_size, direct, *, optimizer, itemsize, n_pairs=0, n_hidden_features=None
    ):  # fmt: skip
        """The bytes that a model will take, and the formula that gives them, with its figures.

        n_pairs : how many pairs a sparse term has
        """
        terms, n_values = [f"bias {n_classes:,}"], n_classes
        if direct == "dense":
            terms.append(f"direct {n_classes:,} classes x {n_features:,} features")
            n_values += n_classes * n_features
        elif direct == "sparse":
            beside = 2 * (n_classes > PAIRED_FROM)  # Base.pairs of its class, copied beside the weight
            terms.append(f"direct {n_pairs:,} pairs x {2 + beside}")  # its weight and class
            pointer = 8 // itemsize  # where the pairs of a feature begin
            terms.append(f"{n_features:,} features x {pointer}")
            n_values += (2 + beside) * n_pairs + pointer * n_features
        n_states = n_values - (1 + beside) * n_pairs - pointer * n_features if direct == "sparse" else n_values
        if hidden_size:
            n_features = n_hidden_features or n_features
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
        """All arrays by name; the optimiser's state is `state.NAME`."""
        return self.parameters() | {f"state.{name}": a for name, a in self.state.items()}

    def arrays_in_c_order(self):
        """`arrays`, transposed where they are feature-major, as files hold them."""
        return {name: in_c_order(a) for name, a in self.arrays().items()}

    def file_needed(self, *, with_pairs=True):
        """The least bytes that a file of the model takes, and the formula that gives them, with its figures."""
        arrays = self.arrays() | (self.pairs._asdict() if with_pairs and self.pairs is not None else {})
        return sum(a.nbytes for a in arrays.values()), " + ".join(f"{name} {a.nbytes:,}" for name, a in arrays.items())

    def set_arrays(self, arrays):
        """Copy in place the values of `arrays`, the `arrays_in_c_order` of a model of the same shapes."""
        self.note_change()
        for name, a in self.arrays_in_c_order().items():
            a[...] = arrays[name]

    def first_non_finite(self, *, with_state=True):
        """The name of the first of the `arrays`, or of the `parameters` alone, that holds infinity or NaN, or None."""
        arrays = self.arrays() if with_state else self.parameters()
        return next((name for name, a in arrays.items() if not _is_finite(a)), None)

    @property
    def n_classes(self):
        """The number of classes whose weights are here."""
        return len(self.bias)

    @property
    def n_all_classes(self):
        """The number of classes, whose weights others may have."""
        return self.shard.n_classes(self.n_classes)

    @property
    def n_features(self):
        if self.pairs is not None:
            return len(self.pairs.indptr) - 1
        return self.W.shape[1] if self.W is not None else self.n_hidden_features

    @property
    def n_hidden_features(self):
        """The number of features that the low-rank term takes, whose rows of E others may have."""
        return len(self.E) if self.features is None else self.features.n_all

    @property
    def hidden_columns(self):
        """The slice of the columns of X that the rows of E here belong to."""
        return slice(0, len(self.E)) if self.features is None else self.features.columns

    @property
    def has_dense_direct(self):
        return self.W is not None and self.pairs is None

    @property
    def pair_weights(self):
        """The weights of the pairs as the kernels take them."""
        return PairWeights(self.n_classes, *self.pairs, self.W)

    def base(self, n_threads):
        """The Base of the bias, which is kept as long as the bias has the same elements."""
        base = self.__dict__.get("_base")
        if base is None or not base.holds(self.bias):
            base = self._base = Base(self.bias, n_threads)
        return base

    def __getstate__(self):
        state = dict(vars(self))  # a copy: another thread may add attributes meanwhile
        state.pop("_base", None)
        return state

    def sparse_matrix(self, data=None):
        """`data`, one number a pair (by default the weights), as a CSC array (n_classes, n_features)."""
        data = self.W if data is None else data
        return sparse.csc_array(
            (data, self.pairs.class_ids, self.pairs.indptr), shape=(self.n_classes, self.n_features)
        )

    def sparse_term(self):
        """A model of the sparse term alone, with its prior as the bias; it shares all arrays."""
        state = {name: a for name, a in self.state.items() if name == "W"}
        bias = self.bias if self.prior is None else self.prior
        return self._part(W=self.W, bias=bias, state=state, pairs=self.pairs)

    def low_rank(self):
        """The model without its direct term; it shares all arrays."""
        state = {name: a for name, a in self.state.items() if name != "W"}
        return self._part(E=self.E, V=self.V, bias=self.bias, state=state, scale=self.scale)

    def normalise_classes(self, class_ids=None, n_threads=1):
        """Bring the rows of V, or those of some classes, back to length 1 where the low-rank term is normalised."""
        if self.scale is not None:
            unit_rows.normalise(self.V, class_ids, n_threads)

    def scaled_low_rank(self, factor):
        """E, V and the scale, by name, of a low-rank term of `factor` times the logits; a normalised V stays as it is."""
        if self.scale is not None:
            return {"E": self.E, "V": self.V, "scale": self.scale * float(factor)}
        return {"E": self.E, "V": None if self.V is None else self.allocator.scaled(self.V, factor), "scale": None}

    def add_pairs(self, pairs, state):
        """Add `pairs` to the model's own; the new ones have weights of zero and `state`, a number, as optimiser's state."""
        ones = np.ones(len(pairs.class_ids), np.int8)
        other = sparse.csc_array((ones, pairs.class_ids, pairs.indptr), shape=(self.n_classes, self.n_features))
        both = (self.sparse_matrix(np.ones(len(self.W), np.int8)) + other).tocsc()
        both.sort_indices()
        old = self.pairs.keys(self.n_classes)
        at = np.searchsorted(Pairs.of(both).keys(self.n_classes), old)
        grown = []  # all are made before any is assigned: a full disk leaves the model as it was
        for arrays, start in ((self.__dict__, 0), (self.state, state)):
            if "W" in arrays:
                a = self.allocator.zeros(both.nnz, self.dtype)
                a.fill(start)
                a[at] = arrays["W"]
                grown.append((arrays, a))
        for arrays, a in grown:
            arrays["W"] = a
        self.pairs = Pairs.of(both)

    def add_classes(self, at, n_classes, bias, prior):
        """Add classes with this bias and prior, and weights and states of zero; `at`, ascending, are the old ones' codes."""
        arrays = self.arrays() | ({} if self.prior is None else {"prior": self.prior})
        starts = {"bias": bias, "prior": prior}
        grown = {}  # all are made before any is assigned: a full disk leaves the model as it was
        for name, a in arrays.items():
            if name.endswith("E") or (name.endswith("W") and self.pairs is not None):
                continue
            shape, order = (n_classes, *a.shape[1:]), "C" if a.flags.c_contiguous else "F"
            grown[name] = self.allocator.zeros(shape, a.dtype, order)
            if name in starts:
                grown[name][...] = starts[name]
            grown[name][at] = a
        for name, a in grown.items():
            if name.startswith("state."):
                self.state[name.removeprefix("state.")] = a
            else:
                setattr(self, name, a)
        if self.pairs is not None:
            self.pairs = self.pairs._replace(class_ids=at.astype(np.int32)[self.pairs.class_ids])

    def add_features(self, at, n_features, rng):
        """Add features to the low-rank term, as new ones begin; `at`, ascending, are the numbers of the old ones among all."""
        E = self.allocator.zeros((n_features, self.E.shape[1]), self.dtype)
        _draw(E, (0, n_features, n_features), rng)
        E[at] = self.E
        state = dict(self.state)
        if "E" in state:
            state["E"] = self.allocator.zeros(n_features, self.dtype)
            state["E"][at] = self.state["E"]
        self.E, self.state = E, state

    @property
    def dtype(self):
        return self.bias.dtype

    def twin(self):
        """A model of the same arrays, to be changed in the place of this one, which other threads may be reading.

        Whatever replaces arrays is done to a twin; only steps and watchers of a training write to arrays in place.
        """
        twin = copy.copy(self)
        twin.state = dict(self.state)
        return twin

    def note_change(self):
        """Note that arrays are written to in place."""
        self.changes[0] += 1

    def _part(self, **arrays):
        """A model of some of the arrays, which it shares; they may come with the `scale`."""
        part = Model(**arrays, shard=self.shard, features=self.features)
        part.changes = self.changes
        return part

    def copy(self):
        """A copy that further steps leave alone."""
        copies = {name: self.allocator.copy(a) for name, a in self.parameters().items()}
        state = {name: self.allocator.copy(a) for name, a in self.state.items()}
        return self.like(state=state, **copies)

    def like(self, **arrays):
        """A model of these arrays and `state`, for the same pairs, classes and features, with the same prior and scale."""
        common = {"pairs": self.pairs, "prior": self.prior, "allocator": self.allocator}
        return Model(**arrays, **common, shard=self.shard, features=self.features, scale=self.scale)

    def assign(self, other):
        """Copy the values of `other`, a copy of this model, in place, so that whoever shares the arrays sees them too."""
        self.note_change()
        for name, a in self.arrays().items():
            a[...] = other.arrays()[name]


def _draw(a, part, rng):
    """Fill E or V with what it has of one of all features or classes, which is drawn whatever the ranks have of it.

    part : (begin, end, n_all), of which rows of how many `a` has
    """
    first, last, n_all = part
    for start in range(0, n_all, ROWS_AT_A_TIME):
        stop = min(start + ROWS_AT_A_TIME, n_all)
        begin, end = np.clip((start, stop), first, last).tolist()
        own = a[begin - first : end - first]
        rows = own if len(own) == stop - start else np.empty((stop - start, a.shape[1]), a.dtype)
        rng.standard_normal(out=rows, dtype=a.dtype)
        rows *= 0.2
        if rows is not own and len(own):
            own[...] = rows[begin - start : end - start]


def _is_finite(a):
    with np.errstate(over="ignore", invalid="ignore"):  # one pass without a temporary array settles nearly every case
        return bool(np.isfinite(a.sum(dtype=np.float64)) or np.isfinite(a).all())


def in_c_order(a):
    """`a`, transposed where it is feature-major."""
    return a if a.flags.c_contiguous else a.T
