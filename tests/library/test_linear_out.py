"""Gradients of linear_cross_entropy in arrays of the caller's, and by the columns that occur alone."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy

DTYPES = [np.float32, np.float64]
SHAPES = [(0, 5, 3), (7, 1, 1), (3, 4, 0), (9, 33, 200), (150, 507, 60), (20, 1000, 33)]  # rows, classes, features
OPTIONS = [
    {},
    {"label_smoothing": 0.1, "reduction": "sum"},
    {"weight": True, "ignore_index": 0, "reduction": "none"},
    {"working_memory": 0},  # several chunks of rows, if there are more than 64
    {"working_memory": 0, "n_threads": 1, "bias": False},
    {"n_threads": 2},
]


@pytest.fixture
def make(sparse_X):
    """Makes X, CSR or dense, W in a memory order, the target, and the arguments of a call."""

    def make(shape, dtype, order, options=(), kind="csr", seed=0):
        n_rows, n_classes, n_features = shape
        rng = np.random.default_rng(seed)
        X = sparse_X(n_rows, n_features, dtype, seed=seed) if n_features else sp.csr_array((n_rows, 0), dtype=dtype)
        W = np.asarray(rng.standard_normal((n_classes, n_features)).astype(dtype), order=order)
        options = dict(options)
        if options.pop("bias", True):
            options["bias"] = rng.standard_normal(n_classes).astype(dtype)
        if options.pop("weight", False):
            options["weight"] = rng.random(n_classes) + 0.1
        target = rng.integers(0, n_classes, n_rows)
        return (X if kind == "csr" else X.toarray(), W, target), options

    return make


def like(gradients):
    """Arrays of the same forms, full of NaN."""
    return tuple(None if a is None else np.full_like(a, np.nan) for a in gradients)


def assert_same_bits(a, b):
    assert_array_equal(a, b)
    assert_array_equal(np.signbit(a), np.signbit(b))


@covering({"isa": ISAS, "options": OPTIONS, "shape": SHAPES, "kind": ["csr", "dense"], "order": "CF", "dtype": DTYPES})
def test_out_has_the_bits_of_new_arrays(isa, make, shape, dtype, order, kind, options):
    inputs, options = make(shape, dtype, order, options, kind)
    loss, expected = linear_cross_entropy(*inputs, return_grad=True, **options)
    out = like(expected)
    for _ in range(2):  # what is there is overwritten
        loss_again, gradients = linear_cross_entropy(*inputs, return_grad=True, out=out, **options)
        assert_array_equal(loss_again, loss)
        for ours, given, truth in zip(gradients, out, expected, strict=True):
            assert ours is given
            if truth is not None:
                assert_same_bits(ours, truth)


@covering({"isa": ISAS, "options": OPTIONS, "shape": SHAPES, "order": "CF", "dtype": DTYPES})
def test_sparse_gradient_is_the_columns_that_occur(isa, make, shape, dtype, order, options):
    inputs, options = make(shape, dtype, order, options)
    X, W, _ = inputs
    loss, (_, dW, dbias) = linear_cross_entropy(*inputs, return_grad=True, **options)
    sparse_loss, gradients = linear_cross_entropy(*inputs, return_grad=True, sparse_grad=True, **options)
    dX, columns, dW_columns, sparse_dbias = gradients
    assert dX is None
    assert_array_equal(sparse_loss, loss)
    assert_array_equal(columns, np.unique(X.indices))
    assert columns.dtype == np.int64
    assert dW_columns.dtype == W.dtype
    assert dW_columns.flags[f"{order}_CONTIGUOUS"]
    assert_same_bits(dW_columns, dW[:, columns])
    assert not np.delete(dW, columns, axis=1).any()
    assert (sparse_dbias is None) == (dbias is None)
    if dbias is not None:
        assert_array_equal(sparse_dbias, dbias)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_against_reference(isa, make, order, options):
    inputs, options = make((150, 507, 60), np.float64, order, options)
    known = {name: value for name, value in options.items() if name != "working_memory"}
    _, (_, expected, _) = reference.linear_cross_entropy(*inputs, **known)
    out = (None, np.full(inputs[1].shape, np.nan, order=order), None)
    _, (_, dW, _) = linear_cross_entropy(*inputs, return_grad=True, out=out, **options)
    _, (_, columns, dW_columns, _) = linear_cross_entropy(*inputs, return_grad=True, sparse_grad=True, **options)
    assert dW is out[1]
    assert_allclose(dW, expected, rtol=1e-9, atol=1e-12)
    assert_allclose(dW_columns, expected[:, columns], rtol=1e-9, atol=1e-12)


def test_out_of_some_gradients_of_a_sparse_W(make):
    (X, W, target), options = make((9, 33, 200), np.float64, "C")
    W = sp.csc_array(np.where(np.abs(W) > 1, W, 0))
    _, expected = linear_cross_entropy(X, W, target, return_grad=True, **options)
    out = like(expected)
    _, gradients = linear_cross_entropy(X, W, target, return_grad=True, out=out, **options)
    _, others = linear_cross_entropy(X, W, target, return_grad=True, out=(None, out[1], None), **options)
    assert gradients[1] is out[1] and gradients[2] is out[2] and others[1] is out[1]
    for i in (1, 2):
        assert_array_equal(gradients[i], expected[i])
        assert_array_equal(others[i], expected[i])


REFUSED = {
    "no tuple": (lambda dW, dbias: dW, ValueError, r"out must be a tuple \(dX, dW, dbias\)"),
    "too short": (lambda dW, dbias: (None, dW), ValueError, "got 2 elements"),
    "dX": (lambda dW, dbias: (np.zeros((9, 20)), dW, dbias), ValueError, "dX in out must be None"),
    "a list": (lambda dW, dbias: (None, dW.tolist(), dbias), TypeError, "dW in out must be a numpy array"),
    "shape": (lambda dW, dbias: (None, dW[:, 1:], dbias), ValueError, "dW in out must have shape"),
    "dtype": (lambda dW, dbias: (None, dW, dbias.astype("f")), ValueError, "dbias in out must have shape .* dtype"),
    "order": (lambda dW, dbias: (None, np.ascontiguousarray(dW), None), ValueError, "contiguous in F order"),
    "itself": (lambda dW, dbias: (None, dW, dW[:, 0]), ValueError, "dbias in out must share no memory with dW in out"),
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_refused_out(make, given):
    inputs, options = make((9, 33, 20), np.float64, "F")
    out, error, message = given
    with pytest.raises(error, match=message):
        linear_cross_entropy(*inputs, return_grad=True, out=out(np.zeros((33, 20), order="F"), np.zeros(33)), **options)


def test_refused_out_that_is_read_only_or_an_input(make):
    inputs, options = make((9, 33, 20), np.float64, "F")
    dW = np.zeros((33, 20), order="F")
    dW.flags.writeable = False
    for out, message in (
        ((None, dW, None), "dW in out must be writable"),
        ((None, inputs[1], None), "dW in out must share no memory with W"),
        ((None, None, options["bias"]), "dbias in out must share no memory with bias"),
    ):
        with pytest.raises(ValueError, match=message):
            linear_cross_entropy(*inputs, return_grad=True, out=out, **options)


def test_refused_sparse_grad(make):
    (X, W, target), _ = make((9, 33, 20), np.float64, "F")
    out = (None, np.zeros_like(W), None)
    for call, message in (
        (lambda: linear_cross_entropy(X, W, target, sparse_grad=True), "sparse_grad needs return_grad=True"),
        (lambda: linear_cross_entropy(X, W, target, out=out), "out needs return_grad=True"),
        (lambda: linear_cross_entropy(X.toarray(), W, target, return_grad=True, sparse_grad=True), "scipy.sparse X"),
        (lambda: linear_cross_entropy(X, sp.csc_array(W), target, return_grad=True, sparse_grad=True), "an array W"),
        (lambda: linear_cross_entropy(X, W, target, return_grad=True, sparse_grad=True, out=out), "together with out"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="sparse_grad must be True or False"):
        linear_cross_entropy(X, W, target, return_grad=True, sparse_grad=1)
