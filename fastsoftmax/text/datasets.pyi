from collections.abc import Callable
from typing import IO, Literal

from scipy.sparse import csr_matrix

from fastsoftmax._types import Anything, Format, Ints, Path

__all__ = ["FORMATS", "Dataset", "detect_format", "read", "read_texts", "targets"]

FORMATS: tuple[str, ...]

class Dataset:
    X: csr_matrix | list[str]
    labels: Anything
    label_starts: Ints
    format: str
    line_numbers: Ints | None
    n_ignored: int
    def __init__(
        self,
        X: csr_matrix | list[str],
        labels: Anything,
        label_starts: Ints,
        format: str,
        line_numbers: Ints | None = None,
        n_ignored: int = 0,
    ) -> None: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def n_unlabelled(self) -> int: ...

def targets(labels: Anything, label_starts: Ints) -> tuple[Anything, Anything | csr_matrix]: ...
def detect_format(source: Path | IO[bytes]) -> Format: ...
def read(
    source: Path | IO[bytes],
    format: Format | None = None,
    *,
    n_features: int | None = None,
    extra_features: Literal["error", "ignore"] = "error",
    show: Callable[[int], object] | None = None,
) -> Dataset: ...
def read_texts(source: Path | IO[bytes], *, show: Callable[[int], object] | None = None) -> Dataset: ...
