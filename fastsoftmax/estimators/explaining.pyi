from fastsoftmax._types import Anything, Doubles, FeatureNames, Matrix
from fastsoftmax.estimators.explanation import Explanation

class ExplainingMixin:
    def explain(
        self, X: Matrix, labels: object = None, k: int = 10, *, feature_names: FeatureNames | None = None
    ) -> list[Explanation]: ...
    def top_features(
        self, label: object, k: int = 10, *, feature_names: FeatureNames | None = None
    ) -> tuple[list[str] | list[int], Doubles]: ...
    def similar_classes(self, label: object, k: int = 10) -> tuple[Anything, Doubles]: ...
