from collections.abc import Iterable, Sequence
from typing import IO, Any, Self

from fastsoftmax._types import Anything, Dense, Doubles, Path

class NGramLanguageModel:
    vocabulary: list[str]
    discounts: Doubles | None
    def __init__(self, tables: Any, words: Any, discounts: Doubles | None = None) -> None: ...
    @property
    def order(self) -> int: ...
    @property
    def n_ngrams(self) -> tuple[int, ...]: ...
    @classmethod
    def estimate(
        cls,
        sentences: Path | IO[bytes] | Iterable[str | Sequence[str]],
        order: int = 5,
        *,
        prune: int | Sequence[int] = 0,
        discount_fallback: Dense | None = None,
        verbose: bool = False,
    ) -> Self: ...
    @classmethod
    def load_arpa(cls, path: Path, *, verbose: bool = False) -> Self: ...
    def save_arpa(self, path: Path, *, verbose: bool = False) -> None: ...
    def score(self, sentence: str | Sequence[str], *, bos: bool = True, eos: bool = True) -> float: ...
    def word_scores(self, sentence: str | Sequence[str], *, bos: bool = True, eos: bool = True) -> Doubles: ...
    def perplexity(
        self, sentences: Path | IO[bytes] | Iterable[str | Sequence[str]], *, verbose: bool = False
    ) -> float: ...
    def next_words(
        self, contexts: Sequence[str | Sequence[str]], k: int = 10, *, bos: bool = True
    ) -> tuple[Anything, Doubles]: ...
