"""Calibration: it scales the terms of a trained model to suit rows that the model was not trained on.

A model with a weight for every (feature, class) pair seen in training explains its training rows by pairs that only they
have. Its logits are overconfident, and the log class frequencies in its bias, learned beside such pairs, are too strong. One
factor for each term, fitted by maximum likelihood on other rows, corrects that: it is temperature scaling (Guo et al. 2017,
arXiv:1706.04599) with a temperature for each term. It also says how terms that had losses of their own are added up.
"""

import numpy as np
from scipy.optimize import minimize

from fastsoftmax.model.model import Model

FRACTION = 0.03  # share of the rows that is held out by default
MIN_ROWS, MAX_ROWS = 30, 2000  # the fewest and the most rows that are held out
ROW_WORK = 3 << 29  # multiply-adds of a pass, which limit the rows further where there is a low-rank term,
MIN_TILED_ROWS = 300  # but not below this number
START = {"bias": 0.2, "prior": 0.2, "W": 0.5, "V": 0.8}  # close to what is found for a sparse and a low-rank term
SMALLEST = 1e-3  # the smallest factor of a term
TOLERANCE = 1e-5  # the search ends at a smaller relative change of the loss


def n_rows(n_samples, n_classes, hidden_size, fraction):
    """The number of rows to hold out; 0 where they would be too few to be of use."""
    most = MAX_ROWS
    if hidden_size:
        most = int(np.clip(ROW_WORK // (n_classes * (hidden_size + 8)), MIN_TILED_ROWS, MAX_ROWS))
    n = min(int(fraction * n_samples), most)
    return n if n >= MIN_ROWS else 0


def calibrate(runner, targets, weight, prior=None):
    """Multiply bias, W and V of the runner's model by the factors that suit its rows best, and return these by name.

    Parameters
    ----------
    runner : model.runner.Runner over the rows
    targets : targets.HardTargets or SoftTargets
    weight : (n_rows,) float64
    prior : (n_classes,) array, or None
        The bias that the sparse term learned with, where it is not the model's. It gets a factor too, and is added to the
        bias.
    """
    model = runner.model
    terms = {name: a for name in ("bias", "W", "V") if (a := getattr(model, name)) is not None}
    if prior is not None:
        terms["prior"] = prior
    if np.count_nonzero(weight) < MIN_ROWS:
        return {}
    names, weight = list(terms), weight / weight.sum()
    excess = {name: weight @ a for name, a in targets.excess(runner).items()}  # one number a term, for soft targets

    def objective(values):
        factors = dict(zip(names, values, strict=True))
        loss, gradient = _loss(runner, terms, factors, targets.codes, weight)
        loss -= sum(factors[name] * a for name, a in excess.items())
        return loss, np.array([gradient[name] - excess.get(name, 0.0) for name in names])

    bounds = [(SMALLEST if name in ("W", "V") else 0.0, None) for name in names]
    start = [START[name] if len(names) > 2 else 1.0 for name in names]
    found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": TOLERANCE})
    if not np.isfinite(found.fun):
        raise FloatingPointError(f"the loss of the rows to calibrate on is {found.fun}")
    factors = dict(zip(names, found.x.tolist(), strict=True))
    for name, a in _scaled(model, terms, factors).parameters().items():
        setattr(model, name, a)  # new arrays, since those of a memory map cannot be written
    return factors


def _scaled(model, terms, factors):
    arrays = {name: model.allocator.scaled(a, factors[name]) for name, a in terms.items()}
    arrays["bias"] = arrays["bias"] + arrays.pop("prior", 0)
    return Model(E=model.E, pairs=model.pairs, **arrays)


def _loss(runner, terms, factors, target, weight):
    """The weighted loss of the model with its terms scaled, and its derivative with respect to each factor."""
    model = _scaled(runner.model, terms, factors)
    common = {"n_threads": runner.n_threads, "working_memory": runner.working_memory}
    scaled = type(runner)(model, runner.X, **common)
    loss, dbias, sums = scaled.term_derivatives(target, weight)
    gradient = {name: value / factors[name] for name, value in sums.items()}  # since the sums are over scaled weights
    for name in terms.keys() - sums.keys():
        gradient[name] = float(dbias.astype(np.float64) @ terms[name])
    return loss, gradient
