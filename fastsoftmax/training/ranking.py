"""One-vs-all on hard negatives: the last stage of a training for precision, where rows have several labels.

The softmax says which labels a row may have, and spends its weights on telling them from all others. What is left is to tell
each label's rows from those that the softmax takes for them. A squared hinge for each label does that on its positives and its
hard negatives alone (as in Slice, Jain et al. 2019, doi:10.1145/3289600.3290979, and PECOS, Yu et al. 2022), for the features
that its positives have; or on all rows, where that is little work. Its logits, and a share of the softmax's, add up to a model
of the same terms.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.metrics import inverse_propensities, precision_at_k, psp_at_k
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.newton import all_negatives, hard_negatives
from fastsoftmax.passes.eligible import Eligible
from fastsoftmax.validation import check_row_norms

PENALTIES = (0.25, 1.0)  # of C="auto"
C = 0.5  # where no rows are held out to choose by
# softmax_share="auto"; half or twice as much does as well. With all rows as negatives, the softmax has little to add.
SHARE, SHARE_OF_ALL = 0.05, 0.005
MIN_WEIGHT, MIN_WEIGHT_OF_ALL = 0.05, 0.02  # smaller ones are dropped; twice or half as much costs nothing
N_CANDIDATES = 100  # of n_candidates="auto"
# All rows are negatives up to so many classes, rows, and entries of X times classes.
MAX_CLASSES, MAX_ROWS, MAX_VISITS = 2000, 200_000, 5e9
DEPTHS = (1, 3, 5)  # at which precision is averaged


class Ranked(NamedTuple):
    """What became of a model."""

    model: Model
    C: float
    softmax_share: float


def n_candidates(objective, shape, nnz, n_classes):
    """How many classes take a row for a hard negative; None: each class has all rows that do not have it as negatives.

    shape, nnz : of X
    """
    if objective.n_candidates != "auto":
        return objective.n_candidates
    is_little = n_classes <= MAX_CLASSES and shape[0] <= MAX_ROWS and nnz * n_classes <= MAX_VISITS
    return None if is_little else N_CANDIDATES


def shortlists(runner, targets, n):
    """The `n` most probable classes of each row that it does not have, (n_rows, n) int32, -1 where there are fewer."""
    indptr, class_ids = targets.lists()
    return runner.best(min(n, runner.model.n_classes), Eligible(None, indptr, class_ids))


def rank(objective, model, X, targets, weight, negatives, held_out, *, runner_of, n_threads, show=None):
    """Add a one-vs-all term on hard negatives to the model, and return the Ranked.

    Parameters
    ----------
    objective : one of fastsoftmax.objectives that ranks
    model : Model
    X, targets, weight : the training rows, CSR
    negatives : (n_rows, n) as `shortlists` has them; None: all rows are negatives of the classes that they do not have
    held_out : (X, targets, weight) of rows to choose by, or None
    runner_of : function of (X, model) that makes a runner
    show : as for newton.hard_negatives.solve
    """
    n_classes = model.n_classes
    positives, propensity = targets.indicator(n_classes), None
    if objective.name == "tail":
        propensity = inverse_propensities(positives)
    length = np.sqrt(check_row_norms(X))  # C and the least weight are those of rows of unit length
    penalties = _penalties(objective, held_out)
    share = objective.softmax_share
    if share == "auto":
        share = SHARE_OF_ALL if negatives is None else SHARE
    best, best_score = None, -np.inf
    for penalty in penalties:
        common = {"weight": weight, "positive_weight": _relative(propensity), "n_threads": n_threads, "show": show}
        strength = penalty / length**2
        if negatives is None:
            common |= {"min_weight": MIN_WEIGHT_OF_ALL / length, "intercept": length}
            W, bias = all_negatives.solve(X, positives, strength, **common)
        else:
            W = hard_negatives.solve(X, positives, negatives, strength, min_weight=MIN_WEIGHT / length, **common)
            bias = 0.0  # the same for all classes
        ranked = Ranked(added(model, W, bias, share), penalty, float(share))
        score = 0.0 if len(penalties) == 1 else _score(ranked.model, *held_out, propensity, runner_of)
        if score > best_score:
            best, best_score = ranked, score
    return best


def n_penalties(objective, held_out):
    """How many C's are tried."""
    return len(_penalties(objective, held_out))


def _penalties(objective, held_out):
    if objective.C != "auto":
        return (float(objective.C),)
    return (C,) if held_out is None else PENALTIES


def _relative(propensity):
    return None if propensity is None else propensity / propensity.mean()


def added(model, W, bias, share):
    """The Model of share times the model's logits plus x . W + bias; it has no optimiser's state."""
    if model.pairs is not None:
        W = sparse.csc_array(W + model.sparse_matrix() * model.dtype.type(share))
        W.sort_indices()
    bias = (model.bias * model.dtype.type(share) + bias).astype(model.dtype)
    W, pairs = W.data.astype(model.dtype, copy=False), Pairs.of(W)
    return Model(W=W, bias=bias, pairs=pairs, **model.scaled_low_rank(share))


def _score(model, X, targets, weight, propensity, runner_of):
    """The mean precision at some depths, by propensity where there is one."""
    n_classes = model.n_classes
    found = runner_of(X, model).best(min(max(DEPTHS), n_classes))
    true = targets.indicator(n_classes)
    depths = [k for k in DEPTHS if k <= n_classes]
    if propensity is not None:
        return np.mean([psp_at_k(found, true, k, propensity) for k in depths])
    return np.mean([precision_at_k(found, true, k) for k in depths])
