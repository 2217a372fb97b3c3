"""Weights in 16 or 8 bits, and a model that has them. It only predicts, and widens the weights where it uses them."""

import numpy as np

from fastsoftmax.model.model import Model

DTYPES = {"float16": np.float16, "bfloat16": np.uint16, "int8": np.int8}  # NumPy has no bfloat16
STORAGES = tuple(DTYPES)
BLOCK = 1 << 20  # elements that are rounded at a time, so that the work takes little memory


def to_bfloat16(a):
    """The upper halves of float32 `a` as uint16, rounded to the nearest, with ties to even."""
    bits = np.asarray(a, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def from_bfloat16(a):
    """float32 from the upper halves in uint16 `a`."""
    return (a.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _rounded(a, scale, storage):
    """`a` in the small type; for int8, it is divided by `scale` first."""
    if storage == "bfloat16":
        return to_bfloat16(a)
    if storage == "float16":
        with np.errstate(over="ignore"):  # the caller looks for infinities
            return a.astype(np.float16)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, np.rint(np.divide(a, scale, dtype=np.float64)), 0).astype(np.int8)


def _widened(data, scale, storage, dtype):
    if storage == "bfloat16":
        return from_bfloat16(data).astype(dtype, copy=False)
    return data.astype(dtype) if scale is None else data * scale.astype(dtype, copy=False)


def _scales(largest, dtype):
    """The scales of int8 rows with these `largest` absolute values, which become 127."""
    return (largest / 127).astype(dtype)


class CompactMatrix:
    """A matrix whose rows are stored in a small type; int8 rows each have a scale.

    Attributes
    ----------
    storage : str, one of STORAGES
    data : (n_rows, n_columns) array of DTYPES[storage], C contiguous
    scale : (n_rows,) array of `dtype`, for int8; else None
    dtype : float32 or float64, the type that rows are widened to
    feature_major : whether the rows are features, so that the matrix is the transpose of `data`
    """

    ndim = 2

    def __init__(self, storage, data, scale, dtype, feature_major=False):
        self.storage, self.data, self.scale = storage, data, scale
        self.dtype, self.feature_major = np.dtype(dtype), feature_major

    @classmethod
    def of(cls, a, storage, feature_major=False):
        rows = a.T if feature_major else a
        data = np.empty(rows.shape, DTYPES[storage])
        scale = np.empty(len(rows), a.dtype) if storage == "int8" else None
        step = max(1, BLOCK // max(1, rows.shape[1]))
        for i in range(0, len(rows), step):
            block, factor = rows[i : i + step], None
            if scale is not None:
                scale[i : i + step] = _scales(np.abs(block).max(axis=1, initial=0), a.dtype)
                factor = scale[i : i + step, None]
            data[i : i + step] = _rounded(block, factor, storage)
        return cls(storage, data, scale, a.dtype, feature_major)

    @property
    def shape(self):
        return self.data.shape[::-1] if self.feature_major else self.data.shape

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, at):
        """Rows, or the elements at two arrays of indices, widened."""
        rows, columns = at if isinstance(at, tuple) else (at, None)
        if not self.feature_major:
            data, of = self.data[at], rows
        else:
            data, of = (self.data[:, rows].T, slice(None)) if columns is None else (self.data[columns, rows], columns)
        scale = None if self.scale is None else self.scale[of]
        if scale is not None and data.ndim == 2 and not self.feature_major:
            scale = scale[:, None]
        return _widened(data, scale, self.storage, self.dtype)

    def widened(self):
        """The whole matrix as an array of `dtype`."""
        rows = _widened(self.data, None if self.scale is None else self.scale[:, None], self.storage, self.dtype)
        return rows.T if self.feature_major else rows


class CompactPairs:
    """The weights of a sparse term, (n_pairs,); for int8, the pairs of each feature share a scale."""

    def __init__(self, storage, data, scale, dtype):
        self.storage, self.data, self.scale, self.dtype = storage, data, scale, np.dtype(dtype)

    @classmethod
    def of(cls, values, indptr, storage):
        scale = factor = None
        if storage == "int8":
            largest = np.zeros(len(indptr) - 1, values.dtype)
            used = np.flatnonzero(np.diff(indptr))
            largest[used] = np.maximum.reduceat(np.abs(values), indptr[used]) if used.size else 0
            scale = _scales(largest, values.dtype)
            factor = np.repeat(scale, np.diff(indptr))
        return cls(storage, _rounded(values, factor, storage), scale, values.dtype)

    @property
    def shape(self):
        return self.data.shape

    def __len__(self):
        return len(self.data)

    def widened(self, indptr):
        scale = None if self.scale is None else np.repeat(self.scale, np.diff(indptr))
        return _widened(self.data, scale, self.storage, self.dtype)


class CompactModel(Model):
    """A Model whose W, E and V are stored in 16 or 8 bits. It has no optimiser's state and no prior.

    A dense W that is the only term, trained on a dense X, has one row a class, like V. Any other dense W has one row a
    feature.
    """

    def __init__(self, storage, **kwargs):
        super().__init__(**kwargs)
        self.storage = storage

    @classmethod
    def of(cls, model, storage):
        W, E, V = model.W, model.E, model.V
        if W is not None and model.pairs is not None:
            W = CompactPairs.of(W, model.pairs.indptr, storage)
        elif W is not None:
            W = CompactMatrix.of(W, storage, feature_major=E is not None or not W.flags.c_contiguous)
        E, V = (None if a is None else CompactMatrix.of(a, storage) for a in (E, V))
        return cls(storage, W=W, E=E, V=V, bias=model.bias.copy(), pairs=model.pairs, scale=model.scale)

    @classmethod
    def from_arrays(cls, storage, arrays, pairs):
        """The model whose `arrays` these are."""
        bias = arrays["bias"]
        terms = dict.fromkeys("WEV")
        for name, data in arrays.items():
            term = name.removesuffix(".T")
            if term not in terms:
                continue
            scale = arrays.get(f"{name}.scale")
            if data.ndim == 1:
                terms[term] = CompactPairs(storage, data, scale, bias.dtype)
            else:
                terms[term] = CompactMatrix(storage, data, scale, bias.dtype, name.endswith(".T"))
        return cls(storage, **terms, bias=bias, pairs=pairs)

    def arrays(self):
        """All arrays by name; a feature-major W is called "W.T"."""
        arrays = {"bias": self.bias}
        for name in ("W", "E", "V"):
            a = getattr(self, name)
            if a is None:
                continue
            name += ".T" * getattr(a, "feature_major", False)
            arrays[name] = a.data
            if a.scale is not None:
                arrays[f"{name}.scale"] = a.scale
        return arrays

    def is_finite(self):
        """Whether all weights were within the range of the small type."""
        return all(np.isfinite(a).all() for a in self.arrays().values() if a.dtype.kind == "f") and not any(
            (a & 0x7F80 == 0x7F80).any() for a in self.arrays().values() if a.dtype == np.uint16
        )

    def sparse_matrix(self, data=None):
        return super().sparse_matrix(self.W.widened(self.pairs.indptr) if data is None else data)
