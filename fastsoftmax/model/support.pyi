from scipy.sparse import csc_array

from fastsoftmax._types import Dense, Matrix, Sparse

__all__ = ["support"]

def support(
    X: Matrix,
    y: Dense | Sparse,
    min_count: int = 1,
    max_classes_per_feature: int | None = None,
    n_classes: int | None = None,
) -> csc_array: ...
