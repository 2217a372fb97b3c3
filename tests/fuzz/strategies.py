"""Inputs as users have them: values of all magnitudes, arrays in every layout, sparse matrices in every format."""

import tempfile

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)
dtypes = st.sampled_from([np.float32, np.float64])
few = st.sampled_from([0, 1, 2, 3, 5, 8, 9, 17, 33])  # rows or features
n_classes = st.sampled_from([1, 2, 3, 7, 8, 9, 16, 17, 31, 64, 65, 100, 257, 1000])
threads = st.sampled_from([1, 2, 3, 5])


# -- values --


def _normal(rng, shape):
    return rng.standard_normal(shape)


def _ties(rng, shape):
    return rng.integers(-2, 3, shape).astype(float)


def _wide(rng, shape):
    return rng.standard_normal(shape) * 10.0 ** rng.uniform(-6, 2, shape)


def _far(rng, shape):
    """A few elements thousands of nats from the others."""
    return rng.standard_normal(shape) + np.where(rng.random(shape) < 0.2, rng.choice([-3000, -120, 150, 2000]), 0)


def _zeros(rng, shape):
    return np.zeros(shape)


MODERATE = [_normal, _ties, _wide, _zeros]  # products of two stay far from the end of float32
moderate = st.sampled_from(MODERATE)
values = st.sampled_from([*MODERATE, _far])


def _extreme(rng, shape, dtype):
    """Subnormal numbers up to the largest, of both signs."""
    info = np.finfo(dtype)
    exponents = rng.uniform(np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)) - 1e-3, shape)
    return (rng.choice([-1.0, 1.0], shape) * np.exp2(exponents)).astype(dtype)


def _infinite(rng, shape, dtype):
    """Minus infinity, as masks have it, here and there; seldom plus infinity or NaN."""
    a = rng.standard_normal(shape)
    a = np.where(rng.random(shape) < 0.3, -np.inf, a)
    special = rng.choice([np.inf, np.nan])
    return np.where(rng.random(shape) < rng.choice([0.0, 0.02]), special, a).astype(dtype)


@st.composite
def logits(draw, shape, dtype):
    """Values of any kind, infinities included: what functions of dense arrays take."""
    rng = draw(rngs)
    kind = draw(st.sampled_from([*MODERATE, _far, _extreme, _infinite]))
    return kind(rng, shape, dtype) if kind in (_extreme, _infinite) else kind(rng, shape).astype(dtype)


# -- layouts of dense arrays --


def _strided(a):
    """Every second element of every axis of a larger array."""
    larger = np.full([2 * n + 1 for n in a.shape], 7, a.dtype)
    view = larger[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def _unaligned(a):
    view = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _memory_mapped(a):
    if not a.size:
        return a
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, a.dtype, "w+", shape=a.shape)
    mapped[...] = a
    return mapped


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a,
    "broadcast": lambda a: np.broadcast_to(a, a.shape),
    "unaligned": _unaligned,
    "read-only": _read_only,
    "memory-mapped": _memory_mapped,
    "swapped bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": lambda a: a.tolist(),
}
layouts = st.sampled_from(list(LAYOUTS))
array_layouts = layouts.filter(lambda name: name != "list")  # that keep the dtype


def laid_out(a, layout):
    """An array equal to `a` in this layout."""
    return LAYOUTS[layout](np.asarray(a))


# -- sparse matrices --

SPARSE_FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr"]
sparse_formats = st.sampled_from(SPARSE_FORMATS)


def raw_csr(rng, shape, dtype, values=_normal, *, empty="some", index_dtype=np.int32, width=4):
    """CSR rows with duplicate, unsorted and explicitly zero entries; `empty` rows: "some", "all", "most" or "half".

    "half" are the rows of the first half.
    """
    n, d = shape
    lengths = rng.integers(0, width + 1, n) if d else np.zeros(n, int)
    without = {"some": rng.random(n) < 0.2, "all": np.ones(n, bool), "most": rng.random(n) < 0.9}
    lengths[without.get(empty, np.arange(n) < n / 2)] = 0
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(index_dtype)
    indices = rng.integers(0, max(1, d), indptr[-1]).astype(index_dtype)
    data = values(rng, indptr[-1]).astype(dtype)
    data[::7] = 0
    X = sp.csr_array((data, indices, indptr), shape=shape)
    X.indices, X.indptr = indices, indptr  # SciPy narrows int64 where it can
    return X


empties = st.sampled_from(["some", "some", "most", "half", "all"])


@st.composite
def sparse(draw, shape, dtype, kinds=moderate):
    """A sparse matrix in any format."""
    index_dtype = draw(st.sampled_from([np.int32, np.int64]))
    X = raw_csr(draw(rngs), shape, dtype, draw(kinds), empty=draw(empties), index_dtype=index_dtype)
    format = draw(sparse_formats)
    X = X if format == "csr" else X.asformat(format) if min(shape) else X
    return draw(st.sampled_from([lambda X: X, sp.csr_matrix if format == "csr" else lambda X: X]))(X)


@st.composite
def rows(draw, shape, dtype, kinds=moderate):
    """X: dense in any layout, or sparse in any format."""
    if draw(st.booleans()):
        return draw(sparse(shape, dtype, kinds))
    return laid_out(draw(kinds)(draw(rngs), shape).astype(dtype), draw(array_layouts))


def dense(a):
    return a.toarray() if sp.issparse(a) else np.asarray(a)


# -- labels and weights --


def labels(rng, n, n_classes):
    """A label for each row, of all classes if there are enough rows."""
    return rng.permutation(
        np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, max(0, n - n_classes))])[:n]
    )


factors = st.sampled_from([2.0**-1060, 1e-300, 1e-6, 3.0, 1e150, 2.0**1000, 2.0**1023])
