from typing import Any

from fastsoftmax._types import Anything, Dense, Excluded, Floats, Matrix

class Predictor:
    classes_: Anything
    n_features_in_: int
    def __init__(
        self, model: Any, n_threads: int | None = None, *, screen: bool = False, exact: bool = True
    ) -> None: ...
    def predict_topk(
        self,
        X: Matrix,
        k: int = 5,
        *,
        classes: Dense | None = None,
        exclude: Excluded | None = None,
        threshold: float | None = None,
    ) -> tuple[Anything, Floats]: ...
    def predict(self, X: Matrix) -> Anything: ...
