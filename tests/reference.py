"""The truth that the tests compare with: slow, obvious float64 NumPy twins of the kernels.

A twin takes what its kernel takes and forms every array whole. It is written to be checked by reading, in the words of the
formulas, so it has neither tiles nor threads nor special cases for speed. Sums whose digits matter are in long double.
"""

import numpy as np
from scipy import sparse


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
    with np.errstate(invalid="ignore", over="ignore"):  # -inf is right where a difference is beyond float64
        shifted = np.asarray(x, dtype=np.float64) - np.max(x, axis=axis, keepdims=True)
        exponentials = np.exp(shifted)
        return exponentials / np.sum(exponentials, axis=axis, keepdims=True, dtype=np.longdouble).astype(np.float64)


def log_softmax(x, axis=None):
    """x - max - log1p(sum over all but one maximum)"""
    x = np.asarray(x, dtype=np.float64)
    largest = np.max(x, axis=axis, keepdims=True)
    with np.errstate(over="ignore"):
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


# -- linear logits --


def _as_float64(X):
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)


def linear_logits(X, W, bias=None):
    return _as_float64(X) @ _as_float64(W).T + (0.0 if bias is None else _as_float64(bias))


def with_additions(logits, begin, end, class_ids, values):
    """`logits` with values[e] added at (i, class_ids[e]) for begin[i] <= e < end[i]."""
    logits = np.array(logits, np.float64)
    for i in range(len(logits)):
        logits[i, class_ids[begin[i] : end[i]]] += values[begin[i] : end[i]]
    return logits


def linear_logsumexp(X, W, bias=None):
    return logsumexp(linear_logits(X, W, bias), axis=1)[0]


def linear_cross_entropy(X, W, target, bias=None, **options):
    """(loss, (dX, dW, dbias)); for the reduction "none" the gradients are those of the sum."""
    loss, dlogits = cross_entropy(linear_logits(X, W, bias), target, **options)
    return loss, _linear_gradients(X, W, dlogits)


def _linear_gradients(X, W, dlogits):
    return dlogits @ _as_float64(W), dlogits.T @ _as_float64(X), dlogits.sum(axis=0)


def eligible_topk(log_proba, k, class_ids=None, exclude=None, threshold=None):
    """(class_ids, log_proba) row by row, padded; `exclude` a dense mask."""
    ids_out, out = np.full((len(log_proba), k), -1), np.full((len(log_proba), k), -np.inf)
    for i, row in enumerate(log_proba):
        left = np.arange(len(row)) if class_ids is None else np.unique(class_ids)
        if exclude is not None:
            left = left[~exclude[i, left]]
        if threshold is not None:
            left = left[row[left] >= np.log(threshold)]
        best = left[np.argsort(-row[left], kind="stable")][:k]
        ids_out[i, : len(best)], out[i, : len(best)] = best, row[best]
    return ids_out, out


def linear_topk(X, W, k, bias=None):
    """(class_ids, log_proba), of equal ones the smaller id first."""
    log_proba = log_softmax(linear_logits(X, W, bias), axis=1)
    class_ids = np.argsort(-log_proba, axis=1, kind="stable")[:, :k]
    return class_ids, np.take_along_axis(log_proba, class_ids, axis=1)


def sampled_cross_entropy(X, W, target, bias=None, **draws):
    """(loss, (dX, dW, dbias)) with gradients of all classes; `draws` as for `sampled_losses`."""
    losses, dlogits = sampled_losses(linear_logits(X, W, bias), target, **draws)
    return losses.mean(), _linear_gradients(X, W, dlogits / len(losses))


def sampled_losses(
    logits,
    target,
    *,
    class_ids,
    log_expected_counts=None,
    target_log_expected_counts=None,
    loss="sampled_softmax",
    remove_accidental_hits=None,
):
    """Losses (n_rows,) and gradients of their sum by all logits: row by row, negatives with a draw a place."""
    masses, target_counts = _masses(target, target_log_expected_counts, logits.shape)
    counts = np.zeros(len(class_ids)) if loss == "negative_sampling" else log_expected_counts
    if loss == "negative_sampling":
        target_counts = np.zeros_like(target_counts)
    removes = loss != "nce" if remove_accidental_hits is None else remove_accidental_hits
    losses, dlogits = np.zeros(len(logits)), np.zeros_like(logits)
    for i in range(len(logits)):
        true = np.flatnonzero(masses[i])
        drawn = ~np.isin(class_ids, true) if removes else np.ones(len(class_ids), bool)
        classes = np.concatenate([true, class_ids[drawn]]).astype(np.int64)
        z = logits[i, classes] - np.concatenate([target_counts[i, true], counts[drawn]])
        is_true = np.arange(len(z)) < len(true)
        mass = np.where(is_true, masses[i, classes], 0.0)
        if loss == "sampled_softmax":
            losses[i], dz = -(mass[is_true] * log_softmax(z)[is_true]).sum(), softmax(z) - mass
        else:
            # a true class has its mass of softplus(-z), a negative softplus(z)
            sign, weight = np.where(is_true, -1.0, 1.0), np.where(is_true, mass, 1.0)
            losses[i] = (weight * np.logaddexp(0.0, sign * z)).sum()
            dz = weight * sign * np.exp(-np.logaddexp(0.0, -sign * z))
        np.add.at(dlogits[i], classes, dz)
    return losses, dlogits


def _masses(target, target_log_expected_counts, shape):
    """Dense masses of the classes, of sum 1 a row, and the log expected counts where they have one."""
    masses, counts = np.zeros(shape), np.zeros(shape)
    if sparse.issparse(target):
        target = sparse.csr_array(target, copy=True)
        target.sum_duplicates()
        places, given = target.tocoo().coords, target.data
    else:
        target = np.asarray(target).reshape(shape[0], -1)
        places = np.repeat(np.arange(shape[0]), target.shape[1]), target.reshape(-1)
        given = np.ones(target.size)
    np.add.at(masses, places, given)
    if target_log_expected_counts is not None:
        counts[places] = np.reshape(target_log_expected_counts, -1)
    return masses / masses.sum(axis=1, keepdims=True), counts


def round_small(p, threshold, row_keys):
    """p, where an element below the threshold becomes the threshold with probability p / threshold, else 0: if a hash of
    its row's key and its class, uniform below 2^31, is below 2^31 p / threshold."""
    low = np.uint64(0xFFFFFFFF)
    x = (np.uint64(0x9E3779B1) * np.arange(p.shape[1], dtype=np.uint64) + row_keys[:, None].astype(np.uint64)) & low
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & low
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & low
    drawn = np.where(2.0**31 * p / threshold > x >> np.uint64(1), threshold, 0.0)
    return np.where(p >= threshold, p, drawn)


def compact(a, storage):
    """`a` (2-D) as storage in few bits has it, in float64: each row rounded to the nearest, ties to even."""
    a, dtype = np.asarray(a, np.float64), a.dtype
    if storage == "int8":
        unit = (np.abs(a).max(axis=1, keepdims=True, initial=0) / 127).astype(dtype).astype(np.float64)
    else:
        digits, least = {"bfloat16": (8, -125), "float16": (11, -13)}[storage]
        unit = np.ldexp(1.0, np.maximum(np.frexp(a)[1], least) - digits)
    return np.where(unit > 0, np.rint(a / np.where(unit > 0, unit, 1)) * unit, 0)


# -- optimiser steps --


def update(rule, w, gradient, state=None, alpha=0.0):
    """(w, state) after a step of optimizers.SGD or Adagrad; a state with one number a row means row-wise Adagrad."""
    gradient = gradient + alpha * w
    if not rule.has_state:
        return w - rule.learning_rate * gradient, None
    if state.ndim < w.ndim:
        state = state + np.mean(gradient**2, axis=1)
        rate = rule.learning_rate / (np.sqrt(state) + rule.epsilon)
        return w - rate[:, None] * gradient, state
    state = state + gradient**2
    return w - rule.learning_rate * gradient / (np.sqrt(state) + rule.epsilon), state


def clip_factors(clip_norm, dlogits, losses, hidden, X, V, is_logistic=False, back=lambda dhidden: dhidden):
    """Factors of each row's dlogits, and then of its gradient by the hidden layer.

    The norm of dlogits is replaced by a bound: sqrt(2) (1 - p_target) of softmax, the loss of logistic losses. `back` turns
    the gradient by the hidden layer into that by x E.
    """
    if clip_norm is None:
        return np.ones(len(X)), np.ones(len(X))
    bound = losses if is_logistic else np.sqrt(2) * (1 - np.exp(-losses))
    rows = np.minimum(1, clip_norm / (bound * np.sqrt(1 + np.sum(hidden**2, axis=1))))
    norms = np.linalg.norm(X, axis=1) * np.linalg.norm(back(dlogits * rows[:, None] @ V), axis=1)
    return rows, np.minimum(1, clip_norm / np.maximum(norms, 1e-300))


def shrink(rule, w, amount, state=None):
    """w after the proximal step of an L1 penalty, whose rate times strength is `amount`."""
    bound = amount / (np.sqrt(state) + rule.epsilon) if rule.has_state else amount
    return np.sign(w) * np.maximum(np.abs(w) - bound, 0)


def unit(a):
    """The rows of `a` with length 1; rows of zeros stay."""
    lengths = np.sqrt(np.sum(a**2, axis=1, keepdims=True))
    return np.where(lengths > 0, a / np.where(lengths > 0, lengths, 1), 0)


def scaled_back(dhidden, h, scale):
    """The gradient by h of a function of scale h / |h|, row by row, by its Jacobian; 0 where h is."""
    out = np.zeros_like(h)
    for i in np.flatnonzero(np.any(h != 0, axis=1)):
        length = np.sqrt(h[i] @ h[i])
        out[i] = scale / length * (np.eye(len(h[i])) - np.outer(h[i], h[i]) / length**2) @ dhidden[i]
    return out


def model_step(arrays, X, target, rule, *, weight=1.0, threshold=0.0, row_keys=None, norm=None, **draws):
    """(loss, arrays) after one step on the mean of weight times loss of a batch.

    Only rows of `E` and columns of `W` whose features occur in X are touched (of dense X all), and with draws only the
    drawn classes and the targets.

    Parameters
    ----------
    arrays : by name, as `model.Model.arrays` gives them
    threshold, row_keys : as for `round_small`
    norm : the scale of a normalised low-rank term, or None
    draws : as for `sampled_losses`; none: full softmax
    """
    arrays = {name: a.astype(np.float64) for name, a in arrays.items()}
    features = np.unique(X.indices) if sparse.issparse(X) else np.arange(X.shape[1])
    X, E = _as_float64(X), arrays.get("E", np.zeros((X.shape[1], 0)))
    n_classes, n_direct = len(arrays["bias"]), X.shape[1] if "W" in arrays else 0
    # both terms are one linear softmax of (x, x E)
    h = X @ E
    hidden = np.hstack([X[:, :n_direct], h if norm is None else norm * unit(h)])

    def back(dhidden):
        return dhidden if norm is None else scaled_back(dhidden, h, norm)

    weights = np.hstack([arrays.get(name, np.zeros((n_classes, 0))) for name in "WV"])
    logits, scale = linear_logits(hidden, weights, arrays["bias"]), np.full(len(X), 1 / len(X)) * weight
    if draws:
        classes = np.union1d(draws["class_ids"], target)
        losses, dlogits = sampled_losses(logits, target, **draws)
    else:
        classes = np.arange(n_classes)
        losses, dlogits = cross_entropy(logits, target, reduction="none")
        if threshold:
            is_target = classes == target[:, None]
            dlogits = np.where(is_target, dlogits, round_small(softmax(logits, axis=1), threshold, row_keys))
    row_clip, hidden_clip = clip_factors(
        rule.clip_norm,
        dlogits,
        losses,
        hidden,
        X,
        weights[:, n_direct:],
        draws.get("loss", "sampled_softmax") != "sampled_softmax",
        back,
    )
    dlogits = dlogits * row_clip[:, None]
    dhidden, dweights, dbias = _linear_gradients(hidden, weights, dlogits * scale[:, None])
    dhidden = back(dhidden[:, n_direct:]) * hidden_clip[:, None]
    dW, dV = dweights[:, :n_direct], dweights[:, n_direct:]
    has_class_alpha = rule.class_alpha is not None and "V" in arrays
    if has_class_alpha:
        np.add.at(dV, target, rule.class_alpha * scale[:, None] * arrays["V"][target])
    gradients = {"W": dW, "V": dV, "bias": dbias, "E": X.T @ dhidden}
    touched = {"W": np.ix_(classes, features), "V": classes, "bias": classes, "E": features}
    for name in [name for name in arrays if not name.startswith("state.")]:
        at, state = touched[name], arrays.get(f"state.{name}")
        alpha = 0.0 if name == "bias" or (name == "V" and has_class_alpha) else rule.alpha
        w, s = update(rule, arrays[name][at], gradients[name][at], None if state is None else state[at], alpha)
        arrays[name][at] = w
        if s is not None:
            state[at] = s
    if norm is not None:
        arrays["V"][classes] = unit(arrays["V"][classes])
    return scale @ losses, arrays


def regression(X, y, weight, alpha, theta, v):
    """sum_i weight_i nll_i + alpha / 2 ||W||^2, its gradient, and its Hessian times v; theta = [W^T; bias]."""
    X, theta, v = (np.asarray(a, np.float64) for a in (X, theta, v))
    X1 = np.hstack([X, np.ones((len(X), 1))])
    penalised = np.vstack([np.ones((len(theta) - 1, 1)), np.zeros((1, 1))])
    logits = X1 @ theta
    lse = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    p = np.exp(logits - lse[:, None])
    value = weight @ (lse - logits[np.arange(len(y)), y]) + alpha / 2 * (penalised * theta**2).sum()
    onehot = np.eye(theta.shape[1])[y]
    gradient = X1.T @ (weight[:, None] * (p - onehot)) + alpha * penalised * theta
    r = X1 @ v
    q = p * (r - (p * r).sum(1, keepdims=True))
    return value, gradient, X1.T @ (weight[:, None] * q) + alpha * penalised * v


# -- one-vs-all problems --


def binary_loss(loss, z, is_positive):
    """Losses of labels 1 (where positive) and -1 at logits z, and their first and second derivatives by z."""
    y = np.where(is_positive, 1.0, -1.0)
    t = y * np.asarray(z, np.float64)
    with np.errstate(over="ignore"):
        if loss == "squared_hinge":
            margin = np.maximum(0, 1 - t)
            return margin**2, -2 * y * margin, np.where(t < 1, 2.0, 0.0)
        p = np.exp(-np.logaddexp(0, t))  # the probability of the other label
        return np.logaddexp(0, -t), -y * p, p * np.exp(-np.logaddexp(0, -t))


def binary_derivatives(loss, z, is_positive, row_weight, positive_weight):
    """(losses (n_problems,), slopes, curvatures), weighted."""
    weight = np.asarray(row_weight, np.float64)[:, None] * np.where(is_positive, positive_weight, 1.0)
    losses, slopes, curvatures = binary_loss(loss, z, is_positive)
    return (weight * losses).sum(axis=0), weight * slopes, weight * curvatures


def one_vs_all(loss, X, is_positive, weight, W):
    """The objectives 1/2 ||w||^2 + sum weight loss of problems with weights W (n_problems, n_features), and gradients.

    weight : (n_rows, n_problems)
    """
    X, W = _as_float64(X), _as_float64(W)
    losses, slopes, _ = binary_loss(loss, X @ W.T, is_positive)
    return (W**2).sum(axis=1) / 2 + (weight * losses).sum(axis=0), W + (weight * slopes).T @ X


def hard_negatives(X, is_positive, is_negative, weight, positive_weight, W):
    """The objectives 1/2 ||w||^2 + sum weight loss over the positives and the negatives of each class, their gradients, and
    the curvatures by each logit; logits are -1 + X W^T."""
    weight = np.asarray(weight, np.float64)[:, None] * np.where(is_positive, positive_weight, is_negative)
    losses, slopes, curvatures = binary_loss("squared_hinge", X @ W.T - 1, is_positive)
    return (W**2).sum(axis=1) / 2 + (weight * losses).sum(axis=0), W + (weight * slopes).T @ X, weight * curvatures


def row_losses(loss, Z, targets, weight=None):
    """(losses, gradient of their sum): of rows with any number of targets, whose masses are dense in `targets`.

    Z : (n_rows, n_classes) logits
    targets : (n_rows, n_classes) masses, 0: no target
    weight : (n_classes,) weights of the binary losses of classes that a row does not have
    """
    Z, M, has = Z.astype(np.float64), targets, targets > 0
    weight = np.ones(Z.shape[1]) if weight is None else weight
    losses, dZ = np.zeros(len(Z)), np.zeros(Z.shape)
    for i, (z, m, t) in enumerate(zip(Z, M, has, strict=True)):
        if loss == "softmax":
            lse = logsumexp(z)[0]
            losses[i] = m @ (lse - z)
            dZ[i] = m.sum() * np.exp(z - lse) - m
        elif loss == "decoupled":
            Z_neg = np.exp(z[~t]).sum()
            losses[i] = m[t] @ np.log1p(Z_neg * np.exp(-z[t]))
            share = Z_neg / (Z_neg + np.exp(z[t]))
            dZ[i, t] = -m[t] * share
            dZ[i, ~t] = np.exp(z[~t]) * (m[t] / (Z_neg + np.exp(z[t]))).sum()
        elif loss == "logistic":
            losses[i] = m[t] @ np.logaddexp(0, -z[t]) + weight[~t] @ np.logaddexp(0, z[~t])
            dZ[i] = np.where(t, -m / (1 + np.exp(z)), weight / (1 + np.exp(-z)))
        else:
            losses[i] = m[t] @ np.maximum(0, 1 - z[t]) ** 2 + weight[~t] @ np.maximum(0, 1 + z[~t]) ** 2
            dZ[i] = np.where(t, -2 * m * np.maximum(0, 1 - z), 2 * weight * np.maximum(0, 1 + z))
    return losses, dZ
