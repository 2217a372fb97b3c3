from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeAlias, overload

from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin

from fastsoftmax._types import Anything, ItemSequences, SupportsColumns

__all__ = ["SequenceFeatures"]

_Block: TypeAlias = Sequence[Any] | SupportsColumns | Mapping[str, Any]  # lists, arrays, a table or a dict of columns
_Sequences: TypeAlias = _Block | ItemSequences | Iterator[_Block]

class SequenceFeatures(TransformerMixin, BaseEstimator):
    items_: Anything
    side_values_: dict[str, Anything]
    places: int
    decay: float
    even: float
    max_length: int
    min_count: int
    unit_length: bool
    ngrams: int
    half_life: float | None
    length_buckets: bool
    side: str | Sequence[str]
    def __init__(
        self,
        *,
        places: int = 2,
        decay: float = 0.7,
        even: float = 0.5,
        max_length: int = 50,
        min_count: int = 1,
        unit_length: bool = True,
        ngrams: int = 1,
        half_life: float | None = None,
        length_buckets: bool = False,
        side: str | Sequence[str] = (),
    ) -> None: ...
    def check(self) -> Self: ...
    def fit(self, sequences: _Sequences, y: object = None) -> Self: ...
    def partial_fit(self, sequences: _Sequences, y: object = None) -> Self: ...
    def fit_transform(self, sequences: _Block | ItemSequences, y: object = None) -> csr_array: ...
    @overload
    def transform(self, sequences: _Block) -> csr_array: ...
    @overload
    def transform(self, sequences: ItemSequences | Iterator[_Block]) -> Any: ...
    @overload
    def prefixes(
        self, sequences: _Block, *, reverses: bool = False, n_targets: int = 1, target_decay: float = 0.5
    ) -> tuple[csr_array, Any]: ...
    @overload
    def prefixes(
        self,
        sequences: ItemSequences | Iterator[_Block],
        *,
        reverses: bool = False,
        n_targets: int = 1,
        target_decay: float = 0.5,
    ) -> Any: ...
    @property
    def n_features_(self) -> int: ...
    def get_feature_names_out(self, input_features: object = None) -> Anything: ...
    def row(self, items: list[int]) -> tuple[Anything, Anything]: ...
    def rows(self, histories: Any) -> csr_array: ...
