from typing import Any, NamedTuple

from fastsoftmax._types import Doubles, Floats

class Explanation(NamedTuple):
    label: Any
    logit: float
    log_proba: float | None
    bias: float
    features: list[str] | list[int]
    values: Floats
    contributions: Doubles
    rest: float
    def names(self) -> list[str]: ...
