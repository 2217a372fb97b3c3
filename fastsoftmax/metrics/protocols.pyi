from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fastsoftmax._types import ItemSequences

def every_prefix(sequences: ItemSequences | tuple[NDArray[Any], NDArray[Any]]) -> tuple[Sequence[Any], Any]: ...
def leave_one_out(
    sequences: ItemSequences | tuple[NDArray[Any], NDArray[Any]], n_last: int = 1
) -> tuple[Any, Sequence[Any], Any]: ...
