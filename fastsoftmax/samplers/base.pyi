from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np

from fastsoftmax._types import Anything, Dense, Doubles, Ints, Random

class NegativeSource:
    follows_model: bool
    depends_on_counts: bool
    draws_targets: bool
    uses_n_negatives: bool
    bytes_per_class: int
    n_batches: int
    def observe(self, target: Anything) -> None: ...
    def follow(self, V: Anything, bias: Anything) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...

class Sampler(NegativeSource, ABC):
    n_classes: int
    @classmethod
    def from_counts(cls, counts: Dense) -> Self: ...
    def draw(self, n: int, rng: Random, *, unique: bool = False) -> tuple[Ints, Doubles]: ...
    def draw_unique(self, n: int, rng: Random) -> tuple[Ints, Doubles, int]: ...
    def draw_for(
        self,
        n: int,
        rng: np.random.Generator,
        target: Anything,
        hidden: Anything | None = None,
        *,
        unique: bool = False,
    ) -> tuple[Ints, Doubles, Doubles]: ...
    def log_expected_counts(self, class_ids: Dense, n_tries: int, *, unique: bool = False) -> Doubles: ...
    @abstractmethod
    def probabilities(self) -> Doubles: ...
