from sklearn.base import BaseEstimator

from fastsoftmax._types import Path

class EarlyStopping(BaseEstimator):
    validation_fraction: float
    n_iter_no_change: int
    def __init__(self, *, validation_fraction: float = 0.1, n_iter_no_change: int = 1) -> None: ...
    def check(self) -> None: ...

class Checkpoint(BaseEstimator):
    path: Path
    every: float
    def __init__(self, path: Path, *, every: float = 600) -> None: ...
    def check(self) -> None: ...
