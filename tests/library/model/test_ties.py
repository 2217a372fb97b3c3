"""Of equal logits the lower class id comes first: in one row and in many, on every way to the best classes."""

import numpy as np
import pytest
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_array_equal

from fastsoftmax.kernels import few_rows
from fastsoftmax.model.compact import STORAGES, CompactModel
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.predictor import Predictor
from fastsoftmax.passes.eligible import ALL, Eligible

PERIOD = 23  # classes so far apart have the same weights
N_FEATURES = 12
N_ROWS = [1, 3, 4, 5, 40]  # few of them, and more than a predictor takes for few
# classes, hidden size: blocks that end amid eight classes, sizes that are no whole vectors
SHAPES = [(23, 3), (230, 13), (2501, 16), (2501, 21), (270_013, 8)]


def equal_rows(n_classes, n_hidden, dtype, seed=0):
    """(n_classes, n_hidden) numbers of which sums are rounded, the same every PERIOD rows."""
    rows = np.random.default_rng(seed).standard_normal((PERIOD, n_hidden)).astype(dtype)
    return rows[np.arange(n_classes) % PERIOD]


def low_rank(n_classes, n_hidden, dtype):
    E = np.random.default_rng(1).standard_normal((N_FEATURES, n_hidden)).astype(dtype)
    bias = equal_rows(n_classes, 1, dtype, seed=2)[:, 0]
    return Model(E=E, V=equal_rows(n_classes, n_hidden, dtype), bias=bias)


def direct(n_classes, dtype, order):
    return Model(W=np.asarray(equal_rows(n_classes, N_FEATURES, dtype), order=order), bias=np.zeros(n_classes, dtype))


def sparse_term(n_classes, dtype, **low_rank):
    """Features have pairs with some of each kind of classes, which all have the same weight."""
    rng = np.random.default_rng(3)
    W = equal_rows(n_classes, N_FEATURES, dtype, seed=4)
    W[rng.random(W.shape) < 0.6] = 0
    W = sp.csc_array(W)
    return Model(W=W.data, pairs=Pairs.of(W), **{"bias": np.zeros(n_classes, dtype)} | low_rank)


def rows_of(n, dtype, *, dense=False, density=0.5):
    X = sp.random_array((n, N_FEATURES), density=density, format="csr", dtype=dtype, rng=np.random.default_rng(5))
    return X.toarray() if dense else X


def assert_in_order(found):
    """Values do not ascend, and where they are equal, ids ascend."""
    ids, values = found
    assert (values[:, 1:] <= values[:, :-1]).all()
    assert (ids[:, 1:] > ids[:, :-1])[values[:, 1:] == values[:, :-1]].all()


def assert_first_of_each_kind(ids, kinds):
    """Of each kind of equal classes the first ones are there, one behind the other."""
    for row in ids:
        ends = np.flatnonzero(np.append(kinds[row][1:] != kinds[row][:-1], True)) + 1
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            assert_array_equal(row[begin:end], np.flatnonzero(kinds == kinds[row[begin]])[: end - begin])


@covering(
    {
        "isa": ISAS,
        "shape": SHAPES,
        "dtype": [np.float32, np.float64],
        "n_rows": N_ROWS,
        "way": [{}, {"screens": True}, *STORAGES],
    },
    strength=2,
)
def test_equal_classes_of_a_low_rank_term(isa, shape, dtype, n_rows, way):
    model, kinds = low_rank(*shape, dtype), np.arange(shape[0]) % PERIOD
    if isinstance(way, str):
        model, way = CompactModel.of(model, way), {}
    predictor, k = Predictor(model, n_threads=2, **way), min(shape[0], 250)
    ids, values = found = predictor.topk(rows_of(n_rows, dtype), k, normalise=False)
    assert_in_order(found)
    assert_first_of_each_kind(ids, kinds)
    for row, of_row in zip(ids, values, strict=True):  # the same to the bit, wherever in a block a class stands
        assert len(np.unique(of_row)) == len(np.unique(kinds[row]))


@covering(
    {"isa": ISAS, "n_classes": [23, 2501], "dtype": [np.float32, np.float64], "n_rows": N_ROWS, "order": ["C", "F"]},
    strength=2,
)
@pytest.mark.parametrize("storage", [None, *STORAGES])
def test_equal_classes_of_a_direct_term(isa, n_classes, dtype, n_rows, order, storage):
    model = direct(n_classes, dtype, order)
    model = model if storage is None else CompactModel.of(model, storage)
    X = rows_of(n_rows, dtype, dense=order == "C", density=1.0)  # so that no two kinds are rounded to the same
    found = Predictor(model, n_threads=2).topk(X, min(n_classes, 250), normalise=False)
    assert_in_order(found)
    assert_first_of_each_kind(found[0], np.arange(n_classes) % PERIOD)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("n_rows", N_ROWS)
@pytest.mark.parametrize("n_classes", [23, 2501])
def test_equal_classes_of_a_sparse_term(isa, n_classes, n_rows, beside):
    of_low_rank = vars(low_rank(n_classes, 5, np.float32)) if beside else {}
    model = sparse_term(n_classes, np.float32, **{name: of_low_rank[name] for name in ("E", "V", "bias") if beside})
    for keeps in (False, True):
        found = Predictor(model, n_threads=2, keeps=keeps).topk(rows_of(n_rows, np.float32), 23, normalise=False)
        assert_in_order(found)


@pytest.mark.parametrize("n_rows", N_ROWS)
@pytest.mark.parametrize("n_classes", [5, 1025, 40_001])
def test_models_of_zeros(isa, n_classes, n_rows):
    zeros = np.zeros((n_classes, 4), np.float32)
    E, bias, k = np.ones((N_FEATURES, 4), np.float32), zeros[:, 0].copy(), min(n_classes, 30)
    nothing = sp.csc_array((n_classes, N_FEATURES), dtype=np.float32)
    whole = Model(E=E, V=zeros, bias=bias)
    models = [
        (whole, {}, False),
        (whole, {"screens": True}, False),
        (Model(W=np.zeros((n_classes, N_FEATURES), np.float32), bias=bias), {}, True),
        (Model(W=np.zeros((n_classes, N_FEATURES), np.float32, order="F"), bias=bias), {}, False),
        (Model(W=nothing.data, pairs=Pairs.of(nothing), bias=bias), {}, False),
        (Model(W=nothing.data, pairs=Pairs.of(nothing), E=E, V=zeros, bias=bias), {}, False),
    ]
    even = np.arange(0, n_classes, 2)
    for model, way, dense in models:
        predictor, X = Predictor(model, n_threads=2, **way), rows_of(n_rows, np.float32, dense=dense)
        assert_array_equal(predictor.topk(X, k)[0], np.tile(np.arange(k), (n_rows, 1)))
        only = predictor.topk(X, 3, Eligible(class_ids=even))[0]
        assert_array_equal(only, np.tile(even[:3], (n_rows, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, -2.5, 1e-42, -np.inf])
def test_blocks_of_classes_in_any_order(isa, value, dtype):
    """A thread may come to a block after one of higher classes: OpenMP promises no order."""
    n_classes, value = 2000, dtype(value)
    scratch = np.empty(1), np.empty((2, 2, 1)), np.empty((1, few_rows.block_classes(n_classes)), dtype)
    for k in (1, 2, 5):
        values, ids = np.full((1, 1, k), value), 7000 + np.arange(k)[None, None, ::-1].copy()  # the worst at the root
        terms = np.full(n_classes, value), np.ones((1, 1), dtype), np.zeros((n_classes, 1), dtype)
        few_rows.topk(*terms, None, None, None, None, None, ALL, None, values, ids, *scratch)
        assert ids[0, 0].tolist() == list(range(k)) and (values == value).all()
