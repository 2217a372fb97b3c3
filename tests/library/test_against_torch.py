"""cross_entropy and linear_cross_entropy against torch's cross_entropy, over the product of its options."""

import itertools

import numpy as np
import pytest
import scipy.special
from numpy.testing import assert_allclose

from fastsoftmax import cross_entropy, linear_cross_entropy

torch = pytest.importorskip("torch")

DTYPES = [np.float32, np.float64]
SHAPES = [(6,), (1, 1), (40, 7), (3, 507), (2, 123, 9), (3, 5, 2, 4)]
OPTIONS = [
    {"weight": weight, "reduction": reduction, "label_smoothing": label_smoothing}
    for weight, reduction, label_smoothing in itertools.product(
        [None, "random", "some zero"], ["mean", "sum", "none"], [0.0, 0.2, 1.0]
    )
]
IGNORE_INDEX = [-100, -1, 0, 999]  # no class, no class, a class, no class


def class_weight(kind, n_classes, dtype):
    if kind is None:
        return None
    weight = np.random.default_rng(2).random(n_classes).astype(dtype) + 0.1
    if kind == "some zero":
        weight[1::3] = 0
    return weight


def codes(rng, shape, n_classes, ignore_index):
    """About a third of them to be ignored, but not all."""
    target = np.asarray(rng.integers(0, n_classes, shape))
    target[np.asarray(rng.random(shape) < 0.3)] = ignore_index
    if target.ndim:
        target.flat[0] = n_classes - 1
    return target


def torchs_loss(logits, target, weight, **options):
    """torch's loss for a tensor of logits; gradients of its sum are in the tensors that led to it."""
    weight = None if weight is None else torch.from_numpy(weight)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(target), weight=weight, **options)
    loss.sum().backward()
    return loss.detach().numpy()


def check(ours, theirs, dtype, n_roundings=100):
    """A few roundings of the largest number; in the gradient of a mean over nothing torch has NaN."""
    eps = np.finfo(dtype).eps
    scale = max(1.0, np.nan_to_num(np.abs(theirs)).max(initial=0.0))
    assert_allclose(ours, theirs, rtol=n_roundings * eps, atol=n_roundings * eps * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["codes", "probabilities"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy(shape, kind, dtype):
    axis = min(len(shape) - 1, 1)
    n_classes, positions = shape[axis], shape[:axis] + shape[axis + 1 :]
    rng = np.random.default_rng(0)
    logits = (5 * rng.standard_normal(shape)).astype(dtype)
    for options, ignore_index in itertools.product(OPTIONS, IGNORE_INDEX if kind == "codes" else [-100]):
        options = {**options, "weight": class_weight(options["weight"], n_classes, dtype)}
        if kind == "codes":
            target, options["ignore_index"] = codes(rng, positions, n_classes, ignore_index), ignore_index
        else:
            target = scipy.special.softmax(rng.standard_normal(shape), axis=axis).astype(dtype)
        z = torch.from_numpy(logits.copy()).requires_grad_()
        expected = torchs_loss(z, target, **options)
        loss, gradient = cross_entropy(logits, target, return_grad=True, **options)
        assert loss.dtype == gradient.dtype == dtype
        assert np.shape(loss) == expected.shape
        check(loss, expected, dtype)
        if not np.isnan(expected).any():
            check(gradient, z.grad.numpy(), dtype)
        np.testing.assert_array_equal(cross_entropy(logits, target, **options), loss)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("has_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", ["dense", "CSR", "CSR, sparse W"])
@pytest.mark.parametrize("shape", [(7, 5, 3), (50, 600, 20)], ids=str)
def test_linear_cross_entropy(shape, kind, has_bias, dtype, sparse_X, sparse_W):
    """Gradients with respect to whatever is dense; of a sparse W, at its elements."""
    n_rows, n_classes, n_features = shape
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_features)).astype(dtype) if kind == "dense" else sparse_X(*shape[::2], dtype)
    W = (rng.standard_normal((n_classes, n_features)) / 2).astype(dtype)
    if kind == "CSR, sparse W":
        W = sparse_W(n_classes, n_features, 0.2, dtype)
    bias = rng.standard_normal(n_classes).astype(dtype) if has_bias else None
    for options, ignore_index in itertools.product(OPTIONS, IGNORE_INDEX):
        options = {**options, "weight": class_weight(options["weight"], n_classes, dtype)}
        target, options["ignore_index"] = codes(rng, n_rows, n_classes, ignore_index), ignore_index
        arrays = [a if a is None or isinstance(a, np.ndarray) else a.toarray() for a in (X, W, bias)]
        tensors = [None if a is None else torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
        logits = tensors[0] @ tensors[1].T
        expected = torchs_loss(logits if bias is None else logits + tensors[2], target, **options)
        loss, (dX, dW, dbias) = linear_cross_entropy(X, W, target, bias, return_grad=True, **options)
        check(loss, expected, dtype)
        if np.isnan(expected).any():
            continue
        assert (dX is None) == (kind != "dense")
        assert (dbias is None) == (bias is None)
        if dX is not None:
            check(dX, tensors[0].grad.numpy(), dtype)
        if dbias is not None:
            check(dbias, tensors[2].grad.numpy(), dtype)
        expected_dW = tensors[1].grad.numpy()
        if kind == "CSR, sparse W":
            at = W.tocsc().tocoo()
            expected_dW = expected_dW[at.row, at.col]
        check(dW, expected_dW, dtype)


def test_the_mean_over_nothing():
    """NaN as in torch; ours has gradients of zero, so that a step leaves the parameters as they are."""
    z = torch.zeros((2, 3), requires_grad=True)
    assert np.isnan(torchs_loss(z, np.array([-100, -100]), None))
    loss, gradient = cross_entropy(np.zeros((2, 3)), [-100, -100], return_grad=True)
    assert np.isnan(loss)
    assert not gradient.any()
