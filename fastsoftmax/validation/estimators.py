"""What scikit-learn expects of every estimator's X and y: DataFrames whose columns have names, and its own messages."""

import numpy as np
from scipy import sparse

from fastsoftmax.kernels import soundness
from fastsoftmax.runtime.csr_rows import CsrRows
from fastsoftmax.validation.arrays import as_array, check_unmasked
from fastsoftmax.validation.documents import check_texts
from fastsoftmax.validation.foreign import as_columns, is_single, is_table, opened
from fastsoftmax.validation.linear import check_X

INDEX_DTYPES = (np.dtype(np.int32), np.dtype(np.int64))


def check_input(estimator, X, *, dtype, canonical=False, is_fitted=True, may_be_none=False, name="X"):
    """`X` as `check_X` returns it, from whatever scikit-learn takes, and from arrays and tables of other libraries.

    is_fitted : whether X must have the features that `estimator` was fitted with, under the same names if they have any
    may_be_none : whether X may have no rows though it need not have those features
    """
    from sklearn.utils.validation import check_array, validate_data

    X = _without_texts(estimator, X, name, is_fitted)
    X = as_columns(name, X)
    if is_sparse := sparse.issparse(X):
        X = check_X(X, dtype=dtype, name=name, canonical=canonical)  # scikit-learn trusts what SciPy trusts
        if is_fitted:  # the number of columns is left to check
            return validate_data(estimator, X, reset=False, skip_check_array=True)
    elif isinstance(X, (list, tuple)):
        X = as_array(name, X)
    else:
        check_unmasked(name, X)
    options = {"accept_sparse": "csr", "ensure_all_finite": False}  # check_X says where X is not finite
    if is_fitted:
        checked = validate_data(estimator, X, reset=False, ensure_min_samples=0, **options)
    else:
        checked = check_array(X, estimator=estimator, input_name=name, ensure_min_samples=not may_be_none, **options)
    return X if is_sparse else check_X(checked, dtype=dtype, name=name, canonical=canonical)


def check_input_rows(estimator, X, *, dtype):
    """`X` of a fitted estimator as `check_input` returns it, or as CsrRows where it is CSR rows that need no conversion.

    The short way is for single rows: it takes a twentieth of the time.
    """
    if type(X) in (sparse.csr_array, sparse.csr_matrix) and X.ndim == 2 and "feature_names_in_" not in vars(estimator):
        rows = CsrRows.of(X)
        if (
            rows.shape == (X.shape[0], estimator.n_features_in_)
            and _are_plain(rows, dtype)
            and soundness.is_sound(*rows)
        ):
            return rows
    return check_input(estimator, X, dtype=dtype)


def _are_plain(rows, dtype):
    """Whether the arrays of CsrRows are as the kernels take them: native, aligned and contiguous, and of no subclass."""
    indptr, indices, data, _ = rows
    return (
        all(type(a) is np.ndarray and a.ndim == 1 for a in (indptr, indices, data))
        and all(a.flags.c_contiguous and a.flags.aligned for a in (indptr, indices, data))
        and data.dtype == dtype
        and indices.dtype in INDEX_DTYPES
        and indptr.dtype == indices.dtype
    )


def _without_texts(estimator, X, name, is_fitted):
    """`X`, or where a fitted model knows what makes columns of texts, and X is texts, these columns; an error of others."""
    vectorizer = getattr(getattr(estimator, "encoding_", None), "vectorizer", None) if is_fitted else None
    if vectorizer is None:
        _check_no_texts(X, name)
        return X
    return vectorizer.transform(check_texts(name, X)) if _are_texts(X) else X


def _are_texts(X):
    """Whether what a model of texts is given are texts, if anything, and not rows: each element of these has a length."""
    if isinstance(X, (list, tuple)):
        return not X or isinstance(X[0], (str, bytes)) or not hasattr(X[0], "__len__")
    if isinstance(X, (str, bytes)) or (hasattr(X, "to_pylist") and not is_table(X)):
        return True
    return len(getattr(X, "shape", ())) == 1 and not sparse.issparse(X)


def _check_no_texts(X, name):
    """Raise if `X` is a text, or a list, an array or a column of a DataFrame whose first element is one."""
    is_column = isinstance(X, (list, tuple)) or (getattr(X, "ndim", 0) == 1 and not sparse.issparse(X))
    first = (X.iloc[0] if hasattr(X, "iloc") else X[0]) if is_column and len(X) else X
    if isinstance(first, str) and len(X):
        raise ValueError(
            f"{name} holds texts ({first[:60]!r}), and this model takes columns: those that "
            "features.TextVectorizer().fit_transform(texts) makes of texts, for example"
        )


def solver_dtype(X):
    """The dtype in which a solver works on X: that of X where it is float32 or float64, else float64."""
    if is_table(X):
        return np.dtype(np.float32 if is_single(X) else np.float64)
    dtype = getattr(X, "dtype", None)
    is_float32 = isinstance(dtype, np.dtype) and dtype.newbyteorder("=") == np.float32
    return np.dtype(np.float32 if is_float32 else np.float64)


def feature_names(X):
    """The names of the columns of a table if all are strings, or None; TypeError if only some are strings."""
    if not is_table(X):  # validate_data looks into what else there is, which takes time and may be empty
        return None
    opened("X", X)
    from sklearn.base import BaseEstimator
    from sklearn.utils.validation import validate_data

    probe = BaseEstimator()
    validate_data(probe, X, skip_check_array=True)
    return getattr(probe, "feature_names_in_", None)


def check_same_names(what, names, expected):
    """Raise if the columns have names, but other names than expected; None: they have none."""
    if names is None or expected is None:
        return
    if len(names) != len(expected) or (names != expected).any():
        pairs = ((str(a), str(b)) for a, b in zip(names, expected, strict=False) if a != b)
        got, wanted = next(pairs, (f"{len(names)} of them", f"{len(expected)}"))
        raise ValueError(f"the columns of {what} are not those expected, by name and order: got {got!r} for {wanted!r}")


def check_y_given(estimator, y):
    """Raise if `y` is None."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")


def check_nested_params(params, changes):
    """Raise where `changes` has an option, ``direct__min_count``, of a parameter that is no object and gets none."""
    for name in changes:
        outer, is_nested, _ = name.partition("__")
        value = changes.get(outer, params.get(outer))
        if is_nested and outer in params and not hasattr(value, "set_params"):
            raise ValueError(
                f"{name} is an option of an object, but {outer} is {value!r}: set {outer} to an object first"
            )


def check_stored_names(names, n_features):
    """Raise unless `names`, from a file, are one for each column of X, or none at all."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("the names of the features are not a list of text")
    if names and len(names) != n_features:
        raise ValueError(f"{len(names)} names for {n_features} features")
