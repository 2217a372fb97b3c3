"""Logits of dense rows in tiles: panels, full and cut, every layout of the weights, and the memory that passes take."""

import threading
import tracemalloc

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy, linear_logsumexp, linear_topk, sampled_cross_entropy
from fastsoftmax.kernels import panels as panels_kernel
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.passes import tiles
from fastsoftmax.runtime import threads, workspaces

TOLERANCE = {np.float32: 3e-6, np.float64: 1e-13}
LAYOUTS = {
    "C": lambda W: W,
    "Fortran": np.asfortranarray,
    "rows apart": lambda W: np.repeat(W, 2, axis=0)[::2],
    "columns apart": lambda W: np.repeat(W, 3, axis=1)[:, ::3],
    "backwards": lambda W: W[::-1].copy()[::-1],
}


def problem(n_rows, n_classes, d, dtype):
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((n_rows, d)).astype(dtype), rng.standard_normal((n_classes, d)).astype(dtype)
    return X, W, rng.integers(0, n_classes, n_rows), rng.standard_normal(n_classes).astype(dtype)


def check(X, W, target, bias, tolerance):
    loss, gradients = linear_cross_entropy(X, W, target, bias, return_grad=True, n_threads=2)
    expected_loss, expected = reference.linear_cross_entropy(X, W, target, bias)
    assert_allclose(loss, expected_loss, rtol=tolerance)
    for gradient, truth in zip(gradients, expected, strict=True):
        if gradient is not None:
            assert_allclose(gradient, truth, rtol=10 * tolerance, atol=tolerance)
    k = min(3, len(W))
    class_ids, log_proba = linear_topk(X, W, k, bias, n_threads=2)
    expected_ids, expected_log_proba = reference.linear_topk(X, W, k, bias)
    assert_allclose(log_proba, expected_log_proba, rtol=10 * tolerance, atol=10 * tolerance)
    assert_array_equal(class_ids, expected_ids)
    expected = reference.linear_logsumexp(X, W, bias)
    assert_allclose(linear_logsumexp(X, W, bias), expected, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65])
def test_any_number_of_rows(isa, n_rows, dtype):
    """Panels have half and full width, and are full and cut."""
    check(*problem(n_rows, 29, 6, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("d", [1, 2, 3, 5, 6, 7, 11, 12, 13, 16, 17, 32, 33])
def test_any_number_of_features(isa, d, dtype):
    """Blocks of rows of the product are full and cut; gradients go straight into dW where d fills the panels."""
    check(*problem(19, 29, d, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n_classes", [1, 2, 5, 23, 24, 25, 97, 2309])
def test_any_number_of_classes(isa, n_classes, dtype):
    check(*problem(19, n_classes, 9, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("n_parts", [1, 3])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_parts_of_several_tiles(isa, dtype, n_parts, monkeypatch):
    """Running maxima rise, fall and stay from tile to tile; tiles are kept with different ones, or computed again."""
    monkeypatch.setattr(tiles, "MAX_FORWARD_PARTS", n_parts)
    monkeypatch.setattr(tiles, "MAX_PARTS", n_parts)
    X, W, target, bias = problem(19, 250, 9, dtype)
    for trend in (np.linspace(0, 30, 250), np.linspace(30, 0, 250), 200 * np.sin(np.arange(250) / 20)):
        check(X, W, target, (bias + trend).astype(dtype), 4 * TOLERANCE[dtype])


def test_what_is_kept_changes_no_bit(isa, monkeypatch):
    """Some tiles are kept with one thread, and fewer with three, whose scratch leaves less memory."""
    monkeypatch.setattr(tiles, "MAX_FORWARD_PARTS", 3)
    monkeypatch.setattr(threads, "for_work", lambda n_threads, multiply_adds: n_threads)
    X, W, target, bias = problem(40, 3000, 8, np.float32)
    X *= np.linspace(0.1, 9, 40, dtype="f")[:, None]
    n_kept, results = set(), {}
    kept = tiles.Forward._n_kept
    monkeypatch.setattr(tiles.Forward, "_n_kept", lambda self, memory: n_kept.add(n := kept(self, memory)) or n)
    for memory in (0, 300_000, 400_000, 600_000, 1 << 28):
        for n_threads in (1, 2, 3):
            options = {"working_memory": memory, "n_threads": n_threads, "return_grad": True}
            results[memory, n_threads] = linear_cross_entropy(X, W, target, bias, **options)
    assert len(n_kept) >= 4  # none, all, and different numbers between
    for (memory, _), (loss, (dX, dW, dbias)) in results.items():
        expected_loss, (_, expected_dW, expected_dbias) = results[0, 1]
        assert loss == expected_loss
        assert_array_equal(dW, expected_dW)
        assert_array_equal(dbias, expected_dbias)
        assert_array_equal(dX, results[memory, 1][1][0])  # the number of its parts depends on the memory


@pytest.mark.parametrize("n_threads", [1, 2])
def test_blocks_between_looks_at_signals(n_threads, monkeypatch):
    X, W, target, bias = problem(40, 3000, 8, np.float32)
    expected = linear_cross_entropy(X, W, target, bias, return_grad=True), linear_topk(X, W, 7, bias)
    monkeypatch.setattr(tiles, "BLOCK_WORK", 1)
    loss, gradients = linear_cross_entropy(X, W, target, bias, return_grad=True, n_threads=n_threads)
    assert loss == expected[0][0]
    for a, b in zip(gradients, expected[0][1], strict=True):
        assert_array_equal(a, b)
    for a, b in zip(linear_topk(X, W, 7, bias, n_threads=n_threads), expected[1], strict=True):
        assert_array_equal(a, b)


def test_heaps_of_fewer_threads_where_memory_is_short(monkeypatch):
    X, W, _, bias = problem(40, 3000, 8, np.float32)
    expected = linear_topk(X, W, 100, bias)
    monkeypatch.setattr(workspaces, "WORKING_MEMORY", 40 * 100 * 12)
    for a, b in zip(linear_topk(X, W, 100, bias, n_threads=3), expected, strict=True):
        assert_array_equal(a, b)


def test_ignored_rows_that_overflow_leave_the_gradients_finite():
    X, W, target, bias = problem(9, 50, 4, np.float32)
    X[3], target[3] = 1e38, -100
    loss, gradients = linear_cross_entropy(X, W, target, bias, return_grad=True)
    kept = np.arange(9) != 3
    expected = linear_cross_entropy(X[kept], W, target[kept], bias, return_grad=True)
    assert_allclose(loss, expected[0], rtol=1e-6)
    assert_allclose(gradients[1], expected[1][1], rtol=1e-5, atol=1e-6)
    assert not gradients[0][3].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_candidates_of_any_layout_of_the_weights(isa, layout):
    X, W, target, bias = problem(33, 50, 13, np.float32)
    draw = {"class_ids": np.array([3, 3, 40, 7, 0]), "log_expected_counts": np.log([2.0, 2.0, 0.5, 1.0, 3.0])}
    loss, (dX, rows, dW, dbias) = sampled_cross_entropy(X, LAYOUTS[layout](W), target, bias, return_grad=True, **draw)
    expected_loss, (expected_dX, expected_dW, expected_dbias) = reference.sampled_cross_entropy(
        X, W, target, bias, **draw
    )
    assert_allclose(loss, expected_loss, rtol=1e-6)
    for actual, expected in ((dX, expected_dX), (dW, expected_dW[rows]), (dbias, expected_dbias[rows])):
        assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("d", [1, 13, 16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_the_weights(isa, layout, d, has_bias):
    X, W, target, bias = problem(33, 50, d, np.float32)
    check(X, LAYOUTS[layout](W), target, bias if has_bias else None, TOLERANCE[np.float32])


@pytest.mark.parametrize("n_rows", [1, 8, 9, 40])
def test_pack_is_undone_by_add_parts(isa, n_rows):
    a = np.random.default_rng(0).standard_normal((n_rows, 5))
    width = panels_kernel.panel_width(n_rows, 8)
    panels = np.full((-(-n_rows // width), 5, width), np.nan)
    panels_kernel.pack(a, panels, 2)
    assert_array_equal(panels.transpose(0, 2, 1).reshape(-1, 5)[n_rows:], 0)
    out = np.empty((n_rows, 5))
    panels_kernel.add_parts(np.stack([panels, panels]), None, out, 2)
    assert_array_equal(out, 2 * a)


def test_top_k_of_all_classes_with_ties_over_parts_and_threads():
    """There are more parts than threads: a thread's heap sees the classes in ascending order."""
    X, W = np.ones((3, 2), "f"), np.repeat(np.arange(50.0, dtype="f"), 100)[:, None] * np.ones((1, 2), "f")
    expected = reference.linear_topk(X, W, 130)[0]
    for n_threads in (1, 2, 5):
        assert_array_equal(linear_topk(X, W, 130, n_threads=n_threads)[0], expected)


def peak_bytes(call):
    """The highest memory that Python and NumPy allocate during a call, beyond what its result keeps."""
    workspaces._spare.clear()
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1] - sum(a.nbytes for a in result if a is not None)
    finally:
        tracemalloc.stop()
        workspaces._spare.clear()


@pytest.mark.parametrize("n_threads", [1, 16])
def test_working_memory_holds_the_packed_features_of_all_threads(n_threads):
    rng = np.random.default_rng(0)
    X = sp.random_array((1000, 100_000), density=1e-3, format="csr", dtype=np.float32, rng=rng)
    W, target = np.zeros((400, 100_000), "f", order="F"), rng.integers(0, 400, 1000)
    options = {"return_grad": True, "working_memory": 24 << 20, "n_threads": n_threads}
    assert peak_bytes(lambda: linear_cross_entropy(X, W, target, **options)[1]) < (25 << 20) + 40 * X.nnz


def test_scratch_that_grows_gives_back_what_it_had():
    X, W, target, _ = problem(512, 20_000, 4, np.float32)
    workspaces._spare.clear()

    def call(n_rows):
        options = {"return_grad": True, "working_memory": 32 << 20, "n_threads": 1}
        return linear_cross_entropy(X[:n_rows], W, target[:n_rows], **options)[1]

    tracemalloc.start()
    try:
        call(200)
        call(300)
        assert tracemalloc.get_traced_memory()[1] < (33 << 20) + W.nbytes
    finally:
        tracemalloc.stop()
        workspaces._spare.clear()


def test_scratch_survives_an_error():
    X, W, _, _ = problem(5, 50, 4, np.float32)
    for _ in range(2):
        with pytest.raises(ValueError, match="NaN"):
            linear_topk(X, W * np.nan, 3)
    assert linear_topk(X, W, 3)[0].shape == (5, 3)


@pytest.mark.parametrize("working_memory", [6 << 20, 24 << 20])
def test_working_memory_is_a_bound(working_memory):
    X, W, target, _ = problem(512, 40_000, 16, np.float32)  # logits of 80 MB
    peak = peak_bytes(
        lambda: linear_cross_entropy(X, W, target, return_grad=True, working_memory=working_memory, n_threads=2)[1]
    )
    assert peak < working_memory + (1 << 20)


def test_a_step_allocates_nothing_of_the_size_of_the_weights():
    X, W, target, bias = problem(64, 100_000, 32, np.float32)
    model = Model(W=W, bias=bias)
    model.prepare(Adagrad().rule(0.1))
    runner = Runner(model, X, n_threads=2, working_memory=4 << 20)
    assert peak_bytes(lambda: [runner.step(np.arange(64), target, np.full(64, 1 / 64), Adagrad().rule(0.1))]) < min(
        W.nbytes // 2, 5 << 20
    )


def test_python_threads_do_not_share_scratch():
    problems = [problem(40, 3000, 20 + i, np.float32) for i in range(4)]
    expected = [linear_cross_entropy(*p, return_grad=True) for p in problems]
    failures = []

    def run(i):
        for _ in range(10):
            loss, gradients = linear_cross_entropy(*problems[i], return_grad=True)
            same = all(np.array_equal(a, b) for a, b in zip(gradients, expected[i][1], strict=True))
            if loss != expected[i][0] or not same:
                failures.append(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(workspaces._spare) == 1
