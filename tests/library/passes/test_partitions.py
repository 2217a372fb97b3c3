"""What is cut into fixed parts: panels packed and added up by blocks of columns, and parts of the tiles for many threads."""

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.kernels import batch as batch_kernel
from fastsoftmax.kernels import panels as panels_kernel
from fastsoftmax.passes import tiles

DTYPES = [np.float32, np.float64]
SHAPES = [(1, 1), (3, 63), (64, 64), (65, 65), (130, 129), (7, 0)]


def unpacked(panels, n_rows):
    n_panels, d, width = panels.shape
    return panels.transpose(0, 2, 1).reshape(n_panels * width, d)[:n_rows]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_rows, d", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_panels_hold_the_rows_and_zeros(isa, dtype, n_rows, d, order):
    a = np.asarray(np.random.default_rng(0).standard_normal((n_rows, d)).astype(dtype), order=order)
    width = panels_kernel.panel_width(n_rows, a.itemsize)
    n_panels = -(-n_rows // width)
    for n_threads in (1, 2, 5):
        panels = np.full((n_panels, d, width), np.nan, dtype)
        panels_kernel.pack(a, panels, n_threads)
        assert_array_equal(unpacked(panels, n_rows), a)
        assert (unpacked(panels, None)[n_rows:] == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (5, 33), (3, 0), (0, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_are_cleared(dtype, shape):
    for n_threads in (1, 3):
        parts = np.full(shape, np.nan, dtype)
        panels_kernel.clear(parts, n_threads)
        assert_array_equal(parts, np.zeros(shape))


@pytest.mark.parametrize("is_rounded", [False, True])
@pytest.mark.parametrize("n_rows, d", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_add_up_in_their_order(isa, dtype, n_rows, d, is_rounded):
    rng = np.random.default_rng(1)
    width = panels_kernel.panel_width(n_rows, np.dtype(dtype).itemsize)
    parts = rng.standard_normal((5, -(-n_rows // width), d, width)).astype(dtype)
    rounded = rng.standard_normal((5, n_rows, d)).astype(dtype) if is_rounded else None
    expected = sum(unpacked(part, n_rows).astype(np.float64) for part in parts)
    expected = expected + (rounded.astype(np.float64).sum(axis=0) if is_rounded else 0)
    results = []
    for n_threads in (1, 2, 5):
        out = np.full((n_rows, d), np.nan, dtype)
        panels_kernel.add_parts(parts.copy(), rounded, out, n_threads)
        results.append(out)
    assert_allclose(results[0], expected, rtol=1e-5, atol=20 * np.finfo(dtype).eps)
    for out in results[1:]:
        assert_array_equal(out, results[0])


def test_more_than_32_threads_have_a_part_each(isa):
    """The parts, and so the bits, depend on the number of classes and not on that of threads."""
    rng, n_classes = np.random.default_rng(2), 70_001
    V, hidden = rng.standard_normal((n_classes, 3)).astype("f"), rng.standard_normal((2, 3)).astype("f")
    target, results = np.array([5, 70_000]), []
    for n_threads in (1, 3, 64):
        dhidden, dV = np.empty_like(hidden), np.zeros_like(V)
        forward = tiles.Forward(
            tiles.Terms(2, n_classes, hidden=hidden, V=V), target, memory=1 << 24, n_threads=n_threads
        )
        forward.backward(np.ones(2), tiles.Destination(V=dV), dhidden=dhidden)
        assert forward.n_parts == forward.n_tiles // 2 > tiles.FEW_PARTS
        results.append((forward.nll, dhidden, dV))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_array_equal(a, b)
    loss, (dX, _, _) = reference.linear_cross_entropy(hidden, V, target, None, reduction="sum")
    assert_allclose(results[0][0].sum(), loss, rtol=1e-6)
    assert_allclose(results[0][1], dX, atol=1e-5)


def test_rows_asked_for_again_are_taken_once():
    X = np.arange(12.0, dtype="f").reshape(4, 3)
    indptr, indices, data = np.arange(0, 13, 3, dtype=np.int32), np.tile(np.arange(3, dtype=np.int32), 4), X.ravel()
    reader, rows = batch_kernel.RowReader(3), np.array([2, 0])
    batch = reader.take(indptr, indices, data, rows)
    assert reader.take(indptr, indices, data, rows) is batch
    assert_array_equal(reader.take(indptr, indices, data, np.array([1, 3])).data, X[[1, 3]].ravel())
    assert_array_equal(reader.take(indptr, indices, data.copy(), rows).data, batch.data)
