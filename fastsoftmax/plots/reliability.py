"""How often predictions are right, by their probability."""

import numpy as np

from fastsoftmax.metrics.ranking import relevance
from fastsoftmax.plots.axes import axes_of, pyplot
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import (
    check_int,
    check_option,
    check_probabilities,
    check_same_length,
    check_topk,
    check_true_labels,
)

STRATEGIES = ("uniform", "quantile")


class ReliabilityDisplay:
    """The share of right predictions against their mean probability, in bins of the best class's probability.

    Where probabilities can be trusted, the points lie on the diagonal. Bars show how many rows each bin has.

    Parameters
    ----------
    prob_true : (n_bins,) array, the share of the rows of each bin whose prediction is right
    prob_pred : (n_bins,) array, the mean probability of their predictions
    counts : (n_bins,) array of int, the number of rows; bins without rows are left out
    bin_edges : (n_bins, 2) array, where each bin begins and ends
    estimator_name : str, optional

    Attributes
    ----------
    expected_calibration_error : float
        The mean over rows of their bin's ``|prob_true - prob_pred|`` (Guo et al. 2017, arXiv:1706.04599).
    ax_, figure_ : what `plot` has drawn on
    counts_ax_ : the axes of the bars, which share `ax_`'s x
    line_, bars_ : matplotlib line, and container of bars
    """

    def __init__(self, prob_true, prob_pred, counts, bin_edges, *, estimator_name=None):
        self.prob_true, self.prob_pred, self.counts, self.bin_edges = prob_true, prob_pred, counts, bin_edges
        self.estimator_name = estimator_name

    @property
    def expected_calibration_error(self):
        return float(np.average(np.abs(self.prob_true - self.prob_pred), weights=self.counts))

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_bins=10, strategy="uniform", ax=None, name=None, **line_kwargs):
        """Predict rows by a fitted estimator, and draw how often it is right.

        Parameters
        ----------
        estimator : fitted SoftmaxClassifier or SoftmaxRegression
        X : (n_samples, n_features) array or scipy.sparse matrix
        y : labels of the rows, one or several each, as `metrics.hit_at_k` takes them
            Where a row has several, its prediction is right if it is one of them.
        n_bins : int
        strategy : {"uniform", "quantile"}
            Whether bins are equally wide, or have about as many rows each.
        ax : matplotlib axes, optional
        name : str, optional
            By default the name of the estimator's class.
        **line_kwargs : for matplotlib's `plot`

        Returns
        -------
        display : ReliabilityDisplay
        """
        _check_bins(cls, n_bins, strategy)
        if not hasattr(estimator, "predict_topk") or not hasattr(estimator, "predict_log_proba"):
            raise TypeError(
                f"estimator must have predict_topk with probabilities over all classes, got {estimator!r}: "
                "from_predictions takes those of others"
            )
        labels, log_proba = estimator.predict_topk(X, 1)
        predicted = labels[:, 0], np.minimum(np.exp(log_proba[:, 0]), 1)
        options = {"n_bins": n_bins, "strategy": strategy, "ax": ax, **line_kwargs}
        return cls.from_predictions(y, *predicted, name=type(estimator).__name__ if name is None else name, **options)

    @classmethod
    @with_numpys_defaults
    def from_predictions(
        cls, y_true, y_pred, y_prob, *, n_bins=10, strategy="uniform", ax=None, name=None, **line_kwargs
    ):
        """Draw how often predictions are right that are there already.

        Parameters
        ----------
        y_true : as `y` of `from_estimator`
        y_pred : (n_samples,) array, the best label of each row
        y_prob : (n_samples,) array, the probabilities of these labels
        n_bins, strategy, ax, name, **line_kwargs : as for `from_estimator`; by default there is no name

        Returns
        -------
        display : ReliabilityDisplay
        """
        _check_bins(cls, n_bins, strategy)
        y_true, names = check_true_labels("y_true", y_true)
        topk = check_topk("y_pred", np.reshape(y_pred, (-1, 1)), y_true, names, min_columns=1)
        y_prob = check_probabilities("y_prob", y_prob)
        check_same_length("y_prob", y_prob, "y_true", y_true)
        is_right = relevance(topk, y_true)[0][:, 0]
        display = cls(*_binned(is_right, y_prob, n_bins, strategy), estimator_name=name)
        return display.plot(ax, **line_kwargs)

    def plot(self, ax=None, *, name=None, **line_kwargs):
        """Draw the points on the axes `ax`, or on new ones, and the counts behind them; return the display itself."""
        ax = axes_of(self, ax)
        name = self.estimator_name if name is None else name
        error = f"calibration error {self.expected_calibration_error:.3f}"
        self.counts_ax_ = ax.twinx()
        left, right = self.bin_edges.T
        self.bars_ = self.counts_ax_.bar(left, self.counts, right - left, align="edge", color="0.85", edgecolor="white")
        self.counts_ax_.set_ylabel("rows")
        ax.set_zorder(self.counts_ax_.get_zorder() + 1)  # or the bars would hide the points
        ax.patch.set_visible(False)
        ax.plot([0, 1], [0, 1], color="0.4", linestyle=":", label="perfectly calibrated")
        label = error if name is None else f"{name}, {error}"
        (self.line_,) = ax.plot(self.prob_pred, self.prob_true, **{"marker": "s", "label": label} | line_kwargs)
        ax.set(xlabel="mean probability of the best class", ylabel="share of right predictions")
        ax.set(xlim=(0, 1), ylim=(0, 1.05))
        ax.legend(loc="upper left")
        return self


def _check_bins(display, n_bins, strategy):
    """Raise where something is missing or wrong that is known before rows are predicted."""
    pyplot(display.__name__)
    check_int("n_bins", n_bins, minimum=1)
    check_option("strategy", strategy, STRATEGIES)


def _binned(is_right, y_prob, n_bins, strategy):
    """prob_true, prob_pred, counts and bin_edges of the bins that have rows.

    scikit-learn's `calibration_curve` returns neither counts nor edges.
    """
    edges = np.linspace(0, 1, n_bins + 1)
    if strategy == "quantile":
        edges = np.unique(np.quantile(y_prob, edges))  # of equal ones, which are of bins without rows, one is enough
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
    bins = np.searchsorted(edges[1:-1], y_prob, side="right")
    counts = np.bincount(bins, minlength=len(edges) - 1)
    used = np.flatnonzero(counts)
    sums = (np.bincount(bins, weights=a, minlength=len(counts))[used] for a in (is_right, y_prob))
    prob_true, prob_pred = (a / counts[used] for a in sums)
    return prob_true, prob_pred, counts[used], np.stack([edges[:-1], edges[1:]], axis=1)[used]
