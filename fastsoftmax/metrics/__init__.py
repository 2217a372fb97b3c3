"""Measures of predictions: rankings, propensity-scored ones, what they have of the catalogue, decisions at a threshold,
log-loss, also as a scorer of scikit-learn, and a model as a whole; and the protocols by which sequences of items become rows.

True labels come one a row, in a 1-D array, or several a row. Several are a list (or set) of labels for each row, or an
indicator of shape (n_samples, n_classes): a sparse matrix, or an array of zeros and ones, whose nonzeros are the labels and
whose column indices name them. A label counts once, however often a row has it. A ranking holds the predicted labels of each
row, best first and distinct; -1 is padding and never a hit. With one label a row, every ranking metric at 1 is the accuracy.
May import: `sequences`, `validation`, `runtime`.
"""

from fastsoftmax.metrics.catalogue import coverage_at_k, popularity_at_k, popularity_bias_at_k
from fastsoftmax.metrics.evaluation import compare, evaluate
from fastsoftmax.metrics.likelihood import log_loss, perplexity
from fastsoftmax.metrics.next_item import evaluate_next_items
from fastsoftmax.metrics.propensity import inverse_propensities, psndcg_at_k, psp_at_k
from fastsoftmax.metrics.protocols import every_prefix, leave_one_out
from fastsoftmax.metrics.ranking import hit_at_k, mrr_at_k, ndcg_at_k, precision_at_k, recall_at_k
from fastsoftmax.metrics.scorer import NegLogLoss
from fastsoftmax.metrics.threshold import f1_at_threshold, precision_at_threshold, recall_at_threshold

__all__ = [
    "NegLogLoss",
    "compare",
    "coverage_at_k",
    "evaluate",
    "evaluate_next_items",
    "every_prefix",
    "f1_at_threshold",
    "hit_at_k",
    "inverse_propensities",
    "leave_one_out",
    "log_loss",
    "mrr_at_k",
    "ndcg_at_k",
    "perplexity",
    "popularity_at_k",
    "popularity_bias_at_k",
    "precision_at_k",
    "precision_at_threshold",
    "psndcg_at_k",
    "psp_at_k",
    "recall_at_k",
    "recall_at_threshold",
]


def __dir__():
    return sorted(__all__)  # what tab completion shows
