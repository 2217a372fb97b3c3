from typing import Any, Self

from sklearn.base import BaseEstimator

class Checked(BaseEstimator):
    def set_params(self, **params: Any) -> Self: ...
