from collections.abc import Callable, Iterable, Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_matrix

from fastsoftmax._types import Dense
from fastsoftmax.text.checked import Checked

class NGramFeatures(Checked):
    BOUNDARY: int
    order: int
    places: int
    min_count: int
    n_hashed: int | None
    boundary: bool
    def __init__(
        self, order: int = 3, *, places: int = 0, min_count: int = 1, n_hashed: int | None = None, boundary: bool = True
    ) -> None: ...
    @property
    def n_features_(self) -> int: ...
    def fit(self, ids: Dense, starts: Dense, *, block_rows: int = ...) -> Self: ...
    def fit_chunks(
        self, chunks: Iterable[tuple[Dense, Dense]] | Callable[[], Iterable[tuple[Dense, Dense]]]
    ) -> Self: ...
    def transform(self, ids: Dense, starts: Dense) -> csr_matrix: ...
    def fit_transform(self, ids: Dense, starts: Dense) -> csr_matrix: ...
    def blocks(self, ids: Dense, starts: Dense, n_rows: int = ...) -> Iterator[tuple[slice, csr_matrix]]: ...
    def describe(self, column: int) -> tuple[int | None, ...]: ...
    def kneser_ney(
        self, ids: Dense, starts: Dense, n_classes: int, *, discounts: Dense | None = None, min_pair_count: int = 1
    ) -> tuple[csc_array, NDArray[np.float32]]: ...
