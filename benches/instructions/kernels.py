"""The hot kernels on fixed inputs: each is a function that makes its inputs and returns the call to be counted.

Only what runs in fastsoftmax's own shared objects is counted, so inputs need not be large to drown what Python executes. They
are as small as the tiles of the kernels allow, because callgrind takes fifty times as long as the CPU.
"""

import numpy as np
from scipy import sparse

from fastsoftmax import (
    OneVsAllClassifier,
    SoftmaxClassifier,
    cross_entropy,
    linear_cross_entropy,
    linear_topk,
    logsumexp,
    sampled_cross_entropy,
    softmax,
)
from fastsoftmax.losses import SampledSoftmax, Softmax
from fastsoftmax.samplers import Unigram

LOGITS = 128, 5000  # rows, classes
LONG_ROW = 1, 400_000  # larger than the cache that softmax assumes
ROWS, CLASSES, FEATURES, HIDDEN = 128, 2000, 2000, 32
CSR_CLASSES = 600  # of a dense W, on sparse rows
ENTRIES_A_ROW, CLASSES_A_FEATURE = 20, 60
NEGATIVES, DRAWS, TOP_K = 512, 100_000, 10

KERNELS = {}  # name -> function without arguments that returns a call


def kernel(name, *arguments):
    """Register a function, with these arguments, under a name."""

    def enter(function):
        KERNELS[name] = lambda: function(*arguments)
        return function

    return enter


def _normal(seed, *shape, dtype="f"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _zipf(seed, n, shape):
    """Draw integers below n, small ones more often than large ones."""
    return (n ** np.random.default_rng(seed).random(shape)).astype(np.int64) - 1


def _sparse_rows():
    features = _zipf(1, FEATURES, (ROWS, ENTRIES_A_ROW)).ravel()
    indptr = np.arange(ROWS + 1) * ENTRIES_A_ROW
    X = sparse.csr_matrix((_normal(2, features.size), features, indptr), shape=(ROWS, FEATURES))
    X.sum_duplicates()
    return X


def _target(n_classes=CLASSES):
    return _zipf(3, n_classes, ROWS)


def _dense_head(dtype="f"):
    return _normal(4, ROWS, HIDDEN, dtype=dtype), _normal(5, CLASSES, HIDDEN, dtype=dtype)


def _csr_head():
    """Make sparse rows, and W feature-major as they read it."""
    return _sparse_rows(), _normal(6, FEATURES, CSR_CLASSES).T


@kernel("logsumexp", "f")
@kernel("logsumexp, float64", "d")
def _logsumexp(dtype):
    x = _normal(0, *LOGITS, dtype=dtype)
    return lambda: logsumexp(x, axis=1, n_threads=1)


@kernel("softmax", LOGITS)
@kernel("softmax, long row", LONG_ROW)
def _softmax(shape):
    x = _normal(0, *shape)
    return lambda: softmax(x, axis=1, n_threads=1)


@kernel("cross_entropy, gradient")
def _cross_entropy():
    n_rows, n_classes = LOGITS
    x, target = _normal(0, n_rows, n_classes), _zipf(3, n_classes, n_rows)
    return lambda: cross_entropy(x, target, return_grad=True, n_threads=1)


@kernel("linear_cross_entropy, gradients", "f")
@kernel("linear_cross_entropy, gradients, float64", "d")
def _dense_loss(dtype):
    X, W = _dense_head(dtype)
    return lambda: linear_cross_entropy(X, W, _target(), return_grad=True, n_threads=1)


@kernel("linear_cross_entropy, gradients, CSR")
def _csr_loss():
    X, W = _csr_head()
    return lambda: linear_cross_entropy(X, W, _target(CSR_CLASSES), return_grad=True, n_threads=1)


@kernel("linear_cross_entropy, gradients, sparse W")
def _support_loss():
    classes = _zipf(7, CLASSES, (FEATURES, CLASSES_A_FEATURE))
    indptr = np.arange(FEATURES + 1) * CLASSES_A_FEATURE
    W = sparse.csc_matrix((_normal(8, classes.size), classes.ravel(), indptr), shape=(CLASSES, FEATURES))
    W.sum_duplicates()
    X, bias = _sparse_rows(), _normal(9, CLASSES)
    return lambda: linear_cross_entropy(X, W, _target(), bias, return_grad=True, n_threads=1)


@kernel("linear_topk", _dense_head)
@kernel("linear_topk, CSR", _csr_head)
def _topk(head):
    X, W = head()
    return lambda: linear_topk(X, W, TOP_K, n_threads=1)


@kernel("sampled_cross_entropy, gradients")
def _sampled_loss():
    X, W = _dense_head()
    class_ids, log_expected = _unigram().draw(NEGATIVES, 0)
    drawn = {"class_ids": class_ids, "log_expected_counts": log_expected}
    return lambda: sampled_cross_entropy(X, W, _target(), **drawn, return_grad=True, n_threads=1)


LOW_RANK = {"loss": Softmax(gradient_threshold=0.0), "hidden_size": HIDDEN}
SAMPLED = {"loss": SampledSoftmax("unigram", n_negatives=NEGATIVES), "hidden_size": HIDDEN}


def _classifier(parameters):
    """Return a classifier after its first epoch, when it has made all that it keeps, and its rows."""
    model = SoftmaxClassifier(batch_size=ROWS // 2, random_state=0, n_threads=1, **parameters)
    X, y = _sparse_rows(), _target()
    return model.partial_fit(X, y, n_classes=CLASSES), X, y


@kernel("epoch, low rank", LOW_RANK)
@kernel("epoch, low rank, rounded gradient", LOW_RANK | {"loss": Softmax(gradient_threshold=3e-4)})
@kernel("epoch, low rank, sampled", SAMPLED)
@kernel("epoch, dense direct", {"loss": "softmax", "direct": "dense", "hidden_size": None})
@kernel("epoch, sparse direct", {"direct": "sparse", "hidden_size": None})
def _epoch(parameters):
    model, X, y = _classifier(parameters)
    return lambda: model.partial_fit(X, y)


@kernel("predict_topk, low rank", None)
@kernel("predict_topk, low rank, int8", "int8")
def _predict_topk(storage):
    model, X, _ = _classifier(LOW_RANK)
    if storage is not None:
        model = model.compressed(storage)
    return lambda: model.predict_topk(X, TOP_K)


def _unigram():
    return Unigram(1e6 / np.arange(1, CLASSES + 1))


@kernel("Unigram, draws")
def _draws():
    sampler = _unigram()
    return lambda: sampler.draw(DRAWS, 0)


@kernel("fit, one-vs-all", "squared_hinge")
@kernel("fit, one-vs-all, logistic", "logistic")
def _one_vs_all(loss):
    X, y = _sparse_rows(), _target(64)  # a block
    return lambda: OneVsAllClassifier(loss, n_threads=1).fit(X, y)
