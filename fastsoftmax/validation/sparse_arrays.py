"""Sparse arrays of any format: their structure is checked in whole before SciPy or a kernel reads them.

Both trust it: SciPy's conversions and slices write where the indices say, and users may set `indices`, `indptr` and flags
such as `has_sorted_indices` as they like. So nothing here, and nothing after it, calls a method of the user's matrix: its
parts are checked one by one, and a matrix of these parts is what everybody else sees. It shares the arrays of CSR rows and
CSC columns with the user where the kernels take them as they are, which is nearly always, and no flag.
"""

from itertools import chain

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_int_vector, check_unmasked, native, real_dtype


def check_csr(a, dtype, name):
    """The sparse `a`, (n_rows, n_columns), as a csr_array of `dtype` (None: its own, or the nearest real one), safe in C.

    Its arrays are native, aligned and contiguous, with one type of indices and no entries beyond ``indptr[-1]``. Indices may
    be unsorted and double. The arrays may be the user's: never write to them.
    """
    return _checked(a, "csr", dtype, name)


def check_csc(a, dtype, name):
    """`check_csr` in the format CSC."""
    return _checked(a, "csc", dtype, name)


def _checked(a, format, dtype, name):
    if a.ndim != 2:
        raise ValueError(f"{name} must be 2-D (n_samples, n_features), got shape {a.shape}")
    if a.format not in _REBUILT:
        raise TypeError(f"{name} must be a scipy.sparse matrix of a format known here, got {a.format!r}")
    own_dtype = _real_type(name, a)
    dtype = real_dtype(own_dtype) if dtype is None else dtype
    a = _REBUILT[a.format](name, a)
    if a.dtype.kind != "b":  # before duplicates are added up, as small integers would overflow
        a.data = native(a.data, dtype)
    a = a.asformat(format)
    if a.dtype.kind == "b":
        if not a.has_canonical_format:  # True and True are True, not 2
            a = a.copy()
            a.sum_duplicates()
        a.data = native(a.data, dtype)
    return a


def _real_type(name, a):
    """The type of the stored values, which are real numbers."""
    if a.format not in ("lil", "dok"):  # those two have lists and a dict
        _check_is_array(f"{name}.data", a.data)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers (float32 or float64), got a sparse matrix of {a.dtype}")
    return a.dtype


def _rebuilt_csr(name, a):
    return _assembled(sparse.csr_array, a, _parts(name, a, *a.shape, "rows"))


def _rebuilt_csc(name, a):
    return _assembled(sparse.csc_array, a, _parts(name, a, *a.shape[::-1], "columns"))


def _assembled(kind, a, parts):
    """A csr_array or csc_array of the shape of `a`, of these data, indices and indptr as they are, which nothing copies."""
    is_same = a.data is parts[0] and a.indices is parts[1] and a.indptr is parts[2]
    assembled = kind(a if is_same else a.shape)  # the former is several times faster, and does not take over flags
    assembled.data, assembled.indices, assembled.indptr = parts
    return assembled


def _rebuilt_bsr(name, a):
    n_rows, n_columns = a.shape
    data = _values(f"{name}.data", a.data, ndim=3)
    height, width = data.shape[1:]
    if not height or not width or n_rows % height or n_columns % width:
        raise ValueError(
            f"{name}.data must hold blocks that fill the shape {a.shape}, got blocks of {height} x {width}"
        )
    parts = _parts(name, a, n_rows // height, n_columns // width, "rows of blocks", ndim=3)
    return sparse.bsr_array(parts, shape=a.shape)


def _rebuilt_coo(name, a):
    data = _values(f"{name}.data", a.data)
    if len(a.coords) != 2:
        raise ValueError(f"{name}.coords must hold rows and columns, got {len(a.coords)} arrays")
    coords = []
    for axis, (indices, n) in enumerate(zip(a.coords, a.shape, strict=True)):
        indices = _indices(f"{name}.coords[{axis}]", indices)
        if indices.shape != data.shape:
            raise ValueError(f"{name}.coords[{axis}] has {len(indices)} entries, but {name}.data {len(data)}")
        _check_range(f"{name}.coords[{axis}]", indices, n)
        coords.append(_native_indices(indices))
    return sparse.coo_array((data, tuple(coords)), shape=a.shape)


def _rebuilt_dia(name, a):
    data, offsets = _values(f"{name}.data", a.data, ndim=2), _indices(f"{name}.offsets", a.offsets)
    if len(offsets) != len(data):
        raise ValueError(f"{name}.offsets has {len(offsets)} entries, but {name}.data {len(data)} diagonals")
    if len(np.unique(offsets)) < len(offsets):
        raise ValueError(f"{name}.offsets must be distinct, got {offsets.tolist()}")
    inside = (offsets > -a.shape[0]) & (offsets < a.shape[1])  # others hold nothing, and might overflow
    return sparse.dia_array((data[inside], _native_indices(offsets[inside])), shape=a.shape)


def _rebuilt_lil(name, a):
    for part in (rows := a.rows, values := a.data):
        if not isinstance(part, np.ndarray) or part.shape != a.shape[:1] or not all(type(row) is list for row in part):
            raise ValueError(f"{name} must have a list for each of its {a.shape[0]} rows in its rows and its data")
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    at = np.flatnonzero(lengths != np.fromiter(map(len, values), np.int64, len(rows)))
    if at.size:
        i = at[0]
        raise ValueError(f"{name}.rows has {len(rows[i])} entries in row {i}, but {name}.data {len(values[i])}")
    indices = as_int_vector(f"{name}.rows", list(chain.from_iterable(rows)))
    _check_range(f"{name}.rows", indices, a.shape[1])
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((_listed(name, chain.from_iterable(values), a.dtype), indices, indptr), shape=a.shape)


def _rebuilt_dok(name, a):
    keys = list(a.keys())
    for axis, n in enumerate(a.shape):
        _check_range(f"the keys of {name}", as_int_vector(f"the keys of {name}", [key[axis] for key in keys]), n)
    rows, columns = (np.fromiter((key[axis] for key in keys), np.int64, len(keys)) for axis in (0, 1))
    return sparse.coo_array((_listed(name, a.values(), a.dtype), (rows, columns)), shape=a.shape)


_REBUILT = {
    "csr": _rebuilt_csr,
    "csc": _rebuilt_csc,
    "bsr": _rebuilt_bsr,
    "coo": _rebuilt_coo,
    "dia": _rebuilt_dia,
    "lil": _rebuilt_lil,
    "dok": _rebuilt_dok,
}


def _parts(name, a, n_major, n_minor, majors, ndim=1):
    """The data, indices and indptr of CSR, CSC or BSR with `n_major` rows (or what `majors` names) of indices < `n_minor`."""
    data = _values(f"{name}.data", a.data, ndim)
    indices, indptr = _indices(f"{name}.indices", a.indices), _indices(f"{name}.indptr", a.indptr)
    if (
        len(indptr) != n_major + 1
        or indptr[0] != 0
        or indptr[-1] > len(indices)
        or (indptr[1:] < indptr[:-1]).any()  # np.diff might wrap around
    ):
        raise ValueError(f"{name}.indptr does not describe {n_major} {majors} of {len(indices)} entries")
    if len(indices) != len(data):
        raise ValueError(f"{name}.indices has {len(indices)} entries, but {name}.data {len(data)}")
    n_entries = int(indptr[-1])
    if n_entries < len(indices):
        data, indices = data[:n_entries], indices[:n_entries]
    _check_range(f"{name}.indices", indices, n_minor)
    indices, indptr = _native_indices(indices), _native_indices(indptr)
    if indices.dtype == indptr.dtype:
        return data, indices, indptr
    return data, indices.astype(np.int64, copy=False), indptr.astype(np.int64, copy=False)


def _values(name, data, ndim=1):
    """The stored values as a native array of their own type; floats that SciPy has no routines for become ours."""
    _check_array(name, data, ndim)
    return native(data, real_dtype(data.dtype) if data.dtype.kind == "f" else None)


def _listed(name, values, dtype):
    """The values of a format that keeps Python's objects."""
    try:
        return _values(f"{name}.data", np.array(list(values), dtype=dtype))
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name}.data must hold numbers of {dtype}: {error}") from None


def _indices(name, a):
    """`a`, a 1-D array of integers of any type."""
    _check_array(name, a, 1)
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold int32 or int64, got an array of {a.dtype}")
    return a


def _native_indices(a):
    """Indices that are in range, as a native array of int32, or of int64 where their type holds more."""
    return native(a, np.int32 if a.dtype.kind == "i" and a.dtype.itemsize <= 4 else np.int64)


def _check_is_array(name, a):
    if not isinstance(a, np.ndarray):
        raise TypeError(f"{name} must be a numpy array, got {type(a).__name__}")


def _check_array(name, a, ndim):
    _check_is_array(name, a)
    check_unmasked(name, a)
    if a.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}, got shape {a.shape}")


def _check_range(name, indices, n):
    """Raise unless all indices are in [0, n)."""
    if indices.size and ((low := indices.min()) < 0 or (high := indices.max()) >= n):
        raise ValueError(f"{name} must be in [0, {n}), got {low if low < 0 else high}")
