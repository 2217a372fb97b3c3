"""Sparse matrices that are legal but unusual, and matrices that lie about themselves."""

import numpy as np
import scipy.sparse as sp


def unaligned(a):
    """A view into packed records of a byte and a number."""
    records = np.zeros(a.shape, np.dtype([("byte", "u1"), ("value", a.dtype)]))
    records["value"] = a
    return records["value"]


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def with_parts(X, **parts):
    """`X` with other arrays, whatever SciPy would say to them."""
    X = X.copy()
    for name, a in parts.items():
        setattr(X, name, a)
    return X


def each(X, change):
    """`X` with all of its arrays changed."""
    return with_parts(X, data=change(X.data), indices=change(X.indices), indptr=change(X.indptr))


def indexed_by(X, indices, indptr=None):
    return with_parts(X, indices=X.indices.astype(indices), indptr=X.indptr.astype(indptr or indices))


def longer(X):
    """With entries beyond the last row, which are nonsense."""
    return with_parts(
        X,
        data=np.append(X.data, [np.nan, np.inf]).astype(X.dtype),
        indices=np.append(X.indices, [-7, 10**6]).astype(X.indices.dtype),
    )


def unsorted(X):
    """The entries of each row backwards."""
    order = np.concatenate([np.arange(X.indptr[i], X.indptr[i + 1])[::-1] for i in range(len(X.indptr) - 1)])
    return with_parts(X, data=X.data[order], indices=X.indices[order])


def doubled(X):
    """Each entry twice, with half of its value."""
    return with_parts(X, data=np.repeat(X.data / 2, 2), indices=np.repeat(X.indices, 2), indptr=X.indptr * 2)


def with_zeros(X):
    """A stored zero beside each entry."""
    zeros = np.zeros_like(X.data)
    data, indices = np.stack([X.data, zeros], 1).ravel(), np.repeat(X.indices, 2)
    return with_parts(X, data=data, indices=indices, indptr=X.indptr * 2)


def flagged(X):
    """With flags that say that it is sorted and without duplicates."""
    X.has_sorted_indices = X.has_canonical_format = True
    return X


def coo_of(X, change):
    X = X.tocoo()
    order = change(np.arange(X.nnz))
    return sp.coo_array((X.data[order], (X.row[order], X.col[order])), shape=X.shape)


def doubled_coo(X):
    doubled = coo_of(X, lambda order: np.concatenate([order, order[::-1]]))
    doubled.data = doubled.data / 2
    doubled.has_canonical_format = True  # a lie
    return doubled


def wide_dia(X):
    """With a diagonal that lies outside, and data that are longer than needed."""
    X = X.todia()
    data = np.hstack([X.data, np.full((len(X.data), 3), np.nan)])
    data = np.vstack([data, np.full((2, data.shape[1]), np.nan)])
    return with_parts(X, data=data, offsets=np.append(X.offsets, [X.shape[1] + 4, -(2**31)]).astype(np.int32))


UNUSUAL = {
    "CSR matrix": sp.csr_matrix,
    "CSC": sp.csc_array,
    "CSC matrix": sp.csc_matrix,
    "COO": sp.coo_array,
    "BSR": lambda X: sp.bsr_array(X, blocksize=(2, 3)),
    "DIA": sp.dia_array,
    "LIL": sp.lil_array,
    "LIL matrix": sp.lil_matrix,
    "DOK": sp.dok_array,
    "DOK matrix": sp.dok_matrix,
    "longer": longer,
    "longer CSC": lambda X: longer(X.tocsc()),
    "unsorted": unsorted,
    "unsorted CSC": lambda X: unsorted(X.tocsc()),
    "doubled": doubled,
    "doubled CSC": lambda X: doubled(X.tocsc()),
    "zeros": with_zeros,
    "stale, unsorted": lambda X: flagged(unsorted(X)),
    "stale, doubled": lambda X: flagged(doubled(unsorted(X))),
    "stale, doubled CSC": lambda X: flagged(doubled(unsorted(X.tocsc()))),
    "stale, doubled COO": doubled_coo,
    "backward COO": lambda X: coo_of(X, lambda order: order[::-1]),
    "wide DIA": wide_dia,
    "strided": lambda X: each(X, lambda a: np.repeat(a, 2)[::2]),
    "reversed": lambda X: each(X, lambda a: a[::-1].copy()[::-1]),
    "read-only": lambda X: each(X, read_only),
    "read-only COO": lambda X: with_parts(
        X.tocoo(), data=read_only(X.data), coords=tuple(map(read_only, X.tocoo().coords))
    ),
    "unaligned": lambda X: each(X, unaligned),
    "unaligned CSC": lambda X: each(X.tocsc(), unaligned),
    "swapped bytes": lambda X: each(X, lambda a: a.astype(a.dtype.newbyteorder())),
    "swapped bytes CSC": lambda X: each(X.tocsc(), lambda a: a.astype(a.dtype.newbyteorder())),
    "int64": lambda X: indexed_by(X, np.int64),
    "int64 indptr": lambda X: indexed_by(X, np.int32, np.int64),
    "int64 indices": lambda X: indexed_by(X, np.int64, np.int32),
    "uint8 indices": lambda X: indexed_by(X, np.uint8, np.int16),
    "uint32": lambda X: indexed_by(X, np.uint32),
    "uint64": lambda X: indexed_by(X, np.uint64),
    "long double": lambda X: with_parts(X, data=X.data.astype(np.longdouble)),
    "long double COO": lambda X: X.astype(np.longdouble).tocoo(),
}


def csr(data, indices, indptr, shape):
    return with_parts(sp.csr_array(shape), data=np.array(data), indices=np.array(indices), indptr=np.array(indptr))


def hostile(shape):
    """Matrices of this shape, at least 3 x 3 and divisible by 3, with what each does wrong."""
    n_rows, n_columns = shape
    wraps = np.zeros(n_rows + 1, np.int32)
    wraps[1:3] = 2**31 - 1, -(2**31)
    middle = np.zeros(n_rows + 1, np.int64)
    middle[1] = 2
    X = sp.csr_array((np.ones(2), [0, 1], np.append([0, 1, 2], np.full(n_rows - 2, 2))), shape=shape)
    coo, bsr = X.tocoo(), sp.bsr_array(X, blocksize=(3, 3))
    yield "indptr that wraps around", with_parts(X, indptr=wraps)
    yield "indptr that descends", with_parts(X, indptr=middle)
    yield "indptr that is too short", with_parts(X, indptr=X.indptr[:-1])
    yield "indptr beyond the entries", with_parts(X, indptr=X.indptr * 3)
    yield "indptr that does not begin at 0", with_parts(X, indptr=np.maximum(X.indptr, 1))
    yield "indptr of floats", with_parts(X, indptr=X.indptr.astype(float))
    yield "indptr of two dimensions", with_parts(X, indptr=X.indptr[:, None])
    yield "no indptr", with_parts(X, indptr=X.indptr[:0])
    yield "indptr that is a list", with_parts(X, indptr=X.indptr.tolist())
    yield "fewer values than indices", with_parts(X, data=X.data[:1])
    yield "values of two dimensions", with_parts(X, data=X.data[:, None])
    yield "masked values", with_parts(X, data=np.ma.array(X.data, mask=[0, 1]))
    for index in (n_columns, -1, 2**31 - 1, -(2**31)):
        bad = np.array([0, index], np.int32)
        yield f"CSR column {index}", with_parts(X, indices=bad)
        yield f"COO column {index}", with_parts(coo, coords=(coo.coords[0], bad))
        yield (
            f"LIL column {index}",
            with_parts(X.tolil(), rows=lists([0, index], n_rows), data=lists([1.0, 1.0], n_rows)),
        )
        yield f"BSR column {index}", with_parts(bsr, indices=np.full_like(bsr.indices, index))
    for index in (n_rows, -1, 2**31 - 1):
        bad = np.array([0, index], np.int32)
        yield f"CSC row {index}", with_parts(X.tocsc(), indices=bad)
        yield f"COO row {index}", with_parts(coo, coords=(bad, coo.coords[1]))
    yield "COO of one coordinate", with_parts(coo, coords=coo.coords[:1])
    yield "COO with too few columns", with_parts(coo, coords=(coo.coords[0], coo.coords[1][:1]))
    yield "LIL with too few values", with_parts(X.tolil(), rows=lists([0, 1], n_rows), data=lists([1.0], n_rows))
    yield "LIL with too few rows", with_parts(X.tolil(), rows=lists([0, 1], 1))
    yield "LIL with a string", with_parts(X.tolil(), rows=lists([0, 1], n_rows), data=lists([1.0, "a"], n_rows))
    yield "LIL with a float column", with_parts(X.tolil(), rows=lists([0, 1.5], n_rows), data=lists([1.0, 2.0], n_rows))
    yield "DIA with too few diagonals", with_parts(X.todia(), data=X.todia().data[:0])
    yield "DIA with a diagonal twice", with_parts(X.todia(), offsets=np.array([0, 0]), data=np.ones((2, n_columns)))
    yield "BSR with blocks that do not fit", with_parts(bsr, data=np.ones((1, 2, 2)))
    yield "BSR with empty blocks", with_parts(bsr, data=np.ones((1, 0, 3)))
    yield "BSR with too few blocks", with_parts(bsr, data=bsr.data[:0])


def lists(first, n_rows):
    a = np.empty(n_rows, object)
    for i in range(n_rows):
        a[i] = list(first) if i == 0 else []
    return a
