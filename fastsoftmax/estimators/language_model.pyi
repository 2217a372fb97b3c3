from collections.abc import Sequence
from typing import Any, Literal, Self, overload

from sklearn.base import BaseEstimator

from fastsoftmax._types import Anything, Auto, Doubles, Path, Random, Text, Words

__all__ = ["LanguageModel"]

class LanguageModel(BaseEstimator):
    vocabulary_: list[Any]
    chosen_: dict[str, Any]
    expert_names_: list[str]
    expert_weights_: Doubles
    n_tokens_: int
    order: int
    hidden_size: int | Auto | None
    context: Literal["auto", "document", "sentence"]
    cache: bool | Auto
    min_count: int
    loss: Literal["auto", "softmax", "sampled_softmax"]
    max_iter: int | Auto
    random_state: Random
    n_threads: int | None
    verbose: int
    def __init__(
        self,
        order: int = 5,
        hidden_size: int | Auto | None = "auto",
        context: Literal["auto", "document", "sentence"] = "auto",
        cache: bool | Auto = "auto",
        min_count: int = 2,
        loss: Literal["auto", "softmax", "sampled_softmax"] = "auto",
        max_iter: int | Auto = "auto",
        random_state: Random = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None: ...
    def fit(self, sentences: Text, y: object = None) -> Self: ...
    def log_proba(self, sentences: Text) -> Doubles: ...
    def perplexity(self, sentences: Text) -> float: ...
    def score(self, sentences: Text, y: object = None) -> float: ...
    def predict_proba(self, contexts: Sequence[str | Words]) -> Doubles: ...
    def predict_topk(self, contexts: Sequence[str | Words], k: int = 5) -> tuple[Anything, Doubles]: ...
    @overload
    def complete(self, prompt: str, n_tokens: int = 20) -> str: ...
    @overload
    def complete(self, prompt: Words, n_tokens: int = 20) -> list[Any]: ...
    @overload
    def sample(
        self,
        prompt: str,
        n: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        *,
        n_tokens: int = 20,
        random_state: Random = None,
    ) -> list[str]: ...
    @overload
    def sample(
        self,
        prompt: Words,
        n: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        *,
        n_tokens: int = 20,
        random_state: Random = None,
    ) -> list[list[Any]]: ...
    def save(self, path: Path) -> None: ...
    @classmethod
    def load(cls, path: Path) -> Self: ...
