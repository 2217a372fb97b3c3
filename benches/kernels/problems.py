"""The shapes, inputs and goals of all benchmarks of kernels.

Inputs are deterministic. The last of each kind is kept, since several benchmarks in a row use it, until `forget`.
"""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp

ROWWISE_SHAPES = [(1, 10_000_000), (64, 1_000_000), (1024, 33_000), (16_384, 1_000), (65_536, 100), (8, 7)]
COLUMNWISE_SHAPES = [(2, 1_000_000), (10, 100_000), (1_000, 1_000), (100_000, 33), (100_000, 2)]
DENSE_SHAPES = [
    (512, 100_000, 128),
    (256, 1_000_000, 64),
    (1024, 33_000, 256),
    (64, 10_000_000, 32),
    (4096, 32_000, 256),
]
CSR_SHAPES = [(8000, 20_000, 1000, 50), (1024, 50_000, 4000, 64), (512, 100_000, 10_000, 64)]
SAMPLED_CLASSES = [10_000, 100_000, 1_000_000, 10_000_000]
SAMPLED = SimpleNamespace(
    n_classes=1_000_000, n_features=100_000, hidden_size=128, n_negatives=1024, batch=512, entries=15
)
SUPPORT_CLASSES = [10_000, 32_000, 1_000_000, 10_000_000]
SUPPORT = SimpleNamespace(n_features=10_000, classes_per_feature=100, batch=256, entries=20)
SERVED_CLASSES = [20_000, 10_000_000]
SERVED = SimpleNamespace(n_features=50_000, classes_per_feature=40, entries=20, rows=20_000, hidden_size=128)
SUPPORT_PAIRS = SUPPORT.batch * SUPPORT.entries * SUPPORT.classes_per_feature  # of a step
SCREENED, SCREENED_ROWS = (10_000_000, 64), [1, 4, 16, 64]
TOP_K = 20
QUICK = {
    (1024, 33_000),
    (65_536, 100),
    (8, 7),
    (512, 100_000, 128),
    (8000, 20_000, 1000, 50),
    10_000,
    20_000,
    1_000_000,
}

LEARNING_RATE, INITIAL_STATE = 1e-3, 1e-10  # of Adagrad: so small that repeated steps leave the problem as it is
SGD_LEARNING_RATE = 1000.0  # for a mean over thousands of rows: large enough for a step to exceed rounding

# The goals. "torch", "scipy" and "scikit-learn" say how many times faster than the package's best way we are at least; "limit"
# and "growth", how many times a limit, or the time at the smallest K, we take at most; "microseconds" and "MiB", what at most;
# "Mpairs/s", how many million pairs (feature of a row, class) a second at least.
ASKED = {
    "logsumexp": {"torch": 5, "scipy": 8, "limit": 1 / 0.8},
    "softmax": {"torch": 2.5, "limit": 1 / 0.7},
    "log_softmax": {"torch": 2.5, "limit": 1 / 0.7},
    "cross_entropy, gradient": {"torch": 4},
    ("logsumexp", (8, 7)): {"scipy": 1, "microseconds": 3},
    ("softmax", (8, 7)): {"scipy": 1, "microseconds": 3},
    ("log_softmax", (8, 7)): {"scipy": 1, "microseconds": 3},
    ("cross_entropy, gradient", (8, 7)): {"microseconds": 3},
    "loss, gradients": {"torch": 1, "limit": 1.3, "MiB": 256},
    ("loss, gradients", DENSE_SHAPES[0]): {"torch": 1.9, "limit": 1.3, "MiB": 256},
    ("loss, gradients", DENSE_SHAPES[1]): {"torch": 5, "limit": 1.3, "MiB": 256},
    ("loss, gradients", DENSE_SHAPES[2]): {"torch": 1.4, "limit": 1.3, "MiB": 256},
    "trained head: loss, rounded gradients": {"limit": 1.5, "MiB": 256},
    "Adagrad step": {"MiB": 256},
    ("Adagrad step", DENSE_SHAPES[0]): {"torch": 2.5, "MiB": 256},
    ("Adagrad step", DENSE_SHAPES[1]): {"torch": 6, "MiB": 256},
    ("Adagrad step", DENSE_SHAPES[2]): {"torch": 2, "MiB": 256},
    "top 20": {"torch": 2, "limit": 1.2, "MiB": 256},
    "CSR: loss, gradient": {"scikit-learn": 4, "torch": 3},
    ("CSR: loss, gradient", CSR_SHAPES[0]): {"scikit-learn": 4, "torch": 4, "limit": 3},
    ("CSR: gradient, out", CSR_SHAPES[0]): {"scikit-learn": 4, "torch": 4, "limit": 3},
    ("CSR: gradient, out", CSR_SHAPES[2]): {"microseconds": 200_000},
    ("CSR: sparse gradient", CSR_SHAPES[2]): {"microseconds": 200_000},
    "CSR: SGD step": {"torch": 4},
    "CSR: Adagrad step": {"torch": 4},
    ("sampled step", 1_000_000): {"torch": 3, "limit": 2},
    ("sampled step", 10_000_000): {"growth": 1.5},
    "sparse term, top 5 of 1 row": {"microseconds": 40},
    "low rank, top 5 of a row, float32": {"limit": 1.5},
    "low rank, top 5 of a row, int8": {"limit": 1.5 / 4},
    **{(f"log-sum-exp of {n} rows", 10_000_000): {"growth": 1.2} for n in ("200", "2,000", "20,000")},
    "support: Adagrad step": {"Mpairs/s": 180, "fastsoftmax, one thread": 1.8},
    ("support: Adagrad step", 10_000): {"Mpairs/s": 250, "fastsoftmax, one thread": 1.8},
    ("support: Adagrad step", 32_000): {"Mpairs/s": 250, "fastsoftmax, one thread": 1.8},
}


def asked(problem, shape, dtype):
    """Return the goals of a problem; there are none for float64 and for sums over columns."""
    if dtype != "f" or shape in COLUMNWISE_SHAPES:
        return {}
    return ASKED.get((problem, shape), ASKED.get(problem, {}))


KINDS = []  # the functions that make inputs and keep the last ones


def kept(make):
    """Keep the last inputs that the function `make` has made."""
    KINDS.append(lru_cache(maxsize=1)(make))
    return KINDS[-1]


def forget():
    """Let go of all inputs: those of all kinds together would take more than 20 GB."""
    for kind in KINDS:
        kind.cache_clear()


@kept
def rowwise(shape, dtype):
    """Make logits x, and targets for the rows."""
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    x *= 3
    target = np.random.default_rng(1).integers(0, shape[1], shape[0])
    return SimpleNamespace(x=x.astype(dtype, copy=False), target=target)


def _normal(rng, deviation, shape, dtype):
    a = rng.standard_normal(shape, dtype=np.float32)
    a *= deviation
    return a.astype(dtype, copy=False)


class Parameters(SimpleNamespace):
    """Arrays that a step changes in place, with Adagrad's state; after `keep`, `reset` restores them.

    Problems are cached, so that only the first `keep` finds the arrays unchanged.
    """

    def keep(self):
        if hasattr(self, "kept"):
            return
        self.kept = {name: getattr(self, name).copy(order="K") for name in self.names}

    def reset(self):
        for name, a in self.kept.items():
            getattr(self, name)[...] = a
        for a in self.state.values():
            a.fill(INITIAL_STATE)


@kept
def dense(shape):
    """Make a dense head: X (rows, d), W (K, d), bias, targets; the standard deviation of its logits is 2."""
    n_rows, n_classes, d = shape
    rng = np.random.default_rng(2)
    X = _normal(rng, 1, (n_rows, d), "f")
    W = _normal(rng, 2 / np.sqrt(d), (n_classes, d), "f")
    bias = _normal(rng, 0.1, n_classes, "f")
    target = rng.integers(0, n_classes, n_rows)
    probe = np.unique(np.concatenate([target, rng.integers(0, n_classes, 2000)]))
    return Parameters(X=X, W=W, bias=bias, target=target, probe=probe, names=("W", "bias"), state={})


@kept
def trained(shape):
    """Make a dense head as sharp as a trained one: logits of deviation 3, and biases of classes by Zipf's law.

    Targets are drawn from its own softmax, whose entropy is 5 to 5.5 nats.
    """
    n_rows, n_classes, d = shape
    rng = np.random.default_rng(5)
    X = _normal(rng, 1, (n_rows, d), "f")
    W = _normal(rng, 3 / np.sqrt(d), (n_classes, d), "f")
    bias = -np.log(10 + rng.permutation(n_classes)).astype("f")
    target = np.empty(n_rows, np.int64)
    for i, x in enumerate(X):  # the largest of logits with Gumbel noise is a draw
        target[i] = np.argmax(W @ x + bias + rng.gumbel(size=n_classes))
    return SimpleNamespace(X=X, W=W, bias=bias, target=target)


def zipf_rows(rng, n_rows, n_features, n_entries, dtype):
    """Make CSR rows of unit length, whose features are distinct, Zipf-distributed (exponent 1) and numbered at random."""
    cumulative = np.cumsum(1 / np.arange(1, n_features + 1))
    draws = np.searchsorted(cumulative, rng.random((n_rows, 8 * n_entries)) * cumulative[-1])
    number = rng.permutation(n_features)
    indices = np.empty((n_rows, n_entries), np.int32)
    for row, drawn in zip(indices, draws, strict=True):  # the first distinct ones are a draw without replacement
        features, first = np.unique(drawn, return_index=True)
        row[:] = np.sort(number[features[np.argsort(first)[:n_entries]]])
    data = 0.1 + np.abs(_normal(rng, 1, indices.shape, dtype))
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    indptr = np.arange(0, indices.size + 1, n_entries, dtype=np.int32)
    return sp.csr_matrix((data.reshape(-1), indices.reshape(-1), indptr), shape=(n_rows, n_features))


def zipf_classes(rng, n_classes, n_rows):
    """Return Zipf-distributed counts of classes, which are numbered at random, and a class for each row."""
    counts = 1e9 / (1 + rng.permutation(n_classes))
    cumulative = np.cumsum(counts)
    return counts, np.searchsorted(cumulative, rng.random(n_rows) * cumulative[-1])


def classes_of_features(rng, n_classes, n_features, per_feature):
    """Draw distinct class ids for each feature, ascending: int32 (n_features, per_feature)."""
    stretch = n_classes // per_feature
    first = np.arange(per_feature, dtype=np.int32) * stretch
    return first + rng.integers(0, stretch, (n_features, per_feature), dtype=np.int32)


@kept
def csr(shape, dtype):
    """Make a linear model on sparse rows. W (K, features) is feature-major, and only the features that occur take memory."""
    n_rows, n_features, n_classes, n_entries = shape
    rng = np.random.default_rng(3)
    X = zipf_rows(rng, n_rows, n_features, n_entries, dtype)
    touched = np.unique(X.indices)
    W = np.zeros((n_features, n_classes), dtype).T
    for j in touched:
        W[:, j] = _normal(rng, 1, n_classes, dtype)
    target = rng.integers(0, n_classes, n_rows)
    probe = touched[:: max(1, len(touched) // 500)]
    p = SimpleNamespace(
        X=X, W=W, bias=np.zeros(n_classes, dtype), target=target, touched=touched, probe=probe, state={}
    )
    return p


@kept
def sampled(n_classes):
    """Make a low-rank model x -> x E -> classes, and 32 batches of rows with Zipf-distributed classes."""
    s = SAMPLED
    rng = np.random.default_rng(4)
    X = zipf_rows(rng, 32 * s.batch, s.n_features, s.entries, "f")
    counts, target = zipf_classes(rng, n_classes, X.shape[0])
    E = _normal(rng, 0.2, (s.n_features, s.hidden_size), "f")
    V = np.resize(_normal(rng, 0.2, (9973, s.hidden_size), "f"), (n_classes, s.hidden_size))
    state = {"E": np.empty(s.n_features, "f"), "V": np.empty(n_classes, "f"), "bias": np.empty(n_classes, "f")}
    p = Parameters(X=X, E=E, V=V, bias=np.zeros(n_classes, "f"), target=target, counts=counts, state=state)
    p.names = ("E", "V", "bias")
    return p


@kept
def support(n_classes):
    """Make a sparse W. All features have equally many classes: what a row touches does not depend on the number of classes."""
    s = SUPPORT
    rng = np.random.default_rng(6)
    classes = classes_of_features(rng, n_classes, s.n_features, s.classes_per_feature)
    data = _normal(rng, 0.1, classes.size, "f")
    indptr = np.arange(s.n_features + 1) * s.classes_per_feature
    W = sp.csc_array((data, classes.ravel(), indptr), shape=(n_classes, s.n_features))
    W.indices = W.indices.astype(np.int32)
    X = zipf_rows(rng, s.batch, s.n_features, s.entries, "f")
    bias = _normal(rng, 1.0, n_classes, "f")
    target = rng.integers(0, n_classes, s.batch)
    return SimpleNamespace(X=X, W=W, bias=bias, target=target, kept=data.copy(), state=np.empty_like(data))


@kept
def served_pairs(n_classes):
    """Make a sparse W, and rows whose features are drawn evenly: nothing of a row was in a cache before it."""
    s = SERVED
    rng = np.random.default_rng(7)
    classes = classes_of_features(rng, n_classes, s.n_features, s.classes_per_feature)
    indptr = np.arange(s.n_features + 1, dtype=np.int32) * s.classes_per_feature
    W = sp.csc_array((_normal(rng, 0.1, classes.size, "f"), classes.ravel(), indptr), shape=(n_classes, s.n_features))
    stretch = s.n_features // s.entries
    indices = np.arange(s.entries, dtype=np.int32) * stretch
    indices = indices + rng.integers(0, stretch, (s.rows, s.entries), dtype=np.int32)
    data = np.abs(_normal(rng, 1, indices.size, "f"))
    X = sp.csr_array((data, indices.ravel(), np.arange(0, indices.size + 1, s.entries, dtype=np.int32)))
    X.resize((s.rows, s.n_features))
    return SimpleNamespace(X=X, W=W, bias=_normal(rng, 1.0, n_classes, "f"))


@kept
def served_low_rank():
    """Make a low-rank model, and a row."""
    s, n_classes = SERVED, SERVED_CLASSES[0]
    rng = np.random.default_rng(8)
    E, V = (_normal(rng, 0.2, (n, s.hidden_size), "f") for n in (s.n_features, n_classes))
    X = zipf_rows(rng, 1, s.n_features, s.entries, "f")
    return SimpleNamespace(X=X, E=E, V=V, bias=_normal(rng, 1.0, n_classes, "f"))
