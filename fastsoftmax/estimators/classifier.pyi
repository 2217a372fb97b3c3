from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from sklearn.callback import CallbackSupportMixin

from fastsoftmax._types import (
    Anything,
    Auto,
    ClassWeight,
    Dense,
    Floats,
    Labels,
    LossName,
    Matrix,
    ObjectiveName,
    Path,
    Random,
    Schedule,
    Sparse,
)
from fastsoftmax.estimators.base import SoftmaxEstimator
from fastsoftmax.estimators.hidden_layer import HiddenLayerTransformer
from fastsoftmax.estimators.together import SharedCommunicator
from fastsoftmax.losses import _Loss
from fastsoftmax.objectives import Precision, Recall, Tail
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.terms import LowRank, SparseTerm
from fastsoftmax.text.text_vectorizer import TextVectorizer
from fastsoftmax.training.options import Checkpoint, EarlyStopping

__all__ = ["SoftmaxClassifier"]

class SoftmaxClassifier(CallbackSupportMixin, HiddenLayerTransformer, SharedCommunicator, SoftmaxEstimator):
    classes_: Anything
    loss_: str
    direct_: str | None
    hidden_size_: int | None
    alpha_: float
    class_alpha_: float | None
    objective_: str | None
    ranking_: Mapping[str, float]
    marginals_: Mapping[str, float]
    calibration_: Mapping[str, float]
    loss_curve_: list[float]
    validation_curve_: list[float]
    n_features_in_: int
    feature_names_in_: Anything
    loss: LossName | _Loss
    hidden_size: int | Auto | LowRank | None
    direct: Literal["dense", "sparse", "auto"] | SparseTerm | None
    optimizer: Literal["adagrad", "sgd"] | Adagrad | SGD
    learning_rate: float | Auto
    schedule: Schedule | Callable[[float], float]
    average: bool | float
    batch_size: int
    max_iter: int | Auto
    early_stopping: bool | EarlyStopping
    warm_start: bool
    random_state: Random
    n_threads: int | None
    verbose: int
    dtype: Literal["float32", "float64"]
    working_memory: int
    calibration_fraction: float | Auto
    class_weight: ClassWeight
    ignore_label: object
    checkpoint: Path | Checkpoint | None
    weights_dir: Path | None
    objective: ObjectiveName | Recall | Precision | Tail
    comm: Any
    def __init__(
        self,
        loss: LossName | _Loss = "auto",
        hidden_size: int | Auto | LowRank | None = "auto",
        direct: Literal["dense", "sparse", "auto"] | SparseTerm | None = "auto",
        optimizer: Literal["adagrad", "sgd"] | Adagrad | SGD = "adagrad",
        learning_rate: float | Auto = "auto",
        schedule: Schedule | Callable[[float], float] = "auto",
        average: bool | float = False,
        batch_size: int = 256,
        max_iter: int | Auto = "auto",
        early_stopping: bool | EarlyStopping = False,
        warm_start: bool = False,
        random_state: Random = None,
        n_threads: int | None = None,
        verbose: int = 0,
        dtype: Literal["float32", "float64"] = "float32",
        working_memory: int = ...,
        calibration_fraction: float | Auto = "auto",
        class_weight: ClassWeight = None,
        ignore_label: object = None,
        checkpoint: Path | Checkpoint | None = None,
        weights_dir: Path | None = None,
        objective: ObjectiveName | Recall | Precision | Tail = "auto",
        comm: Any = None,
    ) -> None: ...
    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Dense | None = None,
        *,
        coef_init: Sparse | None = None,
        intercept_init: Dense | None = None,
        embedding_init: Dense | None = None,
        X_val: Matrix | None = None,
        y_val: Labels | None = None,
        sample_weight_val: Dense | None = None,
    ) -> Self: ...
    def partial_fit(
        self,
        X: Matrix,
        y: Labels,
        classes: Dense | None = None,
        sample_weight: Dense | None = None,
        *,
        n_classes: int | None = None,
        class_counts: Dense | None = None,
    ) -> Self: ...
    def calibrate(self, X: Matrix, y: Labels, sample_weight: Dense | None = None) -> Self: ...
    def add_classes(self, labels: Labels) -> Self: ...
    def prune(self, threshold: float = 0.0) -> Self: ...
    def save(
        self, path: Path, *, vectorizer: TextVectorizer | SequenceFeatures | None = None, n_shards: int | None = None
    ) -> None: ...
    @classmethod
    def load(cls, path: Path, *, memory_map: bool = False, comm: Any = None) -> Self: ...
    @property
    def n_iter_(self) -> int: ...
    @property
    def embedding_(self) -> Floats: ...
    @property
    def hidden_coef_(self) -> Floats: ...
    def predict_marginals(self, X: Matrix, threshold: float | None = None) -> Any: ...
