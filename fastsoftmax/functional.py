"""Softmax functions of dense arrays, of float32 or float64, over any axis and any number of classes."""

import math

import numpy as np

from fastsoftmax.kernels import logsumexp as logsumexp_kernel
from fastsoftmax.kernels import softmax as softmax_kernel
from fastsoftmax.runtime import threads
from fastsoftmax.validation import (
    as_array,
    as_class_probabilities,
    as_class_targets,
    as_known,
    as_logits,
    as_real_array,
    as_weights_like,
    check_axes,
    check_class_weight,
    check_int,
    check_n_threads,
    check_option,
    check_out,
    check_real,
    ratios_at,
    result_like,
)

__all__ = ["cross_entropy", "log_softmax", "logsumexp", "softmax"]


def _order(x, axes, *, last=False):
    """An order of dimensions in which `axes` are adjacent (and last); None: as they are. A C-contiguous order is preferred."""
    adjacent = not axes or axes[-1] - axes[0] == len(axes) - 1
    if adjacent and x.flags.c_contiguous and not (last and axes[-1] != x.ndim - 1):
        return None
    if adjacent and x.flags.f_contiguous and not last:
        return tuple(range(x.ndim))[::-1]
    return tuple(i for i in range(x.ndim) if i not in axes) + axes


def _lines(x, axes, order):
    """x as the kernels take it, (n_outer, n, n_inner); a copy if it is not contiguous in this order of dimensions."""
    if order is not None:
        x = np.ascontiguousarray(x.transpose(order))
        axes = sorted(order.index(a) for a in axes)
    shape = x.shape
    if axes == (1,) and len(shape) == 2:  # nearly every call
        return x.reshape(*shape, 1)
    first, end = (axes[0], axes[-1] + 1) if axes else (x.ndim, x.ndim)
    lines_shape = math.prod(shape[:first]), math.prod(shape[first:end]), math.prod(shape[end:])
    return x.reshape(lines_shape)


def _unlines(lines, shape, order):
    """The inverse of `_lines`: an array of this shape."""
    if order is None:
        return lines.reshape(shape)
    return lines.reshape([shape[i] for i in order]).transpose(np.argsort(order))


def _in_kind(function, name, x, make, out, *args, **options):
    """function(x, ...) for an `x` of another library, whose arrays `make` makes of those of NumPy; `out` is one of them."""
    if out is not None:
        options["out"] = as_known("out", out)
    result = function(as_known(name, x), *args, **options)
    made = [make(np.asarray(a)) for a in (result if isinstance(result, tuple) else (result,))]
    if out is not None:
        made[0] = out
    return tuple(made) if isinstance(result, tuple) else made[0]


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, *, out=None, n_threads=None):
    """Log of the sum of exponentials, ``log(sum(b * exp(a)))``, in one pass over `a`.

    Parameters
    ----------
    a : array_like of real numbers
        float32 and float64 are used as they are, float16 becomes float32, integers and bools become float64. The result of an
        array of another library, such as a torch tensor, is one of that library: docs/inputs.md.
    axis : None, int or tuple of ints, default=None
        The axes to sum over; None is all of `a`.
    b : array_like of real numbers, optional
        Weights of the exponentials; `a` and `b` are broadcast against each other. An element of weight zero adds nothing,
        even if it is infinite or NaN. Weights may be negative.
    keepdims : bool, default=False
        Keep the summed axes, with length 1.
    return_sign : bool, default=False
        Return the log of the sum's absolute value, and its sign. Without it, a negative sum gives NaN.
    out : ndarray, optional
        A writable array of the shape and dtype of the result, which is written to it. It is returned.
    n_threads : int or None, default=None
        Number of threads, -1 for every CPU of this process; None is OpenMP's default. The result does not depend on it.

    Returns
    -------
    result : ndarray or scalar, float32 or float64
        -inf for a sum over nothing.
    sign : ndarray or scalar of the same dtype, if `return_sign`
        1, 0 or -1; NaN where the result is.

    Raises
    ------
    TypeError
        If the input is complex or not numeric.
    ValueError
        If `axis` is out of range, `b` does not broadcast, or `out` has another shape or dtype.

    Notes
    -----
    The semantics are those of `scipy.special.logsumexp` for real input. Blocks are shifted by the running maximum
    [1]_; the elements equal to the maximum are summed apart from the rest, so that small values keep their digits [2]_.

    References
    ----------
    .. [1] M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867.
    .. [2] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
       IMA J. Numer. Anal. 41(4), 2021, doi:10.1093/imanum/draa038.

    Examples
    --------
    >>> from fastsoftmax.functional import logsumexp
    >>> float(logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    if b is None and out is None and keepdims is False and return_sign is False:  # nearly every call
        values = logsumexp_kernel.small_logsumexp(a, axis, n_threads)
        if values is not None:
            return values
    if type(a) is not np.ndarray and (make := result_like(a)) is not None:
        return _in_kind(logsumexp, "a", a, make, out, axis, b, keepdims, return_sign, n_threads=n_threads)
    n_threads = threads.resolve(check_n_threads(n_threads))
    a = as_real_array("a", a)
    if b is not None:
        a, b = as_weights_like("b", b, a)
    if a.ndim == 0:
        a, b = a.reshape(1), None if b is None else b.reshape(1)
    axes = check_axes(axis, a.ndim)
    kept_shape = tuple([n for i, n in enumerate(a.shape) if i not in axes])
    full_shape = tuple([1 if i in axes else n for i, n in enumerate(a.shape)])
    shape = full_shape if keepdims else kept_shape
    if out is not None:
        check_out(out, shape, a.dtype)

    order = _order(a, axes, last=b is not None)
    values = np.empty(math.prod(kept_shape), a.dtype)
    signs = np.empty_like(values) if return_sign else None
    if a.size:
        weights = None if b is None else _weight_rows(b, axes, order)
        logsumexp_kernel.logsumexp(_lines(a, axes, order), weights, values, signs, n_threads)
    else:
        values.fill(-np.inf)
        if return_sign:
            signs.fill(0)

    values = _unlines(values, full_shape, order).reshape(shape)[()]
    if out is not None:
        out[...] = values
        values = out
    if return_sign:
        return values, _unlines(signs, full_shape, order).reshape(shape)[()]
    return values


def _weight_rows(b, axes, order):
    """Weights as (n_outer, n), or as (1, n) if every line has the same."""
    if not any(stride for i, stride in enumerate(b.strides) if i not in axes):
        b = b[tuple([slice(None) if i in axes else slice(1) for i in range(b.ndim)])]
    return _lines(np.ascontiguousarray(b) if order is None else b, axes, order)[:, :, 0]


def _normalized(x, axis, out, n_threads, log):
    y = softmax_kernel.small_softmax(x, axis, out, n_threads, log)
    if y is not None:
        return y
    if type(x) is not np.ndarray and (make := result_like(x)) is not None:
        return _in_kind(log_softmax if log else softmax, "x", x, make, out, axis, n_threads=n_threads)
    n_threads = threads.resolve(check_n_threads(n_threads))
    x = as_real_array("x", x)
    shape = x.shape
    if out is not None:
        check_out(out, shape, x.dtype)
    axes = check_axes(axis, max(x.ndim, 1))
    if not x.size:
        return np.empty_like(x) if out is None else out
    order = _order(x, axes) if shape else None
    lines = _lines(x if shape else x.reshape(1), axes, order)
    in_place = out is not None and order is None and out.flags.carray
    in_place = in_place and (out is x or not np.may_share_memory(out, x))
    lines_out = np.asarray(out).reshape(lines.shape) if in_place else np.empty_like(lines)
    softmax_kernel.softmax(lines, lines_out, log, n_threads)
    if in_place:
        return out
    y = _unlines(lines_out, shape, order)
    if out is None:
        return y[()]
    out[...] = y
    return out


def softmax(x, axis=None, *, out=None, n_threads=None):
    """Softmax, ``exp(x) / sum(exp(x))``.

    Parameters
    ----------
    x : array_like of real numbers
        float32 and float64 are used as they are, float16 becomes float32, integers and bools become float64. The result of an
        array of another library, such as a torch tensor, is one of that library: docs/inputs.md.
    axis : None, int or tuple of ints, default=None
        The axes to sum over; None is all of `x`.
    out : ndarray, optional
        A writable array of the shape and dtype of the result, which is written to it; it may be `x`. It is returned.
    n_threads : int or None, default=None
        Number of threads, -1 for every CPU of this process; None is OpenMP's default. The result does not depend on it.

    Returns
    -------
    y : ndarray or scalar, float32 or float64
        Of the shape of `x`. It is NaN where the sum is over a NaN or +inf, or only over -inf.

    Raises
    ------
    TypeError
        If the input is complex or not numeric.
    ValueError
        If `axis` is out of range, or `out` has another shape or dtype.

    See Also
    --------
    scipy.special.softmax : the same semantics, except that SciPy raises for a sum over nothing.

    Notes
    -----
    The error of the exponential is at most 1.2 ULP over its whole range. Results that would be subnormal are 0, and so are
    some that are larger by a factor of up to the square root of 2 (1.7e-38 in float32, 3.2e-308 in float64): on x86,
    arithmetic that makes subnormal numbers takes 50 times as long.

    Examples
    --------
    >>> from fastsoftmax.functional import softmax
    >>> softmax([[0.0, 0.0], [1000.0, -1000.0]], axis=1)
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return _normalized(x, axis, out, n_threads, False)


def log_softmax(x, axis=None, *, out=None, n_threads=None):
    """Logarithm of the softmax, ``x - log(sum(exp(x)))``, to full precision even at the maximum.

    Parameters
    ----------
    x, axis, out, n_threads
        As in `softmax`.

    Returns
    -------
    y : ndarray or scalar, float32 or float64
        Of the shape of `x`. Where the sum is over a +inf, its own result is NaN and all others are -inf; where it is over a
        NaN, or only over -inf, all are NaN.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.

    Notes
    -----
    The log of the sum is ``max + log1p(sum over all but the maximum)``, so the result at the maximum does not round
    to 0 when one element holds nearly all of the mass (https://github.com/scipy/scipy/issues/19521).

    Examples
    --------
    >>> from fastsoftmax.functional import log_softmax
    >>> log_softmax([1000.0, 900.0])
    array([-3.72007598e-44, -1.00000000e+02])
    """
    return _normalized(x, axis, out, n_threads, True)


def cross_entropy(
    logits,
    target,
    *,
    weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
    return_grad=False,
    n_threads=None,
):
    """Cross-entropy between the softmax of logits and target classes or distributions.

    Parameters
    ----------
    logits : array_like of real numbers, (C,), (N, C) or (N, C, d1, ...)
        Unnormalised log-probabilities of C classes.
    target : array_like of ints, () or (N,) or (N, d1, ...); or of floats, the shape of `logits`
        Class codes from 0 to C - 1, or the probabilities of the classes.
    weight : array_like of real numbers, (C,), optional
        Weights of the classes; 1 if not given.
    ignore_index : int, default=-100
        Positions with this class code are left out. It does not apply to probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        "mean" is the sum divided by the sum of the weights of the target classes or, with probabilities, by the number of
        positions. It is NaN if that is zero.
    label_smoothing : float in [0, 1], default=0
        The share of each target that is spread evenly over the classes.
    return_grad : bool, default=False
        Also return the gradient with respect to `logits`; with reduction "none" it is that of the sum.
    n_threads : int or None, default=None
        Number of threads, -1 for every CPU of this process; None is OpenMP's default. The result does not depend on it.

    Returns
    -------
    loss : scalar, or ndarray of the shape of class codes with reduction "none"; float32 or float64 as `logits`
    dlogits : ndarray of the shape and dtype of `logits`, if `return_grad`

    Raises
    ------
    TypeError
        If class codes are bools or floats, or the input is not real.
    ValueError
        If shapes do not fit, or a class code is out of range (the message has its position).

    Notes
    -----
    The semantics are those of `torch.nn.functional.cross_entropy`. The gradient at the target is ``expm1(-loss)``
    rather than ``softmax - 1``, so that it keeps its digits for well-classified positions.

    Examples
    --------
    >>> from fastsoftmax.functional import cross_entropy
    >>> round(float(cross_entropy([[0.0, 0.0], [5.0, 0.0]], [1, 0])), 6)
    0.349931
    """
    plain = weight is None and type(ignore_index) is int and type(label_smoothing) is float and type(reduction) is str
    plain = plain and type(return_grad) is bool
    if plain and ignore_index == -100 and label_smoothing == 0.0 and reduction in ("mean", "sum"):  # nearly every call
        small = softmax_kernel.small_cross_entropy(logits, target, reduction == "mean", return_grad, n_threads)
        if small is not None:
            loss = logits.dtype.type(small[0])
            return (loss, small[1]) if return_grad else loss
    if type(logits) is not np.ndarray and (make := result_like(logits)) is not None:
        options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction, "n_threads": n_threads}
        options |= {"label_smoothing": label_smoothing, "return_grad": return_grad}
        return _in_kind(cross_entropy, "logits", logits, make, None, target, **options)
    n_threads = threads.resolve(check_n_threads(n_threads))
    logits = as_logits(logits)
    axis = min(logits.ndim - 1, 1)
    n_classes = logits.shape[axis]
    weight = check_class_weight(weight, n_classes)
    check_option("reduction", reduction, ("mean", "sum", "none"))
    label_smoothing = check_real("label_smoothing", label_smoothing, minimum=0, maximum=1)
    positions = logits.shape[:axis] + logits.shape[axis + 1 :]
    ignore_index = check_int("ignore_index", ignore_index)
    if (probabilities := as_array("target", target)).dtype.kind == "f":
        classes = None
        probabilities = as_class_probabilities(probabilities, logits, ignore_index)
        soft = _soft_targets(probabilities, axis, weight, label_smoothing)
        total = math.prod(positions)
    else:
        classes, n_used = as_class_targets(target, positions, n_classes, ignore_index)
        soft = None
        if weight is not None and reduction == "mean":  # only ratios matter
            weight = ratios_at(weight, classes[classes >= 0])
        if label_smoothing:
            soft = np.full((1, n_classes), label_smoothing / n_classes, logits.dtype)
            soft *= 1 if weight is None else weight
        total = n_used if weight is None else weight[classes[classes >= 0]].sum()

    order = _order(logits, (axis,), last=soft is not None)
    if order is not None:  # the lines in the order of the targets
        order = (*(i for i in range(logits.ndim) if i != axis), axis)
    lines = _lines(logits, (axis,), order)
    losses = np.zeros(logits.size // n_classes)
    scale = 1.0 if reduction != "mean" else 1 / total if total else math.nan
    dlines = np.empty(lines.shape, lines.dtype) if return_grad else None
    loss_sum = 0.0
    if lines.size:
        soft_mass = None if soft is None else soft.sum(axis=1, dtype=np.float64)
        loss_sum = softmax_kernel.cross_entropy(
            lines, classes, weight, 1 - label_smoothing, soft, soft_mass, scale, losses, dlines, n_threads
        )
    if reduction == "none":
        loss = losses.astype(logits.dtype, copy=False).reshape(positions)[()]
    else:
        loss = logits.dtype.type(loss_sum * scale)
    return (loss, _unlines(dlines, logits.shape, order)) if return_grad else loss


def _soft_targets(target, axis, weight, label_smoothing):
    """Smoothed and weighted class probabilities, (n_positions, n_classes)."""
    n_classes = target.shape[axis]
    rows = np.ascontiguousarray(np.moveaxis(target, axis, -1)).reshape(-1, n_classes)
    if label_smoothing:
        rows = rows * (1 - label_smoothing) + label_smoothing / n_classes
    return rows if weight is None else rows * weight.astype(rows.dtype)
