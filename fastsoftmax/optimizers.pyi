from typing import Any

from sklearn.base import BaseEstimator

from fastsoftmax._types import Auto

__all__ = ["SGD", "Adagrad"]

class _Optimizer(BaseEstimator):
    alpha: float | Auto
    class_alpha: float | Auto | None
    l1_alpha: float
    clip_norm: float | None
    def __init__(
        self,
        *,
        alpha: float | Auto = "auto",
        class_alpha: float | Auto | None = "auto",
        l1_alpha: float = 0.0,
        clip_norm: float | None = None,
    ) -> None: ...
    def check(self) -> None: ...
    def rule(self, learning_rate: float, alpha: float = 0.0, class_alpha: float | None = None) -> Any: ...

class SGD(_Optimizer):
    kind: str
    has_state: bool
    def damped_rule(self, learning_rate: float, damping: float) -> Any: ...

class Adagrad(_Optimizer):
    kind: str
    has_state: bool
    epsilon: float
    def __init__(
        self,
        *,
        alpha: float | Auto = "auto",
        class_alpha: float | Auto | None = "auto",
        l1_alpha: float = 0.0,
        clip_norm: float | None = None,
        epsilon: float = 1e-10,
    ) -> None: ...
    def check(self) -> None: ...
    def damped_rule(self, learning_rate: float, damping: float) -> Any: ...
