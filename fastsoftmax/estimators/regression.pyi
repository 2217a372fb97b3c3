from typing import Any, Literal, Self

from fastsoftmax._types import Anything, ClassWeight, Dense, Floats, Labels, Matrix, Path
from fastsoftmax.estimators.base import SoftmaxEstimator
from fastsoftmax.text.text_vectorizer import TextVectorizer

__all__ = ["SoftmaxRegression"]

class SoftmaxRegression(SoftmaxEstimator):
    classes_: Anything
    n_iter_: Anything
    n_features_in_: int
    feature_names_in_: Anything
    C: float
    tol: float
    max_iter: int
    solver: Literal["auto", "lbfgs", "newton-cg"]
    fit_intercept: bool
    class_weight: ClassWeight
    warm_start: bool
    n_threads: int | None
    verbose: int
    def __init__(
        self,
        C: float = 1.0,
        tol: float = 0.0001,
        max_iter: int = 100,
        solver: Literal["auto", "lbfgs", "newton-cg"] = "auto",
        fit_intercept: bool = True,
        class_weight: ClassWeight = None,
        warm_start: bool = False,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None: ...
    def fit(self, X: Matrix, y: Labels, sample_weight: Dense | None = None) -> Self: ...
    def save(self, path: Path, *, vectorizer: TextVectorizer | None = None) -> None: ...
    @classmethod
    def load(cls, path: Path, *, memory_map: bool = False) -> Self: ...
    @property
    def coef_(self) -> Any: ...
    @property
    def intercept_(self) -> Floats: ...
