from sklearn.base import BaseEstimator

from fastsoftmax._types import Auto

__all__ = ["LowRank", "SparseTerm"]

class SparseTerm(BaseEstimator):
    learning_rate: float | Auto
    min_count: int
    max_classes_per_feature: int | None
    def __init__(
        self, *, learning_rate: float | Auto = "auto", min_count: int = 1, max_classes_per_feature: int | None = 1000
    ) -> None: ...
    @property
    def learns(self) -> bool: ...
    def check(self) -> None: ...

class LowRank(BaseEstimator):
    size: int | Auto
    n_features: int | None
    freeze: bool
    divide: bool | Auto
    normalize: bool | float
    def __init__(
        self,
        size: int | Auto = 128,
        *,
        n_features: int | None = None,
        freeze: bool = False,
        divide: bool | Auto = "auto",
        normalize: bool | float = False,
    ) -> None: ...
    @property
    def scale(self) -> float | None: ...
    def check(self) -> None: ...
