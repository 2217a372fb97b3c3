"""Calibration: it scales the terms of a trained model to suit rows that the model was not trained on.

A model with a weight for every (feature, class) pair seen in training explains its training rows by pairs that only they
have. Its logits are overconfident, and the log class frequencies in its bias, learned beside such pairs, are too strong. One
factor for each term, fitted by maximum likelihood on other rows, corrects that: it is temperature scaling (Guo et al. 2017,
arXiv:1706.04599) with a temperature for each term. It also says how terms that had losses of their own are added up.
"""

import numpy as np
from scipy.optimize import lsq_linear, minimize

from fastsoftmax.model.model import Model
from fastsoftmax.model.term_moments import Chunk
from fastsoftmax.runtime.progress import shown_rows

FRACTION = 0.03  # share of the rows that is held out by default
MIN_ROWS, MAX_ROWS = 30, 2000  # the fewest and the most rows that are held out
ROW_WORK = 3 << 29  # multiply-adds of a pass, which limit the rows further where there is a low-rank term,
MIN_TILED_ROWS = 300  # but not below this number
START = {"bias": 0.2, "prior": 0.2, "W": 0.5, "V": 0.8}  # close to what is found for a sparse and a low-rank term
TIED_START = 5.0  # of logits that go from -1 to 1, about
SMALLEST = 1e-3  # the smallest factor of a term
TOLERANCE = 1e-5  # the search ends at a smaller relative change of the loss
DAMPING = 1e-3  # curvature of the loss that is added in each step
ARMIJO = 1e-4  # share of the expected decrease that a step must bring
MAX_PASSES = 50
NAMES = ("bias", "prior", "W", "V")


def n_rows(n_samples, n_classes, hidden_size, fraction):
    """The number of rows to hold out; 0 where they would be too few to be of use."""
    most = MAX_ROWS
    if hidden_size:
        most = int(np.clip(ROW_WORK // (n_classes * (hidden_size + 8)), MIN_TILED_ROWS, MAX_ROWS))
    n = min(int(fraction * n_samples), most)
    return n if n >= MIN_ROWS else 0


def calibrate(runner, targets, weight, *, tied=False, verbose=0):
    """Multiply bias, W and V of the runner's model by the factors that suit its rows best, and return these by name.

    Where the low-rank term is normalised, V stays as it is, and the factor is one of the model's scale.

    The prior of a model, the bias that its sparse term learned with, gets a factor too, and is added to the bias. Where the
    factors are `tied`, there is one for all: rankings stay as they are.

    Parameters
    ----------
    runner : model.runner.Runner over the rows
    targets : targets.HardTargets or SoftTargets
    weight : (n_rows,) float64
    verbose : whether to show a progress bar
    """
    if np.count_nonzero(weight) < MIN_ROWS:
        return {}
    model, weight = runner.model, weight / weight.sum()
    terms = {name: a for name in NAMES if (a := getattr(model, name)) is not None}
    names = list(terms)
    excess = {name: weight @ a for name, a in targets.excess(runner).items()}  # one number a term, for soft targets
    excess = np.array([excess.get(name, 0.0) for name in names])
    with shown_rows(runner.n_rows, "calibrating", verbose) as show:
        loss_of = _low_rank_loss if model.E is not None else _pairs_loss

        def objective(values):
            loss, *derivatives = loss_of(runner, terms, values, targets.codes, weight, show)
            return loss - excess @ values, derivatives[0] - excess, *derivatives[1:]

        least = np.array([SMALLEST if name in ("W", "V") else 0.0 for name in names])
        start = np.array([START[name] if len(names) > 2 else 1.0 for name in names])
        solve, ranks = _newton if model.E is not None else _lbfgs, model.shard.ranks
        if tied:
            tied_objective = _along(objective, np.ones(len(names)))
            values = _solved(solve, tied_objective, np.array([TIED_START]), least.max(keepdims=True), ranks)
            values = np.repeat(values, len(names))
        else:
            values = _solved(solve, objective, start, least, ranks)
    factors = dict(zip(names, values.tolist(), strict=True))
    scaled = _scaled(model, terms, factors)
    for name, a in scaled.parameters().items():
        setattr(model, name, a)  # new arrays, since those of a memory map cannot be written
    model.scale = scaled.scale
    return factors


def _solved(solve, objective, start, least, ranks):
    """What `solve` finds on rank 0; the others follow it from point to point, since their rounding might differ."""
    if ranks.rank == 0:

        def asked(values):
            return objective(ranks.first(values))

        found = solve(asked, start, least)
        ranks.first(None)
        return ranks.first(found)
    while (values := ranks.first(None)) is not None:
        _check_finite(objective(values)[0])
    return ranks.first(None)


def _along(objective, direction):
    """The objective as a function of one number, which multiplies the direction."""

    def along(number):
        loss, gradient, *hessian = objective(number[0] * direction)
        return loss, np.array([direction @ gradient]), *(np.array([[direction @ h @ direction]]) for h in hessian)

    return along


def _newton(objective, values, least):
    """The values that minimise the convex `objective`, which returns its Hessian too: each pass over the rows is dear.

    Each step goes to the minimum of the quadratic model within the bounds, or part of the way where the loss would rise. A
    little curvature is added, so that factors which hardly matter (of a bias that is nearly the same for all classes) stay.
    """
    loss, gradient, hessian = objective(values)
    for _ in range(MAX_PASSES):
        _check_finite(loss)
        step = _quadratic_step(gradient, hessian + DAMPING * np.eye(len(values)), least - values)
        expected = -gradient @ step
        if expected <= TOLERANCE * max(abs(loss), 1.0):
            return values + step  # the error that is left is of a higher order
        length = 1.0
        while True:
            new = objective(values + length * step)
            if new[0] <= loss - ARMIJO * length * expected or length < 1e-6:
                break
            length /= 4
        values, (loss, gradient, hessian) = values + length * step, new
    return values


def _quadratic_step(gradient, hessian, least):
    """The step, no element below `least`, to the minimum of ``gradient . step + step . hessian . step / 2``."""
    curvatures, directions = np.linalg.eigh(hessian)
    root = np.sqrt(np.maximum(curvatures, DAMPING))
    return lsq_linear(root[:, None] * directions.T, -(directions.T @ gradient) / root, (least, np.inf), tol=1e-12).x


def _lbfgs(objective, values, least):
    found = minimize(
        objective, values, jac=True, bounds=[(a, None) for a in least], method="L-BFGS-B", options={"ftol": TOLERANCE}
    )
    _check_finite(found.fun)
    return found.x


def _check_finite(loss):
    if not np.isfinite(loss):
        raise FloatingPointError(f"the loss of the rows to calibrate on is {loss}")


def _low_rank_loss(runner, terms, values, target, weight, show):
    """The weighted loss of the model with its terms scaled, its gradient with respect to the factors, and its Hessian."""
    loss, gradient, hessian = 0.0, np.zeros(len(terms)), np.zeros((len(terms), len(terms)))
    for rows in runner.chunks():
        losses, gradients, hessians = Chunk(runner, rows, target[rows], list(terms)).loss(values)
        loss += weight[rows] @ losses
        gradient += weight[rows] @ gradients
        hessian += np.tensordot(weight[rows], hessians, 1)
        show(len(rows))
    return loss, gradient, hessian


def _scaled(model, terms, factors):
    arrays = {name: model.allocator.scaled(a, factors[name]) for name, a in terms.items() if name != "V"}
    arrays["bias"] = arrays["bias"] + arrays.pop("prior", 0)
    arrays |= model.scaled_low_rank(factors.get("V", 1.0))
    return Model(pairs=model.pairs, shard=model.shard, features=model.features, **arrays)


def _pairs_loss(runner, terms, values, target, weight, show):
    """The weighted loss of a sparse term alone with its terms scaled, and its gradient with respect to the factors."""
    factors = dict(zip(terms, values, strict=True))
    scaled = _scaled(runner.model, terms, factors)
    common = {"n_threads": runner.n_threads, "working_memory": runner.working_memory}
    loss, dbias, dW = type(runner)(scaled, runner.X, **common).term_derivatives(target, weight)
    show(runner.n_rows)
    return loss, runner.model.shard.add(np.array([dbias.astype(np.float64) @ terms["bias"], dW / factors["W"]]))
