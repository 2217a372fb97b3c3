from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self

from scipy.sparse import csr_matrix
from sklearn.base import TransformerMixin

from fastsoftmax._types import Anything
from fastsoftmax.text.checked import Checked

LATER: dict[str, int]

class TextVectorizer(TransformerMixin, Checked):
    n_features: int
    max_words: int
    lowercase: bool
    words: Literal["unicode", "runs"]
    min_chars: int
    max_chars: int
    n_buckets: int
    def __init__(
        self,
        n_features: int = ...,
        max_words: int = 2,
        lowercase: bool = True,
        *,
        words: Literal["unicode", "runs"] = ...,
        min_chars: int = ...,
        max_chars: int = ...,
        n_buckets: int = ...,
    ) -> None: ...
    @property
    def vocabulary_(self) -> list[str] | None: ...
    @property
    def n_columns_(self) -> int: ...
    def fit(self, texts: Iterable[str], y: object = None, *, show: Callable[[int], object] | None = None) -> Self: ...
    def transform(self, texts: Iterable[str], *, show: Callable[[int], object] | None = None) -> csr_matrix: ...
    def fit_transform(self, texts: Iterable[str], y: object = None) -> csr_matrix: ...
    def get_feature_names_out(self, input_features: object = None) -> Anything: ...
    def to_dict(self) -> dict[str, Any]: ...
    @classmethod
    def from_dict(cls, parameters: Mapping[str, Any]) -> Self: ...
