from typing import Any, Literal

from sklearn.base import BaseEstimator

from fastsoftmax._types import Auto, LabelsOfARow, SamplerName
from fastsoftmax.samplers import Sampler

__all__ = [
    "NCE",
    "DecoupledSoftmax",
    "NegativeSampling",
    "OneVsAll",
    "SampledDecoupledSoftmax",
    "SampledLogistic",
    "SampledSoftmax",
    "Softmax",
]

class _Loss(BaseEstimator):
    name: str
    is_sampled: bool
    @property
    def exact(self) -> str: ...
    @property
    def labels_used(self) -> str: ...
    def check(self) -> None: ...

class Softmax(_Loss):
    gradient_threshold: float | Auto
    labels: LabelsOfARow
    def __init__(self, *, gradient_threshold: float | Auto = "auto", labels: LabelsOfARow = "auto") -> None: ...
    @property
    def threshold(self) -> float: ...
    def check_labels(self) -> None: ...

class _Sampled(_Loss):
    normaliser_rate: float | Auto
    sampler: SamplerName | Sampler | Any
    n_negatives: int | Auto
    labels: LabelsOfARow
    def __init__(
        self,
        sampler: SamplerName | Sampler | Any = "in_batch",
        *,
        n_negatives: int | Auto = "auto",
        labels: LabelsOfARow = "auto",
    ) -> None: ...
    @property
    def trains_as(self) -> str: ...
    def check_labels(self) -> None: ...

class SampledSoftmax(_Sampled):
    def __init__(
        self,
        sampler: SamplerName | Sampler | Any = "in_batch",
        *,
        n_negatives: int | Auto = "auto",
        normaliser_rate: float | Auto = "auto",
        labels: LabelsOfARow = "auto",
    ) -> None: ...

class NCE(_Sampled): ...
class SampledLogistic(_Sampled): ...
class NegativeSampling(_Sampled): ...

class DecoupledSoftmax(_Loss):
    @property
    def threshold(self) -> float: ...

class SampledDecoupledSoftmax(_Sampled):
    def __init__(
        self, sampler: SamplerName | Sampler | Any = "in_batch", *, n_negatives: int | Auto = "auto"
    ) -> None: ...

class OneVsAll(_Loss):
    loss: Literal["logistic", "squared_hinge"]
    def __init__(self, loss: Literal["logistic", "squared_hinge"] = "logistic") -> None: ...
    @property
    def threshold(self) -> float: ...
