from sklearn.base import BaseEstimator

from fastsoftmax._types import Auto

__all__ = ["Precision", "Recall", "Tail"]

class Recall(BaseEstimator):
    name: str
    ranks: bool
    def check(self) -> None: ...

class Precision(BaseEstimator):
    name: str
    ranks: bool
    C: float | Auto
    n_candidates: int | Auto
    softmax_share: float | Auto
    def __init__(
        self, C: float | Auto = "auto", *, n_candidates: int | Auto = "auto", softmax_share: float | Auto = "auto"
    ) -> None: ...
    def check(self) -> None: ...

class Tail(Precision):
    name: str
