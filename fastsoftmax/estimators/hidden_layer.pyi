from typing import Any

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fastsoftmax._types import Labels, Matrix

class HiddenLayerTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    def transform(self, X: Matrix) -> Any: ...
    def fit_transform(self, X: Matrix, y: Labels | None = None, **fit_params: Any) -> Any: ...
