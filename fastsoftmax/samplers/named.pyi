from typing import Any

from fastsoftmax._types import Dense, SamplerName
from fastsoftmax.samplers.base import Sampler

NAMED: dict[str, type[Sampler]]

def kind_of(sampler: SamplerName | Sampler | Any, *, name: str = "sampler") -> Any: ...
def make(sampler: SamplerName | Sampler | Any, counts: Dense, *, logistic_loss: str | None = None) -> Any: ...
