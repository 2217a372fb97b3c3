"""Arrays and tables of other libraries, of which none has to be installed: what they hold, as NumPy's and SciPy's arrays.

The memory stays the same wherever it is the CPU's and NumPy has the type of the numbers. A library is imported only where an
object of its own is here already; narwhals, which reads tables of any library, comes with scikit-learn.
"""

import sys

import numpy as np
from scipy import sparse

ON_CPU = {1, 3, 11}  # kDLCPU, kDLCUDAHost, kDLROCMHost of DLPack's DLDeviceType: memory that the CPU reads
NATIVE = (np.ndarray, list, tuple, str, bytes, int, float, bool, complex, np.generic)


def as_known(name, a):
    """`a` as an array of NumPy or a sparse matrix of SciPy, whatever library it is of; what NumPy knows stays as it is.

    Raises
    ------
    ValueError
        If it is in the memory of a GPU, or if it is a tensor of PyTorch that requires a gradient.
    TypeError
        If it is a table with a column that holds no numbers, or it cannot be read.
    """
    if isinstance(a, NATIVE) or sparse.issparse(a):  # nearly every call
        return a
    if is_tensor(a):
        return _tensor_values(name, a)
    if is_table(a):
        return _table_values(name, a)
    _check_on_cpu(name, a)
    if _is_extension_series(a):
        import narwhals

        return narwhals.from_native(a, series_only=True).to_numpy()
    try:
        if any(hasattr(a, protocol) for protocol in ("__array__", "__array_interface__", "__array_struct__")):
            return np.asarray(a)
        return np.from_dlpack(a) if hasattr(a, "__dlpack__") else a
    except (RuntimeError, BufferError) as error:
        raise TypeError(f"{name} cannot be read as an array, got {type(a).__name__}: {error}") from None


def as_columns(name, X):
    """`as_known`, but tables stay, whose columns have names: only their types are checked."""
    if not is_table(X):
        return as_known(name, X)
    check_numeric(name, X)
    return X


def as_label_source(name, y):
    """`as_known` for tensors and other arrays of labels; tables of several columns, whose labels are these, become arrays too.

    Columns of labels stay, since they may hold more than numbers.
    """
    if isinstance(y, NATIVE) or sparse.issparse(y):
        return y
    if is_table(y):
        return as_known(name, y) if opened(name, y).shape[1] > 1 else y
    return y if hasattr(y, "to_numpy") else as_known(name, y)


def _check_on_cpu(name, a):
    """Raise where the memory of `a` is not one that the CPU reads."""
    device = None
    if hasattr(a, "__dlpack_device__"):
        kind, number = a.__dlpack_device__()
        device = None if int(kind) in ON_CPU else f"{getattr(kind, 'name', f'device type {int(kind)}')}:{number}"
    elif hasattr(a, "__cuda_array_interface__"):
        device = "CUDA"
    if device is not None:
        raise ValueError(f"{name} must be on the CPU, where the kernels are, got {type(a).__name__} on {device}")


# -- tensors of PyTorch --


def is_tensor(a):
    """Whether `a` is a tensor of PyTorch, which is not imported for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(a, getattr(torch, "Tensor", ()))


def _tensor_values(name, tensor):
    import torch

    if tensor.device.type != "cpu":
        raise ValueError(f"{name} must be on the CPU, where the kernels are, got a tensor on {tensor.device}")
    if tensor.requires_grad and torch.is_grad_enabled():
        raise ValueError(
            f"{name} must not require a gradient, which would be lost: give {name}.detach(), or see fastsoftmax.torch"
        )
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:  # which NumPy lacks
        tensor = tensor.float()
    if tensor.layout == torch.strided:
        return tensor.resolve_conj().resolve_neg().numpy()
    formats = {
        torch.sparse_csr: (sparse.csr_array, "crow_indices", "col_indices"),
        torch.sparse_csc: (sparse.csc_array, "ccol_indices", "row_indices"),
    }
    if tensor.ndim == 2 and tensor.layout in formats:
        kind, indptr, indices = formats[tensor.layout]
        parts = tensor.values(), getattr(tensor, indices)(), getattr(tensor, indptr)()
        return kind(tuple(part.numpy() for part in parts), shape=tuple(tensor.shape))
    if tensor.ndim == 2 and tensor.layout == torch.sparse_coo and tensor.dense_dim() == 0:
        parts = tensor._values().numpy(), tuple(tensor._indices().numpy())  # of which some may be double
        return sparse.coo_array(parts, shape=tuple(tensor.shape))
    raise TypeError(
        f"{name} must be dense, or sparse in two dimensions (CSR, CSC or COO), got {tensor.layout} {tuple(tensor.shape)}"
    )


# -- tables --


def is_table(a):
    """Whether `a` has columns: a DataFrame of pandas or polars, a table of pyarrow, and others that narwhals reads."""
    return hasattr(type(a), "columns") or hasattr(a, "__narwhals_dataframe__")


def is_sparse_table(a):
    """Whether all columns of the table are sparse ones of pandas."""
    return hasattr(a, "sparse") and a.shape[1] > 0 and all(hasattr(dtype, "fill_value") for dtype in a.dtypes)


def opened(name, table):
    """The table as narwhals has it; TypeError if it is one that is not in memory, or none."""
    import narwhals

    names = table.columns if hasattr(table, "iloc") else getattr(table, "column_names", ())
    if len(names) > len(set(names)):  # scikit-learn does not take them either
        raise ValueError(f"{name} must have columns of different names, got {list(names)[:10]}")
    try:
        return narwhals.from_native(table, eager_only=True)
    except TypeError:
        given = f"{type(table).__module__.partition('.')[0]}.{type(table).__name__}"
        raise TypeError(
            f"{name} must be a table in memory that narwhals reads, got {given}: collect, compute or convert it first"
        ) from None


def check_numeric(name, table):
    """Raise if a column of the table holds anything but numbers and bools."""
    if is_sparse_table(table) and all(_is_number(dtype.subtype) for dtype in table.dtypes):  # narwhals takes longer
        return
    frame = opened(name, table)
    for column, dtype in frame.schema.items():
        if not (dtype.is_numeric() or str(dtype) == "Boolean" or _holds_numbers(frame, column, dtype)):
            raise TypeError(f"{name} must hold numbers in all columns, got {_described(dtype)} in column {column!r}")


def _is_number(dtype):
    return np.dtype(dtype).kind in "biuf"


def _described(dtype):
    known = {"String": "text", "Object": "objects", "Categorical": "categories", "Enum": "categories"}
    return known.get(str(dtype).partition("(")[0], str(dtype))


def _holds_numbers(frame, column, dtype):
    """Whether a column of no type that narwhals knows, such as pandas' sparse ones and objects, holds numbers."""
    if str(dtype) not in ("Object", "Unknown"):
        return False
    values = frame[column]
    subtype = getattr(getattr(values.to_native(), "dtype", None), "subtype", None)
    if subtype is not None:
        return _is_number(subtype)
    values = values.to_numpy()
    try:
        values.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return not any(isinstance(value, str) for value in values)


class TableRows:
    """The rows of a table, whose slices are tables."""

    def __init__(self, name, table):
        frame = opened(name, table)
        self.shape, self._by_position = frame.shape, getattr(table, "iloc", frame)

    def __getitem__(self, rows):
        found = self._by_position[rows]
        return found.to_native() if hasattr(found, "to_native") else found


def _table_values(name, table):
    """A table of numbers as an array, or as a sparse matrix where all of its columns are sparse; a missing number is NaN."""
    from sklearn.utils.validation import check_array

    if hasattr(table, "iloc") and not table.columns.is_unique:  # here names do not matter
        table = table.set_axis(range(table.shape[1]), axis=1)
    check_numeric(name, table)
    options = {"ensure_all_finite": False, "ensure_min_samples": 0, "ensure_min_features": 0}
    return check_array(table, accept_sparse=True, **options)


def _is_extension_series(a):
    """Whether `a` is a column of pandas with a type of numbers that NumPy lacks, of which it would make objects."""
    dtype = getattr(a, "dtype", None)
    return hasattr(a, "iloc") and not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "") in tuple("biuf")


def is_single(table):
    """Whether all columns of the table are of float32."""
    schema = opened("X", table).schema
    sparse_types = {str(dtype.subtype) for dtype in table.dtypes} if is_sparse_table(table) else None
    return sparse_types == {"float32"} or {str(dtype) for dtype in schema.values()} == {"Float32"}


# -- results of the same kind --


def result_like(a):
    """The function that makes of a result, an array of NumPy, one of the library of `a`; None where NumPy's are the answer."""
    if isinstance(a, NATIVE) or is_table(a):
        return None
    if is_tensor(a):
        import torch

        return torch.from_numpy
    if hasattr(a, "__array_namespace__"):
        return a.__array_namespace__().asarray
    try:
        import array_api_compat  # knows libraries whose arrays do not say what they are, such as Dask's
    except ImportError:
        return None
    return array_api_compat.array_namespace(a).asarray if array_api_compat.is_array_api_obj(a) else None
