from typing import Any, Self

from fastsoftmax._types import Anything, Doubles, ItemSequences

__all__ = ["Predictor"]

class Predictor:
    items_: Anything
    mixture: Any
    n_threads: int | None
    def __init__(self, items: Anything, mixture: Any, n_threads: int | None) -> None: ...
    def predict_topk(
        self, histories: ItemSequences, k: int = 20, *, exclude_seen: bool = False, exclude: ItemSequences | None = None
    ) -> tuple[Anything, Doubles]: ...
    def predict(self, histories: ItemSequences) -> Anything: ...
    def prepare(self) -> Self: ...
    def use_threads(self, n_threads: int | None) -> None: ...
