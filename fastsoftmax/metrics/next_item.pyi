from collections.abc import Mapping, Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from fastsoftmax._types import Dense, ItemSequences, Labels

def evaluate_next_items(
    model: Any,
    sequences: ItemSequences | tuple[NDArray[Any], NDArray[Any]],
    k: int | Sequence[int] = 20,
    *,
    protocol: Literal["every", "last"] = "every",
    exclude_seen: bool = False,
    items: Labels | None = None,
    popularity: Mapping[Any, float] | Dense | None = None,
    batch_size: int = 1024,
    verbose: int = 0,
) -> dict[str, float]: ...
