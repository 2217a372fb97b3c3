"""Slow, obvious float64 NumPy twins of the kernels: the oracle of the tests."""

import numpy as np


def logsumexp(a, axis=None, b=None, keepdims=False):
    """(log |sum b exp(a)|, its sign); elements of zero weight do not exist."""
    a = np.asarray(a, dtype=np.float64)
    b = np.ones_like(a) if b is None else np.asarray(b, dtype=np.float64)
    a, b = np.broadcast_arrays(a, b)
    a = np.where(b == 0, -np.inf, a)
    largest = np.max(a, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = np.sum(b * np.exp(a - shift), axis=axis, keepdims=True, dtype=np.longdouble)
        total = total.astype(np.float64)
        value, sign = np.log(np.abs(total)) + shift, np.sign(total)
    if not keepdims:
        value, sign = np.squeeze(value, axis=axis), np.squeeze(sign, axis=axis)
    return value, sign


def softmax(x, axis=None):
    with np.errstate(invalid="ignore"):
        shifted = np.asarray(x, dtype=np.float64) - np.max(x, axis=axis, keepdims=True)
        exponentials = np.exp(shifted)
        return exponentials / np.sum(exponentials, axis=axis, keepdims=True, dtype=np.longdouble).astype(np.float64)


def log_softmax(x, axis=None):
    """x - max - log1p(sum over all but one maximum)"""
    x = np.asarray(x, dtype=np.float64)
    largest = np.max(x, axis=axis, keepdims=True)
    shifted = x - np.where(np.isfinite(largest), largest, 0)
    ties = np.sum(x == largest, axis=axis, keepdims=True)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        rest = np.sum(np.where(x == largest, 0, np.exp(shifted)), axis=axis, keepdims=True, dtype=np.longdouble)
        log_mass = np.where(np.isfinite(largest), np.log1p(ties - 1 + rest), largest).astype(np.float64)
        return shifted - log_mass


def cross_entropy(logits, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """(loss, dlogits): every kind of target is written as a distribution over the classes, times its weights."""
    logits = np.asarray(logits, dtype=np.float64)
    axis = min(logits.ndim - 1, 1)
    z = np.moveaxis(logits, axis, -1)
    n_classes = z.shape[-1]
    weight = np.ones(n_classes) if weight is None else np.asarray(weight, dtype=np.float64)
    target = np.asarray(target)
    if target.dtype.kind == "f":
        kept = np.ones(z.shape[:-1])
        t = np.moveaxis(target.astype(np.float64), axis, -1)
        total = kept.sum()
    else:
        kept = (target != ignore_index).astype(np.float64)
        classes = np.asarray(np.where(kept, target, 0))
        t = np.zeros(z.shape)
        np.put_along_axis(t, classes[..., None], 1, axis=-1)
        total = (kept * weight[classes]).sum()
    t = (t * (1 - label_smoothing) + label_smoothing / n_classes) * weight * kept[..., None]
    losses = -np.sum(t * log_softmax(z, axis=-1), axis=-1, dtype=np.longdouble).astype(np.float64)
    dz = t.sum(axis=-1, keepdims=True, dtype=np.longdouble).astype(np.float64) * softmax(z, axis=-1) - t
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.float64(1) / total if reduction == "mean" else 1.0
        loss = losses if reduction == "none" else losses.sum() * scale
        dz = np.where(kept[..., None], dz * scale, 0)
    return loss, np.moveaxis(dz, -1, axis)
