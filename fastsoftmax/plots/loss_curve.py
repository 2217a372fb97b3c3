"""The loss of a training, epoch by epoch."""

import numpy as np

from fastsoftmax.plots.axes import axes_of, pyplot
from fastsoftmax.validation import check_loss_curve


class LossCurveDisplay:
    """The mean loss of the training rows after each epoch and, with early stopping, that of the rows held out.

    Parameters
    ----------
    loss_curve, validation_curve : (n_epochs,) arrays; no validation curve is drawn where it is empty
    estimator_name : str, optional

    Attributes
    ----------
    ax_, figure_ : what `plot` has drawn on
    lines_ : list of one or two matplotlib lines
    """

    def __init__(self, loss_curve, validation_curve=(), *, estimator_name=None):
        self.loss_curve = check_loss_curve("loss_curve", loss_curve)
        self.validation_curve = check_loss_curve("validation_curve", validation_curve, may_be_empty=True)
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **line_kwargs):
        """Draw the `loss_curve_` and the `validation_curve_` of a fitted SoftmaxClassifier, or of another that has them.

        Parameters
        ----------
        estimator : fitted estimator
        ax : matplotlib axes, optional
        name : str, optional
            By default the name of the estimator's class.
        **line_kwargs : for matplotlib's `plot`

        Returns
        -------
        display : LossCurveDisplay
        """
        pyplot(cls.__name__)
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(f"estimator must be fitted and have a loss_curve_, got {estimator!r}")
        curves = estimator.loss_curve_, getattr(estimator, "validation_curve_", ())
        display = cls(*curves, estimator_name=type(estimator).__name__)
        return display.plot(ax, name=name, **line_kwargs)

    @classmethod
    def from_predictions(cls, loss_curve, validation_curve=(), *, ax=None, name=None, **line_kwargs):
        """Draw curves that are given; the other arguments and the result are those of `from_estimator`."""
        pyplot(cls.__name__)
        return cls(loss_curve, validation_curve).plot(ax, name=name, **line_kwargs)

    def plot(self, ax=None, *, name=None, **line_kwargs):
        """Draw both curves on the axes `ax`, or on new ones; return the display itself."""
        ax = axes_of(self, ax)
        from matplotlib.ticker import MaxNLocator

        name = self.estimator_name if name is None else name
        self.lines_ = []
        for what, curve in (("training", self.loss_curve), ("validation", self.validation_curve)):
            if len(curve):
                label = what if name is None else f"{name}, {what}"
                epochs = np.arange(1, len(curve) + 1)
                self.lines_ += ax.plot(epochs, curve, **{"marker": ".", "label": label} | line_kwargs)
        ax.set(xlabel="epoch", ylabel="mean loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()
        return self
