"""What the features of a row add to the logit of a label."""

import math

from fastsoftmax.estimators.explanation import Explanation
from fastsoftmax.plots.axes import axes_of, pyplot
from fastsoftmax.validation import check_explanation, check_one_row


class ExplanationDisplay:
    """A bar for each feature of an explanation, largest contribution first, one for all others, and one for the bias.

    Parameters
    ----------
    explanation : Explanation, an element of what `explain` returns

    Attributes
    ----------
    ax_, figure_ : what `plot` has drawn on
    bars_ : matplotlib container of bars, from top to bottom
    """

    def __init__(self, explanation):
        self.explanation = check_explanation(explanation, Explanation)

    @classmethod
    def from_estimator(cls, estimator, X, labels=None, k=10, *, feature_names=None, ax=None, **bar_kwargs):
        """Explain one row by a fitted estimator, and draw it.

        Parameters
        ----------
        estimator : fitted SoftmaxClassifier, SoftmaxRegression or OneVsAllClassifier
        X : (1, n_features) array or scipy.sparse matrix
        labels, k, feature_names : as for the estimator's `explain`
        ax : matplotlib axes, optional
        **bar_kwargs : for matplotlib's `barh`

        Returns
        -------
        display : ExplanationDisplay
        """
        pyplot(cls.__name__)
        check_one_row(X)
        (explanation,) = estimator.explain(X, labels, k, feature_names=feature_names)
        return cls(explanation).plot(ax, **bar_kwargs)

    @classmethod
    def from_predictions(cls, explanation, *, ax=None, **bar_kwargs):
        """Draw an Explanation that is there already; the other arguments and the result are those of `from_estimator`."""
        pyplot(cls.__name__)
        return cls(explanation).plot(ax, **bar_kwargs)

    def plot(self, ax=None, **bar_kwargs):
        """Draw the bars on the axes `ax`, or on new ones; return the display itself."""
        ax, explained = axes_of(self, ax), self.explanation
        names = [name if isinstance(name, str) else f"feature {name}" for name in explained.features]
        names = [name.replace("$", r"\$") for name in names]  # or matplotlib would read formulas
        names += ["other features", "bias"]
        sizes = [*explained.contributions.tolist(), explained.rest, explained.bias]
        colors = ["C0" if size >= 0 else "C3" for size in sizes[:-2]] + ["0.6", "0.6"]
        places = range(len(sizes))  # numbers, since features may have the same name
        self.bars_ = ax.barh(places, sizes, **{"color": colors} | bar_kwargs)
        ax.set_yticks(places, names)
        ax.invert_yaxis()
        ax.axvline(0, color="0.3", linewidth=0.8)
        title = f"{explained.label}: logit {explained.logit:.3g}"
        if explained.log_proba is not None:
            title += f", probability {math.exp(explained.log_proba):.3g}"
        ax.set(xlabel="contribution to the logit")
        ax.set_title(title, parse_math=False)
        return self
