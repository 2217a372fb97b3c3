"""Displays: the numbers that they hold, and what they draw."""

import sys

import matplotlib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression
from fastsoftmax.plots import ExplanationDisplay, LossCurveDisplay, ReliabilityDisplay

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Y = np.resize(np.arange(5), 100)
X = sp.csr_array(np.eye(5, dtype=np.float32)[Y])
MODEL = SoftmaxClassifier(hidden_size=None, early_stopping=True, random_state=0, max_iter=3).fit(X, Y)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_loss_curves():
    display = LossCurveDisplay.from_estimator(MODEL, color="k")
    training, validation = display.lines_
    assert_array_equal(training.get_ydata(), MODEL.loss_curve_)
    assert_array_equal(validation.get_ydata(), MODEL.validation_curve_)
    assert_array_equal(training.get_xdata(), [1, 2, 3])
    assert training.get_color() == validation.get_color() == "k"
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["SoftmaxClassifier, training", "SoftmaxClassifier, validation"]
    assert display.ax_.get_xlabel() == "epoch" and display.figure_ is display.ax_.figure


def test_curves_that_are_given():
    _, ax = plt.subplots()
    display = LossCurveDisplay.from_predictions([3, 2], ax=ax, name="mine")
    assert display.ax_ is ax and len(display.lines_) == 1
    assert ax.get_legend().get_texts()[0].get_text() == "mine, training"
    assert LossCurveDisplay([3, 2]).plot(ax).lines_[0].get_label() == "training"
    for curve in ([], [[1, 2]]):
        with pytest.raises(ValueError, match="loss_curve must have one dimension and at least one epoch"):
            LossCurveDisplay(curve)
    for estimator in (SoftmaxClassifier(), SoftmaxRegression().fit(X, Y)):
        with pytest.raises(TypeError, match="estimator must be fitted and have a loss_curve_, got Softmax"):
            LossCurveDisplay.from_estimator(estimator)


def test_bins_of_equal_width():
    right = [1, 0, 1, 1, 0]
    display = ReliabilityDisplay.from_predictions(right, [1] * 5, [0.1, 0.2, 0.25, 1.0, 0.75], n_bins=4)
    assert_allclose(display.prob_true, [0.5, 1, 0.5])
    assert_allclose(display.prob_pred, [0.15, 0.25, 0.875])
    assert_array_equal(display.counts, [2, 1, 2])
    assert_array_equal(display.bin_edges, [[0, 0.25], [0.25, 0.5], [0.75, 1]])
    assert display.expected_calibration_error == pytest.approx((2 * 0.35 + 0.75 + 2 * 0.375) / 5)
    assert_allclose(display.line_.get_xydata(), np.stack([display.prob_pred, display.prob_true], 1))
    assert [bar.get_height() for bar in display.bars_] == [2, 1, 2]
    assert [bar.get_x() for bar in display.bars_] == [0, 0.25, 0.75]
    assert display.line_.get_label() == "calibration error 0.440"


def test_bins_of_as_many_rows():
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.9, 0.8])
    display = ReliabilityDisplay.from_predictions(np.ones(6, int), np.ones(6, int), p, n_bins=3, strategy="quantile")
    assert_array_equal(display.counts, [2, 2, 2])
    assert_allclose(display.prob_pred, [0.15, 0.35, 0.85])
    display = ReliabilityDisplay.from_predictions([1, 0], [1, 1], [0.5, 0.5], strategy="quantile")
    assert (display.counts, display.prob_true) == ([2], [0.5])


def test_reliability_of_a_model():
    labels, log_proba = MODEL.predict_topk(X, 1)
    y = np.where(np.arange(100) < 30, 9, Y)  # which is no class
    display = ReliabilityDisplay.from_estimator(MODEL, X, y, n_bins=7)
    expected = ReliabilityDisplay.from_predictions(y, labels[:, 0], np.exp(log_proba[:, 0]), n_bins=7)
    for name in ("prob_true", "prob_pred", "counts", "bin_edges"):
        assert_array_equal(getattr(display, name), getattr(expected, name))
    assert display.counts.sum() == 100 and display.line_.get_label().startswith("SoftmaxClassifier, ")
    assert np.average(display.prob_true, weights=display.counts) == np.mean(labels[:, 0] == y)


def test_rows_with_several_labels_are_right_by_any():
    lists, indicator = [[1, 2], [3], [], [4, 0]], sp.csr_array(np.eye(5, dtype=int)[[1, 3, 0, 4]])
    display = ReliabilityDisplay.from_predictions(lists, [2, 0, 0, 4], [0.6] * 4, n_bins=1)
    assert (display.counts, display.prob_true) == ([4], [0.5])
    assert ReliabilityDisplay.from_predictions(indicator, [1, 0, 0, 4], [0.6] * 4, n_bins=1).prob_true == [0.75]
    model = SoftmaxClassifier(random_state=0, max_iter=3).fit(X, [{label, 4} for label in Y.tolist()])
    assert ReliabilityDisplay.from_estimator(model, X, [[label, 7] for label in Y.tolist()]).counts.sum() == 100


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"y_prob": [0.5, 1.5]}, ValueError, "y_prob must hold probabilities from 0 to 1, got 1.5 at position 1"),
        ({"y_prob": [0.5, np.nan]}, ValueError, "y_prob must hold probabilities .*got nan"),
        ({"y_prob": [[0.5, 0.5]]}, ValueError, "y_prob must have one dimension"),
        ({"y_prob": [0.5]}, ValueError, "y_prob must have as many rows as y_true, got 1 and 2"),
        ({"y_pred": [1]}, ValueError, "y_pred must have as many rows as y, got 1 and 2"),
        ({"y_true": []}, ValueError, "y_true must have at least one row"),
        ({"n_bins": 0}, ValueError, "n_bins must be at least 1, got 0"),
        ({"strategy": "kmeans"}, ValueError, "strategy must be one of 'uniform', 'quantile', got 'kmeans'"),
    ],
)
def test_wrong_predictions(given, error, message):
    with pytest.raises(error, match=message):
        ReliabilityDisplay.from_predictions(**{"y_true": [1, 0], "y_pred": [1, 1], "y_prob": [0.5, 0.6]} | given)
    assert not plt.get_fignums()


def test_options_are_looked_at_before_rows_are_predicted():
    with pytest.raises(ValueError, match="n_bins must be at least 1, got -1"):
        ReliabilityDisplay.from_estimator(SoftmaxClassifier(), X, Y, n_bins=-1)


def test_models_without_probabilities():
    with pytest.raises(TypeError, match="estimator must have predict_topk with probabilities"):
        ReliabilityDisplay.from_estimator(OneVsAllClassifier().fit(X, Y), X, Y)


def test_explanations():
    names = ["$a$", "b", "c", "d", "e"]
    (explanation,) = MODEL.explain(X[:1], k=3, feature_names=names)
    display = ExplanationDisplay.from_estimator(MODEL, X[:1], k=3, feature_names=names, height=0.5)
    assert [bar.get_width() for bar in display.bars_] == [*explanation.contributions, 0, explanation.bias]
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == [r"\$a\$", "other features", "bias"]
    assert display.bars_[0].get_height() == 0.5 and display.ax_.yaxis_inverted()
    assert display.ax_.get_title().startswith("0: logit ") and "probability" in display.ax_.get_title()
    display.figure_.canvas.draw()

    _, ax = plt.subplots()
    (explanation,) = OneVsAllClassifier().fit(X, Y).explain(X[:1], 2, 1)
    display = ExplanationDisplay.from_predictions(explanation, ax=ax)
    assert display.ax_ is ax and "probability" not in ax.get_title()
    assert ax.get_yticklabels()[0].get_text() == "feature 0"
    assert ExplanationDisplay(explanation).plot(ax).ax_ is ax


def test_wrong_explanations():
    with pytest.raises(ValueError, match="X must have one row, of which a picture is drawn, got 2"):
        ExplanationDisplay.from_estimator(MODEL, X[:2])
    with pytest.raises(TypeError, match=r"explanation must be one Explanation, an element of what .*got \[Expl"):
        ExplanationDisplay(MODEL.explain(X[:1]))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: LossCurveDisplay.from_estimator(MODEL),
        lambda: ReliabilityDisplay.from_estimator(MODEL, X, Y),
        lambda: ExplanationDisplay.from_estimator(MODEL, X[:1]),
        lambda: LossCurveDisplay([1]).plot(),
    ],
)
def test_without_matplotlib(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'Display needs matplotlib: pip install "fastsoftmax\[plot\]"'):
        draw()
