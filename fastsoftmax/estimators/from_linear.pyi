from typing import Any, Literal

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.one_vs_all import OneVsAllClassifier

def from_sklearn(
    estimator: Any, *, dtype: Literal["float32", "float64"] | None = None, n_threads: int | None = None
) -> SoftmaxClassifier | OneVsAllClassifier: ...
