# src/stubs.py wrote this file from src/ngrams/arpa_lines.pyx

from typing import Any

from numpy.typing import NDArray

DONE: Any
BLANK: Any
WIDTH: Any
NUMBER: Any
WORD: Any
RANGE: Any

def read(
    text: Any,
    place: int,
    codes: Any,
    learns: bool,
    log10_proba: NDArray[Any] | None,
    log10_backoff: NDArray[Any] | None,
    ids: NDArray[Any] | None,
) -> Any: ...
