from typing import Any, Literal, Self

from fastsoftmax._types import Anything, Auto, ClassWeight, Dense, Excluded, Floats, Labels, Matrix
from fastsoftmax.estimators.model_estimator import ModelEstimator

__all__ = ["OneVsAllClassifier"]

class OneVsAllClassifier(ModelEstimator):
    classes_: Anything
    n_iter_: int
    n_features_in_: int
    feature_names_in_: Anything
    loss: Literal["squared_hinge", "logistic"]
    C: float
    tol: float
    max_iter: int
    fit_intercept: bool
    intercept_scaling: float
    feature_scaling: float | Auto
    class_weight: ClassWeight
    min_weight: float
    n_threads: int | None
    verbose: int
    def __init__(
        self,
        loss: Literal["squared_hinge", "logistic"] = "squared_hinge",
        C: float = 1.0,
        *,
        tol: float = 0.01,
        max_iter: int = 100,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        feature_scaling: float | Auto = "auto",
        class_weight: ClassWeight = None,
        min_weight: float = 0.0,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None: ...
    def fit(self, X: Matrix, y: Labels, sample_weight: Dense | None = None) -> Self: ...
    def predict_topk(
        self,
        X: Matrix,
        k: int = 5,
        *,
        classes: Dense | None = None,
        exclude: Excluded | None = None,
        threshold: float | None = None,
    ) -> tuple[Anything, Floats]: ...
    def predict_marginals(self, X: Matrix) -> Floats: ...
    def decision_function(self, X: Matrix) -> Floats: ...
    @property
    def coef_(self) -> Any: ...
    @property
    def intercept_(self) -> Floats: ...
