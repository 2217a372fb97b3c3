from typing import Any

from fastsoftmax._types import Anything, Dense, Excluded, Floats, Labels, Matrix
from fastsoftmax.estimators.model_estimator import ModelEstimator
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.text.text_vectorizer import TextVectorizer

class SoftmaxEstimator(ModelEstimator):
    encoding_: Any
    @property
    def vectorizer_(self) -> TextVectorizer | SequenceFeatures | None: ...
    def predict_topk(
        self,
        X: Matrix,
        k: int = 5,
        *,
        classes: Dense | None = None,
        exclude: Excluded | None = None,
        threshold: float | None = None,
    ) -> tuple[Anything, Floats]: ...
    def predict_proba(self, X: Matrix) -> Floats: ...
    def predict_log_proba(self, X: Matrix) -> Floats: ...
    def target_log_proba(self, X: Matrix, y: Labels) -> Floats: ...
