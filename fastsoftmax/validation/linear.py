"""The X, W and bias of linear models, dense or sparse."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_dtype, as_real_array, as_vector, check_out, native
from fastsoftmax.validation.foreign import as_known
from fastsoftmax.validation.scalars import check_bool
from fastsoftmax.validation.sparse_arrays import check_csc, check_csr


def check_X(X, *, n_features=None, dtype=None, name="X", canonical=False):
    """`X` as a C-contiguous 2-D array or as CSR rows with valid indices, of `dtype` (default: its own), all finite.

    Duplicate and unsorted column indices are fine, since the kernels add entries up; with `canonical` there are none.
    """
    given = X = as_known(name, X)
    if sparse.issparse(X):
        X = check_csr(X, dtype, name)
    else:
        given = as_real_array(name, X)
        if given.ndim != 2:
            raise ValueError(f"{name} must be 2-D (n_samples, n_features), got {given.ndim}-D of shape {given.shape}")
        X = native(given, dtype)
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name} has {X.shape[1]} features, but {n_features} are expected")
    _check_finite_X(name, X, given)
    if canonical and sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
        _check_finite_X(name, X, X)
    return X


def _check_finite_X(name, X, given):
    """Raise where a value of the checked `X` is not finite; `given` : X before its conversion."""
    is_sparse = sparse.issparse(X)
    values = X.data if is_sparse else X.reshape(-1)
    at = _first_non_finite(values)
    if at is None:
        return
    if is_sparse:
        row, column = int(np.searchsorted(X.indptr, at, side="right")) - 1, int(X.indices[at])
        value = check_csr(given, None, name).data[at]
    else:
        row, column = divmod(at, X.shape[1])
        value = given[row, column]
    got = _got(value, X.dtype).replace("nan", "NaN")  # the word that scikit-learn's checks look for
    raise ValueError(f"{name} must be finite{got} in row {row}, column {column}")


def _got(value, dtype):
    """What was given, for the error about a value that is not finite in `dtype`."""
    return f" in {dtype}, got {value}" if np.isfinite(value) else f", got {value}"


def check_W(W, *, name="W"):
    """`W` (n_classes, n_features) in float32 or float64 and any strides; it is copied only if it has to be converted."""
    W = as_real_array(name, W)
    if W.ndim != 2 or W.shape[0] < 1:
        raise ValueError(f"{name} must be 2-D (n_classes, n_features) with at least one class, got shape {W.shape}")
    return W


def check_sparse_W(W, *, dtype=None, name="W"):
    """The sparse `W`, whose stored elements are pairs, as CSC: float32 or float64, finite, with sorted, distinct class ids."""
    W = as_known(name, W)
    if not sparse.issparse(W):
        raise TypeError(f"{name} must be a scipy.sparse matrix (n_classes, n_features), got {type(W).__name__}")
    if W.ndim != 2 or not 1 <= W.shape[0] <= np.iinfo(np.int32).max:
        raise ValueError(f"{name} must be 2-D with 1 to 2**31 - 1 classes (n_classes, n_features), got shape {W.shape}")
    given, W = W, check_csc(W, dtype, name)
    _check_finite_W(name, W, given)
    if not W.has_canonical_format:
        W = W.copy()
        W.sum_duplicates()
        _check_finite_W(name, W, W)
    return W


def _check_finite_W(name, W, given):
    """Raise where an element of the checked `W` is not finite; `given` : W before its conversion."""
    at = _first_non_finite(W.data)
    if at is not None:
        feature = int(np.searchsorted(W.indptr, at, side="right")) - 1
        got = _got(check_csc(given, None, name).data[at], W.dtype)
        raise ValueError(f"{name} must be finite{got} for class {W.indices[at]}, feature {feature}")


def check_no_second_bias(prepared, bias):
    """Raise if there is a bias beside PreparedWeights, which have one or none."""
    if bias is not None:
        raise ValueError("bias must be given to PreparedWeights, and not once more beside them")
    return prepared


def check_bias(bias, n_classes, dtype, *, name="bias"):
    """`bias` as a contiguous (n_classes,) array of `dtype`, or None."""
    if bias is None:
        return None
    return as_dtype(name, as_vector(name, bias, n_classes, "class"), dtype)


def check_gradients_out(out, forms, inputs):
    """`out`, a tuple of an array to write into, or None, for each gradient that `forms` names.

    forms : {name: (shape, dtype, "C" or "F")}, or None for a gradient that does not exist
    inputs : {name: array or None}, with which they may share no memory
    """
    if out is None:
        return (None,) * len(forms)
    if not isinstance(out, (tuple, list)) or len(out) != len(forms):
        got = f"{len(out)} elements" if isinstance(out, (tuple, list)) else type(out).__name__
        raise ValueError(f"out must be a tuple ({', '.join(forms)}), None for what is not given, got {got}")
    seen = {name: a for name, a in inputs.items() if a is not None}
    for a, (name, form) in zip(out, forms.items(), strict=True):
        if a is None:
            continue
        if form is None:
            raise ValueError(f"{name} in out must be None, since there is no such gradient, got an array")
        shape, dtype, order = form
        name = f"{name} in out"
        check_out(a, shape, dtype, name)
        if not a.flags[f"{order}_CONTIGUOUS"] or not a.flags.aligned:
            raise ValueError(f"{name} must be aligned and contiguous in {order} order, got strides {a.strides}")
        for other, b in seen.items():
            if np.may_share_memory(a, b):
                raise ValueError(f"{name} must share no memory with {other}")
        seen[name] = a
    return tuple(out)


def check_return_grad(return_grad, is_dense):
    """Whether gradients are wanted, and whether each of those of X, W and bias is; `is_dense` : X and W are arrays."""
    if not isinstance(return_grad, (tuple, list)):
        return bool(return_grad), (True, True, True)
    if not return_grad or not set(return_grad) <= {"X", "W", "bias"}:
        raise ValueError(f"return_grad must be True, False or a tuple of 'X', 'W', 'bias', got {return_grad!r}")
    if not is_dense:
        raise ValueError(f"return_grad must be True or False for sparse X or W, got {return_grad!r}")
    return True, tuple(name in return_grad for name in ("X", "W", "bias"))


def check_grad_loss(grad_loss, n_samples, reduction, return_grad, has_pairs):
    """`grad_loss` as float64 (n_samples,), or None; any number that a caller's loss may have led to."""
    if grad_loss is None:
        return None
    if reduction != "none" or not return_grad:
        raise ValueError(f"grad_loss needs reduction='none' and return_grad, got reduction={reduction!r}")
    if has_pairs:  # whose gradient of the bias adds logarithms of these numbers
        raise ValueError("grad_loss needs an array W, got a sparse one")
    return as_vector("grad_loss", grad_loss, n_samples, "row of X").astype(np.float64)


def check_sparse_grad(sparse_grad, X, has_pairs, return_grad, out):
    """`sparse_grad` as a bool; raise where there is no such gradient, or for an `out` without a gradient."""
    if out is not None and not return_grad:
        raise ValueError("out needs return_grad=True")
    if not check_bool("sparse_grad", sparse_grad):
        return False
    if not return_grad:
        raise ValueError("sparse_grad needs return_grad=True")
    if not sparse.issparse(X) or has_pairs:
        raise ValueError(
            "sparse_grad needs a scipy.sparse X and an array W: others' gradients have no columns left out"
        )
    if out is not None:
        raise ValueError("sparse_grad makes new arrays, whose size X decides: it cannot go together with out")
    return True


def check_lse(lse):
    """Raise where the log-sum-exp of a row is NaN, as its logits are."""
    bad = np.flatnonzero(np.isnan(lse))
    if bad.size:
        raise ValueError(
            f"the logits of row {bad[0]} are NaN: W or bias holds NaN or infinity, or the product of X and W overflows"
        )


def _first_non_finite(values):
    """The position of the first NaN or infinity in a flat array, or None."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):  # one pass without a temporary array settles nearly every case
            return None
    bad = np.flatnonzero(~np.isfinite(values))
    return int(bad[0]) if bad.size else None
