from typing import Any, Self

from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin

from fastsoftmax._types import Anything, ItemSequences

__all__ = ["SequenceFeatures"]

class SequenceFeatures(TransformerMixin, BaseEstimator):
    items_: Anything
    places: int
    decay: float
    even: float
    max_length: int
    min_count: int
    unit_length: bool
    def __init__(
        self,
        *,
        places: int = 2,
        decay: float = 0.7,
        even: float = 0.5,
        max_length: int = 50,
        min_count: int = 1,
        unit_length: bool = True,
    ) -> None: ...
    def check(self) -> Self: ...
    def fit(self, sequences: ItemSequences, y: object = None) -> Self: ...
    def partial_fit(self, sequences: ItemSequences, y: object = None) -> Self: ...
    def transform(self, sequences: ItemSequences) -> csr_array: ...
    def prefixes(self, sequences: ItemSequences) -> tuple[csr_array, Anything]: ...
    @property
    def n_features_(self) -> int: ...
    def get_feature_names_out(self, input_features: object = None) -> Anything: ...
    def row(self, items: list[int]) -> tuple[Anything, Anything]: ...
    def rows(self, histories: Any) -> csr_array: ...
