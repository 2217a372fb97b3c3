"""What the stubs call the kinds of input and output. There is no such module at run time: it is for type checkers alone."""

from collections.abc import Iterable, Mapping, Sequence, Set
from os import PathLike
from typing import IO, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix

class SupportsDLPack(Protocol):
    def __dlpack__(self, /, *, stream: None = None) -> object: ...

class SupportsColumns(Protocol):
    """A table: of pandas, polars or pyarrow, for example."""

    @property
    def columns(self) -> Any: ...

Sparse: TypeAlias = sparray | spmatrix
Dense: TypeAlias = ArrayLike | SupportsDLPack
Matrix: TypeAlias = Dense | Sparse | SupportsColumns
Labels: TypeAlias = Matrix | Sequence[object]  # of rows: one label, a list or a set of labels, or masses of classes

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.int64]
Doubles: TypeAlias = NDArray[np.float64]
Anything: TypeAlias = NDArray[Any]

Path: TypeAlias = str | PathLike[str]
Auto: TypeAlias = Literal["auto"]
Random: TypeAlias = int | np.random.Generator | np.random.RandomState | None
ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None
Excluded: TypeAlias = Sparse | Sequence[ArrayLike | Set[Any]] | Anything
FeatureNames: TypeAlias = Sequence[str] | Anything
ItemSequences: TypeAlias = Iterable[Iterable[Any]]  # items are whatever labels are
Words: TypeAlias = list[Any] | tuple[Any, ...] | Anything
Text: TypeAlias = Path | IO[bytes] | Iterable[str | Words | PathLike[str] | IO[bytes]]  # sentences, documents
Propensities: TypeAlias = ArrayLike | Mapping[Any, float]
Reduction: TypeAlias = Literal["mean", "sum", "none"]
LabelsOfARow: TypeAlias = Literal["auto", "one", "mean", "sum"]
SamplerName: TypeAlias = Literal["in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"]
SampledLossName: TypeAlias = Literal["sampled_softmax", "nce", "sampled_logistic", "negative_sampling"]
LossName: TypeAlias = (
    Literal["auto", "softmax", "decoupled_softmax", "sampled_decoupled_softmax", "one_vs_all"] | SampledLossName
)
ObjectiveName: TypeAlias = Literal["auto", "precision", "recall", "tail"]
Schedule: TypeAlias = Literal["auto", "trapezoidal", "linear", "constant", "cosine"]
Format: TypeAlias = Literal["svmlight", "xmc", "fasttext"]
Axis: TypeAlias = int | tuple[int, ...] | None
