from collections.abc import Sequence
from typing import Any, Literal, Self

from sklearn.base import BaseEstimator

from fastsoftmax._types import Anything, Auto, Doubles, ItemSequences, Path, Random
from fastsoftmax.estimators.next_item_predictor import Predictor

__all__ = ["NextItemModel"]

class NextItemModel(BaseEstimator):
    items_: Anything
    chosen_: dict[str, Any]
    hidden_size: int | Auto
    max_iter: int | Auto
    validation_fraction: float
    random_state: Random
    n_threads: int | None
    verbose: int
    def __init__(
        self,
        hidden_size: int | Auto = "auto",
        max_iter: int | Auto = "auto",
        validation_fraction: float = 0.05,
        random_state: Random = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None: ...
    def fit(self, sequences: ItemSequences, y: object = None) -> Self: ...
    def partial_fit(self, sequences: ItemSequences, y: object = None) -> Self: ...
    def predict_topk(
        self, histories: ItemSequences, k: int = 20, *, exclude_seen: bool = False, exclude: ItemSequences | None = None
    ) -> tuple[Anything, Doubles]: ...
    def predict(self, histories: ItemSequences) -> Anything: ...
    def predictor(self, n_threads: int | None = None) -> Predictor: ...
    def log_proba(self, sequences: ItemSequences) -> Doubles: ...
    def score(self, sequences: ItemSequences, y: object = None) -> float: ...
    def evaluate(
        self,
        sequences: ItemSequences,
        k: int | Sequence[int] = 20,
        *,
        protocol: Literal["every", "last"] = "every",
        exclude_seen: bool = False,
        verbose: int = 0,
    ) -> dict[str, float]: ...
    def save(self, path: Path) -> None: ...
    @classmethod
    def load(cls, path: Path) -> Self: ...
