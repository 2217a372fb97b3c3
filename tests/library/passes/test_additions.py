"""Sparse additions to the logits, in every pass over the tiles, against dense float64."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.kernels import additions as additions_kernel
from fastsoftmax.kernels import batch as batch_kernel
from fastsoftmax.passes import tiles
from fastsoftmax.runtime import workspaces

TOLERANCE = {np.float32: 4e-5, np.float64: 1e-12}
DTYPES = tuple(TOLERANCE)
KINDS = ("hidden", "sparse", "both", "bias")  # the terms beside the additions


def make_additions(rng, n_rows, n_candidates, target, dtype, *, most=40, masked=0.0):
    """Unsorted lists with gaps; one row has none, one has all, and the last class and some targets are among them."""
    lists = [rng.permutation(n_candidates)[: rng.integers(0, min(most, n_candidates) + 1)] for _ in range(n_rows)]
    lists[-1] = rng.permutation(n_candidates)
    lists[0] = np.union1d(lists[0], [n_candidates - 1, max(0, target[0])])[::-1]
    if n_rows > 2:
        lists[1] = np.empty(0, int)
    lengths, gaps = np.array([len(a) for a in lists]), rng.integers(0, 4, n_rows)
    begin = np.cumsum(lengths + gaps) - lengths
    class_ids = np.full(begin[-1] + lengths[-1] + 2, -(2**31), np.int32)  # nobody may read the gaps
    values = np.full(len(class_ids), np.nan, dtype)
    for first, classes in zip(begin, lists, strict=True):
        class_ids[first : first + len(classes)] = classes
        values[first : first + len(classes)] = 2 * rng.standard_normal(len(classes))
    inside = np.concatenate([np.arange(b, b + n) for b, n in zip(begin, lengths, strict=True)])
    is_target = class_ids[inside] == np.repeat(target, lengths)
    values[inside[(rng.random(len(inside)) < masked) & ~is_target]] = -np.inf
    return additions_kernel.Additions(
        begin.astype(np.intp), (begin + lengths).astype(np.intp), class_ids, values
    ), inside


def make(n_rows, n_classes, dtype, *, kind="hidden", n_hidden=9, n_candidates=None, seed=0, spread=1.0, **options):
    """Terms, targets, and in float64 the dense logits and what makes them."""
    rng = np.random.default_rng(seed)
    fields, dense = {}, np.zeros((n_rows, n_classes))
    class_ids = None
    if n_candidates is not None:
        class_ids = rng.integers(0, n_classes, n_candidates)
        dense = dense[:, class_ids]
    chosen = slice(None) if class_ids is None else class_ids
    if kind in ("hidden", "both"):
        hidden = rng.standard_normal((n_rows, n_hidden)).astype(dtype)
        V = (spread * rng.standard_normal((n_classes, n_hidden))).astype(dtype)
        fields |= {"hidden": hidden, "V": V}
        dense += reference.linear_logits(hidden, V[chosen])
    if kind in ("sparse", "both"):
        X = sp.random_array((n_rows, 30), density=0.2, rng=rng, dtype=np.float64).tocsr().astype(dtype)
        W = np.asfortranarray(rng.standard_normal((n_classes, 30)).astype(dtype))
        fields |= {"batch": batch_kernel.RowReader(30).take(X.indptr, X.indices, X.data, np.arange(n_rows)), "W": W}
        dense += reference.linear_logits(X, W[chosen])
    bias = rng.standard_normal(n_classes).astype(dtype)
    target = rng.integers(0, dense.shape[1], n_rows)
    if n_rows > 3:
        target[3] = -1
    additions, inside = make_additions(rng, n_rows, dense.shape[1], target, dtype, **options)
    terms = tiles.Terms(n_rows, dense.shape[1], bias=bias, class_ids=class_ids, additions=additions, **fields)
    dense = reference.with_additions(dense + bias[chosen].astype(np.float64), *additions)
    return SimpleNamespace(terms=terms, target=target, logits=dense, additions=additions, inside=inside, rng=rng)


def run(problem, *, memory=1 << 28, n_threads=2, rule=None, threshold=0.0, smoothing=None, offset=None):
    """Run forward and backward, and return everything they give by name."""
    terms, target = problem.terms, problem.target
    forward = tiles.Forward(terms, target, offset=offset, memory=memory, n_threads=n_threads)
    scale = np.where(target >= 0, np.linspace(0.5, 2, len(target)), 0.0)
    shapes = {
        name: np.zeros((terms.n_candidates, *getattr(terms, name).shape[1:]), terms.dtype)
        for name in ("V", "W", "bias")
        if getattr(terms, name) is not None
    }
    dhidden = None if terms.hidden is None else np.full_like(terms.hidden, np.nan)
    dadditions = np.full_like(problem.additions.values, 7)
    keys = tiles.draw_row_keys(np.random.default_rng(0), len(target))
    out = {"lse": forward.lse.copy(), "nll": forward.nll.copy(), "n_kept": len(forward.kept)}
    forward.backward(
        scale, tiles.Destination(**shapes, rule=rule, by_position=True), dhidden=dhidden, dadditions=dadditions,
        rounding=tiles.Rounding(threshold, keys) if threshold else None, smoothing=smoothing,
    )  # fmt: skip
    gaps = np.ones(len(dadditions), bool)
    gaps[problem.inside] = False
    assert (dadditions[gaps] == 7).all()
    out |= {f"d{name}": a for name, a in shapes.items()} | {"dadditions": dadditions[problem.inside], "scale": scale}
    return out | ({} if dhidden is None else {"dhidden": dhidden})


def entries_of(problem, dense):
    """The elements of `dense` (n_rows, n_candidates) where the additions are, in their order."""
    rows = np.repeat(np.arange(len(dense)), problem.additions.end - problem.additions.begin)
    return dense[rows, problem.additions.class_ids[problem.inside]]


def truth(problem, offset=None):
    """Return the same by name, computed densely in float64."""
    terms, target, rows = problem.terms, problem.target, np.arange(len(problem.target))
    z = problem.logits.copy()
    if offset is not None:
        own = z[rows, target].copy()
        z += offset
        z[rows, target] = np.where(target >= 0, own, z[rows, target])
    lse = reference.logsumexp(z, axis=1)[0]
    counts = np.where(target >= 0, np.linspace(0.5, 2, len(target)), 0.0)
    dlogits = reference.softmax(z, axis=1)
    dlogits[rows, target] -= 1
    dlogits *= counts[:, None]
    out = {"lse": lse, "nll": np.where(target < 0, np.inf, lse - z[rows, target]), "dbias": dlogits.sum(axis=0)}
    chosen = slice(None) if terms.class_ids is None else terms.class_ids
    if terms.hidden is not None:
        V = terms.V[chosen].astype(np.float64)
        out |= {"dV": dlogits.T @ terms.hidden.astype(np.float64), "dhidden": dlogits @ V}
    if terms.batch is not None:
        b = terms.batch
        local = sp.csr_array((b.data.astype(np.float64), b.indices, b.indptr), shape=(len(rows), len(b.feature_ids)))
        out["dW"] = np.zeros((terms.n_candidates, 30))
        out["dW"][:, b.feature_ids] = (local.T @ dlogits).T
    return out | {"dadditions": entries_of(problem, dlogits)}


def assert_close(ours, expected, tolerance):
    for name, value in expected.items():
        finite = np.abs(value[np.isfinite(value)])
        assert_allclose(ours[name], value, rtol=tolerance, atol=tolerance * finite.max(initial=1e-30), err_msg=name)


@covering(
    {
        "isa": ISAS,
        "dtype": DTYPES,
        "n_rows, n_classes": [(37, 1203), (1, 50), (5, 700), (130, 333), (3, 1)],
        "kind": KINDS,
        "memory": [0, 1 << 28],
    }
)
def test_forward_and_backward(isa, dtype, n_rows, n_classes, kind, memory):
    problem = make(n_rows, n_classes, dtype, kind=kind)
    ours = run(problem, memory=memory)
    assert_close(ours, truth(problem), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_candidates_with_offset(isa, dtype):
    """As in sampled softmax, additions go by the candidate's number, and all but the target have an offset."""
    problem = make(33, 5000, dtype, n_candidates=400, masked=0.3)
    offset = problem.rng.standard_normal(400)
    ours = run(problem, offset=offset)
    offset = offset.astype(dtype).astype(np.float64)
    assert_close(ours, truth(problem, offset), TOLERANCE[dtype])


@pytest.mark.parametrize("memory", [0, 1 << 28])
@pytest.mark.parametrize("dtype", DTYPES)
def test_masks(isa, dtype, memory):
    problem = make(37, 1203, dtype, masked=0.6)
    ours = run(problem, memory=memory)
    assert_close(ours, truth(problem), TOLERANCE[dtype])
    masked = problem.additions.values[problem.inside] == -np.inf
    assert masked.sum() > 100
    assert (ours["dadditions"][masked] == 0).all()


@covering(
    {"isa": ISAS, "dtype": DTYPES, "shift": [-200.0, 0.0, 200.0], "memory": [0, 1 << 28], "threshold": [0.0, 0.01]}
)
def test_all_but_the_target_masked(isa, dtype, shift, memory, threshold):
    """This holds for row 0; row 2 has the first three quarters masked, so some tiles have nothing but masked logits."""
    problem = make(6, 2000, dtype, seed=1)
    problem.target[:] = 1700
    problem.target[4] = -1
    problem.terms.bias[:] += dtype(shift)
    rows = [np.arange(2000), np.arange(0), np.arange(1500), np.arange(5), np.arange(2000), np.arange(3)]
    end = np.cumsum([len(a) for a in rows])
    values = np.full(end[-1], -np.inf, dtype)
    values[[1700, end[3] + 800]] = 0.5, 1  # row 0's target, and what is left of row 4
    begin = end - [len(a) for a in rows]
    problem.additions = additions_kernel.Additions(begin, end, np.concatenate(rows).astype(np.int32), values)
    problem.terms = problem.terms._replace(additions=problem.additions)
    problem.inside = np.arange(end[-1])
    plain = reference.linear_logits(problem.terms.hidden, problem.terms.V, problem.terms.bias)
    problem.logits = reference.with_additions(plain, *problem.additions)
    ours = run(problem, memory=memory, threshold=threshold)
    expected = truth(problem)
    for name, value in ours.items():
        assert not np.isnan(value).any(), name
    assert ours["nll"][0] == 0
    assert ours["dadditions"][1700] == 0
    if threshold:
        expected = {name: expected[name] for name in ("lse", "nll", "dadditions")}
    assert_close(ours, expected, 8 * TOLERANCE[dtype])


def test_a_masked_target_has_an_infinite_loss():
    problem = make(6, 100, np.float64)
    first = problem.additions.begin[0]
    where = first + np.flatnonzero(problem.additions.class_ids[first : problem.additions.end[0]] == problem.target[0])
    problem.additions.values[where] = -np.inf
    forward = tiles.Forward(problem.terms, problem.target)
    assert forward.nll[0] == np.inf
    assert np.isfinite(forward.nll[1])


@pytest.mark.parametrize("masked", [0.0, 0.3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_topk_and_all_logits(isa, dtype, kind, masked):
    problem = make(37, 1203, dtype, kind=kind, masked=masked)
    out = np.empty(problem.logits.shape, dtype)
    tiles.write_logits(problem.terms, out, 2, None)
    assert_allclose(out, problem.logits, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    class_ids, log_proba = tiles.topk(problem.terms, 7, 2, None)
    expected = reference.log_softmax(problem.logits, axis=1)
    best = np.argsort(-expected, axis=1, kind="stable")[:, :7]
    assert_array_equal(class_ids, best)
    assert_allclose(log_proba, np.take_along_axis(expected, best, axis=1), rtol=1e-4, atol=10 * TOLERANCE[dtype])


def test_topk_gives_masked_classes_last(isa):
    problem = make(3, 30, np.float32, kind="bias")
    values = np.full(27, -np.inf, np.float32)
    additions = additions_kernel.Additions(
        np.array([0, 27, 27]), np.array([27, 27, 27]), np.arange(27, dtype=np.int32), values
    )
    class_ids, log_proba = tiles.topk(problem.terms._replace(additions=additions), 5, 1, None)
    assert set(class_ids[0, :3]) == {27, 28, 29}
    assert np.isfinite(log_proba[0, :3]).all()
    assert (log_proba[0, 3:] == -np.inf).all()


def test_no_threads_and_no_memory_change_no_bit(isa, monkeypatch):
    monkeypatch.setattr(tiles, "MAX_FORWARD_PARTS", 3)
    problem = make(40, 3000, np.float32, masked=0.2, spread=2.0)
    n_kept = set()
    for threshold in (0.0, 0.02):
        results = {}
        for memory in (0, 500_000, 700_000, 1 << 28):
            for n_threads in (1, 2, 3):
                result = run(problem, memory=memory, n_threads=n_threads, threshold=threshold)
                n_kept.add(result.pop("n_kept"))
                results.setdefault("all", result)
                for name in ("lse", "nll", "dV", "dbias", "dadditions"):  # the parts of dhidden depend on the memory
                    assert_array_equal(result[name], results["all"][name], err_msg=name)
                assert_array_equal(result["dhidden"], results.setdefault(memory, result["dhidden"]))
    assert len(n_kept) > 2


def test_kept_and_computed_again_with_a_sparse_term(isa):
    problem = make(40, 3000, np.float32, kind="both", masked=0.2)
    kept, again = run(problem), run(problem, memory=0)
    assert kept["n_kept"] > 0
    assert again["n_kept"] == 0
    for name in ("lse", "dV", "dW", "dbias", "dadditions"):
        assert_array_equal(kept[name], again[name])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_additions_are_not_rounded(isa, dtype):
    problem = make(37, 1203, dtype, masked=0.2, spread=2.0)
    exact, rounded = run(problem), run(problem, threshold=0.02)
    assert not np.array_equal(exact["dV"], rounded["dV"])
    assert_array_equal(exact["dadditions"], rounded["dadditions"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_smoothing(isa, dtype):
    problem = make(20, 500, dtype)
    target, rows = problem.target, np.arange(20)
    counts = np.where(target >= 0, np.linspace(0.5, 2, 20), 0.0)
    prior = np.full(500, 1 / 500, dtype)
    ours = run(problem, smoothing=(1.1 * counts, 0.1 * counts, prior))
    dlogits = 1.1 * reference.softmax(problem.logits, axis=1) - 0.1 / 500
    dlogits[rows, target] -= 1
    dlogits *= counts[:, None]
    assert_close(ours, {"dadditions": entries_of(problem, dlogits)}, TOLERANCE[dtype])
    assert_close(ours, {"dbias": dlogits.sum(axis=0)}, TOLERANCE[dtype])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_add_changes_no_bit(isa, kind):
    problem = make(20, 900, np.float32, kind=kind)
    problem.additions = additions_kernel.Additions(
        np.zeros(20, int), np.zeros(20, int), np.empty(0, np.int32), np.empty(0, np.float32)
    )
    problem.inside = np.empty(0, int)
    problem.terms = problem.terms._replace(additions=problem.additions)
    empty = run(problem)
    problem.terms = problem.terms._replace(additions=None)
    forward = tiles.Forward(problem.terms, problem.target)
    assert_array_equal(empty["lse"], forward.lse)
    assert_array_equal(empty["nll"], forward.nll)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_grouping(n_threads):
    problem = make(23, 1000, np.float64)
    additions, tile, n_tiles, width = problem.additions, 96, 11, 8
    buffers = workspaces.Workspace()
    grouped = additions_kernel.group(additions, n_tiles, tile, width, buffers.array, n_threads)
    n_entries = len(problem.inside)
    assert grouped.tile_ptr[0] == 0
    assert grouped.tile_ptr[-1] == n_entries
    tiles = np.repeat(np.arange(n_tiles), np.diff(grouped.tile_ptr))
    rows, columns = grouped.places // (tile * width) * width + grouped.places % width, grouped.places // width % tile
    assert_array_equal(additions.class_ids[grouped.sources], tiles * tile + columns)
    assert_array_equal(additions.values[grouped.sources], grouped.values)
    assert (rows == np.searchsorted(additions.begin, grouped.sources, "right") - 1).all()
    for first, last in pairwise(grouped.tile_ptr):
        assert (np.diff(grouped.sources[first:last]) > 0).all()
    n_bytes = buffers.nbytes
    additions_kernel.group(additions, n_tiles, tile, width, buffers.array, n_threads)
    assert buffers.nbytes == n_bytes
