"""Gradients of linear_cross_entropy that are named one by one, and those of a weighted sum of the rows' losses."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy

NAMES = ("X", "W", "bias")
OPTIONS = [
    {},
    {"label_smoothing": 0.2, "reduction": "sum"},
    {"weight": True, "ignore_index": 3, "reduction": "none"},
    {"gradient_threshold": 1e-3, "random_state": 0},
]


@pytest.fixture
def dense():
    """Makes X, W, target and the arguments of a call with a bias."""

    def make(options=(), shape=(40, 507, 33), order="C"):
        rng = np.random.default_rng(0)
        n_rows, n_classes, n_features = shape
        X, W = rng.standard_normal((n_rows, n_features)), rng.standard_normal((n_classes, n_features))
        options = {"bias": rng.standard_normal(n_classes), **dict(options)}
        if options.pop("weight", False):
            options["weight"] = rng.random(n_classes)
        return (X, np.asarray(W, order=order), rng.integers(0, n_classes, n_rows)), options

    return make


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("order", "CF")
def test_named_gradients_have_the_bits_of_all(isa, dense, options, order):
    inputs, options = dense(options, order=order)
    loss, expected = linear_cross_entropy(*inputs, return_grad=True, **options)
    for n in (1, 2, 3):
        for names in itertools.combinations(NAMES, n):
            named_loss, gradients = linear_cross_entropy(*inputs, return_grad=names, **options)
            assert_array_equal(named_loss, loss)
            for name, gradient, truth in zip(NAMES, gradients, expected, strict=True):
                assert (gradient is not None) == (name in names)
                if gradient is not None:
                    assert_array_equal(gradient, truth)


@pytest.mark.parametrize("shape", [(0, 5, 3), (3, 4, 0), (9, 1, 2)], ids=str)
def test_named_gradients_of_nothing(dense, shape):
    inputs, options = dense(shape=shape)
    for name in NAMES:
        _, gradients = linear_cross_entropy(*inputs, return_grad=(name,), **options)
        assert [gradient is not None for gradient in gradients] == [name == other for other in NAMES]


def test_named_gradients_into_arrays(dense):
    inputs, options = dense()
    out = np.full_like(inputs[0], np.nan)
    _, (dX, dW, dbias) = linear_cross_entropy(*inputs, return_grad=["X"], out=(out, None, None), **options)
    assert dX is out
    assert dW is None and dbias is None
    assert_array_equal(dX, linear_cross_entropy(*inputs, return_grad=True, **options)[1][0])
    with pytest.raises(ValueError, match="dW in out must be None"):
        linear_cross_entropy(*inputs, return_grad=("X",), out=(None, np.empty_like(inputs[1]), None), **options)


@pytest.mark.parametrize("kind", ["dense", "csr"])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"weight": True, "ignore_index": 3}], ids=str)
def test_gradients_of_a_weighted_sum(sparse_X, dense, kind, options):
    """They are those of each row alone, added up with these numbers, of which some are negative and some zero."""
    (X, W, target), options = dense(options)
    if kind != "dense":
        X = sparse_X(*X.shape)
    options |= {"return_grad": True, "reduction": "none"}
    grad_loss = np.random.default_rng(1).standard_normal(len(target))
    grad_loss[::3] = 0
    _, gradients = linear_cross_entropy(X, W, target, grad_loss=grad_loss, **options)
    expected = [0.0, 0.0]
    for i, g in enumerate(grad_loss):
        _, (dX, *others) = linear_cross_entropy(X[[i]], W, target[[i]], **options)
        expected = [total + g * gradient for total, gradient in zip(expected, others, strict=True)]
        if kind == "dense":
            assert_allclose(gradients[0][[i]], g * dX, rtol=1e-9, atol=1e-12)
    for gradient, truth in zip(gradients[1:], expected, strict=True):
        assert_allclose(gradient, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"return_grad": ()}, r"return_grad must be True, False or a tuple of 'X', 'W', 'bias', got \(\)"),
        ({"return_grad": ("X", "V")}, r"return_grad must be .*, got \('X', 'V'\)"),
        ({"grad_loss": np.ones(40)}, "grad_loss needs reduction='none' and return_grad"),
        ({"grad_loss": np.ones(40), "return_grad": True}, "grad_loss needs .*, got reduction='mean'"),
        ({"grad_loss": np.ones(3), "return_grad": True, "reduction": "none"}, r"grad_loss must have shape \(40,\)"),
    ],
)
def test_errors(dense, options, message):
    inputs, _ = dense()
    with pytest.raises(ValueError, match=message):
        linear_cross_entropy(*inputs, **options)


def test_sparse_input_has_all_gradients_or_none(sparse_X, sparse_W, dense):
    (X, W, target), _ = dense()
    options = {"return_grad": True, "reduction": "none", "grad_loss": np.ones(40)}
    with pytest.raises(ValueError, match="grad_loss needs an array W, got a sparse one"):
        linear_cross_entropy(X, sparse_W(*W.shape, 0.3), target, **options)
    with pytest.raises(ValueError, match="return_grad must be True or False for sparse X or W"):
        linear_cross_entropy(sparse_X(40, 33), W, target, return_grad=("W",))
